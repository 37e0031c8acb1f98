//! One program under its many file names: by path, with a version, for another architecture, as a variant.

/// The longest file name that systems take; a longer one runs nothing.
const MAX_NAME: usize = 255;
/// The most pieces of a name that are looked at.
pub(super) const MAX_NAME_PIECES: usize = 16;

/// The last part of a path.
pub(super) fn base(program: &str) -> &str {
    program.rsplit('/').next().unwrap_or(program)
}

/// Whether a file called `given` may be the program `name`: `perl5.36-x86_64-linux-gnu` is `perl`,
/// `x86_64-linux-gnu-gcc-12` is `gcc`, `vim.basic` is `vim`, `MKFS.ext4` is `mkfs`.
///
/// True when `name` is a run of whole pieces of `given`, which `-` and `.` divide, with digits after it or
/// not, in any case of letters. What alone follows the last `.` is how a file was written, not which program
/// it is: `backup.sh` is not `sh`.
pub(super) fn spells(given: &str, name: &str) -> bool {
    if name.is_empty() || given.len() < name.len() || given.len() > MAX_NAME {
        return false;
    }
    if given.eq_ignore_ascii_case(name) {
        return true;
    }
    // Most names are of one piece.
    given.bytes().any(|b| !b.is_ascii_alphabetic())
        && starts(given).any(|at| {
            let Some((head, tail)) = given.get(at..).and_then(|rest| rest.split_at_checked(name.len()))
            else {
                return false;
            };
            let after = tail.trim_start_matches(|c: char| c.is_ascii_digit());
            let ends = after.is_empty() || after.starts_with(['-', '.']);
            head.eq_ignore_ascii_case(name) && ends && !is_extension(given, at, after)
        })
}

/// Every name that [`spells`] would find in `given`.
pub(super) fn spellings(given: &str) -> impl Iterator<Item = &str> {
    let given = if given.len() > MAX_NAME { "" } else { given };
    starts(given).take(MAX_NAME_PIECES).flat_map(move |at| {
        let rest = given.get(at..).unwrap_or_default();
        let ends = rest.match_indices(['-', '.']).map(|(end, _)| end).chain([rest.len()]);
        ends.take(MAX_NAME_PIECES)
            .filter(move |end| !is_extension(given, at, rest.get(*end..).unwrap_or_default()))
            .flat_map(move |end| {
                let run = rest.get(..end).unwrap_or_default();
                let trimmed = run.trim_end_matches(|c: char| c.is_ascii_digit());
                std::iter::once(run).chain((trimmed.len() < run.len()).then_some(trimmed))
            })
    })
}

/// Where pieces begin.
fn starts(given: &str) -> impl Iterator<Item = usize> {
    std::iter::once(0).chain(given.match_indices(['-', '.']).map(|(at, _)| at + 1))
}

fn is_extension(given: &str, at: usize, after: &str) -> bool {
    after.is_empty() && at.checked_sub(1).and_then(|before| given.as_bytes().get(before)) == Some(&b'.')
}

#[cfg(test)]
mod tests {
    use super::{spellings, spells};

    #[test]
    fn a_program_is_known_under_its_file_names() {
        for (given, name) in [
            ("reboot", "reboot"),
            ("REBOOT", "reboot"),
            ("perl5.36-x86_64-linux-gnu", "perl"),
            ("x86_64-linux-gnu-gcc-12", "gcc"),
            ("python3.11-dbg", "python3"),
            ("python3.11-dbg", "python"),
            ("vim.basic", "vim"),
            ("mkfs.ext4", "mkfs"),
            ("iptables-nft", "iptables"),
            ("node-18", "node"),
            ("ld-linux-x86-64.so.2", "ld-linux"),
        ] {
            assert!(spells(given, name), "{given} {name}");
            assert!(spellings(&given.to_ascii_lowercase()).any(|run| run == name), "{given} {name}");
        }
        for (given, name) in
            [("backup.sh", "sh"), ("pushd", "sh"), ("shutdown", "sh"), ("pip", "ip"), ("x", ""), ("", "x")]
        {
            assert!(!spells(given, name), "{given} {name}");
            assert!(name.is_empty() || !spellings(given).any(|run| run == name), "{given} {name}");
        }
        assert!(spellings(&"a-".repeat(127)).count() < 600);
    }
}
