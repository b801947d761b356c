//! What a cache promises under every schedule: see each module.
