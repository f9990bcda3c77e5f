//! Named front-ends and their cursors.

use super::Engine;
use crate::refusal::Refusal;
use m2_proto::reason::Reason;

/// Named front-ends that the daemon keeps cursors for.
const MAX_CLIENTS: u32 = 1_000;

/// Where an event stream starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StreamStart {
    /// After the newest event.
    Now,
    /// With the oldest event kept.
    Start,
    /// After this event, of the log with this incarnation.
    After {
        /// The log's incarnation, from the cursor.
        incarnation: u64,
        /// The event's number.
        seq: i64,
    },
    /// Where the named client left off; with the oldest event on its first time.
    Kept,
}

impl Engine {
    /// The number after which a stream starts. A named client is remembered.
    pub fn open_stream(&mut self, client: &str, start: StreamStart) -> Result<i64, Refusal> {
        let newest = self.store.newest_event()?;
        let kept = if client.is_empty() {
            None
        } else {
            self.store.client_cursor(client)?
        };
        let after = match (start, kept) {
            (StreamStart::Now, _) => newest,
            (StreamStart::Start, _) => 0,
            (StreamStart::After { incarnation, seq }, _) => {
                self.check_cursor(incarnation, seq, newest)?
            }
            (StreamStart::Kept, kept) => kept.unwrap_or(0),
        };
        if !client.is_empty() && kept.is_none() {
            if self.store.client_count()? >= MAX_CLIENTS {
                return Err(Refusal::limit(
                    "clients",
                    usize::try_from(MAX_CLIENTS).unwrap_or_default(),
                    "named clients",
                    "Reuse a name, or remove one that is no longer used.",
                ));
            }
            self.store.set_client_cursor(client, after, self.now_ms())?;
        }
        Ok(after)
    }

    /// Moves a named client's cursor on.
    pub fn acknowledge_events(
        &mut self,
        client: &str,
        incarnation: u64,
        seq: i64,
    ) -> Result<(), Refusal> {
        if self.store.client_cursor(client)?.is_none() {
            return Err(Refusal::new(Reason::ClientUnknown));
        }
        let newest = self.store.newest_event()?;
        let seq = self.check_cursor(incarnation, seq, newest)?;
        self.store.set_client_cursor(client, seq, self.now_ms())?;
        Ok(())
    }

    /// The log's incarnation, which every cursor carries.
    pub const fn log_incarnation(&self) -> u64 {
        self.incarnation
    }

    fn check_cursor(&self, incarnation: u64, seq: i64, newest: i64) -> Result<i64, Refusal> {
        if incarnation == self.incarnation && (0..=newest).contains(&seq) {
            Ok(seq)
        } else {
            Err(Refusal::new(Reason::CursorInvalid))
        }
    }
}
