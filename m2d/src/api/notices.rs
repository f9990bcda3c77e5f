//! The notices of one stream, in their places among its events.

use crate::driver::LiveNotice;
use m2_delivery::Notice;
use m2_engine::NoticeKind;
use std::time::Duration;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};

/// The age above which a notice is not sent any more: the stream read too slowly, and what the notice says may
/// be over. It does not apply to presence, which lasts.
const AGE: Duration = Duration::from_secs(3);

/// The kinds of notices that a stream contains.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct WantedNotices {
    /// Contacts that type a message.
    pub(super) typing: bool,
    /// Contacts that are online.
    pub(super) presence: bool,
}

impl WantedNotices {
    /// Returns whether a stream contains notices at all.
    pub(super) const fn any(self) -> bool {
        self.typing || self.presence
    }
}

/// The notices that a stream has not sent yet.
pub(super) struct Notices {
    receiver: Option<Receiver<LiveNotice>>,
    wanted: WantedNotices,
    next: Option<LiveNotice>,
    /// The number of the last change of presence that the stream has sent.
    presence: u64,
    /// True if the presence of all contacts must be sent: at the start, and if changes of it were missed.
    is_behind: bool,
}

impl Notices {
    /// Returns the notices of a receiver. Without one there are none.
    pub(super) const fn new(receiver: Option<Receiver<LiveNotice>>, wanted: WantedNotices) -> Self {
        Self {
            receiver,
            wanted,
            next: None,
            presence: 0,
            is_behind: wanted.presence,
        }
    }

    /// Returns whether the presence of all contacts must be sent before the next notice.
    pub(super) const fn is_behind(&self) -> bool {
        self.is_behind
    }

    /// Notes that the presence of all contacts is sent, up to the change with this number.
    pub(super) const fn caught_up(&mut self, number: u64) {
        self.presence = number;
        self.is_behind = false;
    }

    /// Returns the next notice that came before any event above number `after`.
    pub(super) fn take_until(&mut self, after: i64) -> Option<LiveNotice> {
        loop {
            let live = self.next.take().or_else(|| self.receive())?;
            if live.after > after {
                self.next = Some(live);
                return None;
            }
            if self.contains(&live) {
                return Some(live);
            }
        }
    }

    fn contains(&self, live: &LiveNotice) -> bool {
        match live.notice.notice {
            NoticeKind::Said(Notice::Typing { .. }) => {
                self.wanted.typing && live.at.elapsed() < AGE
            }
            NoticeKind::Said(Notice::Unknown) => false,
            NoticeKind::Presence { number, .. } => self.wanted.presence && number > self.presence,
        }
    }

    fn receive(&mut self) -> Option<LiveNotice> {
        let receiver = self.receiver.as_mut()?;
        loop {
            match receiver.try_recv() {
                Ok(live) => return Some(live),
                Err(TryRecvError::Lagged(_)) => self.is_behind = self.wanted.presence,
                Err(TryRecvError::Empty | TryRecvError::Closed) => return None,
            }
        }
    }

    /// Waits for another notice; forever if there is one that waits for events. Cancel-safe.
    pub(super) async fn arrived(&mut self) {
        if self.next.is_some() {
            return std::future::pending().await;
        }
        loop {
            let Some(receiver) = &mut self.receiver else {
                return std::future::pending().await;
            };
            match receiver.recv().await {
                Ok(live) => {
                    self.next = Some(live);
                    return;
                }
                Err(RecvError::Lagged(_)) if self.wanted.presence => {
                    self.is_behind = true;
                    return;
                }
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => self.receiver = None,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use m2_crypto::PeerId;
    use m2_delivery::Path;
    use m2_engine::ContactNotice;
    use std::time::Instant;
    use tokio::sync::broadcast::Sender;

    const TYPING: WantedNotices = WantedNotices {
        typing: true,
        presence: false,
    };

    const fn said(notice: Notice) -> ContactNotice {
        ContactNotice {
            contact: PeerId::from_bytes([1; 32]),
            name: String::new(),
            notice: NoticeKind::Said(notice),
            time_ms: 0,
        }
    }

    fn typing(active: bool, after: i64) -> LiveNotice {
        LiveNotice {
            notice: said(Notice::Typing { active }),
            at: Instant::now(),
            after,
        }
    }

    fn is_active(live: Option<LiveNotice>) -> Option<bool> {
        live.map(|live| match live.notice.notice {
            NoticeKind::Said(Notice::Typing { active }) => active,
            _ => panic!("{live:?}"),
        })
    }

    #[tokio::test]
    async fn a_notice_keeps_its_place_among_the_events() {
        let sender = Sender::new(4);
        let mut notices = Notices::new(Some(sender.subscribe()), TYPING);
        sender.send(typing(true, 7)).unwrap();
        sender.send(typing(false, 8)).unwrap();
        // The stream has sent the events up to number 6.
        assert_eq!(is_active(notices.take_until(6)), None);
        assert_eq!(is_active(notices.take_until(7)), Some(true));
        assert_eq!(is_active(notices.take_until(7)), None);
        assert_eq!(is_active(notices.take_until(8)), Some(false));
        sender.send(typing(true, 8)).unwrap();
        notices.arrived().await;
        assert_eq!(is_active(notices.take_until(9)), Some(true));
    }

    #[test]
    fn what_is_old_unknown_or_too_much_is_left_out() {
        let sender = Sender::new(2);
        let mut notices = Notices::new(Some(sender.subscribe()), TYPING);
        let old = LiveNotice {
            at: Instant::now().checked_sub(AGE).unwrap(),
            ..typing(true, 0)
        };
        let unknown = LiveNotice {
            notice: said(Notice::Unknown),
            ..typing(true, 0)
        };
        sender.send(old).unwrap();
        sender.send(unknown).unwrap();
        assert_eq!(is_active(notices.take_until(0)), None);
        for active in [true, false, false] {
            sender.send(typing(active, 0)).unwrap();
        }
        assert_eq!(
            is_active(notices.take_until(0)),
            Some(false),
            "the newest two"
        );
        drop(sender);
        assert_eq!(is_active(notices.take_until(0)), Some(false));
        assert_eq!(is_active(notices.take_until(0)), None);
        assert_eq!(is_active(Notices::new(None, TYPING).take_until(0)), None);
    }

    fn online(number: u64) -> LiveNotice {
        let path = Some(Path::Direct);
        let mut live = typing(true, 0);
        live.notice.notice = NoticeKind::Presence { path, number };
        live
    }

    fn number(live: Option<LiveNotice>) -> Option<u64> {
        match live?.notice.notice {
            NoticeKind::Presence { number, .. } => Some(number),
            NoticeKind::Said(_) => panic!("not presence"),
        }
    }

    /// A change that the first state includes is not sent again, and after missed changes all are sent.
    #[tokio::test]
    async fn presence_is_repeated_when_changes_were_missed() {
        let sender = Sender::new(2);
        let presence = WantedNotices {
            typing: false,
            presence: true,
        };
        let mut notices = Notices::new(Some(sender.subscribe()), presence);
        assert!(notices.is_behind());
        sender.send(online(4)).unwrap();
        sender.send(online(5)).unwrap();
        notices.caught_up(4);
        assert_eq!(number(notices.take_until(0)), Some(5));
        assert!(!notices.is_behind());
        for change in 6..10 {
            sender.send(online(change)).unwrap();
        }
        notices.arrived().await;
        assert!(notices.is_behind());
        notices.caught_up(9);
        sender.send(typing(true, 0)).unwrap();
        assert_eq!(number(notices.take_until(0)), None);
    }
}
