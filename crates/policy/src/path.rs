//! What a rule says about files that redirections open: paths by their text.

mod within;

use std::fmt;

use model::LexicalPath;

use crate::command::Star;

/// The most parts a pattern may have.
const MAX_PARTS: usize = 64;

/// One entry of `reads` or `writes`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PathPattern {
    text: String,
    /// Empty for `**` alone.
    parts: Vec<Part>,
}

/// What one part of a pattern stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Literal(String),
    /// Text with `*` inside, each for any characters but `/`.
    Star(Star),
    /// `**`: any number of parts; at the end at least one.
    Many,
}

/// Links that systems come with: one file under two paths.
const LINKED: &[(&str, &str)] = &[
    ("/bin/", "/usr/bin/"),
    ("/sbin/", "/usr/sbin/"),
    ("/usr/sbin/", "/usr/bin/"),
    ("/lib/", "/usr/lib/"),
    ("/lib32/", "/usr/lib32/"),
    ("/lib64/", "/usr/lib64/"),
    ("/var/run/", "/run/"),
    ("/var/lock/", "/run/lock/"),
    ("/usr/tmp/", "/var/tmp/"),
    ("/private/etc/", "/etc/"),
    ("/private/tmp/", "/tmp/"),
    ("/private/var/", "/var/"),
    ("/var/home/", "/home/"),
    ("/var/roothome/", "/root/"),
];

impl PathPattern {
    /// Reads a pattern; what is wrong with it and what to write, if it is none.
    pub(crate) fn parse(text: &str) -> Result<Self, (String, Option<String>)> {
        if text == "**" {
            return Ok(Self { text: text.to_owned(), parts: Vec::new() });
        }
        let refuse = |message: String| Err((message, Some(FORM.to_owned())));
        let written = text.strip_prefix("<path:").and_then(|rest| rest.strip_suffix('>'));
        let path = match written {
            Some("/") => "/**".to_owned(),
            Some(folder) => format!("{}/**", folder.strip_suffix('/').unwrap_or(folder)),
            None => text.to_owned(),
        };
        let strange = |c: char| c.is_control() || "?[]{}~$`\\\"'<>|&;!".contains(c);
        if let Some(c) = path.chars().find(|c| strange(*c)) {
            return refuse(format!("`{}` in a path pattern", c.escape_default()));
        }
        if LexicalPath::parse(&path).is_err() {
            return refuse(format!("`{path}` is no absolute path without `.`, `..` and empty parts"));
        }
        let parts: Result<Vec<Part>, _> = path.split('/').skip(1).map(Part::parse).collect();
        match parts {
            Ok(parts) if parts.len() <= MAX_PARTS => Ok(Self { text: text.to_owned(), parts }),
            Ok(_) => refuse(format!("a path pattern has at most {MAX_PARTS} parts")),
            Err(()) => refuse("`**` stands for whole parts of a path and must stand alone".to_owned()),
        }
    }

    /// Whether the pattern is `**` alone, which stands for every path.
    pub(crate) fn is_any(&self) -> bool {
        self.parts.is_empty()
    }

    /// Whether the path is what the pattern says. A wildcard takes no name that begins with `.` unless it is
    /// written so (`.*`): what is hidden is seldom meant (`.bashrc`, `.ssh`).
    pub(crate) fn matches(&self, path: &LexicalPath) -> bool {
        self.is_any() || {
            let names: Vec<&str> = path.parts().collect();
            reach(&self.parts, &names, &Part::takes, &is_shown).last() == Some(&true)
        }
    }

    /// Whether writing or reading this path may touch what the pattern says. For what narrows, never for what permits:
    /// wildcards take hidden names, letters count in either case, the links that systems come with are followed, and
    /// a pattern also means everything below what it names.
    pub(crate) fn matches_widely(&self, path: &LexicalPath) -> bool {
        if self.is_any() {
            return true;
        }
        let given = unlinked(&path.as_str().to_lowercase());
        let names: Vec<&str> = given.split('/').skip(1).collect();
        let written = self.parts.iter().map(Part::lower).collect::<Vec<_>>();
        // Also as written: a link may be none, and the pattern may begin with a wildcard.
        let plain = path.as_str().to_lowercase();
        let plain: Vec<&str> = plain.split('/').skip(1).collect();
        let may = |parts: &[Part], names: &[&str]| {
            reach(parts, names, &Part::takes, &|_| true).iter().skip(1).any(|reached| *reached)
        };
        may(&unlinked_parts(&written), &names) || may(&written, &plain)
    }

    /// How many names from the start agree, for finding the nearest pattern.
    pub(crate) fn agreeing(&self, path: &LexicalPath) -> usize {
        self.parts
            .iter()
            .zip(path.parts())
            .take_while(|(part, name)| part.takes(name) && **part != Part::Many)
            .count()
    }

    /// Why the path is not what the pattern says, if wildcards alone would take it.
    pub(crate) fn differs(&self, path: &LexicalPath) -> String {
        let names: Vec<&str> = path.parts().collect();
        let anything = reach(&self.parts, &names, &Part::takes, &|_| true).last() == Some(&true);
        let hidden = path.parts().find(|name| name.starts_with('.'));
        if let Some(hidden) = hidden.filter(|_| anything) {
            return format!("`{hidden}` is hidden, which no wildcard stands for unless it is written `.*`");
        }
        let at = self.agreeing(path);
        match (names.get(at), self.parts.get(at)) {
            (Some(_), None) => "that is one file, not what is below it".to_owned(),
            (Some(name), Some(_)) => format!("part {} is `{name}`", at + 1),
            (None, _) => format!("part {} is missing", at + 1),
        }
    }

    /// A path that the pattern says; `None` for `**` alone.
    pub(crate) fn sample(&self) -> Option<LexicalPath> {
        let name = |part: &Part| match part {
            Part::Literal(text) => text.clone(),
            Part::Star(star) => star.segments().join("x"),
            Part::Many => "x".to_owned(),
        };
        let text: String = self.parts.iter().map(|part| format!("/{}", name(part))).collect();
        LexicalPath::parse(&text).ok()
    }
}

impl PathPattern {
    /// The one path that the pattern stands for, if it has no wildcard.
    pub(crate) fn literal(&self) -> Option<LexicalPath> {
        let plain = self.parts.iter().all(|part| matches!(part, Part::Literal(_)));
        self.sample().filter(|_| plain)
    }
}

const FORM: &str = "write `/var/log/app.log`, `/var/log/*.log` (`*` is any characters but `/`), `/var/log/**` (all below), or `**` for any";

impl fmt::Display for PathPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Part {
    fn parse(text: &str) -> Result<Self, ()> {
        match text {
            "**" => Ok(Self::Many),
            _ if text.contains("**") => Err(()),
            _ if text.contains('*') => Ok(Self::Star(Star::parse(text))),
            _ => Ok(Self::Literal(text.to_owned())),
        }
    }

    fn takes(&self, name: &str) -> bool {
        match self {
            Self::Literal(text) => text == name,
            Self::Star(star) => star.matches(name, '/'),
            Self::Many => true,
        }
    }

    /// Whether the part says itself that the name begins with `.`.
    fn shows_hidden(&self) -> bool {
        match self {
            Self::Literal(_) => true,
            Self::Star(star) => star.segments().first().is_some_and(|first| first.starts_with('.')),
            Self::Many => false,
        }
    }

    fn lower(&self) -> Self {
        match self {
            Self::Literal(text) => Self::Literal(text.to_lowercase()),
            Self::Star(star) => {
                Self::Star(Star::new(star.segments().iter().map(|text| text.to_lowercase()).collect()))
            }
            Self::Many => Self::Many,
        }
    }
}

fn is_shown(name: &str) -> bool {
    !name.starts_with('.')
}

/// After how many names all parts may be used up: every state at once, so that no pattern can make it slow.
fn reach(
    parts: &[Part],
    names: &[&str],
    takes: &dyn Fn(&Part, &str) -> bool,
    free: &dyn Fn(&str) -> bool,
) -> Vec<bool> {
    let mut reached = vec![false; names.len() + 1];
    if let Some(start) = reached.first_mut() {
        *start = true;
    }
    for (at, part) in parts.iter().enumerate() {
        let last = at + 1 == parts.len();
        let mut next = Vec::with_capacity(reached.len());
        let mut before = false;
        for (at, here) in reached.iter().enumerate() {
            let name = at.checked_sub(1).and_then(|at| names.get(at));
            let fits =
                before && name.is_some_and(|name| takes(part, name) && (part.shows_hidden() || free(name)));
            let many = *part == Part::Many;
            next.push(fits || (many && !last && *here));
            before = if many { *here || next.last() == Some(&true) } else { *here };
        }
        reached = next;
    }
    reached
}

/// The path with the links at its beginning followed.
fn unlinked(path: &str) -> String {
    let mut path = path.to_owned();
    // Each link leads to a path that fewer links apply to: `/sbin` to `/usr/sbin` to `/usr/bin`.
    for _ in 0..LINKED.len() {
        let Some((from, to)) =
            LINKED.iter().find(|(from, _)| path.starts_with(from) || path == from.trim_end_matches('/'))
        else {
            break;
        };
        let rest = path.get(from.len()..).unwrap_or_default();
        path = format!("{to}{rest}");
        path.truncate(path.trim_end_matches('/').len());
    }
    path
}

/// The same for the literal beginning of a pattern.
fn unlinked_parts(parts: &[Part]) -> Vec<Part> {
    let literal: Vec<&str> = parts
        .iter()
        .map_while(|part| match part {
            Part::Literal(text) => Some(text.as_str()),
            Part::Star(_) | Part::Many => None,
        })
        .collect();
    let path: String = literal.iter().map(|name| format!("/{name}")).collect();
    let beginning = unlinked(&path);
    let followed = beginning
        .split('/')
        .skip(1)
        .filter(|name| !name.is_empty())
        .map(|name| Part::Literal(name.to_owned()));
    followed.chain(parts.iter().skip(literal.len()).cloned()).collect()
}

#[cfg(test)]
mod tests;
