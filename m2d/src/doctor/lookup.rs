//! The visibility of look-up and of the search for a direct path
//! (docs/spec/lookup.md#what-is-seen).

use super::Settings;
use crate::config::IpMode;

/// Returns what other hosts in the local network see.
pub(super) fn lan(settings: &Settings) -> Vec<String> {
    if !settings.lookup.lan {
        return vec!["Nothing: M2 neither announces itself there nor asks for others.".to_owned()];
    }
    let not_all = settings.line_only > 0 || (settings.listens() && settings.prefer_line > 0);
    let recognised = if settings.ip == IpMode::PreferLine && settings.listens() {
        "Not that it is you, even if they are your contacts: those only learn your lines."
    } else if not_all {
        "That it is you, if they are your contacts, except contacts that you reach over lines; \
         others can't tell."
    } else {
        "That it is you, if they are your contacts; others can't tell."
    };
    vec![
        "That this computer runs an M2, at which IP address and port; not its owner, and not the \
         number of its contacts."
            .to_owned(),
        recognised.to_owned(),
    ]
}

/// Returns what the gateway is asked.
pub(super) fn gateway(settings: &Settings) -> Vec<String> {
    if !settings.lookup.gateway {
        return vec!["Nothing: no port needs to be forwarded.".to_owned()];
    }
    vec![
        "To forward one of its UDP ports to this computer, for two hours at a time; it does not \
         learn the purpose or the user."
            .to_owned(),
        "If it answers neither PCP nor NAT-PMP, the whole local network sees that UPnP is \
         tried."
            .to_owned(),
    ]
}

/// Returns what nodes of the DHT see.
pub(super) fn dht(settings: &Settings) -> Vec<String> {
    if !settings.lookup.dht {
        return vec!["Nothing: it is not used.".to_owned()];
    }
    vec![
        "Your IP address, when you write 960 bytes under a key that looks random, and when you \
         read another one; keys change every day, and only the contact or the holder of the \
         invitation can read the bytes meant for it."
            .to_owned(),
        "The IP addresses that read your records and write the records that you read: an observer \
         of many nodes can guess that you two know each other, and for how many you publish."
            .to_owned(),
        "No peer id, neither yours nor that of a contact.".to_owned(),
    ]
}

/// Returns what look-up adds for an observer of all traffic of the daemon's own network.
pub(super) fn at_home(settings: &Settings) -> Option<String> {
    let said = "Your traffic with nodes of the DHT, which is not enciphered: keys that look random, \
                their times, and 960 bytes that can't be read.";
    settings.lookup.dht.then(|| said.to_owned())
}

/// Returns what contacts are told or can find out about the location of this computer, apart from
/// sessions.
pub(super) fn contacts(settings: &Settings) -> Vec<String> {
    let mut said = Vec::new();
    let (lookup, publishes) = (settings.lookup, settings.lookup.dht);
    match settings.ip {
        IpMode::Direct => {
            said.push(
                "On a line, up to 8 addresses for a direct path: those of this computer's \
                 interfaces, also private ones, and those at which the gateway, relays and other \
                 contacts see you."
                    .to_owned(),
            );
            if publishes {
                said.push("Up to 4 of them are in your records in the DHT.".to_owned());
            }
        }
        IpMode::PreferLine if settings.listens() && publishes => {
            said.push("Your records in the DHT hold only your relays.".to_owned());
        }
        IpMode::PreferLine if !settings.listens() && (publishes || lookup.lan) => said.push(
            "You are found by your IP addresses, also private ones, as there is no line on which \
             contacts can reach you."
                .to_owned(),
        ),
        IpMode::PreferLine | IpMode::LineOnly => {}
    }
    let hides = settings.ip == IpMode::PreferLine || settings.prefer_line > 0;
    if publishes && hides {
        said.push(
            "Contacts with the way prefer-line know the keys that you use for them in the DHT: with \
             nodes near these keys they see your IP address. For line-only contacts no key is used."
                .to_owned(),
        );
    }
    said
}

/// Returns the recommended changes for look-up.
pub(super) fn advice(settings: &Settings) -> Vec<String> {
    let mut advice = Vec::new();
    if settings.ip == IpMode::Direct && settings.relays == 0 && !settings.reachable {
        advice.push(
            "No address is known that reaches this daemon from outside: behind a NAT contacts may \
             not reach you. Add a line to meet on (`m2 line add INVITE`), or forward a port and name \
             it in [privacy] announce."
                .to_owned(),
        );
    }
    advice
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::{self, Lookup};

    const ALL: Lookup = Lookup {
        lan: true,
        dht: true,
        gateway: true,
    };

    fn found(ip: IpMode) -> Settings {
        Settings {
            ip,
            open: true,
            lookup: ALL,
            reachable: true,
            ..Settings::default()
        }
    }

    fn on_lines(ip: IpMode) -> Settings {
        Settings {
            relays: 1,
            ..found(ip)
        }
    }

    fn said(settings: &Settings) -> String {
        let report = doctor::examine(settings);
        let sentences = report.sections.into_iter().flat_map(|one| one.sentences);
        sentences.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn disabled_parts_are_not_mentioned() {
        let words = ["runs an M2", "UDP ports", "960", "UPnP", "DHT, "];
        let on = said(&found(IpMode::Direct));
        assert!(words.iter().all(|word| on.contains(word)), "{on}");
        for ip in [IpMode::Direct, IpMode::PreferLine, IpMode::LineOnly] {
            let off = said(&Settings {
                lookup: Lookup::default(),
                ..on_lines(ip)
            });
            assert!(!words.iter().any(|word| off.contains(word)), "{off}");
        }
    }

    #[test]
    fn each_part_is_described_separately() {
        let only = |lookup| {
            said(&Settings {
                lookup,
                ..found(IpMode::Direct)
            })
        };
        let (off, on) = (Lookup::default(), true);
        assert!(only(Lookup { lan: on, ..off }).contains("runs an M2"));
        assert!(only(Lookup { gateway: on, ..off }).contains("two hours"));
        let dht = only(Lookup { dht: on, ..off });
        assert!(dht.contains("not enciphered") && dht.contains("Up to 4"));
        assert!(!dht.contains("runs an M2") && !dht.contains("two hours"));
    }

    #[test]
    fn a_daemon_that_prefers_lines_and_has_some_is_found_only_by_them() {
        let lines = said(&on_lines(IpMode::PreferLine));
        assert!(lines.contains("hold only your relays"), "{lines}");
        assert!(lines.contains("Not that it is you"), "{lines}");
        assert!(!lines.contains("private ones"), "{lines}");
        let none = said(&found(IpMode::PreferLine));
        assert!(none.contains("no line on which"), "{none}");
        assert!(none.contains("That it is you"), "{none}");
    }

    #[test]
    fn direct_contacts_are_told_private_addresses_too() {
        let direct = said(&Settings {
            prefer_line: 1,
            ..on_lines(IpMode::Direct)
        });
        assert!(direct.contains("also private ones"), "{direct}");
        assert!(direct.contains("that you reach over lines"), "{direct}");
        assert!(direct.contains("asked at which address"), "{direct}");
    }

    #[test]
    fn only_prefer_line_contacts_can_observe_this_daemon_in_the_dht() {
        let prefers = Settings {
            prefer_line: 1,
            ..on_lines(IpMode::Direct)
        };
        assert!(said(&prefers).contains("nodes near these keys"));
        let off = Settings {
            lookup: Lookup { dht: false, ..ALL },
            ..prefers
        };
        assert!(!said(&off).contains("nodes near these keys"));
        let strict = Settings {
            line_only: 1,
            ..on_lines(IpMode::Direct)
        };
        assert!(!said(&strict).contains("nodes near these keys"));
    }

    #[test]
    fn an_unreachable_daemon_is_advised_to_add_a_line() {
        let hidden = |settings| Settings {
            reachable: false,
            ..settings
        };
        let alone = advice(&hidden(found(IpMode::Direct))).concat();
        assert!(alone.contains("m2 line add"), "{alone}");
        assert!(advice(&hidden(on_lines(IpMode::Direct))).is_empty());
        assert!(advice(&found(IpMode::Direct)).is_empty());
    }
}
