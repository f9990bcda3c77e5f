//! Checks of ports, relays and the privacy settings.

use std::net::SocketAddr;

use m2_proto::api::v1::{
    DoctorResponse, FailClosed, GetNetworkStatusResponse, GetStatusResponse, IpMode, Line,
    Reachability, WaySource,
};

use super::check::{Area, Check, Outcome};
use super::daemon::reported;
use super::facts::Asked;
use crate::names::short_id;

/// The number of characters of a peer id that commands accept for it.
const PREFIX: usize = 16;
/// How a relay is added.
const ADD: &str = "m2 line add INVITE";

/// Returns the beginning of a peer id, for commands.
pub(super) fn prefix(peer_id: &str) -> String {
    let letters = peer_id.chars().filter(char::is_ascii_alphanumeric);
    letters.take(PREFIX).collect()
}

/// Judges the UDP sockets and whether others can reach them.
pub(super) fn ports(
    status: &GetStatusResponse,
    network: &Asked<GetNetworkStatusResponse>,
    lines: &Asked<Vec<Line>>,
) -> Vec<Check> {
    let network = match network {
        Ok(network) => network,
        Err(why) => return vec![Check::not_checked(Area::Ports, why)],
    };
    let relays = lines.as_ref().map_or(0, Vec::len);
    vec![judge_ports(status, network, relays)]
}

fn judge_ports(
    status: &GetStatusResponse,
    network: &GetNetworkStatusResponse,
    relays: usize,
) -> Check {
    let bound = status.listen_addresses.join(", ");
    if network.ip() == IpMode::LineOnly {
        return Check::ok(Area::Ports, "line-only mode: contacts reach it over relays");
    }
    if status.listen_addresses.is_empty() {
        let text = "No UDP socket is bound: contacts can't reach this daemon.";
        return Check::problem(Area::Ports, text).mended_by("[network] listen");
    }
    if status.listen_addresses.iter().all(|it| is_loopback(it)) {
        return Check::ok(Area::Ports, format!("{bound}, for this computer only"));
    }
    match network.reachability() {
        Reachability::Open => Check::ok(Area::Ports, format!("{bound}, reachable directly")),
        Reachability::Mapped => {
            Check::ok(Area::Ports, format!("{bound}, forwarded by the gateway"))
        }
        Reachability::Hidden => Check::ok(Area::Ports, "contacts reach it over relays"),
        Reachability::Nat if relays > 0 => {
            Check::ok(Area::Ports, format!("{bound}, behind a NAT, with a relay"))
        }
        Reachability::NatSymmetric if relays > 0 => Check::ok(
            Area::Ports,
            format!("{bound}, behind a symmetric NAT, with a relay"),
        ),
        Reachability::Nat | Reachability::NatSymmetric => behind_nat(network, &bound),
        _ => {
            let text = format!("{bound}; no outside host has reported yet how it sees this daemon");
            Check::not_checked(Area::Ports, text)
        }
    }
}

/// A daemon behind a NAT, without a relay on which contacts meet it first.
fn behind_nat(network: &GetNetworkStatusResponse, bound: &str) -> Check {
    let mut lookup = network.lookup.iter();
    let gateway = lookup.find(|state| state.source() == WaySource::Gateway);
    let maps = gateway.is_some_and(|state| state.enabled);
    let text = format!(
        "A NAT is in front of this daemon ({bound}), and it has no relay: contacts behind other NATs can't reach \
         it. Add a relay, or forward the port at the router."
    );
    let remedy = match maps {
        true => ADD,
        false => "[lookup] map_port = true",
    };
    Check::warning(Area::Ports, text).mended_by(remedy)
}

fn is_loopback(address: &str) -> bool {
    let parsed: Result<SocketAddr, _> = address.parse();
    parsed.is_ok_and(|address| address.ip().is_loopback())
}

/// Judges this daemon's relays.
pub(super) fn relays(status: &GetStatusResponse, lines: &Asked<Vec<Line>>) -> Vec<Check> {
    let lines = match lines {
        Ok(lines) => lines,
        Err(why) => return vec![Check::not_checked(Area::Relays, why)],
    };
    let mut checks = reported(status, Area::Relays);
    let online = lines.iter().filter(|line| line.online).count();
    let offline = lines.iter().filter(|line| !line.online);
    checks.extend(offline.map(|line| offline_relay(line, online == 0)));
    if checks.is_empty() {
        let text = match online {
            0 => "none is used".to_owned(),
            count => format!("{count} reached"),
        };
        checks.push(Check::ok(Area::Relays, text));
    }
    checks
}

fn offline_relay(line: &Line, is_last: bool) -> Check {
    let name = short_id(&line.relay_id);
    if line.last_failure.is_empty() {
        let text = format!(
            "there is no session with the relay {name} yet: it is dialled once a contact or an invitation needs it"
        );
        return Check::not_checked(Area::Relays, text);
    }
    let result = match is_last {
        true => Outcome::Problem,
        false => Outcome::Warning,
    };
    let text = format!(
        "The relay {name} is not reached ({}): ask its operator, add another one with `{ADD}`, or remove it.",
        line.last_failure
    );
    let remedy = format!("m2 line remove {}", prefix(&line.relay_id));
    Check::new(Area::Relays, result, text).mended_by(remedy)
}

/// Sums up `m2 network doctor`.
pub(super) fn privacy(report: &Asked<DoctorResponse>) -> Vec<Check> {
    let report = match report {
        Ok(report) => report,
        Err(why) => return vec![Check::not_checked(Area::Privacy, why)],
    };
    if report.fail_closed() == FailClosed::Broken {
        let text = "Line-only mode does not hold: a datagram to another host than the relays could be sent. Stop \
                    the daemon and report this.";
        return vec![Check::problem(Area::Privacy, text).mended_by("m2 network doctor")];
    }
    if report.advice.is_empty() {
        let text = "the settings fit together; `m2 network doctor` tells what others see";
        return vec![Check::ok(Area::Privacy, text)];
    }
    let advice = report.advice.iter();
    let advice = advice.map(|it| Check::warning(Area::Privacy, it).mended_by("m2 network doctor"));
    advice.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use m2_proto::api::v1::LookupState;

    fn status(addresses: &[&str]) -> GetStatusResponse {
        GetStatusResponse {
            listen_addresses: addresses.iter().map(|it| (*it).to_owned()).collect(),
            ..GetStatusResponse::default()
        }
    }

    fn network(reachability: Reachability, maps: bool) -> GetNetworkStatusResponse {
        GetNetworkStatusResponse {
            ip: IpMode::Direct.into(),
            reachability: reachability.into(),
            lookup: vec![LookupState {
                source: WaySource::Gateway.into(),
                enabled: maps,
                ..LookupState::default()
            }],
            ..GetNetworkStatusResponse::default()
        }
    }

    #[test]
    fn ports_are_judged_by_how_others_reach_them() {
        let public = status(&["0.0.0.0:4662"]);
        let of = |reachability, maps, relays| {
            let check = judge_ports(&public, &network(reachability, maps), relays);
            (check.result, check.remedy)
        };
        for reachability in [Reachability::Open, Reachability::Mapped] {
            assert_eq!(of(reachability, false, 0).0, Outcome::Ok);
        }
        assert_eq!(of(Reachability::Unknown, true, 0).0, Outcome::NotChecked);
        for reachability in [Reachability::Nat, Reachability::NatSymmetric] {
            assert_eq!(of(reachability, true, 1).0, Outcome::Ok);
            let (result, remedy) = of(reachability, true, 0);
            assert_eq!((result, remedy.as_str()), (Outcome::Warning, ADD));
            let (_, remedy) = of(reachability, false, 0);
            assert_eq!(remedy, "[lookup] map_port = true");
        }
    }

    #[test]
    fn sockets_that_are_missing_or_local_are_told() {
        let unknown = network(Reachability::Unknown, false);
        let none = judge_ports(&status(&[]), &unknown, 0);
        assert_eq!(
            (none.result, none.remedy.as_str()),
            (Outcome::Problem, "[network] listen")
        );
        let local = judge_ports(&status(&["127.0.0.1:1", "[::1]:2"]), &unknown, 0);
        assert_eq!(local.result, Outcome::Ok);
        let mut hidden = network(Reachability::Hidden, false);
        hidden.ip = IpMode::LineOnly.into();
        assert_eq!(judge_ports(&status(&[]), &hidden, 1).result, Outcome::Ok);
        let refused = ports(&status(&[]), &Err("no".to_owned()), &Ok(Vec::new()));
        assert_eq!(refused, [Check::not_checked(Area::Ports, "no")]);
    }

    #[test]
    fn a_dead_relay_is_a_problem_only_if_it_is_the_last_one() {
        let line = |id: &str, online, failure: &str| Line {
            relay_id: id.to_owned(),
            online,
            last_failure: failure.to_owned(),
            ..Line::default()
        };
        let dead = line("m2deadrelay000000000000", false, "NO_ANSWER");
        let of = |lines: Vec<Line>| relays(&GetStatusResponse::default(), &Ok(lines));
        assert_eq!(of(Vec::new()), [Check::ok(Area::Relays, "none is used")]);
        let found = of(vec![dead.clone(), line("m2b", true, "")]);
        assert_eq!((found.len(), found[0].result), (1, Outcome::Warning));
        let found = of(vec![dead]);
        assert_eq!(found[0].result, Outcome::Problem);
        assert_eq!(found[0].remedy, "m2 line remove m2deadrelay00000");
        let found = of(vec![line("m2new", false, "")]);
        assert_eq!(found[0].result, Outcome::NotChecked);
        let found = of(vec![line("m2b", true, "")]);
        assert_eq!(found, [Check::ok(Area::Relays, "1 reached")]);
    }

    #[test]
    fn a_peer_id_in_a_command_has_no_other_characters() {
        assert_eq!(prefix("m2ab;rm -r $HOME/cdefghijkl"), "m2abrmrHOMEcdefg");
    }

    #[test]
    fn the_report_on_privacy_is_summed_up() {
        let fine = DoctorResponse::default();
        assert_eq!(privacy(&Ok(fine.clone()))[0].result, Outcome::Ok);
        let advised = DoctorResponse {
            advice: vec!["a".to_owned(), "b".to_owned()],
            ..fine.clone()
        };
        let found = privacy(&Ok(advised));
        assert_eq!((found.len(), found[0].result), (2, Outcome::Warning));
        let broken = DoctorResponse {
            fail_closed: FailClosed::Broken.into(),
            ..fine
        };
        assert_eq!(privacy(&Ok(broken))[0].result, Outcome::Problem);
        assert_eq!(
            privacy(&Err("no".to_owned()))[0].result,
            Outcome::NotChecked
        );
    }
}
