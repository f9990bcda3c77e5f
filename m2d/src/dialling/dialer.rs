//! The dialer: performs the dial plan of the core.

use super::orders::DialerHandle;
use crate::connect::{DialFailure, Direct};
use crate::driver::EngineHandle;
use crate::lines::LineDialer;
use crate::log::{AddressPseudonym, Pseudonym};
use crate::network::SessionRunner;
use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use m2_core::dial::{Attempt, Candidate, DialPlan, Effect, Ended, Input, Order, Target};
use m2_core::{IpMode, PathFailure};
use m2_crypto::handshake::Credential;
use m2_crypto::{Identity, PeerId};
use m2_engine::Input as EngineInput;
use m2_net::race;
use m2_net::session::Session;
use rand_core::UnwrapErr;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

/// The task that dials contacts.
pub struct Dialer {
    plan: DialPlan,
    /// The time from which the plan's milliseconds count.
    begun: Instant,
    call: Call,
    engine: EngineHandle,
    runner: Arc<SessionRunner>,
    orders: DialerHandle,
    attempts: FuturesUnordered<BoxFuture<'static, Done>>,
    /// The running attempts by their numbers, with the token that cancels each.
    running: HashMap<u64, (PeerId, CancellationToken)>,
    rng: UnwrapErr<getrandom::SysRng>,
}

/// An attempt that has ended.
struct Done {
    number: u64,
    peer: PeerId,
    /// `None` if the attempt was cancelled.
    result: Option<Result<Session, DialFailure>>,
}

impl Dialer {
    /// Creates a dialer that follows `orders`, and dials by `direct` and `lines`.
    pub fn new(
        orders: DialerHandle,
        direct: Direct,
        engine: EngineHandle,
        runner: Arc<SessionRunner>,
        identity: Arc<Identity>,
        lines: Arc<LineDialer>,
    ) -> Self {
        Self {
            plan: DialPlan::new(0),
            begun: Instant::now(),
            call: Call {
                direct,
                lines,
                identity,
            },
            engine,
            runner,
            orders,
            attempts: FuturesUnordered::new(),
            running: HashMap::new(),
            rng: UnwrapErr(getrandom::SysRng),
        }
    }

    /// Runs until the daemon stops.
    pub async fn run(mut self, stop: CancellationToken) {
        let orders = self.orders.clone();
        loop {
            while let Some(effect) = self.plan.poll_effect(self.now_ms()) {
                self.perform(effect);
            }
            let wake = self.plan.next_due(self.now_ms());
            let wake = wake.map(|due| self.begun + Duration::from_millis(due));
            tokio::select! {
                () = stop.cancelled() => return,
                () = orders.changed() => for (peer, order) in orders.take() {
                    tracing::debug!(peer = %Pseudonym::of(&peer), order = name(&order), "an order of the engine");
                    self.handle(Input::Order(peer, order));
                },
                Some(done) = self.attempts.next() => self.finish(done).await,
                () = sleep_until(wake) => {}
            }
        }
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn handle(&mut self, input: Input) {
        let now_ms = self.now_ms();
        self.plan.handle(input, now_ms, &mut self.rng);
    }

    fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::Start(attempt) => self.start(attempt),
            Effect::Cancel(peer) => {
                let of_peer = |(other, _): &&(PeerId, CancellationToken)| *other == peer;
                for (_, end) in self.running.values().filter(of_peer) {
                    end.cancel();
                }
            }
        }
    }

    fn start(&mut self, attempt: Attempt) {
        let (number, peer, end) = (attempt.number, attempt.peer, CancellationToken::new());
        self.running.insert(number, (peer, end.clone()));
        let span = tracing::debug_span!("attempt", number, peer = %Pseudonym::of(&peer));
        let attempt = self.call.clone().by_any(attempt).instrument(span);
        self.attempts.push(Box::pin(async move {
            let result = end.run_until_cancelled_owned(attempt).await;
            Done {
                number,
                peer,
                result,
            }
        }));
    }

    fn log_end(&self, done: &Done, ended: Ended) {
        let peer = Pseudonym::of(&done.peer);
        let number = done.number;
        let Some(Err(failure)) = &done.result else {
            tracing::debug!(number, %peer, ?ended, "the attempt has ended");
            return;
        };
        let due = self.plan.due_at(&done.peer);
        let next_s = due.map(|due| due.saturating_sub(self.now_ms()) / 1_000);
        let reason = failure.reason();
        tracing::debug!(number, %peer, ?ended, %reason, ?next_s, "the attempt has ended");
    }

    async fn finish(&mut self, done: Done) {
        self.running.remove(&done.number);
        let peer = done.peer;
        let ended = match &done.result {
            None => Ended::Cancelled,
            Some(Ok(_)) => Ended::Reached,
            Some(Err(_)) => Ended::Failed,
        };
        self.handle(Input::Ended(done.number, ended));
        self.log_end(&done, ended);
        match done.result {
            None => {}
            Some(Ok(session)) => self.runner.clone().start(session),
            Some(Err(failure)) => tell_failure(&self.engine, peer, failure.reason()).await,
        }
    }
}

/// Returns the name of an order in the log.
const fn name(order: &Order) -> &'static str {
    match order {
        Order::Want(..) => "dial it",
        Order::Ensure(..) => "dial it unless that is under way",
        Order::Expedite => "dial it soon, a message waits",
        Order::Rest => "make no more attempts",
        Order::Settled => "cancel all attempts, it is connected",
    }
}

async fn sleep_until(wake: Option<Instant>) {
    match wake {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

/// What every attempt needs.
#[derive(Clone)]
struct Call {
    direct: Direct,
    lines: Arc<LineDialer>,
    identity: Arc<Identity>,
}

impl Call {
    /// Tries all paths of an attempt, each with a head start over the next. The first session wins.
    async fn by_any(self, attempt: Attempt) -> Result<Session, DialFailure> {
        let (peer, timeout, mode) = (attempt.peer, attempt.timeout, attempt.route.mode);
        let (addresses, lines) = (attempt.route.addresses.len(), attempt.route.lines.len());
        tracing::debug!(addresses, lines, ?mode, ?timeout, "an attempt begins");
        let candidates = attempt.route.candidates().into_iter();
        let dials =
            candidates.map(|(delay, candidate)| (delay, self.dial(peer, candidate, mode, timeout)));
        let mut failure = DialFailure::NoPath;
        let won = race::staggered(dials, |other: DialFailure| {
            // Keeps the most informative failure, and of equal ones the first.
            if other.weight() > failure.weight() {
                failure = other;
            }
        });
        won.await.ok_or(failure)
    }

    async fn dial(
        &self,
        peer: PeerId,
        candidate: Candidate,
        mode: IpMode,
        timeout: Duration,
    ) -> Result<Session, DialFailure> {
        let path = tracing::enabled!(tracing::Level::DEBUG).then(|| described(&candidate));
        let begun = Instant::now();
        let result = self.dial_candidate(peer, candidate, mode, timeout).await;
        let took = begun.elapsed();
        match &result {
            Ok(_) => tracing::debug!(path, ?took, "the path leads to the peer"),
            Err(failure) => {
                let reason = failure.reason();
                tracing::debug!(path, %reason, ?took, "the path failed");
            }
        }
        result
    }

    async fn dial_candidate(
        &self,
        peer: PeerId,
        candidate: Candidate,
        mode: IpMode,
        timeout: Duration,
    ) -> Result<Session, DialFailure> {
        let credential = Credential::Identity(self.identity.clone());
        match candidate {
            Candidate::Direct(target) => {
                let dialled = self.direct.dial(peer, target, credential, timeout).await;
                dialled.map_err(DialFailure::Direct)
            }
            Candidate::Line(line) => {
                let dialled = self.lines.dial(peer, credential, &line, mode, timeout);
                dialled.await
            }
        }
    }
}

/// Describes a path in the log.
fn described(candidate: &Candidate) -> String {
    match candidate {
        Candidate::Direct(Target::Proved(address)) => {
            format!("{}, reached before", AddressPseudonym::of(*address))
        }
        Candidate::Direct(Target::Named(named, _)) => {
            // Only its text leaves a named address without the address filter.
            let address = named.to_string().parse().map(AddressPseudonym::of);
            let address = address.map_or_else(|_| "an address".to_owned(), |it| it.to_string());
            format!("{address}, named by others")
        }
        Candidate::Line(line) => format!("a line at relay {}", Pseudonym::of(&line.relay)),
    }
}

async fn tell_failure(engine: &EngineHandle, peer: PeerId, reason: PathFailure) {
    let told = engine.cast(EngineInput::DialFailed { peer, reason });
    if told.await.is_err() {
        tracing::debug!("the engine is gone");
    }
}
