//! The attribute macro of smart-cache.
#![forbid(unsafe_code)]
