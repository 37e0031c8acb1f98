//! A host that does what a test says, and remembers what it was asked.

use std::sync::Mutex;

use async_trait::async_trait;
use broker::Material;
use model::{ErrorCode, Exit, Failure, Outcome, Stream};
use tools::{HostRun, HostShell};

/// What the host answers next.
#[derive(Debug, Clone)]
pub(crate) enum Script {
    /// These bytes on standard output.
    Says(Vec<u8>),
    /// The leased secret, written by this function, on standard error.
    Leaks(fn(&str) -> Vec<u8>),
    /// So many bytes and then the leased secret, of which no more is kept than the run asks for.
    Pads(usize),
    /// A failure whose texts all hold the leased secret, written by this function.
    FailsLeaking(fn(&str) -> Vec<u8>),
    /// A failure before the login begins.
    Unreachable,
    /// A connection that breaks after the login began.
    Breaks,
    /// Nothing until the call is cancelled.
    Hangs,
    /// A defect.
    Panics,
}

/// A `HostShell` without hosts.
pub(crate) struct FakeShell {
    script: Mutex<Script>,
    sent: Mutex<Vec<String>>,
    fences: Mutex<Vec<policy::Fences>>,
}

impl FakeShell {
    pub(crate) fn new() -> Self {
        Self {
            script: Mutex::new(Script::Says(b"fine\n".to_vec())),
            sent: Mutex::default(),
            fences: Mutex::default(),
        }
    }

    pub(crate) fn follow(&self, script: Script) {
        *self.script.lock().unwrap() = script;
    }

    /// What each command was bounded by.
    pub(crate) fn fences(&self) -> Vec<policy::Fences> {
        self.fences.lock().unwrap().clone()
    }

    /// Every command line that reached the host, as it was sent.
    pub(crate) fn sent(&self) -> Vec<String> {
        self.sent.lock().unwrap().clone()
    }
}

#[async_trait]
impl HostShell for FakeShell {
    async fn exec(&self, run: HostRun<'_>) -> Result<Outcome, Failure> {
        let script = self.script.lock().unwrap().clone();
        if matches!(script, Script::Unreachable) {
            return Err(Failure::new(ErrorCode::TargetUnreachable, "no route to the fake host"));
        }
        run.lease.start();
        // Names resolve to one address here.
        let address = run.host.address.parse();
        run.sub_events.dialled(address.unwrap_or_else(|_| "198.51.100.99".parse().expect("an address")));
        let line = run.lease.action().command.as_ref().expect("a command");
        self.sent.lock().unwrap().push(policy::command::canonical(line));
        self.fences.lock().unwrap().push(run.lease.intended().permit().fences().clone());
        let secret = match &run.lease.credential().expect("a credential").material {
            Material::Password(password) => password.expose().clone(),
            Material::PrivateKey { .. } | Material::Agent { .. } => panic!("the fake host takes passwords"),
        };
        (run.progress)(5);
        match script {
            Script::Says(bytes) => Ok(outcome("stdout", bytes)),
            Script::Leaks(write) => Ok(outcome("stderr", write(&secret))),
            Script::Pads(padding) => {
                let mut bytes = [vec![b'x'; padding], secret.into_bytes(), vec![b'y'; 1 << 20]].concat();
                let total = u64::try_from(bytes.len()).unwrap();
                bytes.truncate(usize::try_from(run.output).unwrap());
                let streams = vec![Stream { name: "stdout", bytes, total }];
                Ok(Outcome { streams, exit: Some(Exit::Status(0)), ..Outcome::default() })
            }
            Script::FailsLeaking(write) => {
                let text = String::from_utf8_lossy(&write(&secret)).into_owned();
                Err(Failure::new(ErrorCode::TargetProtocol, format!("the host said {text}"))
                    .with_hint(format!("ask the host about {text}"))
                    .with_vendor(text.clone())
                    .with_internal(format!("raw: {text}")))
            }
            Script::Hangs => {
                run.cancel.cancelled().await;
                Err(Failure::new(ErrorCode::CallCancelled, "the caller went away"))
            }
            Script::Breaks => Err(Failure::new(ErrorCode::TargetUnreachable, "the fake host went away")),
            Script::Panics => panic!("the fake host is a defect"),
            Script::Unreachable => unreachable!("answered above"),
        }
    }

    async fn login(&self, run: HostRun<'_>) -> Result<Outcome, Failure> {
        self.exec(run).await
    }
}

fn outcome(stream: &'static str, bytes: Vec<u8>) -> Outcome {
    let total = u64::try_from(bytes.len()).unwrap();
    let streams = vec![Stream { name: stream, bytes, total }];
    Outcome { streams, exit: Some(Exit::Status(0)), ..Outcome::default() }
}
