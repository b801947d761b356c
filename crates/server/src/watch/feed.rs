//! What happens in the server, told to whoever follows it.

use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;
use tokio::sync::broadcast;

/// Events that a slow follower may be behind.
const BEHIND: usize = 1_024;

/// One event.
#[derive(Debug, Clone)]
pub struct News {
    /// What kind: `tick`, `alert`, `load`, `plugin`, `dataset`.
    pub name: &'static str,
    /// What it says.
    pub data: Arc<Value>,
}

/// The events as they happen. Nobody keeps them.
#[derive(Debug)]
pub struct Feed(broadcast::Sender<News>);

impl Default for Feed {
    fn default() -> Self {
        Self(broadcast::Sender::new(BEHIND))
    }
}

impl Feed {
    /// Tells whoever follows.
    pub fn tell(&self, name: &'static str, data: &impl Serialize) {
        if self.0.receiver_count() > 0 {
            let data = Arc::new(serde_json::to_value(data).unwrap_or_default());
            // Whoever followed may have left since.
            let _ = self.0.send(News { name, data });
        }
    }

    /// Whether anybody follows.
    pub fn is_followed(&self) -> bool {
        self.0.receiver_count() > 0
    }

    /// Everything from now on.
    pub fn follow(&self) -> broadcast::Receiver<News> {
        self.0.subscribe()
    }
}
