//! The known paths to a peer, and the order in which an attempt tries them.

use crate::{ContactLine, IpMode, KnownAddress};
use m2_crypto::address::{NamedAddress, Use};
use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

/// The delay before the next path of a peer is tried in parallel (Happy Eyeballs, RFC 8305).
const HEAD_START: Duration = Duration::from_millis(250);
/// The delay of lines after direct paths, where these come first. As with every delay of a race, the
/// next path is tried at once if all before it have failed.
const LINE_AFTER: Duration = Duration::from_secs(1);
/// The delay of direct paths after lines, where these come first. A line takes longer to set up,
/// and a user who prefers lines does not want to reveal an address to save a second.
const DIRECT_AFTER: Duration = Duration::from_secs(8);
/// The number of unproved addresses that each attempt after the first dials. All of them would
/// spend the contact's budget, and the last ones, and the lines, would never be tried.
const NAMED_AT_ONCE: usize = 4;

/// An address of a contact, and how it is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// The contact was reached at this address.
    Proved(SocketAddr),
    /// The contact or another party named this address.
    Named(NamedAddress, Use),
}

impl Target {
    /// Returns a contact's stored address.
    pub const fn known(address: KnownAddress, mode: IpMode) -> Self {
        match address {
            KnownAddress::Proved(address) => Self::Proved(address),
            KnownAddress::Named(named) => Self::named(named, mode),
        }
    }

    /// Returns an address that a contact, its record or its invitation named.
    pub const fn named(named: NamedAddress, mode: IpMode) -> Self {
        Self::Named(named, use_of(mode))
    }

    /// Returns whether both are the same address.
    pub fn is_at(&self, other: &Self) -> bool {
        self.to_string() == other.to_string()
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Proved(address) => address.fmt(f),
            Self::Named(named, _) => named.fmt(f),
        }
    }
}

/// Returns the use under which a contact's own addresses are filtered: private ones are dialled
/// only where the mode is direct.
pub const fn use_of(mode: IpMode) -> Use {
    match mode {
        IpMode::Direct => Use::Contact {
            shares_public: false,
        },
        IpMode::PreferLine | IpMode::LineOnly => Use::Service,
    }
}

/// One path to a peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Candidate {
    /// One of the peer's own addresses.
    Direct(Target),
    /// A line of the peer.
    Line(ContactLine),
}

/// The paths to a peer (`docs/spec/line.md#which-relays-a-session-passes`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// Determines which paths may be tried, and in which order. With [`IpMode::LineOnly`] there are
    /// no addresses, and the first hop must be one of this daemon's own relays.
    pub mode: IpMode,
    /// The peer's own addresses, proved or named by others, in the order in which they are tried.
    pub addresses: Vec<Target>,
    /// Lines on which the peer may be dialled, in its order. Their tokens are valid for one day
    /// each: use that of the day of the attempt.
    pub lines: Vec<ContactLine>,
    /// True if a session by one of the paths has just died, so that no path gets a long head start.
    pub one_died: bool,
}

impl Route {
    /// Returns a route without paths.
    pub const fn new(mode: IpMode) -> Self {
        Self {
            mode,
            addresses: Vec::new(),
            lines: Vec::new(),
            one_died: false,
        }
    }

    /// Returns the paths of the attempt that follows this number of failures: the first attempt has
    /// all of them, each later one takes some of the unproved addresses in turn.
    pub fn for_attempt(mut self, failures: u32) -> Self {
        let is_named = |target: &Target| matches!(target, Target::Named(..));
        let named = self
            .addresses
            .iter()
            .filter(|target| is_named(target))
            .count();
        if failures == 0 || named <= NAMED_AT_ONCE {
            return self;
        }
        let attempts = usize::try_from(failures - 1).unwrap_or(0);
        let first = attempts.wrapping_mul(NAMED_AT_ONCE) % named;
        let mut place = 0;
        self.addresses.retain(|target| {
            if !is_named(target) {
                return true;
            }
            let after_first = (place + named - first) % named;
            place += 1;
            after_first < NAMED_AT_ONCE
        });
        self
    }

    /// Returns the candidates of a staggered race, each with its delay after the start: direct paths
    /// and lines in the order of the mode.
    pub fn candidates(self) -> Vec<(Duration, Candidate)> {
        let direct: Vec<_> = self.addresses.into_iter().map(Candidate::Direct).collect();
        let lines: Vec<_> = self.lines.into_iter().map(Candidate::Line).collect();
        let (first, pause, second) = match self.mode {
            IpMode::Direct if self.one_died => (direct, HEAD_START, lines),
            IpMode::Direct => (direct, LINE_AFTER, lines),
            IpMode::PreferLine => (lines, DIRECT_AFTER, direct),
            IpMode::LineOnly => (lines, Duration::ZERO, Vec::new()),
        };
        let pause = if first.is_empty() {
            Duration::ZERO
        } else {
            pause
        };
        let staggered = |start: Duration, candidates: Vec<Candidate>| {
            candidates
                .into_iter()
                .enumerate()
                .map(move |(place, candidate)| {
                    let place = u32::try_from(place).unwrap_or(u32::MAX);
                    (start + HEAD_START.saturating_mul(place), candidate)
                })
        };
        staggered(Duration::ZERO, first)
            .chain(staggered(pause, second))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::LineTokens;
    use m2_crypto::PeerId;
    use m2_crypto::line::JoinToken;

    #[test]
    fn every_address_is_tried_in_turn() {
        let named = |number: u16| {
            let address = format!("11.0.0.1:{}", 5_000 + number).parse().unwrap();
            Target::named(address, IpMode::Direct)
        };
        let proved = Target::Proved(([11, 0, 0, 2], 5_000).into());
        let mut addresses: Vec<Target> = (0..7).map(named).collect();
        addresses.insert(3, proved);
        let route = Route {
            addresses: addresses.clone(),
            ..Route::new(IpMode::Direct)
        };
        let dialled = |failures| route.clone().for_attempt(failures).addresses;
        assert_eq!(dialled(0), addresses);
        let some = |numbers: [u16; 4], place| {
            let mut some = numbers.map(named).to_vec();
            some.insert(place, proved);
            some
        };
        assert_eq!(dialled(1), some([0, 1, 2, 3], 3));
        assert_eq!(dialled(2), some([0, 4, 5, 6], 1));
        assert_eq!(dialled(3), some([1, 2, 3, 4], 2));
        assert_eq!(dialled(u32::MAX).len(), NAMED_AT_ONCE + 1);
    }

    #[test]
    fn the_mode_determines_the_order_of_paths() {
        let line = ContactLine {
            relay: PeerId::from_bytes([1; 32]),
            addresses: Vec::new(),
            tokens: LineTokens::Always(JoinToken([2; 16])),
        };
        let order = |mode, addresses: usize, one_died| {
            let route = Route {
                mode,
                addresses: vec![Target::Proved(([11, 0, 0, 1], 5_000).into()); addresses],
                lines: vec![line.clone(); 2],
                one_died,
            };
            let candidates = route.candidates().into_iter();
            let is_line = |candidate| matches!(candidate, Candidate::Line(_));
            candidates
                .map(|(delay, candidate)| (delay.as_millis(), is_line(candidate)))
                .collect::<Vec<_>>()
        };
        let lines = [(0, true), (250, true)];
        assert_eq!(order(IpMode::Direct, 0, false), lines);
        assert_eq!(order(IpMode::LineOnly, 0, false), lines);
        let direct_first = [(0, false), (1_000, true), (1_250, true)];
        assert_eq!(order(IpMode::Direct, 1, false), direct_first);
        let soon = [(0, false), (250, true), (500, true)];
        assert_eq!(order(IpMode::Direct, 1, true), soon);
        let lines_first = [(0, true), (250, true), (8_000, false)];
        assert_eq!(order(IpMode::PreferLine, 1, false), lines_first);
        assert_eq!(order(IpMode::PreferLine, 1, true), lines_first);
    }
}
