//! Every setting there is, with its default and a line of help.

/// One setting: its name in the file (`LARDER_<NAME>` in the environment, `--<name>` as a flag).
pub struct Setting {
    /// Name, in snake case.
    pub name: &'static str,
    /// Text of the default; `""` for none.
    pub default: &'static str,
    /// One line for people.
    pub help: &'static str,
}

const fn setting(name: &'static str, default: &'static str, help: &'static str) -> Setting {
    Setting { name, default, help }
}

/// Every setting there is.
pub const SETTINGS: &[Setting] = &[
    setting("listen", "127.0.0.1:8080", "address and port to listen on"),
    setting("home", ".larder", "folder that the server writes to"),
    setting("plugins", "", "folder of plugin libraries; <home>/plugins when not set"),
    setting("data", "data", "root folder of the bundled files source"),
    setting("insecure", "false", "listen on an address that is not loopback, without keys and TLS"),
    setting("allowed_hosts", "", "further host names that requests may name, separated by commas"),
    setting("log", "info,actix_server=warn", "log filter, such as info or server=debug,info"),
    setting("log_format", "text", "text or json"),
    setting("workers", "0", "threads that serve requests; 0 = one a core"),
    setting("max_rows", "1000000", "the greatest limit, and the most rows of an answer that was asked for without one"),
    setting("query_max_bytes", "512 MiB", "memory that one query may take"),
    setting("queries_max_bytes", "1 GiB", "memory that all queries at a time may take"),
    setting("query_timeout", "30s", "how long a query on a cached table may take"),
    setting("slow_query", "1s", "a query that takes longer is logged with its plan"),
    setting("stall_timeout", "60s", "how long a client may leave unread what is streamed to it"),
    setting("max_body_bytes", "1 MiB", "the largest request body"),
    setting("max_connections", "10000", "connections served at a time by each worker"),
    setting("tables_max_bytes", "512 MiB", "memory for cached tables and results"),
    setting("bodies_max_bytes", "128 MiB", "memory for cached encoded bodies"),
    setting("persist", "true", "keep what is cached on disk as well, for the next start"),
    setting("cache_dir", "", "folder of the cache on disk; <home>/cache when not set"),
    setting("disk_max_bytes", "4 GiB", "disk space for what is cached"),
    setting("compression", "zstd", "how the cache on disk is compressed: zstd, gzip or none"),
    setting(
        "refresh_workers",
        "4",
        "loads at a time that bring stale data up to date in the background, for each cache",
    ),
    setting("ttl", "1h", "how long data is served before it is loaded again"),
    setting("stale_while_revalidate", "0s", "how long after that old data is served while it is loaded again"),
    setting("stale_if_error", "1h", "how long after that old data is served when loading it again fails"),
    setting(
        "check_interval",
        "30s",
        "how often sources are asked whether their data has changed; 0s = on demand alone",
    ),
    setting(
        "client_max_age",
        "",
        "how long clients may keep an answer; when not set, for what is left of the ttl; 0s = they ask each time",
    ),
    setting("load_timeout", "60s", "how long a load may take"),
    setting("max_bytes", "", "the largest table that is kept whole; a quarter of tables_max_bytes when not set"),
    setting("mode", "auto", "table, query or auto: what is kept of a dataset"),
    setting("refresh_every", "", "how often each dataset is loaded again, asked for or not; not at all when not set"),
    setting("warm", "false", "load datasets when the server starts"),
    setting("concurrent_scans", "16", "scans of sources at a time"),
    setting("scans_per_source", "4", "scans of one source at a time"),
    setting("scan_queue", "1024", "scans that may wait; further ones are refused"),
    setting(
        "attempt_timeout",
        "30s",
        "how long one attempt to read a source may take; a load may say otherwise for itself",
    ),
    setting(
        "retries",
        "2",
        "how often a failed attempt to read a source is made again, if that may help; a load may say otherwise for itself",
    ),
    setting("breaker_failures", "5", "failures in a row after which a source is left alone for a while; 0 = never"),
    setting("breaker_open", "5s", "how long it is left alone at first; twice as long each time that it fails again"),
    setting("loads_running", "32", "loads (POST /api/v1/loads) under way at a time"),
    setting("loads_kept", "200", "loads that are over and can still be looked at"),
    setting("loads_keep_for", "1h", "how long loads that are over can be looked at"),
    setting("alert_slow_operation", "1s", "an operation is slow whose p99 or mean of the last minute is above this"),
    setting("alert_slow_critical", "10s", "from where a slow operation is critical"),
    setting("alert_memory_bytes", "100 MB", "a cache without a budget is large above this"),
    setting("alert_memory_share", "0.9", "a cache is full above this share of its budget"),
    setting("alert_hit_rate", "0.5", "the least share of hits in a cache's reads of the last minute"),
    setting("alert_hit_rate_min_reads", "100", "the fewest reads for a hit rate to mean something"),
    setting("alert_error_share", "0.05", "the share of an operation's calls of the last minute that may fail"),
    setting("alert_error_share_critical", "0.5", "from where failing calls are critical"),
    setting("alert_min_errors", "5", "the fewest failures for their share to mean something"),
    setting("alert_stale_for", "10m", "how long a dataset may be answered with old data"),
    setting("alert_raise_after", "0s", "how long a value has to be bad before there is an alert"),
    setting("alert_clear_share", "0.8", "a value is well again below this share of its threshold"),
    setting("alert_clear_after", "30s", "how long a value has to be well again before its alert is over"),
    setting(
        "alert_quiet_after",
        "5m",
        "how long nothing must happen before the alert of something that happened is over",
    ),
    setting("alert_webhook", "", "http:// URL that raised and cleared alerts are sent to, as POST of JSON"),
    setting(
        "otlp_endpoint",
        "",
        "http:// URL of an OpenTelemetry collector that spans are sent to (OTLP/HTTP); needs a build with the feature otlp",
    ),
    setting("event_streams", "256", "clients that follow events at a time"),
    setting("request_timeout", "60s", "how long a request may wait for its data"),
    setting("shutdown_timeout", "30s", "how long open requests may take after SIGTERM"),
];
