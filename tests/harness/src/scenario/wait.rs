//! Waits for conditions, with a generous timeout.

use anyhow::bail;
use std::time::{Duration, Instant};
use tokio::time::sleep;

/// Timeout for anything that a healthy daemon does at once.
pub const PATIENCE: Duration = Duration::from_secs(60);

const POLL: Duration = Duration::from_millis(25);

/// Calls `ask` repeatedly until it returns a value.
///
/// Errors: `ask` fails, or returns no value within [`PATIENCE`].
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
            bail!("timed out waiting for: {what}");
        }
        sleep(POLL).await;
    }
}
