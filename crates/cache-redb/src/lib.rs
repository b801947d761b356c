//! The disk tier of the cache.
#![forbid(unsafe_code)]
