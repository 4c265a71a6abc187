//! Waiting by condition, with a limit.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::failure::Failure;

/// Longest wait for anything in the story: a busy board with two cores needs a fifth of it.
pub(super) const LIMIT: Duration = Duration::from_secs(20);

/// Pause between two looks.
const LOOK_AGAIN: Duration = Duration::from_millis(15);

/// Looks again and again until there is something to see.
///
/// # Errors
/// [`Failure::Story`] with `what` when the time is over, and whatever `look` fails with.
pub(super) async fn until<T>(
    what: &str,
    mut look: impl AsyncFnMut() -> Result<Option<T>, Failure>,
) -> Result<T, Failure> {
    let end = Instant::now() + LIMIT;
    loop {
        if let Some(seen) = look().await? {
            return Ok(seen);
        }
        if Instant::now() > end {
            return Err(Failure::Story(format!("{what} did not happen within {} s", LIMIT.as_secs())));
        }
        sleep(LOOK_AGAIN).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_never_happens_is_named_when_the_time_is_over() {
        let waited = until("the second coming", async || Ok(None::<()>)).await;
        assert_eq!(
            waited.expect_err("never").to_string(),
            "the story went wrong: the second coming did not happen within 20 s"
        );
    }
}
