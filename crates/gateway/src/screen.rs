//! Stage 8's way past the workers: looking through much output takes long, and nobody else is to wait for it.

use guard::{Guard, Guarded};
use model::{Answer, ErrorCode, Failure, Outcome};

/// From so many bytes of output on, the scan leaves the async worker.
const LARGE: usize = 256 * 1024;

/// Has the guard look at a result, where that holds nobody up.
pub(crate) async fn screen(
    guard: Guard,
    result: Result<Outcome, Failure>,
    admit: impl FnOnce(Result<Outcome, Failure>) -> Guarded<Answer> + Send + 'static,
) -> Guarded<Answer> {
    let bytes: usize =
        result.iter().flat_map(|outcome| &outcome.streams).map(|stream| stream.bytes.len()).sum();
    let reply = result.iter().flat_map(|outcome| &outcome.reply).map(|reply| reply.json.len()).sum::<usize>();
    let bytes = bytes.saturating_add(reply);
    if bytes <= LARGE {
        return admit(result);
    }
    tokio::task::spawn_blocking(move || admit(result)).await.unwrap_or_else(|error| {
        tracing::error!(%error, "an output could not be looked through, so all of it is withheld");
        let failure = Failure::new(
            ErrorCode::Internal,
            "the output could not be looked through, so all of it is withheld",
        );
        guard.admit_answer(tools::failed(&failure))
    })
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;
    use std::thread;

    use guard::{Guard, Guarded};
    use model::{Answer, Failure, Outcome, Stream};

    use super::{LARGE, screen};

    fn output(bytes: usize) -> Result<Outcome, Failure> {
        let stream = Stream { name: "stdout", bytes: vec![b'x'; bytes], total: 0 };
        Ok(Outcome { streams: vec![stream], ..Outcome::default() })
    }

    fn answer() -> Guarded<Answer> {
        Guard::new().admit_answer(Answer {
            text: "shown".to_owned(),
            structured: serde_json::json!({}),
            is_error: false,
            ..Answer::default()
        })
    }

    #[tokio::test]
    async fn only_large_output_leaves_the_worker() {
        for (bytes, leaves) in [(0, false), (LARGE, false), (LARGE + 1, true)] {
            let (told, heard) = channel();
            let guarded = screen(Guard::new(), output(bytes), move |_| {
                told.send(thread::current().id()).unwrap();
                answer()
            })
            .await;
            assert_eq!(guarded.inner().text, "shown");
            assert_eq!(heard.recv().unwrap() != thread::current().id(), leaves, "{bytes} bytes");
        }
    }

    #[tokio::test]
    async fn a_defect_while_looking_withholds_everything() {
        let guarded = screen(Guard::new(), output(LARGE + 1), |_| panic!("a defect")).await;
        assert!(guarded.inner().is_error);
        assert_eq!(guarded.inner().structured["code"], "internal");
    }
}
