//! The source as a host sees it, over folders made for each test.

mod errors;
mod fingerprint;
mod formats;
mod pushdown;
mod tree;
