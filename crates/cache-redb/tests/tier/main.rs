//! The tier as its callers see it: what it keeps, what it makes of crashes and damage, and a model of it all.
#![forbid(unsafe_code)]

mod config;
mod crash;
mod damage;
mod full;
mod gate;
mod golden;
mod kill;
mod model;
mod openings;
mod process;
mod records;
mod room;
mod support;
mod whole;
