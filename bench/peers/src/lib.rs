//! The cache beside its peers, and beside the goals that it has.
//!
//! Everything of one comparison runs in one process and one run, in turn: what else the machine does strikes all sides.
//! A figure is the median of the rounds; a ratio is the median of the rounds' ratios.
//!
//! - [`memory`]: what a hit costs, which share of requests are hits, what an entry takes.
//! - [`disk`]: how fast values become durable and come back, what they take, which codec they are given.
//! - [`report`]: one line a figure, with the goal and whether it is met.
//! - [`random`]: seeded requests, so that two runs ask the same.
//!
//! Nothing here is a test: a missed goal is printed and fails nothing.
#![forbid(unsafe_code)]

pub mod disk;
pub mod memory;
pub mod random;
pub mod report;
