//! Redirections as the grammar sees them, and which of them every shell opens alike.

use brush_parser::ast::{IoFileRedirectKind, IoFileRedirectTarget, IoRedirect};
use model::{End, LexicalPath, Pipeline, Redirection, WriteMode};

use super::{Words, disagreement};
use crate::command::NotUnderstood;
use crate::command::scan::{Operator, OperatorKind, Piece};

impl Words<'_> {
    /// The next redirection, if scan and grammar see the same one.
    pub(super) fn redirection(
        &mut self,
        line: &str,
        grammar: &IoRedirect,
    ) -> Result<Redirection, NotUnderstood> {
        let Some(Piece::Redirect(operator)) = self.next().cloned() else { return Err(disagreement(line)) };
        let IoRedirect::File(descriptor, kind, target) = grammar else { return Err(disagreement(line)) };
        if *descriptor != operator.descriptor.map(i32::from) || !same(kind, operator.kind) {
            return Err(disagreement(line));
        }
        let end = match (operator.kind, target) {
            (OperatorKind::Join(with), IoFileRedirectTarget::Duplicate(word)) => {
                if word.value != with.to_string() {
                    return Err(disagreement(line));
                }
                End::Join(with)
            }
            (OperatorKind::Read, IoFileRedirectTarget::Filename(word)) => {
                End::Read(path(&self.word(line, &word.value)?)?)
            }
            (OperatorKind::Write(mode), IoFileRedirectTarget::Filename(word)) => {
                End::Write(path(&self.word(line, &word.value)?)?, mode)
            }
            _ => return Err(disagreement(line)),
        };
        Ok(Redirection { descriptor: operator.descriptor.unwrap_or_else(|| default_of(operator)), end })
    }
}

fn same(grammar: &IoFileRedirectKind, ours: OperatorKind) -> bool {
    matches!(
        (grammar, ours),
        (IoFileRedirectKind::Read, OperatorKind::Read)
            | (IoFileRedirectKind::Write, OperatorKind::Write(WriteMode::Truncate))
            | (IoFileRedirectKind::Append, OperatorKind::Write(WriteMode::Append))
            | (IoFileRedirectKind::Clobber, OperatorKind::Write(WriteMode::Clobber))
            | (IoFileRedirectKind::DuplicateOutput, OperatorKind::Join(_))
    )
}

fn default_of(operator: Operator) -> u8 {
    match operator.kind {
        OperatorKind::Read => 0,
        OperatorKind::Write(_) | OperatorKind::Join(_) => 1,
    }
}

/// Folders whose paths stand for something else: devices, sockets that bash opens (`/dev/tcp`), descriptors
/// (`/dev/fd`, `/proc/self/fd`), other files (`/proc/self/root`), acts (`/proc/sysrq-trigger`), files by number.
const STANDS_FOR_OTHERS: &[&str] = &["dev", "proc", ".vol"];

fn path(text: &str) -> Result<LexicalPath, NotUnderstood> {
    let path = LexicalPath::parse(text).map_err(|_| {
        NotUnderstood::new(
            "a redirection to a path that is not absolute, or has `.`, `..` or empty parts",
            text,
        )
        .hint("where a command runs is not known: write the whole path, plainly")
    })?;
    let first = path.parts().next().unwrap_or_default();
    // Some file systems do not tell `/DEV` from `/dev`.
    if STANDS_FOR_OTHERS.iter().any(|name| first.eq_ignore_ascii_case(name)) && !path.is_null_device() {
        return Err(NotUnderstood::new("a redirection to a path that stands for something else", text)
            .hint("of `/dev` only `/dev/null` can be redirected to, and nothing of `/proc`"));
    }
    Ok(path)
}

/// Refuses what shells understand differently.
///
/// zsh writes to all of several outputs and reads all of several inputs of one descriptor, a pipe counted; other
/// shells use the last. A join to a descriptor that the command has not opened reaches what the shell happens to hold.
pub(super) fn check(line: &str, pipeline: &Pipeline) -> Result<(), NotUnderstood> {
    let last = pipeline.commands.len().saturating_sub(1);
    for (at, command) in pipeline.commands.iter().enumerate() {
        let mut open: Vec<u8> = Vec::new();
        for Redirection { descriptor, end } in &command.redirections {
            if open.contains(descriptor) {
                return Err(NotUnderstood::new(
                    format!("a second redirection of descriptor {descriptor}, which shells read differently"),
                    line,
                ));
            }
            let piped = (*descriptor == 1 && at < last) || (*descriptor == 0 && at > 0);
            if piped {
                return Err(NotUnderstood::new(
                    format!("a redirection of descriptor {descriptor}, which is piped: shells read that differently"),
                    line,
                )
                .hint("pipe it or redirect it"));
            }
            if let End::Join(with) = end
                && !matches!(with, 1 | 2)
                && !open.contains(with)
            {
                return Err(NotUnderstood::new(
                    format!("a redirection that joins descriptor {with}, which the command does not open"),
                    line,
                ));
            }
            open.push(*descriptor);
        }
    }
    Ok(())
}
