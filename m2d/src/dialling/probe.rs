//! Tries every path to a contact, to show the user which of them work.
//!
//! The dials are anonymous: the contact proves its identity, and no existing session is disturbed.

use crate::config::IpMode;
use crate::connect::Direct;
use crate::driver::EngineHandle;
use crate::lines::LineDialer;
use crate::lookup::LookupParts;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt};
use m2_core::PathFailure;
use m2_core::dial::Target;
use m2_core::{ContactLine, LineTokens};
use m2_crypto::PeerId;
use m2_crypto::handshake::Credential;
use m2_crypto::presence::{PresenceLine, Record};
use m2_discovery::dht::DhtError;
use m2_engine::ContactPaths;
use m2_engine::Query;
use m2_engine::Refusal;
use m2_engine::clock::Clock;
use m2_net::session::{CloseCode, Session};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::Instant;

/// Timeout of one dial.
const LIMIT: Duration = Duration::from_secs(8);

/// How a path is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WaySource {
    /// It was used before, or an invitation named it.
    Known,
    /// From an announcement in the local network.
    Lan,
    /// A line.
    Line,
    /// From a record in the DHT.
    Dht,
}

/// Why a path gave no session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProbeFailure {
    /// No path of this kind is known.
    NoneKnown,
    /// The contact is not seen in the local network.
    NotSeen,
    /// This kind of look-up is off.
    Off,
    /// The contact has published no record.
    NotPublished,
    /// The path failed.
    Path(PathFailure),
}

impl ProbeFailure {
    /// Returns the stable reason, on which scripts rely.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::NoneKnown => "NONE_KNOWN",
            Self::NotSeen => "NOT_SEEN",
            Self::Off => "OFF",
            Self::NotPublished => "NOT_PUBLISHED",
            Self::Path(failure) => failure.reason(),
        }
    }
}

/// The result of one attempt.
#[derive(Debug, Clone)]
pub struct Probed {
    /// How the path is known.
    pub source: WaySource,
    /// The address or relay that was dialled; empty if the source had no result.
    pub target: String,
    /// Success, or why there is no session.
    pub result: Result<(), ProbeFailure>,
    /// Duration of the attempt, including look-up.
    pub took: Duration,
}

/// Tries every path to a contact.
pub struct Prober {
    /// The engine, which knows the paths.
    pub engine: EngineHandle,
    /// Dials addresses that contacts named.
    pub direct: Direct,
    /// Dials on lines.
    pub lines: Arc<LineDialer>,
    /// Looks contacts up in the DHT.
    pub lookup: LookupParts,
    /// The daemon's clock.
    pub clock: Arc<Clock>,
}

impl Probed {
    /// Returns the result of an attempt that a look-up preceded.
    fn after(self, looked: Duration) -> Self {
        Self {
            took: self.took + looked,
            ..self
        }
    }
}

type Attempts = FuturesUnordered<BoxFuture<'static, Vec<Probed>>>;

impl Prober {
    /// Starts the attempts. Returns a receiver of their results, which closes after the last one.
    ///
    /// Errors: the contact is unknown.
    pub async fn probe(
        self: &Arc<Self>,
        contact: String,
    ) -> Result<mpsc::Receiver<Probed>, Refusal> {
        let ways = self.engine.read(|reply| Query::PathsTo(contact, reply));
        let ways = ways.await?;
        let (sender, tried) = mpsc::channel(8);
        let prober = self.clone();
        tokio::spawn(async move {
            let all = prober.clone().all(ways, &sender);
            // The caller may have gone.
            tokio::select! {
                () = all => {}
                () = sender.closed() => {}
            }
        });
        Ok(tried)
    }

    async fn all(self: Arc<Self>, ways: ContactPaths, sender: &mpsc::Sender<Probed>) {
        let mut attempts = Attempts::new();
        self.probe_known(&ways, &mut attempts);
        self.report_missing(&ways, &mut attempts);
        if let Some(dht) = self.clone().seek(&ways) {
            attempts.push(dht);
        }
        while let Some(ended) = attempts.next().await {
            for tried in ended {
                if sender.send(tried).await.is_err() {
                    return;
                }
            }
        }
    }

    fn probe_known(self: &Arc<Self>, ways: &ContactPaths, attempts: &mut Attempts) {
        let (peer, mode) = (ways.peer, ways.mode);
        let known = ways.known.iter().copied();
        let known = known.map(|known| Target::known(known, mode));
        let known = known.map(|target| (WaySource::Known, target));
        let lan = ways.lan.iter().copied();
        let lan = lan.map(|named| (WaySource::Lan, Target::named(named, mode)));
        for (source, target) in known.chain(lan) {
            let call = self.clone().probe_target(source, peer, target);
            attempts.push(call.map(|tried| vec![tried]).boxed());
        }
        for line in &ways.lines {
            let call = self
                .clone()
                .probe_line(WaySource::Line, peer, line.clone(), mode);
            attempts.push(call.map(|tried| vec![tried]).boxed());
        }
    }

    /// Adds a failed attempt for each kind of path of which none is known.
    fn report_missing(&self, ways: &ContactPaths, attempts: &mut Attempts) {
        let mode = ways.mode;
        let nothing = |source, reason| std::future::ready(vec![none(source, reason)]).boxed();
        if ways.known.is_empty() && mode != IpMode::LineOnly {
            attempts.push(nothing(WaySource::Known, ProbeFailure::NoneKnown));
        }
        if ways.lines.is_empty() {
            attempts.push(nothing(WaySource::Line, ProbeFailure::NoneKnown));
        }
        if ways.lan.is_empty() && mode == IpMode::Direct {
            let on = self.lookup.lan.is_some();
            let reason = if on {
                ProbeFailure::NotSeen
            } else {
                ProbeFailure::Off
            };
            attempts.push(nothing(WaySource::Lan, reason));
        }
    }

    /// Looks the contact up in the DHT and tries the paths found there.
    fn seek(self: Arc<Self>, ways: &ContactPaths) -> Option<BoxFuture<'static, Vec<Probed>>> {
        if self.lookup.mode_hides() {
            return None;
        }
        let Some((dht, key)) = self.lookup.dht.clone().zip(ways.key.clone()) else {
            let off = none(WaySource::Dht, ProbeFailure::Off);
            return Some(std::future::ready(vec![off]).boxed());
        };
        let (peer, mode) = (ways.peer, ways.mode);
        let sought = async move {
            let begun = Instant::now();
            let now_s = self.clock.now_ms() / 1_000;
            let found = crate::lookup::find(&dht, &key, now_s).await;
            let looked = begun.elapsed();
            let tried = self.try_found(peer, mode, found).await;
            tried.into_iter().map(|tried| tried.after(looked)).collect()
        };
        Some(sought.boxed())
    }

    async fn try_found(
        self: Arc<Self>,
        peer: PeerId,
        mode: IpMode,
        found: Result<Option<Record>, DhtError>,
    ) -> Vec<Probed> {
        let failure = match found {
            Ok(Some(record)) => return self.try_record(peer, mode, record).await,
            Ok(None) => ProbeFailure::NotPublished,
            Err(_) => ProbeFailure::Path(PathFailure::NoAnswer),
        };
        vec![none(WaySource::Dht, failure)]
    }

    /// Tries all paths of a record from the DHT.
    async fn try_record(
        self: Arc<Self>,
        peer: PeerId,
        mode: IpMode,
        record: Record,
    ) -> Vec<Probed> {
        crate::lookup::tell(&self.engine, peer, record.clone()).await;
        let tried: Vec<Probed> = self.probe_record(peer, mode, record).collect().await;
        if tried.is_empty() {
            let no_path = ProbeFailure::Path(PathFailure::NoPath);
            return vec![none(WaySource::Dht, no_path)];
        }
        tried
    }

    fn probe_record(
        self: Arc<Self>,
        peer: PeerId,
        mode: IpMode,
        record: Record,
    ) -> FuturesUnordered<BoxFuture<'static, Probed>> {
        let calls: FuturesUnordered<BoxFuture<'static, Probed>> = FuturesUnordered::new();
        if mode != IpMode::LineOnly {
            for named in record.addresses {
                let target = Target::named(named, mode);
                let call = self.clone().probe_target(WaySource::Dht, peer, target);
                calls.push(call.boxed());
            }
        }
        for line in record.lines {
            let line = contact_line(line);
            let call = self.clone().probe_line(WaySource::Dht, peer, line, mode);
            calls.push(call.boxed());
        }
        calls
    }

    async fn probe_target(
        self: Arc<Self>,
        source: WaySource,
        peer: PeerId,
        target: Target,
    ) -> Probed {
        let begun = Instant::now();
        let dialled = self.direct.dial(peer, target, Credential::Anonymous, LIMIT);
        let dialled = dialled.await.map_err(|error| error.reason());
        Probed {
            source,
            target: target.to_string(),
            result: outcome(dialled),
            took: begun.elapsed(),
        }
    }

    async fn probe_line(
        self: Arc<Self>,
        source: WaySource,
        peer: PeerId,
        line: ContactLine,
        mode: IpMode,
    ) -> Probed {
        let begun = Instant::now();
        let called = self
            .lines
            .dial(peer, Credential::Anonymous, &line, mode, LIMIT);
        let dialled = match tokio::time::timeout(LIMIT, called).await {
            Ok(dialled) => dialled.map_err(|failure| failure.reason()),
            Err(_) => Err(PathFailure::NoAnswer),
        };
        Probed {
            source,
            target: line.relay.to_string().chars().take(16).collect(),
            result: outcome(dialled),
            took: begun.elapsed(),
        }
    }
}

fn contact_line(line: PresenceLine) -> ContactLine {
    ContactLine {
        relay: line.relay,
        addresses: line.addresses,
        tokens: LineTokens::Always(line.token),
    }
}

/// Closes the session of an attempt. Returns whether the attempt reached the contact.
///
/// A refusal is a success: a contact without a mailbox role refuses anonymous callers, but only
/// after it has proved its identity.
fn outcome(dialled: Result<Session, PathFailure>) -> Result<(), ProbeFailure> {
    match dialled {
        Ok(session) => {
            session.close(CloseCode::Done);
            Ok(())
        }
        Err(PathFailure::Refused) => Ok(()),
        Err(failure) => Err(ProbeFailure::Path(failure)),
    }
}

fn none(source: WaySource, reason: ProbeFailure) -> Probed {
    Probed {
        source,
        target: String::new(),
        result: Err(reason),
        took: Duration::ZERO,
    }
}
