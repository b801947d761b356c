//! What the server is told: defaults, a file, the environment, flags, in that order of growing
//! strength.
//!
//! Every setting is one row of [`SETTINGS`]. [`Layers`] keeps the text of each with its [`Origin`],
//! and [`Config`] is made of them once, so that an error can say where a bad value came from and
//! `larder config` can print what is in force.

mod error;
mod layers;
mod settings;

use std::collections::BTreeMap;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::time::Duration;

use cache_core::Codec;
use loader::{BreakerOptions, FetchOptions, GateOptions, JobsOptions};
use monitor::alerts::Thresholds;
use pipeline::{Mode, Policy, PolicyOverrides};

pub use error::{ConfigError, Origin};
pub use layers::Layers;
pub use settings::{SETTINGS, Setting};

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// The settings of a server, ready to use.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where to listen.
    pub listen: SocketAddr,
    /// What the server writes.
    pub home: PathBuf,
    /// Plugin libraries.
    pub plugins: PathBuf,
    /// Root of the files source.
    pub data: PathBuf,
    /// Whether it was said that an open address is meant.
    pub insecure: bool,
    /// Host names that requests may name, beside those of the address.
    pub allowed_hosts: Vec<String>,
    /// Log filter.
    pub log: String,
    /// How log lines look.
    pub log_format: LogFormat,
    /// Threads that serve requests.
    pub workers: usize,
    /// The largest limit of a query.
    pub max_rows: u64,
    /// Memory for one query.
    pub query_max_bytes: u64,
    /// Memory for all queries at a time.
    pub queries_max_bytes: u64,
    /// How long a query on a cached table may take.
    pub query_timeout: Duration,
    /// A query that takes longer is logged with its plan.
    pub slow_query: Duration,
    /// How long a client may leave unread what is streamed to it.
    pub stall_timeout: Duration,
    /// The largest request body.
    pub max_body_bytes: usize,
    /// Connections at a time, for each worker.
    pub max_connections: usize,
    /// Memory for tables and results.
    pub tables_max_bytes: u64,
    /// Memory for bodies.
    pub bodies_max_bytes: u64,
    /// Whether there is a cache on disk: the policy says so, or that of a dataset.
    pub persist: bool,
    /// Where the cache on disk is.
    pub cache_dir: PathBuf,
    /// Disk space for what is cached.
    pub disk_max_bytes: u64,
    /// How the cache on disk is compressed.
    pub compression: Codec,
    /// Background loads at a time, for each cache.
    pub refresh_workers: usize,
    /// The policy of a dataset that has none of its own.
    pub policy: Policy,
    /// Policies of single datasets.
    pub datasets: BTreeMap<String, PolicyOverrides>,
    /// How sources are called.
    pub fetch: FetchOptions,
    /// Loads in the background.
    pub jobs: JobsOptions,
    /// Clients that follow events at a time.
    pub event_streams: usize,
    /// When there are alerts.
    pub thresholds: Thresholds,
    /// Where they are sent to.
    pub alert_webhook: Option<String>,
    /// The OpenTelemetry collector that spans are sent to.
    pub otlp_endpoint: Option<String>,
    /// How long a request may wait for its data.
    pub request_timeout: Duration,
    /// How long open requests may take after SIGTERM.
    pub shutdown_timeout: Duration,
}

impl Config {
    /// Makes sense of the layers.
    ///
    /// # Errors
    /// The first value that makes no sense, with its origin.
    pub fn resolve(layers: &Layers) -> Result<Self, ConfigError> {
        let home = PathBuf::from(layers.text("home"));
        let plugins = match layers.text("plugins") {
            "" => home.join("plugins"),
            given => PathBuf::from(given),
        };
        let listen = layers.text("listen");
        let listen = listen
            .to_socket_addrs()
            .map_err(|e| layers.bad("listen", format!("expected ADDRESS:PORT: {e}")))?
            .next()
            .ok_or_else(|| layers.bad("listen", "names no address"))?;
        let insecure: bool = layers.parse("insecure", "true or false")?;
        if !listen.ip().is_loopback() && !insecure {
            let reason = "this address can be reached from other machines, and nothing protects the server there; \
                          listen on 127.0.0.1, or say --insecure if the network is trusted";
            return Err(layers.bad("listen", reason));
        }
        let workers = match layers.parse("workers", "a number of threads")? {
            0 => std::thread::available_parallelism().map_or(2, usize::from),
            given => given,
        };
        let tables_max_bytes = layers.bytes("tables_max_bytes")?;
        for (dataset, policy) in &layers.datasets {
            if policy.max_bytes.is_some_and(|size| size.as_u64() > tables_max_bytes / 10 * 9) {
                return Err(ConfigError::Value {
                    name: format!("datasets.{dataset}.max_bytes"),
                    value: policy.max_bytes.map(|size| size.to_string()).unwrap_or_default(),
                    origin: Origin::File,
                    reason: "expected at most nine tenths of tables_max_bytes".into(),
                });
            }
        }
        let policy = policy(layers, tables_max_bytes)?;
        Ok(Self {
            listen,
            plugins,
            data: PathBuf::from(layers.text("data")),
            insecure,
            allowed_hosts: list(layers.text("allowed_hosts")),
            log: layers.text("log").to_owned(),
            log_format: match layers.text("log_format") {
                "text" => LogFormat::Text,
                "json" => LogFormat::Json,
                _ => return Err(layers.bad("log_format", "expected text or json")),
            },
            workers,
            max_rows: above_zero(layers, "max_rows")?,
            query_max_bytes: layers.bytes("query_max_bytes")?,
            queries_max_bytes: layers.bytes("queries_max_bytes")?,
            query_timeout: layers.duration("query_timeout")?,
            slow_query: layers.duration("slow_query")?,
            stall_timeout: layers.duration("stall_timeout")?,
            max_body_bytes: layers.bytes("max_body_bytes")? as usize,
            max_connections: above_zero(layers, "max_connections")? as usize,
            tables_max_bytes,
            bodies_max_bytes: layers.bytes("bodies_max_bytes")?,
            persist: policy.persist || layers.datasets.values().any(|dataset| dataset.persist == Some(true)),
            cache_dir: match layers.text("cache_dir") {
                "" => home.join("cache"),
                given => PathBuf::from(given),
            },
            disk_max_bytes: layers.bytes("disk_max_bytes")?,
            compression: layers.parse("compression", "zstd, gzip or none")?,
            refresh_workers: above_zero(layers, "refresh_workers")? as usize,
            policy,
            datasets: layers.datasets.clone(),
            fetch: fetch(layers)?,
            jobs: JobsOptions {
                max_running: above_zero(layers, "loads_running")? as usize,
                max_kept: layers.parse("loads_kept", "a number of loads")?,
                keep_for: layers.duration("loads_keep_for")?,
            },
            event_streams: layers.parse("event_streams", "a number of clients")?,
            thresholds: thresholds(layers)?,
            alert_webhook: match layers.text("alert_webhook") {
                "" => None,
                url if url.starts_with("http://") => Some(url.to_owned()),
                _ => return Err(layers.secret("alert_webhook", "expected a URL that begins with http://")),
            },
            otlp_endpoint: match layers.text("otlp_endpoint") {
                "" => None,
                url if url.starts_with("http://") => Some(url.to_owned()),
                _ => return Err(layers.bad("otlp_endpoint", "expected a URL that begins with http://")),
            },
            request_timeout: layers.duration("request_timeout")?,
            shutdown_timeout: layers.duration("shutdown_timeout")?,
            home,
        })
    }
}

fn policy(layers: &Layers, tables_max_bytes: u64) -> Result<Policy, ConfigError> {
    let max_bytes = match layers.text("max_bytes") {
        "" => tables_max_bytes / 4,
        _ => layers.bytes("max_bytes")?,
    };
    if max_bytes > tables_max_bytes / 10 * 9 {
        return Err(layers.bad("max_bytes", "expected at most nine tenths of tables_max_bytes"));
    }
    let mode = match layers.text("mode") {
        "auto" => Mode::Auto,
        "table" => Mode::Table,
        "query" => Mode::Query,
        _ => return Err(layers.bad("mode", "expected table, query or auto")),
    };
    Ok(Policy {
        ttl: layers.duration("ttl")?,
        load_timeout: layers.duration("load_timeout")?,
        max_bytes,
        mode,
        persist: layers.parse("persist", "true or false")?,
        stale_while_revalidate: layers.duration_or_zero("stale_while_revalidate")?,
        stale_if_error: layers.duration_or_zero("stale_if_error")?,
        check_interval: layers.duration_or_zero("check_interval")?,
        client_max_age: match layers.text("client_max_age") {
            "" => None,
            _ => Some(layers.duration_or_zero("client_max_age")?),
        },
        refresh_every: match layers.text("refresh_every") {
            "" => None,
            _ => Some(layers.duration("refresh_every")?),
        },
        warm: layers.parse("warm", "true or false")?,
    })
}

fn fetch(layers: &Layers) -> Result<FetchOptions, ConfigError> {
    let (breaker, open_for) = (BreakerOptions::default(), layers.duration("breaker_open")?);
    Ok(FetchOptions {
        gate: GateOptions {
            concurrent: at_most(layers, "concurrent_scans", above_zero(layers, "concurrent_scans")?, 4_096)?,
            per_source: at_most(layers, "scans_per_source", above_zero(layers, "scans_per_source")?, 4_096)?,
            max_queued: at_most(layers, "scan_queue", layers.parse("scan_queue", "a number of scans")?, 1_000_000)?,
        },
        attempt_timeout: layers.duration("attempt_timeout")?,
        retries: layers.parse("retries", "a number")?,
        breaker: BreakerOptions {
            failures: layers.parse("breaker_failures", "a number of failures")?,
            open_for,
            open_at_most: breaker.open_at_most.max(open_for),
        },
        ..FetchOptions::default()
    })
}

fn thresholds(layers: &Layers) -> Result<Thresholds, ConfigError> {
    let share = |name| match layers.parse::<f64>(name, "a share from 0 to 1")? {
        share if (0.0..=1.0).contains(&share) => Ok(share),
        _ => Err(layers.bad(name, "expected a share from 0 to 1")),
    };
    Ok(Thresholds {
        slow_operation: layers.duration("alert_slow_operation")?,
        slow_operation_critical: layers.duration("alert_slow_critical")?,
        memory_bytes: layers.bytes("alert_memory_bytes")?,
        error_share_critical: share("alert_error_share_critical")?,
        raise_after: layers.duration_or_zero("alert_raise_after")?,
        clear_share: share("alert_clear_share")?,
        memory_share: share("alert_memory_share")?,
        hit_rate: share("alert_hit_rate")?,
        hit_rate_min_reads: layers.parse("alert_hit_rate_min_reads", "a number of reads")?,
        error_share: share("alert_error_share")?,
        min_errors: layers.parse("alert_min_errors", "a number of failures")?,
        stale_for: layers.duration("alert_stale_for")?,
        clear_after: layers.duration_or_zero("alert_clear_after")?,
        quiet_after: layers.duration_or_zero("alert_quiet_after")?,
    })
}

fn above_zero(layers: &Layers, name: &'static str) -> Result<u64, ConfigError> {
    match layers.parse(name, "a number above zero")? {
        0 => Err(layers.bad(name, "expected a number above zero")),
        number => Ok(number),
    }
}

fn at_most(layers: &Layers, name: &'static str, number: u64, most: u64) -> Result<usize, ConfigError> {
    match number {
        number if number <= most => Ok(number as usize),
        _ => Err(layers.bad(name, format!("expected at most {most}"))),
    }
}

fn list(text: &str) -> Vec<String> {
    text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(str::to_ascii_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn layers(file: &str, environment: &[(&str, &str)], flags: &[(&'static str, &str)]) -> Result<Layers, ConfigError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("larder.toml");
        std::fs::write(&path, file).unwrap();
        Layers::collect(
            Some(&path),
            environment.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())),
            flags.iter().map(|(k, v)| (*k, (*v).to_owned())),
        )
    }

    #[test]
    fn flags_beat_the_environment_which_beats_the_file_which_beats_the_default() {
        let layers = layers(
            "ttl = \"1m\"\nmax_rows = 5\nlog = \"debug\"",
            &[("LARDER_TTL", "2m"), ("LARDER_MAX_ROWS", "6"), ("PATH", "/bin")],
            &[("ttl", "3m")],
        )
        .unwrap();
        let seen: Vec<_> = layers.iter().map(|(s, value, origin)| (s.name, value.to_owned(), origin)).collect();
        for (name, value, origin) in [
            ("ttl", "3m", Origin::Flag),
            ("max_rows", "6", Origin::Environment),
            ("log", "debug", Origin::File),
            ("mode", "auto", Origin::Default),
        ] {
            assert!(seen.contains(&(name, value.to_owned(), origin)), "{name} in {seen:?}");
        }
        let config = Config::resolve(&layers).unwrap();
        assert_eq!((config.policy.ttl, config.max_rows), (Duration::from_secs(180), 6));
        assert_eq!(config.plugins, Path::new(".larder/plugins"));
        assert_eq!(config.policy.max_bytes, 128 << 20);
    }

    #[test]
    fn the_cache_on_disk_is_in_the_home_unless_it_is_put_elsewhere() {
        let resolve = |flags: &[_]| Config::resolve(&layers("", &[], flags).unwrap()).unwrap();
        let config = resolve(&[("home", "/srv/larder")]);
        assert_eq!((config.persist, config.cache_dir), (true, "/srv/larder/cache".into()));
        assert_eq!((config.disk_max_bytes, config.compression), (4 << 30, Codec::Zstd));
        let config = resolve(&[("cache_dir", "/fast"), ("compression", "none"), ("persist", "false")]);
        assert_eq!((config.persist, config.cache_dir, config.compression), (false, "/fast".into(), Codec::None));
    }

    #[test]
    fn one_dataset_that_is_to_persist_is_enough_for_a_cache_on_disk() {
        let resolve = |file: &str| Config::resolve(&layers(file, &[], &[]).unwrap()).unwrap().persist;
        assert!(resolve(""));
        assert!(!resolve("persist = false"));
        assert!(resolve("persist = false\n[datasets.sales]\npersist = true"));
        assert!(!resolve("persist = false\n[datasets.sales]\npersist = false"));
    }

    #[test]
    fn old_data_may_be_served_for_no_time_at_all() {
        let config = Config::resolve(&layers("", &[], &[]).unwrap()).unwrap();
        assert_eq!(config.policy.stale_while_revalidate, Duration::ZERO);
        assert_eq!((config.policy.stale_if_error, config.policy.client_max_age), (Duration::from_secs(3600), None));
        let flags = [("stale_if_error", "0s"), ("check_interval", "0s"), ("client_max_age", "0s")];
        let config = Config::resolve(&layers("", &[], &flags).unwrap()).unwrap();
        assert_eq!((config.policy.stale_if_error, config.policy.check_interval), (Duration::ZERO, Duration::ZERO));
        assert_eq!(config.policy.client_max_age, Some(Duration::ZERO));
    }

    #[test]
    fn a_dataset_may_have_a_policy_in_the_file() {
        let layers = layers("[datasets.sales]\nttl = \"5s\"\nmode = \"query\"", &[], &[]).unwrap();
        let config = Config::resolve(&layers).unwrap();
        assert_eq!(config.datasets["sales"].ttl, Some(Duration::from_secs(5)));
        assert_eq!(config.datasets["sales"].mode, Some(Mode::Query));
    }

    #[track_caller]
    fn check_error(file: &str, flags: &[(&'static str, &str)], expected: &str) {
        let error = layers(file, &[], flags).and_then(|layers| Config::resolve(&layers)).unwrap_err();
        assert!(error.to_string().contains(expected), "'{error}' should contain '{expected}'");
    }

    #[test]
    fn nonsense_is_refused_with_its_origin_and_a_hint() {
        check_error("max_row = 5", &[], "did you mean 'max_rows'?");
        check_error("ttl = \"soon\"", &[], "configure ttl = 'soon' (file): expected a duration");
        check_error("", &[("ttl", "0s")], "configure ttl = '0s' (flag)");
        check_error("", &[("listen", "0.0.0.0:8080")], "--insecure");
        check_error("", &[("listen", "nowhere")], "configure listen");
        check_error("", &[("log_format", "xml")], "text or json");
        check_error("", &[("otlp_endpoint", "https://traces")], "begins with http://");
        check_error("", &[("max_bytes", "1 TiB")], "nine tenths");
        check_error("[datasets.t]\nmax_bytes = \"1 TiB\"", &[], "datasets.t.max_bytes");
        check_error("[datasets.t]\nttl = \"5s\"\nmood = 1", &[], "[datasets.t]");
        check_error("compression = \"lz4\"", &[], "configure compression = 'lz4' (file): expected zstd, gzip or none");
        check_error("", &[("persist", "yes")], "configure persist = 'yes' (flag): expected true or false");
        check_error("stale_if_error = \"a while\"", &[], "expected a duration such as 0s");
        check_error("disk_max_bytes = 0", &[], "configure disk_max_bytes = '0' (file): expected a size above zero");
        check_error("refresh_workers = 0", &[], "expected a number above zero");
        check_error("ttl = ", &[], "parse the configuration file");
    }
}
