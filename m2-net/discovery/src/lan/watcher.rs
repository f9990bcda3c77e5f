//! The task that owns the responder and monitors it.

use super::memory::Memory;
use super::responder::{Registration, Responder};
use super::{LanConfig, LanError, Seen};
use m2_crypto::presence::Announcement;
use mdns_sd::{Receiver, ServiceEvent};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

/// The interval of the checks whether the responder is flooded.
const CHECK: Duration = Duration::from_secs(10);
/// The number of instances that one responder may find before it is dropped: it remembers them all.
const MAX_FOUND: usize = 1_024;
/// How long look-up is silent after the responder was dropped.
const SILENCE: Duration = Duration::from_secs(60);

type Done = oneshot::Sender<Result<(), LanError>>;

/// A command of the owner.
pub(super) enum Command {
    /// Announces this with this port, in place of the previous announcement.
    Announce(u16, Box<Announcement>, Done),
    /// Withdraws the announcement.
    Withdraw(Done),
}

pub(super) struct Watcher {
    config: LanConfig,
    found: mpsc::Sender<Seen>,
    memory: Memory,
    voice: ResponderState,
    /// The current announcement, kept during a silence as well.
    announced: Option<(u16, Box<Announcement>)>,
}

enum ResponderState {
    Speaks(Box<Speaking>),
    SilentUntil(Instant),
}

struct Speaking {
    responder: Responder,
    events: Receiver<ServiceEvent>,
    registration: Option<Registration>,
    found: usize,
}

impl Watcher {
    pub(super) fn start(config: LanConfig, found: mpsc::Sender<Seen>) -> Result<Self, LanError> {
        Ok(Self {
            config,
            found,
            memory: Memory::new(Instant::now()),
            voice: ResponderState::Speaks(Box::new(Speaking::start(config)?)),
            announced: None,
        })
    }

    /// Runs until the owner is gone.
    pub(super) async fn run(mut self, mut orders: mpsc::Receiver<Command>) {
        let mut checks = interval(CHECK);
        checks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let found = self.found.clone();
        loop {
            tokio::select! {
                order = orders.recv() => match order {
                    Some(order) => self.obey(order),
                    None => return,
                },
                event = self.voice.next() => self.hear(event),
                Ok(place) = found.reserve(), if self.memory.has_news() => {
                    if let Some(seen) = self.memory.next_news() {
                        place.send(seen);
                    }
                }
                _ = checks.tick() => self.check().await,
            }
        }
    }

    fn obey(&mut self, order: Command) {
        let (announced, done) = match order {
            Command::Announce(port, announcement, done) => (Some((port, announcement)), done),
            Command::Withdraw(done) => (None, done),
        };
        self.announced = announced;
        // The requester may have gone.
        let _ = done.send(self.announce());
    }

    /// Announces at once or, during a silence, when it ends.
    fn announce(&mut self) -> Result<(), LanError> {
        match &mut self.voice {
            ResponderState::Speaks(speaking) => speaking.announce(self.announced.as_ref()),
            ResponderState::SilentUntil(_) => Ok(()),
        }
    }

    /// Handles an event. `None` means that the thread has ended or disconnected, or that the
    /// silence is over.
    fn hear(&mut self, event: Option<ServiceEvent>) {
        let Some(event) = event else {
            self.change_voice();
            return;
        };
        let ResponderState::Speaks(speaking) = &mut self.voice else {
            return;
        };
        match event {
            ServiceEvent::ServiceFound(..) => speaking.found += 1,
            ServiceEvent::ServiceResolved(service) if !speaking.is_ours(&service.fullname) => {
                if let Some(seen) = speaking.responder.read(&service) {
                    self.memory.insert(Instant::now(), &service.fullname, seen);
                }
            }
            ServiceEvent::ServiceRemoved(_, name) => self.memory.forget(&name),
            _ => {}
        }
        if speaking.found > MAX_FOUND {
            self.fall_silent();
        }
    }

    async fn check(&mut self) {
        if let ResponderState::Speaks(speaking) = &self.voice
            && speaking.responder.is_full().await
        {
            self.fall_silent();
        }
    }

    fn change_voice(&mut self) {
        if matches!(self.voice, ResponderState::Speaks(_)) {
            self.fall_silent();
            return;
        }
        match Speaking::start(self.config) {
            Ok(speaking) => self.voice = ResponderState::Speaks(Box::new(speaking)),
            Err(_) => return self.fall_silent(),
        }
        if let Err(error) = self.announce() {
            tracing::debug!(%error, "could not announce in the local network");
        }
    }

    fn fall_silent(&mut self) {
        tracing::warn!("look-up in the local network pauses: mDNS is flooded or failed");
        self.voice = ResponderState::SilentUntil(Instant::now() + SILENCE);
    }
}

impl ResponderState {
    async fn next(&self) -> Option<ServiceEvent> {
        match self {
            Self::Speaks(speaking) => speaking.events.recv_async().await.ok(),
            Self::SilentUntil(end) => {
                sleep_until(*end).await;
                None
            }
        }
    }
}

impl Speaking {
    fn start(config: LanConfig) -> Result<Self, LanError> {
        let (responder, events) = Responder::start(config)?;
        Ok(Self {
            responder,
            events,
            registration: None,
            found: 0,
        })
    }

    fn is_ours(&self, name: &str) -> bool {
        let ours = self.registration.as_ref();
        ours.is_some_and(|ours| ours.name().eq_ignore_ascii_case(name))
    }

    fn announce(&mut self, what: Option<&(u16, Box<Announcement>)>) -> Result<(), LanError> {
        if let Some(before) = self.registration.take() {
            self.responder.unregister(&before)?;
        }
        if let Some((port, announcement)) = what {
            let registration = self.responder.prepare(*port, announcement)?;
            self.responder.register(&registration)?;
            self.registration = Some(registration);
        }
        Ok(())
    }
}
