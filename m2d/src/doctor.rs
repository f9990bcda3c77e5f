//! The doctor: describes what an observer at each place learns with the current settings
//! (docs/operator/lines.md). It inspects and sends nothing: its input is settings, its output
//! sentences.

mod lookup;
mod sections;

use crate::config::IpMode;

/// The settings that the report depends on.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// The profile's mode of sessions.
    pub ip: IpMode,
    /// The number of the daemon's own entry relays.
    pub entries: usize,
    /// The number of the daemon's own relays at which contacts can join.
    pub relays: usize,
    /// True if the daemon listens at its own relays (`[line] open`).
    pub open: bool,
    /// True if all data packets have the same size (`[privacy] padding`).
    pub padding: bool,
    /// The number of data packets that every session with a peer sends each second as cover
    /// traffic; 0 for none (`[privacy] cover`).
    pub cover: u32,
    /// The number of the daemon's own boxes at mailbox providers.
    pub boxes: usize,
    /// The number of contacts for which letters may be deposited.
    pub writes_letters: usize,
    /// The number of contacts with the stricter mode prefer-line.
    pub prefer_line: usize,
    /// The number of contacts with the stricter mode line-only.
    pub line_only: usize,
    /// The parts of look-up that are in use; none in line-only mode.
    pub lookup: Lookup,
    /// True if an externally reachable address is known, or if the daemon is not meant to be
    /// reached from outside.
    pub reachable: bool,
    /// The result of the test of line-only mode.
    pub fail_closed: FailClosed,
}

/// The parts of look-up that are in use (docs/spec/lookup.md#what-is-seen).
#[derive(Debug, Clone, Copy, Default)]
pub struct Lookup {
    /// This daemon announces itself in the local network and looks for contacts there.
    pub lan: bool,
    /// This daemon publishes in the DHT and looks for contacts there.
    pub dht: bool,
    /// This daemon asks the gateway to forward a port.
    pub gateway: bool,
}

/// The result of testing line-only mode: no datagram may leave except to the daemon's own relays.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum FailClosed {
    /// The profile is not line-only.
    #[default]
    NotInForce,
    /// A datagram to another host was tried and did not leave.
    Holds,
    /// A datagram to another host could leave.
    Broken,
}

/// The doctor's report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// One section for each place, always in the same order.
    pub sections: Vec<Section>,
    /// The recommended changes, one sentence each. Empty if there is nothing to change.
    pub advice: Vec<String>,
}

/// The information that is visible at one place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    /// The place.
    pub title: &'static str,
    /// The visible information, one sentence each.
    pub sentences: Vec<String>,
}

/// Returns the report for these settings.
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
    /// Returns whether the profile is line-only.
    fn is_line_only(&self) -> bool {
        self.ip == IpMode::LineOnly
    }

    /// Returns the number of own relays, entries included.
    const fn own(&self) -> usize {
        self.entries + self.relays
    }

    /// Returns whether contacts can join at the daemon's own relays.
    const fn listens(&self) -> bool {
        self.open && self.relays > 0
    }
}

/// Returns the recommended changes, most urgent first.
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
        "You prefer lines, but have none on which contacts can reach you: `m2 line add INVITE`.",
    );
    say(
        only && own > 0 && !settings.listens(),
        "No contact can reach you: you listen at no relay. Add one without --entry, and leave \
         [line] open as it is.",
    );
    say(
        only && settings.relays > 0 && settings.entries == 0,
        "The relay at which you listen knows your IP address. With an entry in front of it (`m2 \
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

    /// Returns every setting that changes the report, alone and in combination.
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
    fn each_section_has_sentences_in_every_setting() {
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
        assert!(contacts.contains("when no line is available"), "{contacts}");
        assert!(report.advice.iter().any(|line| line.contains("padding")));
    }

    #[test]
    fn settings_that_can_not_work_are_reported() {
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
        assert!(advice(only_entry).contains("No contact can reach you"));
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
    fn the_fail_closed_test_is_reported() {
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
