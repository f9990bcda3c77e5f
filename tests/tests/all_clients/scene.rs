//! What the clients of a run share: the daemons' places, the phase, and what was sent and heard.

use crate::Tasks;
use anyhow::Context as _;
use m2_proto::api::v1::{AccessScope, CreateTokenRequest, ListClientsRequest};
use m2_tests::scenario::{Api, Pair};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::process::Command;
use tokio::sync::{Notify, watch};
use tokio::time::sleep;

/// How long clients may take for what they have left once nothing is killed any more.
const PATIENCE: Duration = Duration::from_secs(120);
const POLL: Duration = Duration::from_millis(100);
/// The pause before an attempt that follows a failure.
pub(crate) const PAUSE: Duration = Duration::from_millis(50);

/// The phases of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    /// The listeners subscribe.
    Start,
    /// Everything is sent, heard and killed.
    Load,
    /// Senders confirm their last messages and end. Nothing is killed.
    Drain,
    /// Listeners end.
    Over,
}

/// How a piece of work ended.
pub(crate) enum Ended<T> {
    Done(anyhow::Result<T>),
    Killed,
    Over,
}

/// What one sender has confirmed.
#[derive(Debug, Default)]
struct Stream {
    confirmed: u64,
    is_complete: bool,
}

/// What all clients share.
#[derive(Debug)]
pub(crate) struct Scene {
    /// The socket of alice's daemon, which the clients use.
    pub(crate) alice: PathBuf,
    /// The socket of bob's daemon.
    pub(crate) bob: PathBuf,
    phase: watch::Sender<Phase>,
    victims: Mutex<BTreeMap<&'static str, Arc<Notify>>>,
    streams: Mutex<BTreeMap<&'static str, Stream>>,
    heard: Mutex<BTreeMap<&'static str, BTreeSet<u64>>>,
    /// The last failure of each client, for the report of a run that does not end.
    problems: Mutex<BTreeMap<&'static str, String>>,
}

impl Scene {
    pub(crate) fn new(pair: &Pair) -> Self {
        Self {
            alice: pair.alice.socket(),
            bob: pair.bob.socket(),
            phase: watch::Sender::new(Phase::Start),
            victims: Mutex::default(),
            streams: Mutex::default(),
            heard: Mutex::default(),
            problems: Mutex::default(),
        }
    }

    /// Adds streams of messages and client names, which have to be complete in the end.
    pub(crate) fn expect(&self, streams: &[&'static str], listeners: &[&'static str]) {
        for name in streams {
            self.streams.lock().unwrap().entry(name).or_default();
        }
        for name in listeners {
            self.heard.lock().unwrap().entry(name).or_default();
        }
    }

    pub(crate) fn enter(&self, phase: Phase) {
        self.phase.send_replace(phase);
    }

    pub(crate) fn has_reached(&self, phase: Phase) -> bool {
        *self.phase.borrow() >= phase
    }

    /// Waits for a phase.
    pub(crate) async fn reached(&self, phase: Phase) {
        let mut changes = self.phase.subscribe();
        changes.wait_for(|now| *now >= phase).await.unwrap();
    }

    /// Adds a process to be killed. It kills itself when it is notified.
    pub(crate) fn victim(&self, name: &'static str) -> Arc<Notify> {
        let mut victims = self.victims.lock().unwrap();
        victims.entry(name).or_default().clone()
    }

    pub(crate) fn victims(&self) -> Vec<(&'static str, Arc<Notify>)> {
        let victims = self.victims.lock().unwrap();
        victims
            .iter()
            .map(|(name, it)| (*name, it.clone()))
            .collect()
    }

    /// Does a piece of work until it ends, its process is to be killed, or the phase begins.
    pub(crate) async fn until<T>(
        &self,
        phase: Phase,
        kill: &Notify,
        work: impl Future<Output = anyhow::Result<T>>,
    ) -> Ended<T> {
        tokio::select! {
            done = work => Ended::Done(done),
            () = kill.notified() => Ended::Killed,
            () = self.reached(phase) => Ended::Over,
        }
    }

    /// Runs a program, one process after another, until the run is over.
    pub(crate) async fn keep(
        &self,
        name: &'static str,
        kill: &Notify,
        program: impl Fn() -> anyhow::Result<Command>,
    ) -> anyhow::Result<()> {
        while !self.has_reached(Phase::Over) {
            let mut command = program()?;
            command.stdin(Stdio::null()).stderr(Stdio::null());
            let mut child = command.kill_on_drop(true).spawn()?;
            let waiting = async { child.wait().await.context("can't wait") };
            if let Ended::Done(status) = self.until(Phase::Over, kill, waiting).await {
                self.problem(name, format!("{status:?}"));
                sleep(PAUSE).await;
            }
            // It may have ended by itself.
            let _ = child.kill().await;
        }
        Ok(())
    }

    /// Records that a sender knows its messages up to this number to be stored.
    pub(crate) fn sent(&self, stream: &'static str, confirmed: u64) {
        self.streams
            .lock()
            .unwrap()
            .get_mut(stream)
            .unwrap()
            .confirmed = confirmed;
    }

    pub(crate) fn confirmed(&self, stream: &'static str) -> u64 {
        self.streams.lock().unwrap()[stream].confirmed
    }

    /// Records that a sender sends no more.
    pub(crate) fn complete(&self, stream: &'static str) {
        self.streams
            .lock()
            .unwrap()
            .get_mut(stream)
            .unwrap()
            .is_complete = true;
    }

    pub(crate) fn streams(&self) -> Vec<&'static str> {
        self.streams.lock().unwrap().keys().copied().collect()
    }

    /// Records a text of bob: `event NUMBER`.
    pub(crate) fn hear(&self, listener: &'static str, text: &str) {
        let number = text.strip_prefix("event ").and_then(|it| it.parse().ok());
        let number = number.unwrap_or_else(|| panic!("{listener} heard {text:?}"));
        let mut heard = self.heard.lock().unwrap();
        heard.get_mut(listener).unwrap().insert(number);
    }

    /// Records why a client has to repeat something.
    pub(crate) fn problem(&self, client: &'static str, problem: impl std::fmt::Display) {
        let text = format!("{problem:#}");
        self.problems.lock().unwrap().insert(client, text);
    }

    /// Creates a token for what the clients do.
    pub(crate) async fn token(&self, name: &str) -> String {
        let request = CreateTokenRequest {
            name: name.to_owned(),
            scopes: vec![AccessScope::Events.into(), AccessScope::Send.into()],
            contacts: vec!["bob".to_owned()],
            valid_for: None,
        };
        let mut access = Api::at(&self.alice).await.unwrap().client().access();
        let answer = access.create_token(request).await.unwrap();
        answer.into_inner().token
    }

    /// Waits until the daemon knows all client names.
    pub(crate) async fn wait_for_listeners(&self, tasks: &mut Tasks) {
        let client = Api::at(&self.alice).await.unwrap().client().clone();
        let names: Vec<&str> = self.heard.lock().unwrap().keys().copied().collect();
        self.wait(tasks, async || {
            let listed = client.events().list_clients(ListClientsRequest {}).await;
            let known = listed.unwrap().into_inner().clients;
            let is_known = |name: &&str| known.iter().any(|client| client.name == **name);
            names.iter().all(is_known)
        })
        .await;
    }

    pub(crate) async fn wait_for_senders(&self, tasks: &mut Tasks) {
        let all = async || {
            let streams = self.streams.lock().unwrap();
            streams.values().all(|stream| stream.is_complete)
        };
        self.wait(tasks, all).await;
    }

    /// Waits until each listener has heard bob's first `fed` messages.
    pub(crate) async fn wait_until_heard(&self, fed: u64, tasks: &mut Tasks) {
        let all = async || {
            let heard = self.heard.lock().unwrap();
            heard
                .values()
                .all(|numbers| (0..fed).all(|number| numbers.contains(&number)))
        };
        self.wait(tasks, all).await;
    }

    async fn wait(&self, tasks: &mut Tasks, mut holds: impl AsyncFnMut() -> bool) {
        let begun = Instant::now();
        while !holds().await {
            check(tasks);
            assert!(begun.elapsed() < PATIENCE, "{}", self.state());
            sleep(POLL).await;
        }
    }

    /// Describes what is missing.
    fn state(&self) -> String {
        let streams = self.streams.lock().unwrap();
        let fed = streams["feed"].confirmed;
        let mut text = format!("{streams:?}\n");
        for (name, numbers) in self.heard.lock().unwrap().iter() {
            let missing: Vec<u64> = (0..fed)
                .filter(|number| !numbers.contains(number))
                .collect();
            let some: Vec<&u64> = missing.iter().take(20).collect();
            text.push_str(&format!(
                "{name} misses {} of {fed}: {some:?}\n",
                missing.len()
            ));
        }
        format!("{text}{:#?}", self.problems.lock().unwrap())
    }
}

/// Fails if a client has failed.
pub(crate) fn check(tasks: &mut Tasks) {
    while let Some(ended) = tasks.try_join_next() {
        ended.unwrap().unwrap();
    }
}
