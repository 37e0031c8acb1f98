//! A shell line after it has been understood.

/// A shell line of simple commands, pipelines and lists, with every word already unquoted.
///
/// Made by the command analysis of the `policy` crate, which also writes its canonical quoting: the only
/// text that is ever sent to a target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandLine {
    /// The first pipeline.
    pub first: Pipeline,
    /// What follows, each with what joins it to the one before.
    pub rest: Vec<(Joint, Pipeline)>,
}

impl CommandLine {
    /// Every simple command of the line, in order.
    pub fn commands(&self) -> impl Iterator<Item = &SimpleCommand> {
        std::iter::once(&self.first)
            .chain(self.rest.iter().map(|(_, pipeline)| pipeline))
            .flat_map(|p| &p.commands)
    }
}

/// What stands between two pipelines of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Joint {
    /// `&&`
    And,
    /// `||`
    Or,
    /// `;`
    Then,
}

/// Simple commands joined by `|`; at least one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pipeline {
    /// The commands, in order.
    pub commands: Vec<SimpleCommand>,
}

/// One program with its arguments: exactly the vector the target's shell will pass to `exec`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SimpleCommand {
    /// The words, the program first; at least one.
    pub words: Vec<String>,
}
