//! The source as a host sees it, over folders made for each test.

mod errors;
mod formats;
mod pushdown;
mod tree;
