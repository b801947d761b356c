//! `#[smart_cache]`: functions that remember their results.
#![forbid(unsafe_code)]
