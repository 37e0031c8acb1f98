//! The suite's resources and prompts.

use model::{ClientInput, Content, Outcome, ResourceBody, ResourceContent};
use serde_json::{Map, Value, json};
use tools::{CompletionOf, Offer, PromptArgument, PromptListing, ResourceListing, TemplateListing};

use super::script::{PNG, field, form, image, needs, resource, shown};

/// What the suite wants to read and to ask for.
pub(crate) struct FixtureOffer;

impl Offer for FixtureOffer {
    fn resources(&self) -> Vec<ResourceListing> {
        let listing = |uri: &str, description: &str, mime_type| ResourceListing {
            uri: uri.to_owned(),
            name: uri.trim_start_matches("test://").to_owned(),
            title: description.to_owned(),
            description: description.to_owned(),
            mime_type,
        };
        vec![
            listing("test://static-text", "A text.", "text/plain"),
            listing("test://static-binary", "A picture.", "image/png"),
            listing("test://watched-resource", "A text to be watched.", "text/plain"),
        ]
    }

    fn templates(&self) -> Vec<TemplateListing> {
        vec![TemplateListing {
            uri_template: "test://template/{id}/data",
            name: "template",
            description: "Data of one id.",
            mime_type: "application/json",
        }]
    }

    fn read(&self, uri: &str) -> Option<ResourceContent> {
        let content = |mime_type: &str, body| ResourceContent {
            uri: uri.to_owned(),
            mime_type: mime_type.to_owned(),
            body,
        };
        let text = |text: &str| ResourceBody::Text(text.to_owned());
        match uri {
            "test://static-text" => {
                Some(content("text/plain", text("This is the content of the static text resource.")))
            }
            "test://static-binary" => Some(content("image/png", ResourceBody::Bytes(PNG.to_vec()))),
            "test://watched-resource" => Some(content("text/plain", text("This can be watched."))),
            _ => {
                let id = uri.strip_prefix("test://template/")?.strip_suffix("/data")?;
                let data = json!({ "id": id, "templateTest": true, "data": format!("Data for ID: {id}") });
                Some(content("application/json", text(&data.to_string())))
            }
        }
    }

    fn prompts(&self) -> Vec<PromptListing> {
        let listing = |name: &str, description: &str, arguments: &[&str]| PromptListing {
            name: name.to_owned(),
            title: description.to_owned(),
            description: description.to_owned(),
            arguments: arguments
                .iter()
                .map(|name| PromptArgument {
                    name: (*name).to_owned(),
                    description: "A test argument.".to_owned(),
                    required: true,
                })
                .collect(),
        };
        vec![
            listing("test_input_required_result_prompt", "Asks first.", &[]),
            listing("test_prompt_with_arguments", "With places to fill in.", &["arg1", "arg2"]),
            listing("test_prompt_with_embedded_resource", "With a resource.", &["resourceUri"]),
            listing("test_prompt_with_image", "With a picture.", &[]),
            listing("test_simple_prompt", "A plain one.", &[]),
        ]
    }

    fn prompt(&self, name: &str, arguments: &Map<String, Value>, input: &ClientInput) -> Option<Outcome> {
        let argument = |key: &str| arguments.get(key).and_then(Value::as_str).unwrap_or_default();
        let text = |text: String| Content::Text(text);
        Some(match name {
            "test_simple_prompt" => shown(vec![text("This is a simple prompt for testing.".to_owned())]),
            "test_prompt_with_arguments" => shown(vec![text(format!(
                "Prompt with arguments: arg1='{}', arg2='{}'",
                argument("arg1"),
                argument("arg2")
            ))]),
            "test_prompt_with_embedded_resource" => shown(vec![
                resource(argument("resourceUri"), "text/plain", "Embedded resource content for testing."),
                text("Please process the embedded resource above.".to_owned()),
            ]),
            "test_prompt_with_image" => {
                shown(vec![image(), text("Please analyze the image above.".to_owned())])
            }
            "test_input_required_result_prompt" => match input.answers.get("user_context") {
                Some(answer) => shown(vec![text(format!("Use this context: {}", answer["content"]))]),
                None => {
                    let question = form("What context should the prompt use?", field("context", "string"));
                    needs(vec![("user_context", question)], None)
                }
            },
            _ => return None,
        })
    }

    fn complete(&self, of: &CompletionOf, argument: &str, written: &str) -> Vec<String> {
        let known = matches!(of, CompletionOf::Prompt(name) if name == "test_prompt_with_arguments");
        let values = ["paris", "park", "party", "test"];
        let fits = |value: &&str| known && argument == "arg1" && value.starts_with(written);
        values.into_iter().filter(fits).map(str::to_owned).collect()
    }
}
