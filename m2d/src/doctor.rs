//! Tells in words what an observer at each place learns with the settings of now (spec §7). It
//! looks at nothing and sends nothing: settings in, sentences out.

mod lookup;
mod sections;

use crate::config::IpMode;

/// What the sentences depend on.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// The profile's mode.
    pub ip: IpMode,
    /// Own relays in front of others.
    pub entries: usize,
    /// Own relays where contacts may call.
    pub relays: usize,
    /// Whether contacts may call there at all (`[line] open`).
    pub open: bool,
    /// Whether all data packets are of one size (`[privacy] padding`).
    pub padding: bool,
    /// Data packets that leave every session with a peer each second, said or not; 0: as there is
    /// something to say (`[privacy] cover`).
    pub cover: u32,
    /// Own boxes at mailbox providers (spec §9).
    pub boxes: usize,
    /// Contacts whose boxes may be written to.
    pub writes_letters: usize,
    /// Contacts whose way is stricter than the profile's: lines preferred.
    pub prefer_line: usize,
    /// Contacts whose way is stricter than the profile's: lines alone.
    pub line_only: usize,
    /// Which parts of look-up are in use; none in line-only mode.
    pub lookup: Lookup,
    /// Whether an address is known that leads here from outside, or nobody outside is to come.
    pub reachable: bool,
    /// What was found about line-only mode.
    pub fail_closed: FailClosed,
}

/// Parts of look-up that are in use (spec §8).
#[derive(Debug, Clone, Copy, Default)]
pub struct Lookup {
    /// This daemon is announced in the local network, and looks there for contacts.
    pub lan: bool,
    /// It publishes in the DHT, and looks there for contacts.
    pub dht: bool,
    /// It asks the gateway to forward a port.
    pub gateway: bool,
}

/// Whether line-only mode holds: that no datagram leaves but to an own relay (spec §7).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum FailClosed {
    /// The profile is not line-only.
    #[default]
    NotInForce,
    /// A datagram to another host was tried and did not leave.
    Holds,
    /// Such a datagram could leave.
    Broken,
}

/// What the doctor says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// One for each place, always in the same order.
    pub sections: Vec<Section>,
    /// What to change, each a sentence; empty when all is well.
    pub advice: Vec<String>,
}

/// What is learned at one place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    /// The place.
    pub title: &'static str,
    /// What is seen there, each a sentence.
    pub sentences: Vec<String>,
}

/// The report for these settings.
pub fn examine(settings: &Settings) -> Report {
    let section = |title, sentences| Section { title, sentences };
    Report {
        sections: vec![
            section("Your relays see", sections::relays(settings)),
            section("Mailbox providers see", sections::providers(settings)),
            section("Hosts in your local network see", lookup::lan(settings)),
            section("Your gateway is asked", lookup::gateway(settings)),
            section("Nodes of the DHT see", lookup::dht(settings)),
            section(
                "An observer at your home's line sees",
                sections::home(settings),
            ),
            section("An observer at a relay sees", sections::at_relay(settings)),
            section("Your contacts see", sections::contacts(settings)),
            section("Fail-closed test", sections::fail_closed(settings)),
        ],
        advice: advice(settings),
    }
}

impl Settings {
    /// Whether the profile is line-only.
    fn is_line_only(&self) -> bool {
        self.ip == IpMode::LineOnly
    }

    /// Own relays of both sorts.
    const fn own(&self) -> usize {
        self.entries + self.relays
    }

    /// Whether contacts may call at own relays.
    const fn listens(&self) -> bool {
        self.open && self.relays > 0
    }
}

/// What to change, the most urgent first.
fn advice(settings: &Settings) -> Vec<String> {
    let mut advice = Vec::new();
    let mut say = |when: bool, sentence: &str| {
        if when {
            advice.push(sentence.to_owned());
        }
    };
    let only = settings.is_line_only();
    let (own, line_only) = (settings.own(), settings.line_only);
    say(
        only && own == 0,
        "Nothing is sent: line-only mode needs a relay of your own. Add one with `m2 line add \
         INVITE`.",
    );
    say(
        !only && line_only > 0 && own == 0,
        "Contacts whose way is line-only can't be reached, as you have no relay: `m2 line add \
         INVITE`.",
    );
    say(
        settings.ip == IpMode::PreferLine && settings.relays == 0,
        "You prefer lines, but contacts have none to call you on: `m2 line add INVITE`.",
    );
    say(
        only && own > 0 && !settings.listens(),
        "Nobody can call you: you wait at no relay. Add one without --entry, and leave [line] \
         open as it is.",
    );
    say(
        only && settings.relays > 0 && settings.entries == 0,
        "The relay at which you wait knows your IP address. With an entry in front of it (`m2 \
         line add INVITE --entry`) no single relay knows both it and your lines.",
    );
    say(
        only && settings.boxes + settings.writes_letters > 0,
        "Mailboxes are not used in line-only mode: providers would learn your IP address.",
    );
    say(
        settings.ip > IpMode::Direct && !settings.padding,
        "Packets show how long messages are: [privacy] padding = \"full\" hides that.",
    );
    advice.extend(lookup::advice(settings));
    if settings.fail_closed == FailClosed::Broken {
        advice.push("Line-only mode does not hold: stop the daemon.".to_owned());
    }
    advice
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn text(report: &Report, title: &str) -> String {
        let found = report
            .sections
            .iter()
            .find(|section| section.title == title);
        found.unwrap().sentences.join(" ")
    }

    fn open() -> Settings {
        Settings {
            open: true,
            reachable: true,
            ..Settings::default()
        }
    }

    /// Every setting that changes what is said, on its own and with others.
    fn all() -> Vec<Settings> {
        let mut all = vec![open()];
        let fork = |all: &mut Vec<Settings>, change: fn(&mut Settings)| {
            let mut changed = all.clone();
            changed.iter_mut().for_each(change);
            all.extend(changed);
        };
        fork(&mut all, |settings| settings.entries = 1);
        fork(&mut all, |settings| settings.relays = 2);
        fork(&mut all, |settings| settings.open = false);
        fork(&mut all, |settings| settings.padding = true);
        fork(&mut all, |settings| settings.cover = 5);
        fork(&mut all, |settings| settings.boxes = 1);
        fork(&mut all, |settings| settings.writes_letters = 3);
        fork(&mut all, |settings| settings.line_only = 1);
        fork(&mut all, |settings| settings.prefer_line = 2);
        fork(&mut all, |settings| settings.lookup.lan = true);
        fork(&mut all, |settings| settings.lookup.dht = true);
        fork(&mut all, |settings| settings.lookup.gateway = true);
        fork(&mut all, |settings| settings.reachable = false);
        let modes = [IpMode::Direct, IpMode::PreferLine, IpMode::LineOnly];
        let with = |ip| all.iter().map(move |one| Settings { ip, ..*one });
        modes.into_iter().flat_map(with).collect()
    }

    #[test]
    fn each_place_has_something_to_say_in_every_setting() {
        let titles = examine(&open()).sections.into_iter();
        let titles: Vec<&str> = titles.map(|section| section.title).collect();
        for settings in all() {
            let report = examine(&settings);
            let found: Vec<&str> = report.sections.iter().map(|it| it.title).collect();
            assert_eq!(found, titles);
            let said = report.sections.iter().flat_map(|section| {
                assert!(
                    !section.sentences.is_empty(),
                    "{} {settings:?}",
                    section.title
                );
                &section.sentences
            });
            for sentence in said.chain(&report.advice) {
                let first = sentence.chars().next().unwrap();
                assert!(first.is_uppercase() || first.is_ascii_digit(), "{sentence}");
                assert!(sentence.ends_with('.'), "{sentence}");
                assert!(!sentence.contains("  "), "{sentence}");
            }
        }
    }

    #[test]
    fn direct_sessions_show_both_addresses() {
        let report = examine(&open());
        let home = text(&report, "An observer at your home's line sees");
        assert!(home.contains("IP addresses of the contacts"), "{home}");
        let contacts = text(&report, "Your contacts see");
        assert!(contacts.starts_with("Your IP address"), "{contacts}");
        assert!(report.advice.is_empty(), "{:?}", report.advice);
    }

    #[test]
    fn lines_alone_show_contacts_no_address() {
        let settings = Settings {
            ip: IpMode::LineOnly,
            relays: 1,
            entries: 1,
            padding: true,
            fail_closed: FailClosed::Holds,
            ..open()
        };
        let report = examine(&settings);
        let contacts = text(&report, "Your contacts see");
        assert!(contacts.contains("never your IP address"), "{contacts}");
        let home = text(&report, "An observer at your home's line sees");
        assert!(!home.contains("addresses of the contacts"), "{home}");
        let relay = text(&report, "An observer at a relay sees");
        assert!(relay.contains("instead of yours"), "{relay}");
        assert!(report.advice.is_empty(), "{:?}", report.advice);
    }

    #[test]
    fn sizes_and_times_are_hidden_step_by_step() {
        let home = |padding, cover| {
            let settings = Settings {
                padding,
                cover,
                ..open()
            };
            text(&examine(&settings), "An observer at your home's line sees")
        };
        assert!(home(false, 0).contains("how long your messages are"));
        assert!(home(true, 0).contains("still tell when you talk"));
        assert!(home(true, 5).contains("5 data packets a second"));
    }

    #[test]
    fn preferred_lines_do_not_promise_too_much() {
        let settings = Settings {
            ip: IpMode::PreferLine,
            relays: 1,
            ..open()
        };
        let report = examine(&settings);
        let contacts = text(&report, "Your contacts see");
        assert!(contacts.contains("when no line can be had"), "{contacts}");
        assert!(report.advice.iter().any(|line| line.contains("padding")));
    }

    #[test]
    fn what_can_not_work_is_said() {
        let advice = |settings| examine(&settings).advice.join(" ");
        let alone = Settings {
            ip: IpMode::LineOnly,
            ..open()
        };
        assert!(advice(alone.clone()).contains("Nothing is sent"));
        let only_entry = Settings {
            entries: 1,
            ..alone.clone()
        };
        assert!(advice(only_entry).contains("Nobody can call you"));
        let boxes = Settings {
            boxes: 1,
            relays: 1,
            ..alone
        };
        assert!(advice(boxes).contains("Mailboxes are not used"));
        let strict_contact = Settings {
            line_only: 1,
            ..open()
        };
        assert!(advice(strict_contact).contains("can't be reached"));
    }

    #[test]
    fn the_test_says_what_was_found() {
        let said = |fail_closed| {
            let settings = Settings {
                fail_closed,
                ..open()
            };
            text(&examine(&settings), "Fail-closed test")
        };
        assert!(said(FailClosed::NotInForce).contains("not in force"));
        assert!(said(FailClosed::Holds).contains("did not leave"));
        assert!(said(FailClosed::Broken).contains("BROKEN"));
    }
}
