//! A password, sent once: as such, or as the answer to the one question a host asks for it.

use model::{Failure, Secret};
use russh::MethodKind;
use russh::client::{AuthResult, Handle, KeyboardInteractiveAuthResponse, Prompt};

use super::Who;
use super::verdict::{Asked, Attempt, not_for_us};
use crate::gatekeeper::Gatekeeper;
use crate::refusal::words;

/// How often a host may ask something; PAM modules send greetings without a question between others.
const MOST_ROUNDS: usize = 4;

/// What a question has in it that a password answers.
const PASSWORD_WORDS: &[&str] = &[
    "password",
    "passwd",
    "passwort",
    "kennwort",
    "mot de passe",
    "contraseña",
    "senha",
    "wachtwoord",
    "lösenord",
    "adgangskode",
    "passord",
    "salasana",
    "hasło",
    "heslo",
    "jelszó",
    "parola",
    "пароль",
    "密码",
    "密碼",
    "パスワード",
    "암호",
];

/// What a question has in it that wants something else: a code of the moment, or another password than the present one.
const OTHER_WORDS: &[&str] = &[
    "one-time",
    "one time",
    "onetime",
    "otp",
    "oath",
    "totp",
    "code",
    "token",
    "passcode",
    "challenge",
    "duo",
    "yubikey",
    "factor",
    "new ",
    "current",
    "old ",
    "again",
    "retype",
    "repeat",
    "change",
    "expired",
];

/// Looks which way the host has for passwords, and takes the first: never both, so that a wrong password is one
/// failed login and not two.
pub(super) async fn log_in(
    handle: &mut Handle<Gatekeeper>,
    who: Who<'_>,
    password: &Secret<String>,
    start: &(dyn Fn() + Send + Sync),
) -> Result<Attempt, Failure> {
    let by = |method, offered, answer| Attempt { asked: Asked::Password { method, offered }, answer };
    // Servers do not count this question as a try; it says what they accept.
    let (accepts, answer) = match handle.authenticate_none(who.user).await {
        Ok(AuthResult::Success) => {
            return Err(not_for_us(
                who,
                "lets in anybody without a password, so nothing proves that it should",
            )
            .with_hint("the account needs a password or a key on that host"));
        }
        Ok(AuthResult::Failure { remaining_methods, partial_success }) => {
            (remaining_methods.clone(), AuthResult::Failure { remaining_methods, partial_success })
        }
        Err(error) => return Ok(by("password", true, Err(error.to_string()))),
    };
    if accepts.contains(&MethodKind::Password) {
        start();
        let answer = handle.authenticate_password(who.user, password.expose().clone()).await;
        return Ok(by("password", true, answer.map_err(|error| error.to_string())));
    }
    if accepts.contains(&MethodKind::KeyboardInteractive) {
        start();
        let answer = converse(handle, who, password).await?;
        return Ok(by("keyboard-interactive", true, answer));
    }
    Ok(by("password", false, Ok(answer)))
}

/// Answers the one question for the password; anything else ends the conversation.
async fn converse(
    handle: &mut Handle<Gatekeeper>,
    who: Who<'_>,
    password: &Secret<String>,
) -> Result<Result<AuthResult, String>, Failure> {
    let mut told = false;
    let mut reply = handle.authenticate_keyboard_interactive_start(who.user, None).await;
    for _ in 0..MOST_ROUNDS {
        let prompts = match reply {
            Ok(KeyboardInteractiveAuthResponse::Success) => return Ok(Ok(AuthResult::Success)),
            Ok(KeyboardInteractiveAuthResponse::Failure { remaining_methods, partial_success }) => {
                return Ok(Ok(AuthResult::Failure { remaining_methods, partial_success }));
            }
            Ok(KeyboardInteractiveAuthResponse::InfoRequest { prompts, .. }) => prompts,
            Err(error) => return Ok(Err(error.to_string())),
        };
        let answers = match prompts.as_slice() {
            [] => Vec::new(),
            [only] if !told && asks_for_password(only) => {
                told = true;
                vec![password.expose().clone()]
            }
            others => return Err(unanswerable(who, others, told)),
        };
        reply = handle.authenticate_keyboard_interactive_respond(answers).await;
    }
    Err(not_for_us(who, "asks on and on"))
}

/// Whether the gateway may answer with the password: not shown while it is typed, and asked for by name.
fn asks_for_password(prompt: &Prompt) -> bool {
    let text = prompt.prompt.to_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| text.contains(word));
    !prompt.echo && has(PASSWORD_WORDS) && !has(OTHER_WORDS)
}

fn unanswerable(who: Who<'_>, prompts: &[Prompt], told: bool) -> Failure {
    let what = match prompts {
        [one] => format!("asks `{}`", words(one.prompt.trim())),
        several => format!("asks {} questions at once", several.len()),
    };
    let when = if told { " after the password" } else { "" };
    not_for_us(who, &format!("{what}{when}, which the gateway cannot answer,")).with_hint(
        "only one question for the password is answered; codes and other factors need a key login instead",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_hidden_question_for_the_present_password_is_answered() {
        let asked = |prompt: &str, echo| asks_for_password(&Prompt { prompt: prompt.to_owned(), echo });
        for fine in ["Password: ", "(ops@web1) Password: ", "ops@web1's password:", "Passwort: ", "密码："]
        {
            assert!(asked(fine, false), "{fine}");
            assert!(!asked(fine, true), "{fine} is shown while it is typed");
        }
        for other in [
            "",
            "Login: ",
            "Verification code: ",
            "One-time password (OATH) for `ops': ",
            "Enter PASSCODE: ",
            "Password or token: ",
            "Password + OTP: ",
            "New password: ",
            "Current password: ",
            "Retype new password: ",
            "(current) UNIX password: ",
        ] {
            assert!(!asked(other, false), "{other}");
        }
    }
}
