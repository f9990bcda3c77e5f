//! What the operator is told: each notice at most once a minute.

use crate::bridge::Notice;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

const PAUSE: Duration = Duration::from_secs(60);

/// The notices that were given.
#[derive(Debug, Default)]
pub(crate) struct Teller {
    told: BTreeMap<Notice, Told>,
}

#[derive(Debug)]
struct Told {
    at: Instant,
    left_out: u64,
}

impl Teller {
    /// Logs a notice, unless it was logged within the last minute.
    pub(crate) fn tell(&mut self, notice: Notice, now: Instant) {
        if let Some(told) = self.told.get_mut(&notice)
            && now.duration_since(told.at) < PAUSE
        {
            told.left_out += 1;
            return;
        }
        let told = Told {
            at: now,
            left_out: 0,
        };
        let before = self.told.insert(notice, told);
        let times = before.map_or(1, |before| before.left_out + 1);
        tracing::warn!(times, "{}", sentence(notice));
    }
}

fn sentence(notice: Notice) -> String {
    let text = match notice {
        Notice::RetainedCommand => {
            "a retained message on a command topic is refused, as it would be sent again at each connection: publish it \
             without the retain flag, and clear it with an empty retained message"
        }
        Notice::Loop => {
            "a command that a bridge had published itself is refused: look for a rule that copies topics"
        }
        Notice::UnknownContact => {
            "a command for a contact that does not exist, or that the token does not reach, is refused"
        }
        Notice::BadCommand => "a command is refused: it must be UTF-8 text of 1 to 49,152 bytes",
        Notice::Flood => {
            "too many commands for one contact: further ones are refused. It may get 30 messages at once, then one in a second"
        }
        Notice::MayNotSend => "a command is refused: the token lacks the scope `send`",
        Notice::DaemonRefused(reason) => return format!("the daemon refused a message: {reason}"),
        Notice::BrokerRefuses => {
            "the broker refuses publications: let the bridge's user write to its topics and to the discovery topics"
        }
        Notice::TextLeftOut => {
            "the broker refused an event as too large: it is published with a shorter text"
        }
        Notice::PacketTooSmall => {
            "the broker's limit for packets is too small for the bridge: something is not published"
        }
        Notice::BrokerSilent => "the broker acknowledges nothing: connecting again",
        Notice::JournalFailed => {
            "the journal can't be written: commands wait. Make the state directory writable, or make room"
        }
        Notice::TooManyContacts => "only the first 1,000 contacts become devices",
        Notice::EventsDropped => {
            "the daemon has deleted events that were not published yet: raise [store] event_days or max_events, or run the \
             bridge more often"
        }
    };
    text.to_owned()
}
