//! What the checks are made from: the daemon's answers, or what this computer shows without a daemon.

use std::future::Future;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use m2_proto::api::v1::{
    Contact, ContactState, DoctorRequest, DoctorResponse, GetNetworkStatusRequest,
    GetNetworkStatusResponse, GetStatusRequest, GetStatusResponse, Line, ListLinesRequest,
    ListMailboxesRequest, Mailbox,
};
use m2_proto::client::Client;

use super::host::{self, Host};
use crate::context::{Context, call};
use crate::failure::Failure;
use crate::fetch;

/// The answer of a call, or the sentence that says why there is none.
pub(super) type Asked<T> = Result<T, String>;

/// What the checks are made from.
pub(super) enum Facts {
    /// A daemon answered.
    Answered(Box<Answers>),
    /// No daemon answered, for this reason.
    Absent(Failure, Host),
}

/// The answers of a daemon. A locked daemon answers the first one only.
pub(super) struct Answers {
    pub now_ms: u64,
    pub status: GetStatusResponse,
    pub network: Asked<GetNetworkStatusResponse>,
    pub privacy: Asked<DoctorResponse>,
    pub contacts: Asked<Vec<Contact>>,
    pub lines: Asked<Vec<Line>>,
    pub mailboxes: Asked<Vec<Mailbox>>,
}

/// Asks the daemon. If none answers, looks at the data directory, by default that of the daemon.
pub(super) async fn gather(data_dir: Option<PathBuf>, context: &Context) -> Facts {
    match ask(context).await {
        Ok(answers) => Facts::Answered(Box::new(answers)),
        Err(failure) => Facts::Absent(failure, host::examine(data_dir)),
    }
}

async fn ask(context: &Context) -> Result<Answers, Failure> {
    let client = context.client().await?;
    let status = call(client.daemon().get_status(GetStatusRequest {})).await?;
    Ok(Answers {
        now_ms: now_ms(),
        status,
        network: network(&client).await,
        privacy: told(call(client.network().doctor(DoctorRequest {}))).await,
        contacts: told(fetch::contacts(ContactState::Contact, &client)).await,
        lines: lines(&client).await,
        mailboxes: mailboxes(&client).await,
    })
}

async fn network(client: &Client) -> Asked<GetNetworkStatusResponse> {
    let mut service = client.network();
    told(call(service.get_network_status(GetNetworkStatusRequest {}))).await
}

async fn lines(client: &Client) -> Asked<Vec<Line>> {
    let mut service = client.lines();
    let answer = told(call(service.list_lines(ListLinesRequest {}))).await;
    answer.map(|answer| answer.lines)
}

async fn mailboxes(client: &Client) -> Asked<Vec<Mailbox>> {
    let mut service = client.mailboxes();
    let answer = told(call(service.list_mailboxes(ListMailboxesRequest {}))).await;
    answer.map(|answer| answer.mailboxes)
}

async fn told<T>(answer: impl Future<Output = Result<T, Failure>>) -> Asked<T> {
    answer.await.map_err(|failure| failure.to_string())
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(0))
}
