//! What is seen of look-up, and of the search for a direct path (spec §8).

use super::Settings;
use crate::config::IpMode;

/// What other hosts in the local network see.
pub(super) fn lan(settings: &Settings) -> Vec<String> {
    if !settings.lookup.lan {
        return vec!["Nothing: M2 neither announces itself there nor asks for others.".to_owned()];
    }
    let not_all = settings.line_only > 0 || (settings.listens() && settings.prefer_line > 0);
    let recognised = if settings.ip == IpMode::PreferLine && settings.listens() {
        "Not that it is you, even if they are contacts of yours: those are told lines alone."
    } else if not_all {
        "That it is you, if they are contacts of yours, but for those whom you call over lines; \
         others can't tell."
    } else {
        "That it is you, if they are contacts of yours; others can't tell."
    };
    vec![
        "That this computer runs an M2, at which IP address and port; not whose it is, nor how \
         many contacts it has."
            .to_owned(),
        recognised.to_owned(),
    ]
}

/// What the gateway is asked.
pub(super) fn gateway(settings: &Settings) -> Vec<String> {
    if !settings.lookup.gateway {
        return vec!["Nothing: no port is to be forwarded.".to_owned()];
    }
    vec![
        "To lead one of its UDP ports to this computer, for two hours at a time; not what for, \
         nor for whom."
            .to_owned(),
        "Where it answers neither PCP nor NAT-PMP, the whole local network sees that UPnP is \
         tried."
            .to_owned(),
    ]
}

/// What nodes of the DHT see.
pub(super) fn dht(settings: &Settings) -> Vec<String> {
    if !settings.lookup.dht {
        return vec!["Nothing: it is not used.".to_owned()];
    }
    vec![
        "Your IP address, when you write 960 bytes under a key that looks random, and when you \
         look under another one; keys change every day, and only the contact or the holder of the \
         invitation for whom the bytes are can read them."
            .to_owned(),
        "From which IP address somebody else reads what you write, and writes what you read: who \
         watches many nodes can guess that you two know each other, and how many you publish for."
            .to_owned(),
        "Not your peer id, nor that of anybody else.".to_owned(),
    ]
}

/// What look-up adds for who watches all that leaves and enters the daemon's own network.
pub(super) fn at_home(settings: &Settings) -> Option<String> {
    let said = "That you speak to nodes of the DHT, which is not enciphered: the keys that look \
                random, when, and 960 bytes that can't be read.";
    settings.lookup.dht.then(|| said.to_owned())
}

/// What contacts are told or can find out of where this computer is, beside the sessions.
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
                said.push("Up to 4 of them are in what you publish in the DHT.".to_owned());
            }
        }
        IpMode::PreferLine if settings.listens() && publishes => {
            said.push("What you publish in the DHT holds your relays alone.".to_owned());
        }
        IpMode::PreferLine if !settings.listens() && (publishes || lookup.lan) => said.push(
            "You are found by your IP addresses, also private ones, as there is no line to call \
             you on."
                .to_owned(),
        ),
        IpMode::PreferLine | IpMode::LineOnly => {}
    }
    let hides = settings.ip == IpMode::PreferLine || settings.prefer_line > 0;
    if publishes && hides {
        said.push(
            "Those whose way is prefer-line know the keys that you use for them in the DHT: with \
             nodes near these they see your IP address. For line-only ones none is used."
                .to_owned(),
        );
    }
    said
}

/// What to change about look-up.
pub(super) fn advice(settings: &Settings) -> Vec<String> {
    let mut advice = Vec::new();
    if settings.ip == IpMode::Direct && settings.relays == 0 && !settings.reachable {
        advice.push(
            "No address is known that leads here from outside: behind a NAT contacts may not \
             reach you. Add a line to meet on (`m2 line add INVITE`), or forward a port and name \
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
    fn what_is_off_is_not_said() {
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
    fn each_part_is_said_alone() {
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
    fn who_prefers_lines_and_has_some_is_found_by_them_alone() {
        let lines = said(&on_lines(IpMode::PreferLine));
        assert!(lines.contains("holds your relays alone"), "{lines}");
        assert!(lines.contains("Not that it is you"), "{lines}");
        assert!(!lines.contains("private ones"), "{lines}");
        let none = said(&found(IpMode::PreferLine));
        assert!(none.contains("no line to call you on"), "{none}");
        assert!(none.contains("That it is you"), "{none}");
    }

    #[test]
    fn direct_contacts_are_told_private_addresses_too() {
        let direct = said(&Settings {
            prefer_line: 1,
            ..on_lines(IpMode::Direct)
        });
        assert!(direct.contains("also private ones"), "{direct}");
        assert!(direct.contains("whom you call over lines"), "{direct}");
        assert!(direct.contains("asked at which address"), "{direct}");
    }

    #[test]
    fn who_prefers_lines_could_be_seen_in_the_dht_and_who_takes_nothing_else_not() {
        let prefers = Settings {
            prefer_line: 1,
            ..on_lines(IpMode::Direct)
        };
        assert!(said(&prefers).contains("nodes near these"));
        let off = Settings {
            lookup: Lookup { dht: false, ..ALL },
            ..prefers
        };
        assert!(!said(&off).contains("nodes near these"));
        let strict = Settings {
            line_only: 1,
            ..on_lines(IpMode::Direct)
        };
        assert!(!said(&strict).contains("nodes near these"));
    }

    #[test]
    fn who_may_not_be_reached_is_told_of_lines() {
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
