//! The results of a run, as rows of a table.

use super::stream::Tally;
use super::topology::{Access, Change, Place, Topology};
use m2_proto::api::v1::Path;
use serde::{Serialize, Serializer};
use std::fmt::Write as _;
use std::time::Duration;

/// The result of one topology.
#[derive(Debug, Clone, Serialize)]
pub struct Row {
    /// The topology, serialised as its name.
    #[serde(rename = "topology", serialize_with = "name")]
    pub topology: Topology,
    /// The time from when both daemons were up again until both reported a session; in JSON in
    /// seconds.
    #[serde(rename = "seconds_to_connected", serialize_with = "seconds")]
    pub connected: Option<Duration>,
    /// The path on which both daemons agreed at the end.
    #[serde(serialize_with = "path")]
    pub path: Path,
    /// The time from when both daemons were up again until both reported a direct session.
    #[serde(rename = "seconds_to_direct", serialize_with = "seconds")]
    pub direct: Option<Duration>,
    /// The longest interval in which no message arrived in one direction, counted from the change
    /// or, where nothing changes, from when the two were connected.
    #[serde(rename = "seconds_of_silence", serialize_with = "some_seconds")]
    pub silence: Duration,
    /// Messages sent in both directions.
    pub sent: u64,
    /// Messages that did not arrive.
    pub lost: u64,
    /// Messages that arrived more than once.
    pub repeated: u64,
    /// Messages that arrived after later ones.
    pub disordered: u64,
    /// The deviations from the expected result; empty if the topology passed.
    pub misses: Vec<String>,
}

impl Row {
    pub(super) fn of(topology: &Topology) -> Self {
        Self {
            topology: *topology,
            connected: None,
            path: Path::None,
            direct: None,
            silence: Duration::ZERO,
            sent: 0,
            lost: 0,
            repeated: 0,
            disordered: 0,
            misses: Vec::new(),
        }
    }

    /// Returns the row of a topology that could not be built or does not behave as described.
    pub fn failed(topology: &Topology, error: &anyhow::Error) -> Self {
        let mut row = Self::of(topology);
        row.miss(format!("{error:#}"));
        row
    }

    pub(super) fn miss(&mut self, what: String) {
        self.misses.push(what);
    }

    pub(super) fn count(&mut self, tallies: impl Iterator<Item = Tally>) {
        for tally in tallies {
            self.sent += tally.sent;
            self.lost += tally.lost;
            self.repeated += tally.repeated;
            self.disordered += tally.disordered;
        }
    }

    /// Compares the row with the expected path, and adds a miss for every deviation.
    pub(super) fn judge(&mut self) {
        if self.connected.is_some() && self.path != self.topology.path {
            let (path, wanted) = (word(self.path), word(self.topology.path));
            self.miss(format!("the path is {path}, not {wanted}"));
        }
        let kinds = [
            ("lost", self.lost),
            ("repeated", self.repeated),
            ("out of order", self.disordered),
        ];
        for (kind, count) in kinds {
            if count > 0 {
                self.miss(format!("{count} of {} messages {kind}", self.sent));
            }
        }
    }
}

/// Returns the table in Markdown.
pub fn table(rows: &[Row]) -> String {
    let mut text = String::from(
        "| network | connected | path | connected after (s) | direct after (s) | silence (s) | messages \
         | lost, repeated, out of order |\n| --- | --- | --- | --- | --- | --- | --- | --- |\n",
    );
    for row in rows {
        let connected = if row.connected.is_some() { "yes" } else { "no" };
        let path = match row.path == row.topology.path {
            true => word(row.path).to_owned(),
            false => format!("{}, expected {}", word(row.path), word(row.topology.path)),
        };
        // Writing to a String does not fail.
        let _ = writeln!(
            text,
            "| {} | {connected} | {path} | {} | {} | {:.1} | {} | {}, {}, {} |",
            row.topology.name,
            shown(row.connected),
            shown(row.direct),
            row.silence.as_secs_f64(),
            row.sent,
            row.lost,
            row.repeated,
            row.disordered
        );
    }
    text
}

/// Returns the documentation page `docs/dev/nat-lab.md`.
pub fn page(rows: &[Row]) -> String {
    let mut text = String::from(INTRODUCTION);
    text.push_str(&table(rows));
    text.push_str(NETWORKS);
    for row in rows {
        let topology = &row.topology;
        let (alice, bob) = match topology.place {
            Place::Apart(alice, bob) => (access(alice), access(bob)),
            Place::Together => ("one network behind one router", "the same"),
        };
        let what = what_happens(topology);
        let _ = writeln!(text, "| {} | {alice} | {bob} | {what} |", topology.name);
    }
    text
}

const INTRODUCTION: &str = "# NAT lab

```sh
cargo natlab                  # prints the table below; --only NAME, --json, --short; --write updates this page
```

`cargo natlab` builds test networks from network namespaces and nftables. It requires root, `ip` and
`nft`; the network with port mapping also requires `miniupnpd`, in `PATH` or at the path in
`M2_MINIUPNPD`. Before any daemon starts, plain sockets verify that each network behaves as described:
NAT mapping, NAT filtering, whether hole punching works, the rate of lost datagrams, and that a port
opened on request is reachable.

Then real daemons run in the network: alice, bob and a relay. Alice has a line at the relay. Bob accepts
her invitation, both send 20 messages a second to each other, and both daemons are restarted. Times
count from when both daemons are up again. Silence is the longest interval in which no message arrived
in one direction, counted from the change or, where nothing changes, from when the two are connected.
`tests/tests/natlab.rs` runs the short form.

";

const NETWORKS: &str = "
## The networks

Mapping and filtering are the terms of RFC 4787. A *restricted* NAT has endpoint-independent mapping, a
*symmetric* NAT address- and port-dependent mapping. Both have address- and port-dependent filtering.

| network | alice | bob | change or impairment |
| --- | --- | --- | --- |
";

fn access(access: Access) -> &'static str {
    match access {
        Access::Open => "public address",
        Access::Restricted => "restricted NAT",
        Access::Symmetric => "symmetric NAT",
        Access::Twice => "two restricted NATs in a row: home router and ISP",
        Access::RelayOnly => "restricted NAT that passes UDP to the relay only",
        Access::Mapping => "restricted NAT that maps ports on request (miniupnpd)",
        Access::TwoFamilies => "IPv4: symmetric NAT; IPv6: stateful firewall without NAT",
    }
}

fn what_happens(topology: &Topology) -> String {
    let change = match topology.change {
        Change::None => "",
        Change::Move => "bob's host moves to another network",
        Change::Rebind => "bob's router drops all mappings and assigns new ports",
        Change::Sleep => {
            "bob's daemon is stopped for 15 s, and his router drops all mappings meanwhile; silence \
             counts from when the daemon resumes"
        }
        Change::NewAddresses => "both hosts get new addresses while the daemons are down",
    };
    match topology.loss {
        0 => change.to_owned(),
        loss => format!("{loss} % of all datagrams are lost, in each direction"),
    }
}

fn word(path: Path) -> &'static str {
    match path {
        Path::Direct => "direct",
        Path::Line => "line",
        Path::None | Path::Unspecified => "none",
    }
}

fn shown(duration: Option<Duration>) -> String {
    duration.map_or_else(
        || "–".to_owned(),
        |some| format!("{:.1}", some.as_secs_f64()),
    )
}

fn name<S: Serializer>(topology: &Topology, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(topology.name)
}

fn path<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(word(*path))
}

fn seconds<S: Serializer>(duration: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
    duration
        .map(|some| some.as_secs_f64())
        .serialize(serializer)
}

fn some_seconds<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(duration.as_secs_f64())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn judged(path: Path, lost: u64) -> Vec<String> {
        let mut row = Row::of(&Topology::named("symmetric-symmetric").unwrap());
        row.connected = Some(Duration::from_secs(1));
        (row.path, row.lost, row.sent) = (path, lost, 9);
        row.judge();
        row.misses
    }

    #[test]
    fn an_unexpected_path_or_a_lost_message_is_a_miss() {
        assert!(judged(Path::Line, 0).is_empty());
        assert_eq!(judged(Path::Direct, 0), ["the path is direct, not line"]);
        assert_eq!(judged(Path::Line, 2), ["2 of 9 messages lost"]);
    }
}
