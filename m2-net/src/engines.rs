//! The QUIC engines of one socket: one accepts sessions, under the local key; up to four dial, each
//! under the key of the peer that is dialled (docs/spec/obfuscation.md#packet-keys).

use crate::clock::Clock;
use crate::connection_id::ConnectionIds;
use crate::counters::Counters;
use crate::dialled::{DialEngine, Dialled, ENGINES, Lease};
use crate::gate::Gate;
use crate::inbox::Inbox;
use crate::socket::{AcceptingSocket, DiallingSocket, Medium};
use crate::sorter::Sorter;
use crate::transport;
use m2_crypto::obfuscation::Obfuscator;
use m2_crypto::{Circle, PeerId, Provider};
use quinn::udp::Transmit;
use quinn::{ServerConfig, TokioRuntime, VarInt};
use rand_core::UnwrapErr;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

/// What the engines of all sockets of an endpoint have in common.
pub(crate) struct EngineConfig {
    circle: Circle,
    provider: &'static dyn Provider,
    /// The local peer id, whose key accepted sessions have.
    own_id: PeerId,
    accepting: Door,
    dialling: [Door; ENGINES],
    /// Whether a dial sends its first packets again if there is no answer.
    retransmits: bool,
    counters: Arc<Counters>,
}

/// The ids that an engine issues, and the gate that recognises them.
struct Door {
    ids: ConnectionIds,
    gate: Arc<Gate>,
}

impl EngineConfig {
    /// Creates the configuration of the engines of the daemon `own_id`. `accepting` completes the gate
    /// of the accepting ones.
    pub(crate) fn new(
        circle: &Circle,
        own_id: PeerId,
        provider: &'static dyn Provider,
        clock: &Clock,
        counters: &Arc<Counters>,
        accepting: impl FnOnce(Gate) -> Gate,
    ) -> Self {
        let door = || {
            let ids = ConnectionIds::random(&mut UnwrapErr(getrandom::SysRng), clock.clone());
            let gate = Gate::new(*circle.id(), own_id, provider, ids.clone(), clock.clone());
            (ids, gate)
        };
        let (ids, gate) = door();
        let gate = Arc::new(accepting(gate));
        Self {
            circle: circle.clone(),
            provider,
            own_id,
            accepting: Door { ids, gate },
            dialling: std::array::from_fn(|_| {
                let (ids, gate) = door();
                let gate = Arc::new(gate.dials_only(true));
                Door { ids, gate }
            }),
            retransmits: true,
            counters: Arc::clone(counters),
        }
    }

    /// Sets whether a dial sends its first packets again if there is no answer; by default, it does.
    #[must_use]
    pub(crate) const fn retransmits(mut self, retransmits: bool) -> Self {
        self.retransmits = retransmits;
        self
    }

    /// Returns the gate of the accepting engines.
    pub(crate) const fn accepting_gate(&self) -> &Arc<Gate> {
        &self.accepting.gate
    }
}

/// The QUIC engines of one socket.
pub(crate) struct Engines {
    config: Arc<EngineConfig>,
    medium: Medium,
    accepting: quinn::Endpoint,
    dialled: Arc<Dialled>,
    inboxes: [Arc<Inbox>; ENGINES],
    dialling: Mutex<Dialling>,
}

/// The dialling engines of a socket.
#[derive(Default)]
struct Dialling {
    /// Each is started when it is first needed.
    started: [Option<quinn::Endpoint>; ENGINES],
    /// Set when the socket is closed: no engine is started any more.
    closed: bool,
}

impl Engines {
    /// Starts the accepting engine, with `server` as its configuration of calls. Must be called in a
    /// tokio runtime.
    ///
    /// Errors: those of the medium.
    pub(crate) fn start(
        config: Arc<EngineConfig>,
        server: ServerConfig,
        medium: Medium,
    ) -> io::Result<Self> {
        let dialled = Arc::new(Dialled::new(config.circle.clone(), config.provider));
        let inboxes: [Arc<Inbox>; ENGINES] = Default::default();
        let key = Obfuscator::of_responder(&config.circle, &config.own_id, config.provider);
        let (key, door) = (Arc::new(key), &config.accepting);
        let sorter = Sorter::new(
            Arc::clone(&key),
            Arc::clone(&door.gate),
            config
                .dialling
                .each_ref()
                .map(|door| Arc::clone(&door.gate)),
            Arc::clone(&dialled),
            Arc::clone(&config.counters),
        );
        let socket = AcceptingSocket::new(
            medium.clone(),
            key,
            Arc::clone(&door.gate),
            sorter,
            inboxes.clone(),
            &door.ids.issue(),
        )?;
        let accepting = quinn::Endpoint::new_with_abstract_socket(
            transport::engine(&door.ids),
            Some(server),
            Arc::new(socket),
            Arc::new(TokioRuntime),
        )?;
        Ok(Self {
            config,
            medium,
            accepting,
            dialled,
            inboxes,
            dialling: Mutex::default(),
        })
    }

    /// Returns the engine that accepts sessions.
    pub(crate) const fn accepting(&self) -> &quinn::Endpoint {
        &self.accepting
    }

    /// Assigns a dialling engine to a dial of a peer. The lease must last as long as the connection.
    /// Waits while too many other peers are dialled at the address.
    pub(crate) async fn lease(&self, address: SocketAddr, peer: PeerId) -> Lease {
        self.dialled.lease(address, peer).await
    }

    /// Returns a dialling engine.
    ///
    /// Errors: those of the medium; `NotConnected` once the socket is closed.
    pub(crate) fn dialling(&self, engine: DialEngine) -> io::Result<quinn::Endpoint> {
        // No update under this lock can be interrupted halfway.
        let mut dialling = self.dialling.lock().unwrap_or_else(PoisonError::into_inner);
        if dialling.closed {
            return Err(io::ErrorKind::NotConnected.into());
        }
        let place = dialling
            .started
            .get_mut(engine.index())
            .ok_or(io::ErrorKind::NotFound)?;
        if let Some(endpoint) = place {
            return Ok(endpoint.clone());
        }
        let endpoint = self.start_dialling(engine)?;
        *place = Some(endpoint.clone());
        Ok(endpoint)
    }

    fn start_dialling(&self, engine: DialEngine) -> io::Result<quinn::Endpoint> {
        let index = engine.index();
        let (door, inbox) = self
            .config
            .dialling
            .get(index)
            .zip(self.inboxes.get(index))
            .ok_or(io::ErrorKind::NotFound)?;
        let socket = DiallingSocket::new(
            self.medium.clone(),
            engine,
            Arc::clone(&self.dialled),
            Arc::clone(&door.gate),
            Arc::clone(inbox),
            self.accepting.clone(),
            &door.ids.issue(),
        )?
        .retransmits(self.config.retransmits);
        quinn::Endpoint::new_with_abstract_socket(
            transport::engine(&door.ids),
            None,
            Arc::new(socket),
            Arc::new(TokioRuntime),
        )
    }

    /// Returns the local address of the socket.
    ///
    /// Errors: those of the socket.
    pub(crate) fn local_addr(&self) -> io::Result<SocketAddr> {
        self.accepting.local_addr()
    }

    /// Returns the number of connections of all engines, handshakes included.
    pub(crate) fn open_connections(&self) -> usize {
        let engines = self.all().into_iter();
        engines.map(|engine| engine.open_connections()).sum()
    }

    /// Sends a datagram as it is. Returns whether it was sent.
    pub(crate) fn send_plain(&self, to: SocketAddr, contents: &[u8]) -> bool {
        let transmit = Transmit {
            destination: to,
            ecn: None,
            contents,
            segment_size: None,
            src_ip: None,
        };
        self.medium.send(&transmit).is_ok()
    }

    /// Closes all connections of all engines. No session is dialled any more.
    pub(crate) fn close(&self, code: VarInt) {
        let mut dialling = self.dialling.lock().unwrap_or_else(PoisonError::into_inner);
        dialling.closed = true;
        drop(dialling);
        for engine in self.all() {
            engine.close(code, &[]);
        }
    }

    /// Waits until all engines are without connections.
    pub(crate) async fn wait_idle(&self) {
        for engine in self.all() {
            engine.wait_idle().await;
        }
    }

    fn all(&self) -> Vec<quinn::Endpoint> {
        let dialling = self.dialling.lock().unwrap_or_else(PoisonError::into_inner);
        let dialling = dialling.started.iter().flatten();
        dialling.chain([&self.accepting]).cloned().collect()
    }
}

impl fmt::Debug for Engines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Engines(..)")
    }
}
