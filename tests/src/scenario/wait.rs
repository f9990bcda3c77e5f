//! Waiting for conditions, with a generous end.

use anyhow::bail;
use std::time::{Duration, Instant};
use tokio::time::sleep;

/// How long anything may take that a healthy daemon does at once.
pub const PATIENCE: Duration = Duration::from_secs(60);

const POLL: Duration = Duration::from_millis(25);

/// Asks again and again until there is an answer.
///
/// Errors: those of asking, and none within [`PATIENCE`].
pub async fn eventually<T>(
    what: &str,
    mut ask: impl AsyncFnMut() -> anyhow::Result<Option<T>>,
) -> anyhow::Result<T> {
    let start = Instant::now();
    loop {
        if let Some(answer) = ask().await? {
            return Ok(answer);
        }
        if start.elapsed() > PATIENCE {
            bail!("waited in vain: {what}");
        }
        sleep(POLL).await;
    }
}
