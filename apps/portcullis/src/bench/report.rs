//! Figures with their goals, as a table or as JSON.

use serde_json::{Value, json};

/// One line of the report.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Figure {
    name: String,
    value: Option<f64>,
    unit: &'static str,
    goal: Option<f64>,
    note: Option<String>,
}

/// All figures, in the order they were measured.
#[derive(Debug, Default)]
pub(crate) struct Report {
    figures: Vec<Figure>,
}

impl Figure {
    /// A figure without a goal, for comparison.
    pub(super) fn plain(name: impl Into<String>, value: f64, unit: &'static str) -> Self {
        // A ratio to nothing.
        if !value.is_finite() {
            return Self::not_measured(name, "too few calls for the clock that the kernel has");
        }
        Self { name: name.into(), value: Some(value), unit, goal: None, note: None }
    }

    /// A figure that should be at most `goal`.
    pub(super) fn at_most(name: impl Into<String>, value: f64, unit: &'static str, goal: f64) -> Self {
        Self { goal: Some(goal), ..Self::plain(name, value, unit) }
    }

    /// Something that cannot be measured on this machine, and why.
    pub(super) fn not_measured(name: impl Into<String>, why: impl Into<String>) -> Self {
        Self { name: name.into(), value: None, unit: "", goal: None, note: Some(why.into()) }
    }

    fn verdict(&self) -> &'static str {
        match (self.value, self.goal) {
            (None, _) => "not measured",
            (Some(_), None) => "",
            (Some(value), Some(goal)) if value <= goal => "met",
            (Some(_), Some(_)) => "MISSED",
        }
    }

    /// Name, value, goal and verdict, as a person reads them.
    pub(crate) fn row(&self) -> [String; 4] {
        let number = |value: f64| {
            format!("{value:.*} {}", if value < 10.0 { 2 } else { 1 }, self.unit).trim().to_owned()
        };
        let value = match (&self.note, self.value) {
            (Some(note), None) => note.clone(),
            (_, value) => value.map(number).unwrap_or_default(),
        };
        let goal = self.goal.map(|goal| format!("at most {}", number(goal))).unwrap_or_default();
        [self.name.clone(), value, goal, self.verdict().to_owned()]
    }
}

impl Report {
    pub(super) fn push(&mut self, figure: Figure) {
        self.figures.push(figure);
    }

    pub(super) fn extend(&mut self, figures: Vec<Figure>) {
        self.figures.extend(figures);
    }

    /// Every figure.
    pub(crate) fn figures(&self) -> &[Figure] {
        &self.figures
    }

    /// For programs.
    pub(crate) fn to_json(&self) -> Value {
        let figures = self.figures.iter().map(|figure| {
            json!({
                "name": figure.name,
                "value": figure.value,
                "unit": figure.unit,
                "goal": figure.goal,
                "met": figure.goal.zip(figure.value).map(|(goal, value)| value <= goal),
                "note": figure.note,
            })
        });
        json!({ "figures": figures.collect::<Vec<_>>() })
    }
}
