//! What became of the blocks of a page, in the form of libtest, which `cargo verify` counts.

use super::block::{Block, Page};
use m2_verify::SKIPPED;

/// What became of a block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It did what it should.
    Passed,
    /// It was not run, for this reason.
    Skipped(String),
    /// It failed; the text shows the command and its output.
    Failed(String),
    /// It was not reached, as a block before it failed.
    Unreached,
}

/// The outcomes of the blocks of a page.
#[derive(Debug)]
pub struct Report {
    /// The page.
    pub page: Page,
    /// The outcome of each block, in order.
    pub outcomes: Vec<Outcome>,
}

impl Report {
    /// Prints a line for each block, and the text of each failure.
    pub fn print(&self) {
        for (name, outcome) in self.named() {
            match outcome {
                Outcome::Passed => println!("test {name} ... ok"),
                Outcome::Unreached => println!("test {name} ... ignored"),
                Outcome::Skipped(why) => {
                    println!("test {name} ... ok");
                    eprintln!("{SKIPPED} {name}: {why}");
                }
                Outcome::Failed(text) => {
                    eprintln!("\n---- {name} ----\n{text}\n");
                    println!("test {name} ... FAILED");
                }
            }
        }
    }

    /// Returns the number of blocks with an outcome that `select` accepts.
    pub fn count(&self, select: impl Fn(&Outcome) -> bool) -> usize {
        self.outcomes
            .iter()
            .filter(|outcome| select(outcome))
            .count()
    }

    fn named(&self) -> impl Iterator<Item = (String, &Outcome)> {
        let blocks = self.page.blocks.iter().zip(&self.outcomes);
        blocks.map(|(block, outcome)| (self.name(block), outcome))
    }

    fn name(&self, block: &Block) -> String {
        format!("{}:{}", self.page.path, block.line)
    }
}
