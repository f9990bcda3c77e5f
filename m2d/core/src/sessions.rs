//! Which of the sessions with one peer serves (`docs/spec/reach.md#which-session-serves`).

use crate::IpMode;
use m2_delivery::Path;
use std::cmp::Ordering;

/// Identifies a session within one run of the daemon.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(pub u64);

/// A session, as far as the choice depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionView {
    /// The session's id.
    pub id: SessionId,
    /// True if this daemon dialled.
    pub dialled: bool,
    /// The path of the session.
    pub path: Path,
    /// True if another session should replace this one, because it is old, in doubt or stale, or
    /// because this side has closed it and its end is still to come.
    pub wants_successor: bool,
}

/// Why a session is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClosedFor {
    /// The side that dialled it has dialled again: it is dead, in doubt or old, or there is a better
    /// path.
    NewerDial,
    /// It wanted a successor.
    Successor,
    /// Another session crossed it, on a better path or dialled by the smaller id.
    Crossed,
}

/// The result of [`admit`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admission {
    /// The sessions that are kept, in order of preference: messages are sent on the last.
    pub kept: Vec<SessionId>,
    /// The sessions that must be closed, and why. Frames still in flight on those that are kept too
    /// are processed until they end.
    pub closed: Vec<(SessionId, ClosedFor)>,
    /// True if no dial in progress could lead to a better session.
    pub settles: bool,
}

/// Admits a new session, which becomes the one to send on unless a crossed one is better. It replaces
/// the session that the same side dialled before, and one that wants a successor. So at most two
/// sessions with a peer are kept: one that each side dialled.
///
/// `sessions` are the current ones in order of preference. `own_is_smaller` tells whether this
/// daemon's peer id is the smaller one.
pub fn admit(
    sessions: &[SessionView],
    new: SessionView,
    mode: IpMode,
    own_is_smaller: bool,
) -> Admission {
    let (mut kept, mut closed) = (Vec::new(), Vec::new());
    for old in sessions {
        if old.dialled == new.dialled {
            closed.push((old.id, ClosedFor::NewerDial));
        } else if old.wants_successor {
            closed.push((old.id, ClosedFor::Successor));
        } else {
            kept.push(old);
        }
    }
    kept.push(&new);
    if let Some(place) = crossed(&kept, mode, own_is_smaller) {
        let unwanted = kept.remove(place);
        kept.insert(0, unwanted);
        // One side alone decides: otherwise both could close a session, each by its own mode.
        if !own_is_smaller {
            closed.push((unwanted.id, ClosedFor::Crossed));
        }
    }
    // A dial of the side whose session is kept goes on: it may be the one that led to the session.
    let wins = new.dialled || !own_is_smaller;
    Admission {
        kept: kept.into_iter().map(|session| session.id).collect(),
        closed,
        settles: wins && mode == IpMode::Direct && new.path == Path::Direct,
    }
}

/// Returns the session to send on instead of one in doubt: the most preferred healthy one.
pub fn instead_of_doubtful(sessions: &[SessionView]) -> Option<SessionId> {
    let healthy = sessions.iter().rfind(|session| !session.wants_successor);
    healthy.map(|session| session.id)
}

/// Ranks a session's path under a mode. Of two healthy sessions the one with the higher rank is
/// kept.
fn path_rank(mode: IpMode, path: Path) -> u8 {
    let wished = match mode {
        IpMode::Direct => Path::Direct,
        IpMode::PreferLine | IpMode::LineOnly => Path::Line,
    };
    u8::from(path == wished)
}

/// Returns the place of the less wanted of two sessions that crossed: the one on the lower-ranked
/// path, or on the same path the one that the larger id dialled.
fn crossed(sessions: &[&SessionView], mode: IpMode, own_is_smaller: bool) -> Option<usize> {
    let ours = sessions.iter().position(|session| session.dialled)?;
    let theirs = sessions.iter().position(|session| !session.dialled)?;
    let rank = |place: usize| {
        let session = sessions.get(place);
        session.map(|session| path_rank(mode, session.path))
    };
    let is_ours = match rank(ours)?.cmp(&rank(theirs)?) {
        Ordering::Less => true,
        Ordering::Equal => !own_is_smaller,
        Ordering::Greater => false,
    };
    Some(if is_ours { ours } else { theirs })
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: SessionView = SessionView {
        id: SessionId(1),
        dialled: true,
        path: Path::Direct,
        wants_successor: false,
    };
    const THEIRS: SessionView = SessionView {
        id: SessionId(2),
        dialled: false,
        ..OURS
    };

    fn admission(sessions: &[SessionView], new: SessionView, own_is_smaller: bool) -> Admission {
        admit(sessions, new, IpMode::Direct, own_is_smaller)
    }

    #[test]
    fn a_session_replaces_an_older_one_that_the_same_side_dialled() {
        for old in [OURS, THEIRS] {
            let new = SessionView {
                id: SessionId(9),
                ..old
            };
            let admission = admission(&[old], new, true);
            assert_eq!(admission.kept, [new.id]);
            assert_eq!(admission.closed, [(old.id, ClosedFor::NewerDial)]);
        }
    }

    #[test]
    fn of_crossed_sessions_the_one_that_the_smaller_id_dialled_is_kept() {
        // Whichever arrives first, the side with the larger id closes its own.
        for (first, second) in [(OURS, THEIRS), (THEIRS, OURS)] {
            let larger = admission(&[first], second, false);
            assert_eq!(larger.closed, [(OURS.id, ClosedFor::Crossed)]);
            assert_eq!(larger.kept, [OURS.id, THEIRS.id], "it sends on the other");
            let smaller = admission(&[first], second, true);
            assert_eq!(smaller.closed, []);
            assert_eq!(smaller.kept, [THEIRS.id, OURS.id]);
        }
    }

    #[test]
    fn a_session_that_wants_a_successor_is_replaced_whoever_dialled() {
        let old = SessionView {
            wants_successor: true,
            ..OURS
        };
        let admission = admission(&[old], THEIRS, true);
        assert_eq!(admission.kept, [THEIRS.id]);
        assert_eq!(admission.closed, [(OURS.id, ClosedFor::Successor)]);
    }

    #[test]
    fn the_larger_id_closes_the_session_on_the_worse_path() {
        let on_line = SessionView {
            path: Path::Line,
            ..OURS
        };
        for (mode, wanted, unwanted) in [
            (IpMode::Direct, THEIRS, on_line),
            (IpMode::PreferLine, on_line, THEIRS),
        ] {
            for (first, second) in [(wanted, unwanted), (unwanted, wanted)] {
                let larger = admit(&[first], second, mode, false);
                assert_eq!(larger.closed, [(unwanted.id, ClosedFor::Crossed)]);
                assert_eq!(larger.kept.last(), Some(&wanted.id));
                // The other side sends on the same session, and waits for the end of the other.
                let smaller = admit(&[first], second, mode, true);
                assert_eq!(smaller.closed, []);
                assert_eq!(smaller.kept.last(), Some(&wanted.id));
            }
        }
    }

    #[test]
    fn dials_go_on_until_no_better_session_is_possible() {
        let on_line = SessionView {
            path: Path::Line,
            ..OURS
        };
        assert!(admission(&[], OURS, true).settles);
        assert!(!admission(&[], on_line, true).settles);
        // Our own dial may be the one that both sides keep.
        assert!(!admission(&[], THEIRS, true).settles);
        assert!(admission(&[], THEIRS, false).settles);
        assert!(!admit(&[], OURS, IpMode::PreferLine, true).settles);
    }

    #[test]
    fn a_healthy_session_takes_over_from_one_in_doubt() {
        let doubtful = SessionView {
            wants_successor: true,
            ..OURS
        };
        assert_eq!(instead_of_doubtful(&[doubtful]), None);
        assert_eq!(instead_of_doubtful(&[THEIRS, doubtful]), Some(THEIRS.id));
    }
}
