//! Who kills, and when.

use super::{Options, Report};
use crate::harness::Daemon;
use anyhow::bail;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use std::time::Duration;
use tokio::time::sleep;

/// Those that die together, by their places.
pub(super) type Victims = &'static [usize];

/// Owns the daemons and kills them at random.
#[derive(Debug)]
pub(super) struct Killer {
    daemons: Vec<Daemon>,
    /// One of these is chosen each time.
    choices: &'static [Victims],
    rng: StdRng,
    wanted: u32,
    report: Report,
}

impl Killer {
    pub(super) fn new(daemons: Vec<Daemon>, choices: &'static [Victims], options: Options) -> Self {
        Self {
            daemons,
            choices,
            rng: StdRng::seed_from_u64(options.seed),
            wanted: options.kills,
            report: Report::default(),
        }
    }

    /// Kills until it is enough; all daemons run when this returns.
    pub(super) async fn run(&mut self, going_on: impl Fn() -> bool) -> anyhow::Result<()> {
        while self.report.kills < self.wanted {
            let up = self.pause(&[0..30, 30..200, 200..700]);
            sleep(up).await;
            if !going_on() {
                bail!("a sender or a front-end gave up under way");
            }
            let choice = self.rng.random_range(0..self.choices.len());
            let victims = self.choices.get(choice).copied().unwrap_or_default();
            self.strike(victims).await?;
        }
        // What is under way meets daemons that stay.
        sleep(Duration::from_millis(300)).await;
        Ok(())
    }

    pub(super) fn report(&self) -> Report {
        self.report
    }

    /// Kills one and starts it again, at once.
    pub(super) async fn strike_one(&mut self, victim: usize) -> anyhow::Result<()> {
        self.kill(victim).await?;
        self.daemon(victim)?.restart().await
    }

    async fn strike(&mut self, victims: &[usize]) -> anyhow::Result<()> {
        for victim in victims {
            self.kill(*victim).await?;
        }
        let down = self.pause(&[0..1, 0..1, 0..150]);
        sleep(down).await;
        if self.rng.random_range(0..4) == 0 {
            self.kill_while_starting(victims).await?;
        }
        for victim in victims {
            self.daemon(*victim)?.restart().await?;
        }
        Ok(())
    }

    async fn kill_while_starting(&mut self, victims: &[usize]) -> anyhow::Result<()> {
        for victim in victims {
            self.daemon(*victim)?.spawn()?;
            let up = self.pause(&[0..10, 10..80]);
            sleep(up).await;
            self.kill(*victim).await?;
            self.report.while_starting += 1;
        }
        Ok(())
    }

    async fn kill(&mut self, victim: usize) -> anyhow::Result<()> {
        self.daemon(victim)?.kill9().await?;
        self.report.kills += 1;
        Ok(())
    }

    fn daemon(&mut self, which: usize) -> anyhow::Result<&mut Daemon> {
        let daemon = self.daemons.get_mut(which);
        daemon.ok_or_else(|| anyhow::anyhow!("there is no such daemon"))
    }

    /// A time from one of these ranges of milliseconds.
    fn pause(&mut self, ranges: &[std::ops::Range<u64>]) -> Duration {
        let choice = self.rng.random_range(0..ranges.len());
        let range = ranges.get(choice).cloned().unwrap_or(0..1);
        Duration::from_millis(self.rng.random_range(range))
    }
}
