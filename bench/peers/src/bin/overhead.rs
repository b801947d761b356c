//! Counts what cache entries take in memory: a process of its own, because its allocator counts.
#![forbid(unsafe_code)]

use std::alloc::System;

use cap::Cap;

#[global_allocator]
static ALLOCATOR: Cap<System> = Cap::new(System, usize::MAX);

fn main() {
    peers::memory::overhead(&|| ALLOCATOR.allocated());
}
