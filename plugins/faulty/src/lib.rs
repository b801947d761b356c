//! Data source that misbehaves on demand: the test double for broken plugins.
