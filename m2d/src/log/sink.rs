//! A thread that writes the log. A caller that logs never waits for the output and gets no errors
//! from it.

use super::journal;
use super::recent::Recent;
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, SyncSender, TrySendError};
use std::time::{Duration, Instant};
use tracing::{Level, Metadata};
use tracing_subscriber::fmt::MakeWriter;

/// The maximum number of queued lines. Further lines are dropped and counted.
const QUEUE: usize = 4_096;

/// The interval at which a flush retries while the queue is full.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// A handle to the log thread.
#[derive(Debug, Clone)]
pub(super) struct Sink {
    orders: SyncSender<Order>,
    dropped: Arc<AtomicU64>,
    recent: Recent,
    is_journal: bool,
}

enum Order {
    Write(Vec<u8>),
    /// Answers on the channel once everything queued before is written.
    Flush(SyncSender<()>),
}

/// A writer for one event.
#[derive(Debug)]
pub(super) struct Line<'a> {
    sink: &'a Sink,
    level: Level,
}

impl Sink {
    /// Starts the thread. If it can't be started, nothing is logged. With `is_journal`, each line
    /// begins with its priority.
    pub(super) fn start(output: impl Write + Send + 'static, is_journal: bool) -> Self {
        let (orders, queue) = mpsc::sync_channel(QUEUE);
        let dropped = Arc::new(AtomicU64::new(0));
        let counted = dropped.clone();
        let _ = std::thread::Builder::new()
            .name("m2d-log".to_owned())
            .spawn(move || write_all(output, &queue, &counted));
        Self {
            orders,
            dropped,
            recent: Recent::default(),
            is_journal,
        }
    }

    /// Queues lines of one level. If the queue is full, they are dropped and counted.
    pub(super) fn write(&self, level: &Level, lines: &[u8]) {
        self.recent.push(level, lines);
        let lines = if self.is_journal {
            with_priority(level, lines)
        } else {
            lines.to_vec()
        };
        if let Err(TrySendError::Full(_)) = self.orders.try_send(Order::Write(lines)) {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Returns the last lines of level info and above, oldest first.
    pub(super) fn recent(&self) -> Vec<String> {
        self.recent.lines()
    }

    /// Waits until everything queued is written, but at most for `limit`.
    pub(super) fn flush(&self, limit: Duration) {
        let until = Instant::now() + limit;
        let (done, written) = mpsc::sync_channel(1);
        let mut order = Order::Flush(done);
        while let Err(error) = self.orders.try_send(order) {
            let TrySendError::Full(back) = error else {
                return;
            };
            if Instant::now() >= until {
                return;
            }
            order = back;
            std::thread::sleep(LOOK_AGAIN);
        }
        let _ = written.recv_timeout(until.saturating_duration_since(Instant::now()));
    }
}

impl<'a> MakeWriter<'a> for Sink {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Line<'a> {
        let (sink, level) = (self, Level::INFO);
        Line { sink, level }
    }

    fn make_writer_for(&'a self, metadata: &Metadata<'_>) -> Line<'a> {
        let (sink, level) = (self, *metadata.level());
        Line { sink, level }
    }
}

impl Write for Line<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.sink.write(&self.level, bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes queued lines. A line that can't be written is lost: there is no other place to report it.
fn write_all(mut output: impl Write, queue: &Receiver<Order>, dropped: &AtomicU64) {
    while let Ok(order) = queue.recv() {
        match order {
            Order::Write(lines) => {
                let _ = output.write_all(&lines);
            }
            Order::Flush(done) => {
                let _ = output.flush();
                let _ = done.send(());
            }
        }
        let lost = dropped.swap(0, Ordering::Relaxed);
        if lost > 0 {
            let _ = writeln!(output, "m2d: {lost} lines of the log were dropped");
        }
    }
}

/// Adds the prefix from which the journal reads the priority of a line.
fn with_priority(level: &Level, lines: &[u8]) -> Vec<u8> {
    let prefix = journal::prefix(level);
    let parts = lines.split_inclusive(|byte| *byte == b'\n');
    parts.flat_map(|line| [prefix, line].concat()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Condvar, Mutex};

    /// An output that blocks until it is opened, and then writes.
    #[derive(Clone, Default)]
    struct Gate(Arc<(Mutex<Written>, Condvar)>);

    #[derive(Default)]
    struct Written {
        is_open: bool,
        bytes: Vec<u8>,
    }

    impl Gate {
        fn open(&self) {
            self.0.0.lock().unwrap().is_open = true;
            self.0.1.notify_all();
        }

        fn written(&self) -> String {
            String::from_utf8(self.0.0.lock().unwrap().bytes.clone()).unwrap()
        }
    }

    impl Write for Gate {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let state = self.0.0.lock().unwrap();
            let mut state = self.0.1.wait_while(state, |state| !state.is_open).unwrap();
            state.bytes.extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// A reader that hangs: every line beyond the queue is dropped at once and reported later.
    #[test]
    fn an_output_that_hangs_does_not_block_callers() {
        let gate = Gate::default();
        let sink = Sink::start(gate.clone(), false);
        for number in 0..QUEUE + 100 {
            sink.write(&Level::INFO, format!("line {number}\n").as_bytes());
        }
        sink.flush(Duration::from_millis(1));
        gate.open();
        sink.flush(Duration::from_secs(60));
        let written = gate.written();
        assert!(written.starts_with("line 0\n"), "{written}");
        assert!(written.contains("lines of the log were dropped"));
    }

    #[test]
    fn an_output_that_fails_is_ignored() {
        struct Broken;
        impl Write for Broken {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
        }
        let sink = Sink::start(Broken, false);
        sink.write(&Level::ERROR, b"lost\n");
        sink.flush(Duration::from_secs(60));
        assert_eq!(sink.make_writer().write(b"lost too\n").unwrap(), 9);
    }

    #[test]
    fn each_line_has_its_priority_in_the_journal() {
        let lines = with_priority(&Level::ERROR, b"one\ntwo\n");
        assert_eq!(lines, b"<3>one\n<3>two\n");
        assert_eq!(with_priority(&Level::WARN, b"x\n"), b"<4>x\n");
        assert_eq!(with_priority(&Level::INFO, b"x\n"), b"<6>x\n");
        assert_eq!(with_priority(&Level::TRACE, b"x\n"), b"<7>x\n");
    }
}
