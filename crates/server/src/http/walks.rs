//! What looks at every entry takes its time and a thread: a few at a time, and a short queue.

use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};

use crate::problem::Problem;

/// Walks at a time.
const AT_A_TIME: usize = 2;
/// How long one waits for its turn.
const PATIENCE: Duration = Duration::from_secs(10);

/// The walks under way.
#[derive(Debug)]
pub struct Walks(Semaphore);

impl Walks {
    /// Waits for a turn, which ends when it is dropped.
    ///
    /// # Errors
    /// Others take too long.
    pub async fn begin(&self) -> Result<SemaphorePermit<'_>, Problem> {
        match tokio::time::timeout(PATIENCE, self.0.acquire()).await {
            Ok(Ok(turn)) => Ok(turn),
            _ => Err(Problem::busy()),
        }
    }
}

impl Default for Walks {
    fn default() -> Self {
        Self(Semaphore::new(AT_A_TIME))
    }
}
