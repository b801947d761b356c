//! Loading a list of keys before anybody asks for them.

use crate::load::How;

/// What became of the keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Warmed {
    /// They were there, in memory or on disk.
    pub present: u64,
    /// They were loaded.
    pub loaded: u64,
    /// They could not be loaded.
    pub failed: u64,
}

impl Warmed {
    pub(crate) fn count(&mut self, how: Option<How>) {
        match how {
            Some(How::Hit | How::Restored | How::Stale | How::StaleOnError) => self.present += 1,
            Some(How::Led | How::Joined) => self.loaded += 1,
            None => self.failed += 1,
        }
    }
}
