//! What a cache promises, claim by claim, through its public interface.
//!
//! Time stands still unless a test moves it: the cache's clock is manual, tokio's is paused where it matters. Loads wait
//! at gates that the test opens.

mod fixture;
mod lives;
mod tier;

mod ages;
mod bounds;
mod counting;
mod flights;
mod invalidation;
mod joining;
mod model;
mod model_of_lives;
mod observing;
mod pages;
mod reloads;
mod restarts;
mod stale;
mod stress;
mod thousand;
mod tiers;
mod waiters;
