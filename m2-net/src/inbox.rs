//! The datagrams of a dialling engine that the accepting engine of the same socket has read.

use quinn::udp::RecvMeta;
use std::collections::VecDeque;
use std::io::IoSliceMut;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// The bytes that wait, as many as the system's buffer of a socket holds. A datagram for which there
/// is no room is lost, as it would be there.
const CAPACITY: usize = 2 << 20;
/// The bytes that each waiting datagram counts in addition to its own.
const OVERHEAD: usize = 128;

/// A bounded queue of datagrams with one reader.
#[derive(Debug, Default)]
pub(crate) struct Inbox(Mutex<Waiting>);

#[derive(Debug, Default)]
struct Waiting {
    datagrams: VecDeque<(Vec<u8>, RecvMeta)>,
    bytes: usize,
    reader: Option<Waker>,
}

impl Inbox {
    /// Queues a datagram and wakes the reader. `meta` describes the buffer in which it arrived.
    pub(crate) fn push(&self, datagram: &[u8], meta: &RecvMeta) {
        let mut waiting = self.lock();
        let bytes = waiting.bytes + datagram.len() + OVERHEAD;
        if bytes > CAPACITY {
            return;
        }
        waiting.bytes = bytes;
        let meta = RecvMeta {
            len: datagram.len(),
            stride: datagram.len(),
            ..*meta
        };
        waiting.datagrams.push_back((datagram.to_vec(), meta));
        if let Some(reader) = waiting.reader.take() {
            reader.wake();
        }
    }

    /// Moves datagrams to the buffers, one to each. Returns how many.
    pub(crate) fn poll(
        &self,
        cx: &Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
        metas: &mut [RecvMeta],
    ) -> Poll<usize> {
        let mut waiting = self.lock();
        if waiting.datagrams.is_empty() {
            waiting.reader = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let mut count = 0;
        for (buffer, to) in buffers.iter_mut().zip(metas) {
            let Some((datagram, meta)) = waiting.datagrams.pop_front() else {
                break;
            };
            waiting.bytes = waiting.bytes.saturating_sub(datagram.len() + OVERHEAD);
            // A datagram that is longer than any that QUIC sends is lost.
            let buffer = buffer.get_mut(..datagram.len());
            *to = buffer.map_or_else(RecvMeta::default, |buffer| {
                buffer.copy_from_slice(&datagram);
                meta
            });
            count += 1;
        }
        Poll::Ready(count)
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        // No update under this lock can be interrupted halfway.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    #[derive(Default)]
    struct Counted(AtomicUsize);

    impl Wake for Counted {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn poll(inbox: &Inbox, cx: &Context<'_>, buffers: usize) -> Poll<Vec<Vec<u8>>> {
        let mut bytes = vec![[0; 2_000]; buffers];
        let mut slices: Vec<_> = bytes.iter_mut().map(|one| IoSliceMut::new(one)).collect();
        let mut metas = vec![RecvMeta::default(); buffers];
        let count = inbox.poll(cx, &mut slices, &mut metas);
        count.map(|count| {
            let got = bytes.iter().zip(&metas).take(count);
            got.map(|(bytes, meta)| bytes[..meta.len].to_vec())
                .collect()
        })
    }

    #[test]
    fn datagrams_keep_their_order_and_wake_the_reader_once() {
        let (inbox, woken) = (Inbox::default(), Arc::<Counted>::default());
        let waker = Arc::clone(&woken).into();
        let cx = Context::from_waker(&waker);
        let meta = RecvMeta::default();
        assert!(poll(&inbox, &cx, 2).is_pending());
        for datagram in [&[1; 5][..], &[2; 1_400], &[3; 7]] {
            inbox.push(datagram, &meta);
        }
        assert_eq!(woken.0.load(Ordering::Relaxed), 1);
        let first = vec![vec![1; 5], vec![2; 1_400]];
        assert_eq!(poll(&inbox, &cx, 2), Poll::Ready(first));
        assert_eq!(poll(&inbox, &cx, 2), Poll::Ready(vec![vec![3; 7]]));
        assert!(poll(&inbox, &cx, 2).is_pending());
        assert_eq!(inbox.lock().bytes, 0);
    }

    #[test]
    fn a_full_inbox_loses_the_newest_and_an_oversized_datagram_is_lost() {
        let inbox = Inbox::default();
        let cx = Context::from_waker(Waker::noop());
        for _ in 0..2 * CAPACITY / 1_400 {
            inbox.push(&[1; 1_400], &RecvMeta::default());
        }
        assert!(inbox.lock().bytes <= CAPACITY);
        while poll(&inbox, &cx, 32).is_ready() {}
        inbox.push(&[1; 3_000], &RecvMeta::default());
        assert_eq!(poll(&inbox, &cx, 1), Poll::Ready(vec![vec![]]));
    }
}
