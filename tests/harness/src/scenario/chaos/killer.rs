//! Kills daemons at random times.

use super::{Options, Report};
use crate::harness::Daemon;
use anyhow::bail;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use std::time::Duration;
use tokio::time::sleep;

/// The indices of the daemons that are killed together.
pub(super) type Victims = &'static [usize];

/// Owns the daemons, and kills and restarts them at random.
#[derive(Debug)]
pub(super) struct Killer {
    daemons: Vec<Daemon>,
    /// The sets of victims, one of which is chosen each time.
    choices: &'static [Victims],
    rng: StdRng,
    report: Report,
}

impl Killer {
    pub(super) fn new(daemons: Vec<Daemon>, choices: &'static [Victims], options: Options) -> Self {
        Self {
            daemons,
            choices,
            rng: StdRng::seed_from_u64(options.seed),
            report: Report::default(),
        }
    }

    /// Kills daemons until there were `wanted` kills in all. All daemons are running when this returns.
    pub(super) async fn run(
        &mut self,
        wanted: u32,
        going_on: impl Fn() -> bool,
    ) -> anyhow::Result<()> {
        while self.report.kills < wanted {
            let up = self.pause(&[0..30, 30..200, 200..700]);
            sleep(up).await;
            if !going_on() {
                bail!("a sender or a front-end failed during the run");
            }
            let choice = self.rng.random_range(0..self.choices.len());
            let victims = self.choices.get(choice).copied().unwrap_or_default();
            self.strike(victims).await?;
        }
        // Lets calls in progress finish while the daemons stay up.
        sleep(Duration::from_millis(300)).await;
        Ok(())
    }

    pub(super) fn report(&self) -> Report {
        self.report
    }

    /// Kills one daemon and restarts it at once.
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
        daemon.ok_or_else(|| anyhow::anyhow!("daemon {which} does not exist"))
    }

    /// Returns a random duration from one of these ranges of milliseconds.
    fn pause(&mut self, ranges: &[std::ops::Range<u64>]) -> Duration {
        let choice = self.rng.random_range(0..ranges.len());
        let range = ranges.get(choice).cloned().unwrap_or(0..1);
        Duration::from_millis(self.rng.random_range(range))
    }
}
