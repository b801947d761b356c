//! Fetcher, loader and jobs over a source that does as it is told, in paused time.

mod source;

mod cpu;
mod fetching;
mod jobs;
mod loading;
mod schedule;
