//! The vendor's error codes, and what they mean for whoever asked.

use model::{ErrorCode, Fault};

/// What a code means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Meaning {
    /// Our code.
    pub(super) code: ErrorCode,
    /// Who can do something about it.
    pub(super) fault: Fault,
    /// Whether the same request may succeed later.
    pub(super) retry: bool,
    /// What happened.
    pub(super) message: &'static str,
    /// What to do.
    pub(super) hint: &'static str,
}

const fn refused(message: &'static str, hint: &'static str) -> Meaning {
    Meaning { code: ErrorCode::CredentialRefused, fault: Fault::Us, retry: false, message, hint }
}

const fn down(message: &'static str, hint: &'static str) -> Meaning {
    Meaning { code: ErrorCode::CredentialSourceDown, fault: Fault::Target, retry: true, message, hint }
}

pub(super) const CHANGING: Meaning = down(
    "CyberArk is changing the password",
    "ask again in a minute; where the old password will do, the operator writes `password_change = \"use\"`",
);
const AMBIGUOUS: Meaning = refused(
    "several accounts in CyberArk fit",
    "name one account: its object's name and safe, or a narrower `[[credential_source.account]]`",
);
const NOT_FOUND: Meaning = Meaning {
    code: ErrorCode::CredentialNotFound,
    fault: Fault::Caller,
    retry: false,
    message: "CyberArk has no such account, or does not show it to the gateway",
    hint: "check the spelling of safe and object, upper and lower case included (the object is the account's name, not its \
           user name); else the application or the provider's user lacks List and Retrieve on the safe",
};
const QUERY: Meaning = refused(
    "CyberArk cannot read the query",
    "the operator checks `query` and `query_format` of the `[[credential_source.account]]`",
);
const APPLICATION: Meaning = refused(
    "CyberArk does not know the gateway's application",
    "the operator checks `app_id`, upper and lower case included, and that the application is defined in the vault",
);
const CERTIFICATE: Meaning = refused(
    "CyberArk could not see the gateway's certificate",
    "the operator sets `client_pfx` or `client_cert`; on IIS the web service must require certificates, and ask for them \
     when the connection opens (`netsh http ... clientcertnegotiation=enable`)",
);
const AUTHENTICATION: Meaning = refused(
    "CyberArk does not accept the gateway as that application",
    "the operator compares the application's allowed machines (the address that CyberArk sees, behind NAT perhaps another \
     one), certificate and operating-system user with what the gateway has; the log names the address it asked from",
);
const VAULT: Meaning = down(
    "CyberArk's web service cannot reach its vault",
    "ask again later; if it stays, CyberArk's administrators look at the provider and the vault",
);

/// Codes that mean the same, as documented by the vendor and seen by other clients.
const TABLE: &[(&[&str], Meaning)] = &[
    (&["AIMWS030E"], QUERY),
    (
        &["AIMWS031E"],
        refused("CyberArk found no application in the request", "the operator checks `url` and `app_id`"),
    ),
    (&["APPAP227E", "APPAP228E", "APPAP229E", "APPAP230E", "APPAP251E", "APPAP005E"], AMBIGUOUS),
    (
        &["APPAP007E"],
        Meaning {
            hint: "ask again later; if it stays, CyberArk's administrators look at the provider and the vault (some \
                   manuals read this code as \"object not found\": that is APPAP004E)",
            ..VAULT
        },
    ),
    (
        &[
            "APPBC007E",
            "APPAP096W",
            "APPAP289E",
            "APPAP291E",
            "APPAP292E",
            "APPAP297E",
            "APPAP425E",
            "APPAP100E",
        ],
        VAULT,
    ),
    (
        &["APPAP081E"],
        refused(
            "CyberArk cannot read the request",
            "the operator checks what is written in the `[[credential_source]]`",
        ),
    ),
    (
        &["CASVL010E"],
        refused(
            "CyberArk does not take a character in a user name",
            "the operator checks `app_id` and `user_name`",
        ),
    ),
    (&["APPAP306E", "APPAP133E", "APPAP087E", "APPAP132E"], AUTHENTICATION),
    (
        &["APPAP006E"],
        Meaning {
            hint: "the operator compares the application's allowed machines with the address the log names (CyberArk \
                   documents this as APPAP306E with APPAP133E)",
            ..AUTHENTICATION
        },
    ),
    (&["APPAP330E"], CERTIFICATE),
    (&["APPAP008E", "APPBC008E", "ITATS982E"], APPLICATION),
    (&["APPAP004E", "APPAP249E", "APPAP324E"], NOT_FOUND),
    (&["APPAP282E", "APPAP286E"], CHANGING),
];

/// What an error answer means: by its code, by a code inside its message, else by its status.
pub(super) fn meaning(status: u16, code: Option<&str>, inner: &[&str]) -> Meaning {
    let known =
        |code: &str| TABLE.iter().find(|(codes, _)| codes.contains(&code)).map(|(_, meaning)| *meaning);
    let outer = code.and_then(known);
    // The authentication error wraps the one that says why.
    let wraps = outer.is_none_or(|meaning| meaning == AUTHENTICATION);
    let inside =
        inner.iter().find_map(|code| known(code).filter(|meaning| wraps && *meaning != AUTHENTICATION));
    inside.or(outer).unwrap_or_else(|| by_status(status))
}

fn by_status(status: u16) -> Meaning {
    match status {
        404 => NOT_FOUND,
        401 | 403 => AUTHENTICATION,
        408 | 429 | 500..=599 => {
            down("CyberArk's web service failed", "ask again later; the log has what it said")
        }
        _ => refused("CyberArk refused the request", "the operator finds what it said in the log"),
    }
}

/// Everything in a text that looks like one of the vendor's codes, in order, each once.
pub(super) fn codes_in(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    for word in text.split(|c: char| !c.is_ascii_alphanumeric()) {
        if is_code(word) && !found.contains(&word) {
            found.push(word);
        }
    }
    found
}

/// Letters, three or four digits, a letter for the severity.
pub(super) fn is_code(word: &str) -> bool {
    let Some(rest) = word.strip_suffix(['E', 'W', 'I', 'S']) else { return false };
    let letters = rest.trim_end_matches(|c: char| c.is_ascii_digit());
    let digits = rest.len() - letters.len();
    (3..=6).contains(&letters.len())
        && letters.bytes().all(|b| b.is_ascii_uppercase())
        && (3..=4).contains(&digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_of_the_table_has_its_meaning_whatever_the_status() {
        let refused = (ErrorCode::CredentialRefused, Fault::Us, false);
        let down = (ErrorCode::CredentialSourceDown, Fault::Target, true);
        let not_found = (ErrorCode::CredentialNotFound, Fault::Caller, false);
        let table = [
            ("AIMWS030E", refused, "cannot read the query", "query_format"),
            ("AIMWS031E", refused, "no application in the request", "`url` and `app_id`"),
            ("APPAP227E", refused, "several accounts", "name one account"),
            ("APPAP228E", refused, "several accounts", "name one account"),
            ("APPAP229E", refused, "several accounts", "name one account"),
            ("APPAP230E", refused, "several accounts", "name one account"),
            ("APPAP251E", refused, "several accounts", "name one account"),
            ("APPAP005E", refused, "several accounts", "name one account"),
            ("APPAP007E", down, "cannot reach its vault", "that is APPAP004E"),
            ("APPBC007E", down, "cannot reach its vault", "the provider and the vault"),
            ("APPAP096W", down, "cannot reach its vault", "the provider and the vault"),
            ("APPAP289E", down, "cannot reach its vault", "the provider and the vault"),
            ("APPAP291E", down, "cannot reach its vault", "the provider and the vault"),
            ("APPAP292E", down, "cannot reach its vault", "the provider and the vault"),
            ("APPAP297E", down, "cannot reach its vault", "the provider and the vault"),
            ("APPAP425E", down, "cannot reach its vault", "the provider and the vault"),
            ("APPAP100E", down, "cannot reach its vault", "the provider and the vault"),
            ("APPAP081E", refused, "cannot read the request", "`[[credential_source]]`"),
            ("CASVL010E", refused, "a character in a user name", "`user_name`"),
            ("APPAP306E", refused, "as that application", "allowed machines"),
            ("APPAP133E", refused, "as that application", "allowed machines"),
            ("APPAP087E", refused, "as that application", "allowed machines"),
            ("APPAP132E", refused, "as that application", "allowed machines"),
            ("APPAP006E", refused, "as that application", "APPAP306E with APPAP133E"),
            ("APPAP330E", refused, "see the gateway's certificate", "clientcertnegotiation"),
            ("APPAP008E", refused, "know the gateway's application", "defined in the vault"),
            ("APPBC008E", refused, "know the gateway's application", "defined in the vault"),
            ("ITATS982E", refused, "know the gateway's application", "defined in the vault"),
            ("APPAP004E", not_found, "no such account", "List and Retrieve"),
            ("APPAP249E", not_found, "no such account", "List and Retrieve"),
            ("APPAP324E", not_found, "no such account", "List and Retrieve"),
            ("APPAP282E", down, "is changing the password", "password_change"),
            ("APPAP286E", down, "is changing the password", "password_change"),
        ];
        for (code, expected, message, hint) in table {
            // A forgotten code would mean what its status means, which differs among these.
            for status in [400, 403, 404, 500] {
                let found = meaning(status, Some(code), &[]);
                assert_eq!((found.code, found.fault, found.retry), expected, "{code}, {status}");
                assert!(found.message.contains(message), "{code}, {status}: {}", found.message);
                assert!(found.hint.contains(hint), "{code}, {status}: {}", found.hint);
            }
            assert!(is_code(code), "{code} would be taken for a word");
        }
        let mut known: Vec<&str> = TABLE.iter().flat_map(|(codes, _)| *codes).copied().collect();
        let mut expected: Vec<&str> = table.iter().map(|(code, ..)| *code).collect();
        known.sort_unstable();
        expected.sort_unstable();
        assert_eq!(known, expected, "each code once, and each expected here");
    }

    #[test]
    fn an_inner_code_says_more_and_never_less() {
        assert_eq!(meaning(403, Some("APPAP306E"), &["APPAP306E", "APPAP330E"]), CERTIFICATE);
        assert_eq!(meaning(403, Some("APPAP306E"), &["APPAP133E"]), AUTHENTICATION);
        assert_eq!(meaning(403, Some("XYZAB999E"), &["ITATS982E"]), APPLICATION);
        assert_eq!(
            meaning(404, Some("APPAP004E"), &["APPAP282E"]),
            NOT_FOUND,
            "a name could look like a code"
        );
    }

    #[test]
    fn an_unknown_code_means_what_its_status_means() {
        for (status, code) in [
            (400, ErrorCode::CredentialRefused),
            (401, ErrorCode::CredentialRefused),
            (404, ErrorCode::CredentialNotFound),
            (418, ErrorCode::CredentialRefused),
            (429, ErrorCode::CredentialSourceDown),
            (503, ErrorCode::CredentialSourceDown),
        ] {
            assert_eq!(meaning(status, Some("NEWER123E"), &[]).code, code, "{status}");
        }
    }

    #[test]
    fn codes_are_told_from_words() {
        let text =
            "APPAP306E Failed (APPAP133E: machine \"ABC12E\"); APPAP133E, ITATS982E. Root1234E PASSWORD";
        assert_eq!(codes_in(text), ["APPAP306E", "APPAP133E", "ITATS982E"]);
    }
}
