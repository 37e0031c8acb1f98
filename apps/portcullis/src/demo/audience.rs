//! What the tour shows, and whether it held.

use std::io::IsTerminal;

use serde_json::{Value, json};

use super::scene::Scene;
use crate::failure::Stop;
use crate::output::Output;

/// Keeps the score and prints.
pub(super) struct Audience {
    output: Output,
    steps: Vec<Step>,
}

struct Step {
    title: &'static str,
    said: Vec<String>,
    checks: Vec<(String, bool)>,
}

impl Audience {
    pub(super) fn new(output: Output) -> Self {
        Self { output, steps: Vec::new() }
    }

    /// Who is there.
    pub(super) fn welcome(&self, scene: &Scene) -> Result<(), Stop> {
        self.print("Portcullis stands between an agent, a host and somebody else's MCP server.\n")?;
        for (who, what) in [
            ("agent", "speaks MCP, has an API key and nothing else".to_owned()),
            ("gateway", format!("http://{}/mcp, one rule for commands, one for credentials", scene.address)),
            (
                "host",
                "web1, a sandbox with an SSH server of its own; its password is in the gateway's keystore"
                    .to_owned(),
            ),
            ("upstream", "weather, an MCP server with one tool, which will not stay what it is".to_owned()),
        ] {
            self.print(&hanging(&format!("  {who:<8} "), &what, terminal_width()))?;
        }
        Ok(())
    }

    /// A step begins.
    pub(super) fn step(&mut self, title: &'static str) -> Result<(), Stop> {
        self.steps.push(Step { title, said: Vec::new(), checks: Vec::new() });
        self.print(&format!("\n{}. {title}", self.steps.len()))
    }

    /// Something that happened, as it was sent or answered.
    pub(super) fn says(&mut self, text: &str) -> Result<(), Stop> {
        if let Some(step) = self.steps.last_mut() {
            step.said.push(text.to_owned());
        }
        let indented: Vec<String> = text.lines().map(|line| format!("     {line}")).collect();
        self.print(&indented.join("\n"))
    }

    /// Something that must be so.
    pub(super) fn check(&mut self, what: impl Into<String>, holds: bool) -> Result<(), Stop> {
        let what = what.into();
        let mark = if holds { "   [ok]     " } else { "   [FAILED] " };
        self.print(&hanging(mark, &what, terminal_width()))?;
        if let Some(step) = self.steps.last_mut() {
            step.checks.push((what, holds));
        }
        Ok(())
    }

    /// A step could not even be played.
    pub(super) fn broke(&mut self, stop: &Stop) -> Result<(), Stop> {
        self.check(stop.message.clone(), false)
    }

    /// Whether every check of every step held, and there were some.
    pub(super) fn all_held(&self) -> bool {
        !self.steps.is_empty()
            && self.steps.iter().all(|s| !s.checks.is_empty() && s.checks.iter().all(|(_, holds)| *holds))
    }

    /// The end.
    pub(super) fn summary(&self) -> Result<(), Stop> {
        let checks = self.steps.iter().flat_map(|step| &step.checks);
        let (held, all) = (checks.clone().filter(|(_, holds)| *holds).count(), checks.count());
        if self.output.is_json() {
            let steps: Vec<Value> = self.steps.iter().map(Step::to_json).collect();
            return self.output.json(&json!({ "ok": self.all_held(), "steps": steps }));
        }
        self.print(&format!("\n{} steps, {held} of {all} checks held", self.steps.len()))
    }

    /// The gateway stays for the visitor's own agent.
    pub(super) fn stay(&self, scene: &Scene) -> Result<(), Stop> {
        self.print(&format!(
            "\nThe gateway stays up. Try it with an agent of your own:\n\n  claude mcp add --transport http portcullis \
             http://{}/mcp --header \"X-API-Key: {}\"\n\nor as its operator, from another terminal:\n\n  portcullis -c {} audit tail\n\n\
             Ctrl-C ends it and removes everything it wrote.",
            scene.address,
            scene.stage.api_key(),
            scene.stage.configuration().display()
        ))
    }

    fn print(&self, text: &str) -> Result<(), Stop> {
        if self.output.is_json() { Ok(()) } else { self.output.text(text) }
    }
}

/// How wide the terminal is; nothing is broken for whatever else reads us.
fn terminal_width() -> Option<usize> {
    let out = std::io::stdout();
    if !out.is_terminal() {
        return None;
    }
    rustix::termios::tcgetwinsize(out).ok().map(|size| usize::from(size.ws_col)).filter(|width| *width >= 40)
}

/// Text behind its mark, broken between words, every further line below the first word.
fn hanging(mark: &str, text: &str, width: Option<usize>) -> String {
    let Some(width) = width else { return format!("{mark}{text}") };
    let indent = mark.chars().count();
    let (mut shown, mut at) = (mark.to_owned(), indent);
    for (number, word) in text.split(' ').enumerate() {
        let length = word.chars().count();
        if number > 0 && at + 1 + length > width {
            shown.push_str(&format!("\n{:indent$}", ""));
            at = indent;
        } else if number > 0 {
            shown.push(' ');
            at += 1;
        }
        shown.push_str(word);
        at += length;
    }
    shown
}

impl Step {
    fn to_json(&self) -> Value {
        let checks: Vec<Value> =
            self.checks.iter().map(|(what, holds)| json!({ "what": what, "ok": holds })).collect();
        json!({ "step": self.title, "said": self.said, "checks": checks })
    }
}

#[cfg(test)]
mod tests {
    use super::hanging;

    #[test]
    fn lines_are_broken_between_words_and_only_on_terminals() {
        let text = "one two three four";
        assert_eq!(hanging("> ", text, Some(10)), "> one two\n  three\n  four");
        assert_eq!(hanging("> ", text, None), "> one two three four");
        assert_eq!(hanging("> ", "longerthanwide x", Some(8)), "> longerthanwide\n  x");
    }
}
