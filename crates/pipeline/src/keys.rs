//! The keys of the cache of tables and results. All of a dataset are in its namespace.

/// The whole table.
pub const TABLE: &str = "table";
/// How the keys of results begin; the canonical query follows.
pub const RESULT_PREFIX: &str = "result?";
