//! The notices of one stream, in their places among its events.

use super::convert;
use crate::driver::LiveNotice;
use m2_proto::api::v1 as pb;
use std::time::Duration;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};

/// The age above which a notice is not sent any more: the stream read too slowly, and what the notice says may
/// be over.
const AGE: Duration = Duration::from_secs(3);

/// The notices that a stream has not sent yet.
pub(super) struct Notices {
    receiver: Option<Receiver<LiveNotice>>,
    next: Option<LiveNotice>,
}

impl Notices {
    /// Returns the notices of a receiver, or none.
    pub(super) const fn new(receiver: Option<Receiver<LiveNotice>>) -> Self {
        Self {
            receiver,
            next: None,
        }
    }

    /// Returns the next notice that came before any event above number `after`.
    pub(super) fn take_until(&mut self, after: i64) -> Option<pb::Notice> {
        loop {
            let live = self.next.take().or_else(|| self.receive())?;
            if live.after > after {
                self.next = Some(live);
                return None;
            }
            if live.at.elapsed() < AGE
                && let Some(notice) = convert::notice(&live)
            {
                return Some(notice);
            }
        }
    }

    fn receive(&mut self) -> Option<LiveNotice> {
        let receiver = self.receiver.as_mut()?;
        loop {
            match receiver.try_recv() {
                Ok(live) => return Some(live),
                Err(TryRecvError::Lagged(_)) => {}
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
    use m2_delivery::Notice;
    use m2_engine::ContactNotice;
    use std::time::Instant;
    use tokio::sync::broadcast::Sender;

    const fn said(notice: Notice) -> ContactNotice {
        ContactNotice {
            contact: PeerId::from_bytes([1; 32]),
            notice,
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

    fn is_active(notice: Option<pb::Notice>) -> Option<bool> {
        notice.map(|notice| match notice.kind {
            Some(pb::notice::Kind::Typing(typing)) => typing.active,
            None => panic!("{notice:?}"),
        })
    }

    #[tokio::test]
    async fn a_notice_keeps_its_place_among_the_events() {
        let sender = Sender::new(4);
        let mut notices = Notices::new(Some(sender.subscribe()));
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
        let mut notices = Notices::new(Some(sender.subscribe()));
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
        assert_eq!(is_active(Notices::new(None).take_until(0)), None);
    }
}
