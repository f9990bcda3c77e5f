//! Two sides that dial each other, with sessions that arrive and end at either side in any order:
//! they agree on one session and never close all of them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use m2_core::IpMode;
use m2_core::sessions::{SessionId, SessionView, admit};
use m2_delivery::Path;
use proptest::prelude::*;
use std::collections::BTreeSet;

/// A session of the two: who dialled it, and its path.
#[derive(Debug, Clone, Copy)]
struct Session {
    by_smaller: bool,
    path: Path,
}

/// What one side knows.
#[derive(Debug)]
struct Side {
    is_smaller: bool,
    mode: IpMode,
    /// The sessions that are up, in order of preference.
    up: Vec<SessionView>,
    /// The sessions that this side does not know yet, and those whose end it does not know yet.
    arrivals: Vec<usize>,
    ends: Vec<SessionId>,
}

impl Side {
    /// Admits a session. Returns those that this side closes.
    fn admit(&mut self, id: usize, session: Session) -> Vec<SessionId> {
        let new = SessionView {
            id: SessionId(id as u64),
            dialled: session.by_smaller == self.is_smaller,
            path: session.path,
            wants_successor: false,
        };
        let admission = admit(&self.up, new, self.mode, self.is_smaller);
        let all: Vec<SessionView> = self.up.iter().copied().chain([new]).collect();
        let view = |id: &SessionId| *all.iter().find(|view| view.id == *id).unwrap();
        self.up = admission.kept.iter().map(view).collect();
        let closed: Vec<SessionId> = admission.closed.iter().map(|(id, _)| *id).collect();
        for view in &mut self.up {
            view.wants_successor |= closed.contains(&view.id);
        }
        closed
    }
}

#[derive(Debug)]
struct World {
    sessions: Vec<Session>,
    sides: [Side; 2],
    closed: BTreeSet<SessionId>,
}

impl World {
    fn new(sessions: Vec<Session>, orders: [Vec<usize>; 2], modes: [IpMode; 2]) -> Self {
        let [one, other] = orders;
        let side = |is_smaller, mode, arrivals| Side {
            is_smaller,
            mode,
            up: Vec::new(),
            arrivals,
            ends: Vec::new(),
        };
        Self {
            sessions,
            sides: [side(true, modes[0], one), side(false, modes[1], other)],
            closed: BTreeSet::new(),
        }
    }

    /// Lets one side see the next arrival, or the end of a session.
    fn step(&mut self, side: usize, sees_end: bool) {
        let this = &mut self.sides[side];
        if sees_end {
            if let Some(id) = this.ends.pop() {
                this.up.retain(|view| view.id != id);
                this.arrivals.retain(|arrival| *arrival as u64 != id.0);
            }
            return;
        }
        if this.arrivals.is_empty() {
            return;
        }
        let arrival = this.arrivals.remove(0);
        for id in this.admit(arrival, self.sessions[arrival]) {
            if self.closed.insert(id) {
                self.sides.iter_mut().for_each(|side| side.ends.push(id));
            }
        }
    }

    fn settle(&mut self) {
        while self.sides.iter().any(|side| !side.arrivals.is_empty()) {
            (0..2).for_each(|side| self.step(side, false));
        }
        while self.sides.iter().any(|side| !side.ends.is_empty()) {
            (0..2).for_each(|side| self.step(side, true));
        }
    }

    fn ids(&self, side: usize) -> BTreeSet<SessionId> {
        self.sides[side].up.iter().map(|view| view.id).collect()
    }
}

fn session() -> impl Strategy<Value = Session> {
    let path = prop_oneof![Just(Path::Direct), Just(Path::Line)];
    (any::<bool>(), path).prop_map(|(by_smaller, path)| Session { by_smaller, path })
}

fn mode() -> impl Strategy<Value = IpMode> {
    prop_oneof![Just(IpMode::Direct), Just(IpMode::PreferLine)]
}

fn crossing(most: usize) -> impl Strategy<Value = (Vec<Session>, [Vec<usize>; 2])> {
    prop::collection::vec(session(), 1..=most).prop_flat_map(|sessions| {
        let order: Vec<usize> = (0..sessions.len()).collect();
        let orders = (
            Just(order.clone()).prop_shuffle(),
            Just(order).prop_shuffle(),
        );
        (Just(sessions), orders).prop_map(|(sessions, (one, other))| {
            let orders = [one, other].map(|order| in_order(&sessions, order));
            (sessions, orders)
        })
    })
}

/// Sorts the sessions that the same side dialled: it dials the next one after the one before.
fn in_order(sessions: &[Session], order: Vec<usize>) -> Vec<usize> {
    let mut next = [true, false].map(|by_smaller| {
        let all = 0..sessions.len();
        all.filter(move |id| sessions[*id].by_smaller == by_smaller)
    });
    let next = |id: usize| next[usize::from(!sessions[id].by_smaller)].next();
    order.into_iter().filter_map(next).collect()
}

fn steps() -> impl Strategy<Value = Vec<(usize, bool)>> {
    prop::collection::vec((0..2_usize, any::<bool>()), 0..12)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn both_sides_keep_the_same_session((sessions, orders) in crossing(4), modes in (mode(), mode()), steps in steps()) {
        let mut world = World::new(sessions, orders, [modes.0, modes.1]);
        for (side, sees_end) in steps {
            world.step(side, sees_end);
        }
        world.settle();
        prop_assert_eq!(world.ids(0), world.ids(1));
        prop_assert!(!world.ids(0).is_empty(), "all sessions are closed");
    }
}
