//! One description of a tool's arguments that is both published and checked, so the two cannot differ.

use model::{ErrorCode, Failure};
use serde_json::{Map, Value, json};

/// A tool's arguments: an object with these fields and no others.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Schema {
    fields: Vec<Field>,
    /// Somebody else's, who checks it.
    theirs: Option<Value>,
}

/// One argument.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// Its name.
    pub name: &'static str,
    /// Its form and bounds.
    pub kind: Kind,
    /// Whether it must be there.
    pub required: bool,
    /// For the agent.
    pub description: &'static str,
}

/// Form and bounds of an argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Text of 1 to this many bytes.
    Text(usize),
    /// A whole number, bounds included.
    Integer(i64, i64),
    /// An object of any content.
    Object,
}

impl Schema {
    /// An object with these fields.
    pub fn new(fields: Vec<Field>) -> Self {
        Self { fields, theirs: None }
    }

    /// The schema of an upstream's tool: it is published as it is, and the upstream checks it.
    pub fn of_upstream(schema: Value) -> Self {
        Self { fields: Vec::new(), theirs: Some(schema) }
    }

    /// The JSON Schema (2020-12) that is published.
    pub fn to_json(&self) -> Value {
        if let Some(theirs) = &self.theirs {
            return theirs.clone();
        }
        let properties: Map<String, Value> =
            self.fields.iter().map(|field| (field.name.to_owned(), field.to_json())).collect();
        let required: Vec<&str> = self.fields.iter().filter(|f| f.required).map(|f| f.name).collect();
        json!({
            "type": "object",
            "properties": properties,
            "required": required,
            "additionalProperties": false,
        })
    }

    /// Checks arguments; a failure names the path and what was expected, never more than 80 characters of the value.
    pub fn check(&self, arguments: &Map<String, Value>) -> Result<(), Failure> {
        if self.theirs.is_some() {
            return Ok(());
        }
        if let Some(unknown) =
            arguments.keys().find(|key| !self.fields.iter().any(|field| field.name == *key))
        {
            let known: Vec<&str> = self.fields.iter().map(|field| field.name).collect();
            let shown: String = unknown.chars().take(80).collect();
            return Err(wrong(format!("unknown argument `{shown}`"))
                .with_hint(format!("the arguments are: {}", known.join(", "))));
        }
        self.fields.iter().try_for_each(|field| match arguments.get(field.name) {
            Some(value) => field.check(value),
            None if field.required => Err(wrong(format!("argument `{}` is missing", field.name))
                .with_hint(format!("expected {}", field.expected()))),
            None => Ok(()),
        })
    }
}

impl Field {
    /// A required argument.
    pub fn required(name: &'static str, kind: Kind, description: &'static str) -> Self {
        Self { name, kind, required: true, description }
    }

    /// An argument that may be left out.
    pub fn optional(name: &'static str, kind: Kind, description: &'static str) -> Self {
        Self { name, kind, required: false, description }
    }

    fn to_json(&self) -> Value {
        let mut schema = match self.kind {
            Kind::Text(most) => json!({ "type": "string", "minLength": 1, "maxLength": most }),
            Kind::Integer(least, most) => json!({ "type": "integer", "minimum": least, "maximum": most }),
            Kind::Object => json!({ "type": "object" }),
        };
        if let Some(object) = schema.as_object_mut() {
            object.insert("description".to_owned(), json!(self.description));
        }
        schema
    }

    fn expected(&self) -> String {
        match self.kind {
            Kind::Text(most) => format!("text of 1 to {most} bytes"),
            Kind::Integer(least, most) => format!("a whole number from {least} to {most}"),
            Kind::Object => "an object".to_owned(),
        }
    }

    fn check(&self, value: &Value) -> Result<(), Failure> {
        let fits = match (self.kind, value) {
            (Kind::Text(most), Value::String(text)) => !text.is_empty() && text.len() <= most,
            (Kind::Integer(least, most), Value::Number(number)) => {
                number.as_i64().is_some_and(|n| (least..=most).contains(&n))
            }
            (Kind::Object, Value::Object(_)) => true,
            (Kind::Text(_) | Kind::Integer(..) | Kind::Object, _) => false,
        };
        if fits {
            return Ok(());
        }
        Err(wrong(format!("argument `{}` is wrong", self.name))
            .with_hint(format!("expected {}", self.expected())))
    }
}

fn wrong(message: String) -> Failure {
    Failure::new(ErrorCode::InputInvalid, message)
}

#[cfg(test)]
mod tests {
    use super::{Field, Kind, Schema};
    use serde_json::json;

    fn schema() -> Schema {
        Schema::new(vec![
            Field::required("host", Kind::Text(8), "a host"),
            Field::optional("timeout", Kind::Integer(1, 60), "seconds"),
        ])
    }

    #[test]
    fn wrong_arguments_are_named_with_what_was_expected() {
        for (arguments, message) in [
            (json!({}), "argument `host` is missing"),
            (json!({"host": ""}), "argument `host` is wrong"),
            (json!({"host": "123456789"}), "argument `host` is wrong"),
            (json!({"host": 1}), "argument `host` is wrong"),
            (json!({"host": "a", "timeout": 0}), "argument `timeout` is wrong"),
            (json!({"host": "a", "timeout": 1.5}), "argument `timeout` is wrong"),
            (json!({"host": "a", "Host": "b"}), "unknown argument `Host`"),
        ] {
            let failure = schema().check(arguments.as_object().unwrap()).unwrap_err();
            assert_eq!(failure.message(), message);
            assert!(failure.hint().is_some());
        }
        assert!(schema().check(json!({"host": "a", "timeout": 60}).as_object().unwrap()).is_ok());
    }

    #[test]
    fn what_is_published_is_what_is_checked() {
        let published = schema().to_json();
        assert_eq!(published["additionalProperties"], json!(false));
        assert_eq!(published["properties"]["host"]["maxLength"], json!(8));
        assert_eq!(published["required"], json!(["host"]));
    }
}
