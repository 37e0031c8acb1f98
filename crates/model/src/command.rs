//! A shell line after it has been understood.

use crate::{FileAccess, LexicalPath, SubAction};

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

    /// What must be permitted for the line to run: each command and each file that a redirection opens, in order.
    pub fn parts(&self) -> impl Iterator<Item = SubAction> {
        self.commands().flat_map(|command| {
            let files = command.files().map(|(access, path)| SubAction::File { access, path: path.clone() });
            std::iter::once(SubAction::Command(command.clone())).chain(files)
        })
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
    /// What its descriptors are connected to before it starts, in the order in which the shell does it.
    pub redirections: Vec<Redirection>,
}

impl SimpleCommand {
    /// A command without redirections.
    pub fn new(words: Vec<String>) -> Self {
        Self { words, redirections: Vec::new() }
    }

    /// The files that its redirections open, in order. `/dev/null` is no file in this sense.
    pub fn files(&self) -> impl Iterator<Item = (FileAccess, &LexicalPath)> {
        self.redirections.iter().filter_map(|redirection| match &redirection.end {
            End::Read(path) if !path.is_null_device() => Some((FileAccess::Read, path)),
            End::Write(path, _) if !path.is_null_device() => Some((FileAccess::Write, path)),
            End::Read(_) | End::Write(..) | End::Join(_) => None,
        })
    }
}

/// One descriptor of a command and what it is connected to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redirection {
    /// The descriptor, 0 to 9.
    pub descriptor: u8,
    /// What it is connected to.
    pub end: End,
}

/// The other end of a redirection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// `<`: a file that is read.
    Read(LexicalPath),
    /// `>`: a file that is written.
    Write(LexicalPath, WriteMode),
    /// `>&`: whatever this descriptor is connected to at that moment.
    Join(u8),
}

/// How a file is opened for writing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WriteMode {
    /// `>`: emptied first; a shell with `noclobber` refuses a file that is there.
    Truncate,
    /// `>>`: written at its end.
    Append,
    /// `>|`: emptied first, whatever the shell's options.
    Clobber,
}
