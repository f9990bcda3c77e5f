//! The arguments of `Subscribe`.

use crate::access::Caller;
use crate::api::convert;
use crate::api::notices::WantedNotices;
use crate::api::session::Ready;
use m2_crypto::PeerId;
use m2_engine::{EventFilter, Query, Refusal, SharedTerms, StreamStart};
use m2_proto::api::v1 as pb;
use m2_store::EventKind;
use std::time::Duration;

/// The maximum number of contacts that a request names.
const MAX_CONTACTS: usize = 256;
const HEARTBEAT_MS: (u64, u64) = (1_000, 3_600_000);
const LEASE_MS: (u64, u64) = (1_000, 12 * 3_600_000);
const DEFAULT_LEASE_MS: u64 = 30_000;

/// What a stream contains, and where it starts.
pub(super) struct Subscription {
    /// The client's name; empty for none.
    pub(super) client: String,
    /// The name of the caller's access token; empty for the owner.
    pub(super) token: String,
    /// Where the stream starts.
    pub(super) start: StreamStart,
    /// The events and the contacts of the notices that it contains.
    pub(super) filter: EventFilter,
    /// The kinds of notices that it contains.
    pub(super) notices: WantedNotices,
    /// How often it says that it is caught up.
    pub(super) heartbeat: Option<Duration>,
    /// The terms of a worker that shares the name.
    pub(super) shared: Option<SharedTerms>,
}

impl Subscription {
    /// Parses a request, and looks its contacts up.
    pub(super) async fn parse(
        request: pb::SubscribeRequest,
        ready: &Ready,
        caller: &Caller,
    ) -> Result<Self, Refusal> {
        let start = start_of(&request)?;
        let heartbeat = request.heartbeat.as_ref().map(heartbeat).transpose()?;
        let kinds = Kinds::parse(&request.kinds)?;
        let notices = WantedNotices {
            typing: request.notices || kinds.notices.typing,
            presence: request.presence || kinds.notices.presence,
        };
        let shared = shared_terms(&request, notices)?;
        let contacts = peer_ids(request.contacts, ready, caller).await?;
        Ok(Self {
            client: request.client,
            token: caller.token().to_owned(),
            start,
            notices,
            shared,
            filter: EventFilter::new(kinds.events, contacts),
            heartbeat,
        })
    }
}

/// The kinds that a request asks for.
#[derive(Debug, Default, PartialEq, Eq)]
struct Kinds {
    /// The kinds of events; `None` for all.
    events: Option<Vec<EventKind>>,
    notices: WantedNotices,
}

impl Kinds {
    fn parse(numbers: &[i32]) -> Result<Self, Refusal> {
        let mut kinds = Self::default();
        for number in numbers {
            let events = kinds.events.get_or_insert_default();
            match convert::known("kinds", *number)? {
                pb::EventKind::Unspecified => return Err(unspecified()),
                pb::EventKind::Typing => kinds.notices.typing = true,
                pb::EventKind::Presence => kinds.notices.presence = true,
                kind => events.extend(logged(kind)),
            }
        }
        Ok(kinds)
    }
}

fn unspecified() -> Refusal {
    Refusal::argument(
        "kinds",
        "a kind of event",
        "kinds contains EVENT_KIND_UNSPECIFIED. Name a kind, or leave kinds empty for all.",
    )
}

/// Returns the kind of the log's entries; `None` for a notice.
const fn logged(kind: pb::EventKind) -> Option<EventKind> {
    use pb::EventKind as Kind;
    Some(match kind {
        Kind::MessageReceived => EventKind::MessageReceived,
        Kind::MessageState => EventKind::MessageState,
        Kind::MessageEdited => EventKind::MessageEdited,
        Kind::MessageRetracted => EventKind::MessageRetracted,
        Kind::ContactRequest => EventKind::ContactRequest,
        Kind::ContactAdded => EventKind::ContactAdded,
        Kind::ContactDeclined => EventKind::ContactDeclined,
        Kind::ContactRemoved => EventKind::ContactRemoved,
        Kind::Gap => EventKind::Gap,
        Kind::MessageExpired => EventKind::MessageExpired,
        Kind::HistoryLost => EventKind::HistoryLost,
        Kind::OwnConflict => EventKind::OwnConflict,
        Kind::ContactConflict => EventKind::ContactConflict,
        Kind::MessageReacted => EventKind::MessageReacted,
        Kind::Unspecified | Kind::Typing | Kind::Presence => return None,
    })
}

/// Returns the contacts of a stream; `None` for all. A token that is limited to contacts gets those, or the ones
/// among them that the request names.
async fn peer_ids(
    contacts: Vec<String>,
    ready: &Ready,
    caller: &Caller,
) -> Result<Option<Vec<PeerId>>, Refusal> {
    if contacts.is_empty() {
        return Ok(caller.contacts());
    }
    if contacts.len() > MAX_CONTACTS {
        return Err(Refusal::argument(
            "contacts",
            "256",
            "One stream names at most 256 contacts. Leave contacts empty for all.",
        ));
    }
    let ids = ready.engine.read(|reply| Query::PeerIds(contacts, reply));
    let ids = ids.await;
    if caller.is_limited() {
        // A contact that the token does not reach and one that does not exist are refused alike.
        let ids = ids.unwrap_or_default();
        let unreached = ids.iter().find(|id| !caller.reaches(id));
        if ids.is_empty() || unreached.is_some() {
            caller.check_contact(unreached)?;
        }
        return Ok(Some(ids));
    }
    Ok(Some(ids?))
}

/// Parses the terms of a worker; `None` for a stream that is not shared.
fn shared_terms(
    request: &pb::SubscribeRequest,
    notices: WantedNotices,
) -> Result<Option<SharedTerms>, Refusal> {
    if !request.shared {
        let has_terms =
            request.lease.is_some() || request.max_open > 0 || request.max_deliveries > 0;
        return if has_terms {
            Err(not_shared())
        } else {
            Ok(None)
        };
    }
    if request.client.is_empty() {
        return Err(Refusal::argument(
            "client",
            "required with shared",
            "Workers share a client name. Set client.",
        ));
    }
    if notices.any() {
        return Err(Refusal::argument(
            "notices",
            "not with shared",
            "A shared stream has no notices: leave notices, presence and their kinds out, or subscribe to them alone.",
        ));
    }
    let lease = request
        .lease
        .as_ref()
        .map_or(Ok(DEFAULT_LEASE_MS), |lease| {
            let (least, most) = LEASE_MS;
            convert::duration_ms(lease, least, most, "lease", "1 second to 12 hours")
        });
    Ok(Some(SharedTerms {
        lease_ms: lease?,
        max_open: within("max_open", request.max_open, 1, 64)?,
        max_deliveries: within("max_deliveries", request.max_deliveries, 5, 100)?,
    }))
}

fn not_shared() -> Refusal {
    Refusal::argument(
        "shared",
        "required with lease, max_open and max_deliveries",
        "lease, max_open and max_deliveries are for workers that share a client name. Set shared, or leave them out.",
    )
}

/// Returns a number from 1 to `most`, or the default if it is 0.
fn within(field: &'static str, value: u32, default: u32, most: u32) -> Result<u32, Refusal> {
    match value {
        0 => Ok(default),
        _ if value <= most => Ok(value),
        _ => Err(Refusal::argument(
            field,
            format!("1..{most}"),
            format!("{field} is {value} and must be from 1 to {most}."),
        )),
    }
}

fn heartbeat(duration: &pbjson_types::Duration) -> Result<Duration, Refusal> {
    let (least, most) = HEARTBEAT_MS;
    let ms = convert::duration_ms(duration, least, most, "heartbeat", "1 second to 1 hour")?;
    Ok(Duration::from_millis(ms))
}

fn start_of(request: &pb::SubscribeRequest) -> Result<StreamStart, Refusal> {
    let start_at: pb::StartAt = convert::known("start_at", request.start_at)?;
    if !request.after.is_empty() {
        if start_at != pb::StartAt::Unspecified {
            return Err(Refusal::argument(
                "start_at",
                "not with after",
                "start_at and after exclude each other: give one of them.",
            ));
        }
        let (incarnation, seq) = convert::parse_cursor(&request.after)?;
        return Ok(StreamStart::After { incarnation, seq });
    }
    Ok(match start_at {
        pb::StartAt::Now => StreamStart::Now,
        pb::StartAt::Start => StreamStart::Start,
        pb::StartAt::Unspecified if request.client.is_empty() => StreamStart::Now,
        pb::StartAt::Unspecified => StreamStart::Kept,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_the_api_selects_something() {
        for number in 1.. {
            let Ok(kind) = pb::EventKind::try_from(number) else {
                assert!(number > 16);
                return;
            };
            let kinds = Kinds::parse(&[number]).unwrap();
            let events = kinds.events.unwrap();
            assert!(events.len() == 1 || kinds.notices.any(), "{kind:?}");
        }
    }

    #[test]
    fn unknown_kinds_are_refused() {
        for number in [0, 99, -1] {
            let refused = Kinds::parse(&[1, number]).unwrap_err();
            assert_eq!(refused.field, "kinds");
        }
        assert_eq!(Kinds::parse(&[]).unwrap(), Kinds::default());
    }

    #[test]
    fn the_terms_of_workers_need_shared_and_have_limits() {
        let terms = |request: &pb::SubscribeRequest| {
            shared_terms(request, WantedNotices::default()).map_err(|refusal| refusal.field)
        };
        let shared = pb::SubscribeRequest {
            client: "bot".to_owned(),
            shared: true,
            ..Default::default()
        };
        let default = SharedTerms {
            lease_ms: 30_000,
            max_open: 1,
            max_deliveries: 5,
        };
        assert_eq!(terms(&shared), Ok(Some(default)));
        let mut wrong = shared.clone();
        wrong.max_open = 65;
        assert_eq!(terms(&wrong), Err("max_open"));
        wrong = shared.clone();
        wrong.lease = Some(pbjson_types::Duration::default());
        assert_eq!(terms(&wrong), Err("lease"));
        wrong = shared.clone();
        wrong.client.clear();
        assert_eq!(terms(&wrong), Err("client"));
        wrong = shared.clone();
        wrong.shared = false;
        assert_eq!(terms(&wrong), Ok(None));
        wrong.max_deliveries = 1;
        assert_eq!(terms(&wrong), Err("shared"));
        let notices = WantedNotices {
            typing: false,
            presence: true,
        };
        assert!(shared_terms(&shared, notices).is_err());
    }
}
