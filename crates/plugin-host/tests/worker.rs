//! The host with real worker processes and a real plugin, written in C.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use plugin_host::{Exposure, HostOptions, Limits, PluginHost, PluginState, PluginStatus, WorkerCommand, WorkerSource};
use plugin_sdk::arrow::array::{Array, AsArray, Int64Array, RecordBatch};
use plugin_sdk::arrow::datatypes::{Float64Type, Int64Type};
use plugin_sdk::{Applied, CancelToken, Context, DataSource, ErrorCode, Filter, FilterOp, ScanRequest, SourceError};

/// Longer than anything here takes, even on a busy machine.
const LONG: Duration = Duration::from_secs(60);

fn sources() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/plugins")
}

/// Compiles `source` (text in C) to `target`.
fn compile(source: &Path, target: &Path) {
    let include = Path::new(env!("CARGO_MANIFEST_DIR")).join("../plugin-sdk/include");
    let compiler = std::env::var_os("CC").unwrap_or_else(|| "cc".into());
    let mut command = Command::new(compiler);
    command.args(["-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-Werror", "-I"]).arg(include);
    let status = command.arg(source).arg("-o").arg(target).status().expect("a C compiler");
    assert!(status.success());
    // A compiler may honour a umask that lets the group write.
    std::fs::set_permissions(target, std::fs::Permissions::from_mode(0o644)).unwrap();
}

/// A folder with one plugin of tests/plugins.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        std::fs::create_dir(folder.plugins()).unwrap();
        std::fs::set_permissions(folder.plugins(), std::fs::Permissions::from_mode(0o755)).unwrap();
        folder
    }

    fn plugins(&self) -> PathBuf {
        self.0.path().join("plugins")
    }

    fn path(&self, name: &str) -> PathBuf {
        self.plugins().join(name)
    }

    /// Puts a library in place in one step, as a careful installer does.
    fn drop_in(&self, source: &str, library: &str) {
        let built = self.0.path().join("built.so");
        compile(&sources().join(source), &built);
        std::fs::rename(built, self.path(library)).unwrap();
    }

    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        std::fs::write(self.path(name), bytes).unwrap();
        std::fs::set_permissions(self.path(name), std::fs::Permissions::from_mode(0o644)).unwrap();
    }

    fn options(&self) -> HostOptions {
        let mut options = HostOptions::new(self.plugins(), self.0.path().join("store"));
        options.worker = worker();
        options.watch_every = None;
        options
    }

    fn host(&self) -> PluginHost {
        let host = PluginHost::new(self.options()).unwrap();
        host.reload().unwrap();
        host
    }
}

fn worker() -> WorkerCommand {
    let program = env!("CARGO_BIN_EXE_larder-worker").into();
    WorkerCommand { program, args: Vec::new(), ..WorkerCommand::default() }
}

fn ctx() -> Context {
    Context::detached("test", Some(Instant::now() + LONG), CancelToken::new())
}

fn numbers(folder: &Folder, rows: u64, limits: Limits) -> WorkerSource {
    folder.drop_in("numbers.c", "libnumbers.so");
    let config = serde_json::json!({ "rows": rows });
    WorkerSource::of_library("numbers", folder.path("libnumbers.so"), &config, worker(), limits)
}

fn collect(source: &dyn DataSource, request: &ScanRequest) -> Result<Vec<RecordBatch>, SourceError> {
    source.scan(&ctx(), request)?.batches.collect()
}

fn kill(pid: u32) {
    let pid = rustix::process::Pid::from_raw(pid.try_into().unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
}

/// Whether every thread of a process is stopped: a signal takes its time to reach them all.
fn is_stopped(pid: u32) -> bool {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let mut states = tasks.map(|task| std::fs::read_to_string(task.unwrap().path().join("stat")).unwrap());
    states.all(|stat| stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('T')))
}

#[track_caller]
fn status(statuses: &[PluginStatus], name: &str) -> PluginStatus {
    statuses.iter().find(|status| status.name == name).unwrap_or_else(|| panic!("{statuses:?}")).clone()
}

#[test]
fn a_plugin_in_c_is_a_source_like_any_other() {
    let folder = Folder::new();
    let source = numbers(&folder, 10_000, Limits::default());
    let datasets = source.datasets(&ctx()).unwrap();
    assert_eq!(datasets[0].name, "numbers");
    let schema = source.schema(&ctx(), "numbers").unwrap();
    assert_eq!(schema.fields().len(), 2);
    assert_eq!(source.fingerprint(&ctx(), "numbers").unwrap().as_bytes(), 10_000_u64.to_ne_bytes());

    let batches = collect(&source, &ScanRequest::all("numbers")).unwrap();
    assert_eq!(batches.iter().map(RecordBatch::num_rows).sum::<usize>(), 10_000);
    let last = batches.last().unwrap();
    let row = last.num_rows() - 1;
    assert_eq!(last.column(0).as_primitive::<Int64Type>().value(row), 9_999);
    assert_eq!(last.column(1).as_primitive::<Float64Type>().value(row), 9_999.0 * 9_999.0);

    let error = source.schema(&ctx(), "letters").unwrap_err();
    assert_eq!((error.code, error.message.as_str()), (ErrorCode::NotFound, "there are only 'numbers' here"));
}

#[test]
fn projections_limits_and_filters_reach_the_plugin() {
    let folder = Folder::new();
    let source = numbers(&folder, 10_000, Limits::default());
    let request = ScanRequest { projection: Some(vec![1]), limit: Some(5), ..ScanRequest::all("numbers") };
    let batches = collect(&source, &request).unwrap();
    assert_eq!(batches[0].num_columns(), 1);
    assert_eq!(batches[0].column(0).as_primitive::<Float64Type>().values(), &[0.0, 1.0, 4.0, 9.0, 16.0]);

    let none = ScanRequest { projection: Some(vec![]), ..ScanRequest::all("numbers") };
    let batches = collect(&source, &none).unwrap();
    assert_eq!(batches.iter().map(RecordBatch::num_rows).sum::<usize>(), 10_000);

    let values: Arc<dyn Array> = Arc::new(Int64Array::from(vec![3]));
    let filters = vec![
        Filter { column: 0, op: FilterOp::Eq, values: values.clone() },
        Filter { column: 0, op: FilterOp::IsNotNull, values: values.slice(0, 0) },
    ];
    let scan = source.scan(&ctx(), &ScanRequest { filters, limit: Some(1), ..ScanRequest::all("numbers") }).unwrap();
    assert_eq!(scan.applied, [Applied::No, Applied::No]);
    let rows: usize = scan.batches.map(|batch| batch.unwrap().num_rows()).sum();
    assert_eq!(rows, 10_000);
}

#[test]
fn a_long_scan_arrives_whole_and_a_dropped_one_stops_without_harm() {
    let folder = Folder::new();
    let source = numbers(&folder, 3_000_000, Limits::default());
    let mut next = 0;
    for batch in source.scan(&ctx(), &ScanRequest::all("numbers")).unwrap().batches {
        for value in batch.unwrap().column(0).as_primitive::<Int64Type>().values() {
            assert_eq!(*value, next);
            next += 1;
        }
    }
    assert_eq!(next, 3_000_000);

    let pid = source.worker_pid();
    for taken in [0, 1, 300] {
        let mut scan = source.scan(&ctx(), &ScanRequest::all("numbers")).unwrap();
        assert_eq!(scan.batches.by_ref().take(taken).filter(Result::is_ok).count(), taken);
    }
    assert_eq!(source.datasets(&ctx()).unwrap().len(), 1);
    assert_eq!(source.worker_pid(), pid);
}

#[test]
fn many_calls_at_a_time_do_not_mix() {
    let folder = Folder::new();
    let source = Arc::new(numbers(&folder, 200_000, Limits::default()));
    std::thread::scope(|scope| {
        for limit in 1..=12_u64 {
            let source = Arc::clone(&source);
            scope.spawn(move || {
                for _ in 0..5 {
                    let request = ScanRequest { limit: Some(limit * 10_000), ..ScanRequest::all("numbers") };
                    let batches = collect(&*source, &request).unwrap();
                    let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
                    assert_eq!(rows as u64, limit * 10_000);
                }
            });
        }
    });
}

#[test]
fn a_slow_reader_holds_up_nobody_else() {
    let folder = Folder::new();
    let source = numbers(&folder, 3_000_000, Limits::default());
    let mut slow = source.scan(&ctx(), &ScanRequest::all("numbers")).unwrap();
    let mut rows = slow.batches.next().unwrap().unwrap().num_rows();
    for _ in 0..20 {
        let request = ScanRequest { limit: Some(9), ..ScanRequest::all("numbers") };
        assert_eq!(collect(&source, &request).unwrap()[0].num_rows(), 9);
    }
    rows += slow.batches.map(|batch| batch.unwrap().num_rows()).sum::<usize>();
    assert_eq!(rows, 3_000_000);
}

#[test]
fn a_killed_worker_fails_its_calls_and_the_next_call_has_a_new_one() {
    let folder = Folder::new();
    let source = numbers(&folder, 30_000_000, Limits::default());
    let mut scan = source.scan(&ctx(), &ScanRequest::all("numbers")).unwrap();
    scan.batches.next().unwrap().unwrap();
    let pid = source.worker_pid().unwrap();
    kill(pid);
    let error = scan.batches.find_map(Result::err).unwrap();
    assert_eq!(error.code, ErrorCode::Crashed);
    assert!(error.retryable);
    assert!(error.message.contains("died with signal 9"), "{error}");
    assert!(scan.batches.next().is_none());

    assert_eq!(source.datasets(&ctx()).unwrap().len(), 1);
    assert_ne!(source.worker_pid().unwrap(), pid);
    assert!(rustix::process::test_kill_process(rustix::process::Pid::from_raw(pid as i32).unwrap()).is_err());
}

#[test]
fn three_crashes_in_a_row_are_a_quarantine_until_it_is_reset() {
    let folder = Folder::new();
    let source = numbers(&folder, 10, Limits::default());
    for _ in 0..3 {
        // The call fails or, if the worker was already replaced, kills the next one.
        source.datasets(&ctx()).unwrap();
        let pid = source.worker_pid().unwrap();
        kill(pid);
        while source.worker_pid() == Some(pid) {
            std::thread::yield_now();
        }
    }
    let error = source.datasets(&ctx()).unwrap_err();
    assert_eq!((error.code, error.retryable), (ErrorCode::Unavailable, false));
    assert!(error.message.contains("quarantined"), "{error}");
    source.reset();
    assert_eq!(source.datasets(&ctx()).unwrap().len(), 1);
}

#[test]
fn a_deadline_and_a_cancel_end_a_call_and_not_its_worker() {
    let folder = Folder::new();
    let source = numbers(&folder, u64::MAX / 2, Limits::default());
    source.datasets(&ctx()).unwrap();
    let pid = source.worker_pid();
    let deadline = Context::detached("t", Some(Instant::now() + Duration::from_millis(300)), CancelToken::new());
    let mut scan = source.scan(&deadline, &ScanRequest::all("numbers")).unwrap();
    let error = scan.batches.find_map(Result::err).unwrap();
    assert_eq!(error.code, ErrorCode::Timeout);

    let cancel = CancelToken::new();
    let mut scan = source.scan(&Context::detached("c", None, cancel.clone()), &ScanRequest::all("numbers")).unwrap();
    scan.batches.next().unwrap().unwrap();
    cancel.cancel();
    assert_eq!(scan.batches.find_map(Result::err).unwrap().code, ErrorCode::Cancelled);
    assert_eq!(source.datasets(&ctx()).unwrap().len(), 1);
    assert_eq!(source.worker_pid(), pid);
}

#[test]
fn a_call_that_does_not_stop_costs_its_worker_and_is_no_crash() {
    let folder = Folder::new();
    let limits = Limits { cancel_grace: Duration::from_millis(100), ..Limits::default() };
    let source = numbers(&folder, 10, limits);
    source.datasets(&ctx()).unwrap();
    let pid = source.worker_pid().unwrap();
    // A stopped process answers nothing, as one that hangs.
    let raw = rustix::process::Pid::from_raw(pid as i32).unwrap();
    rustix::process::kill_process(raw, rustix::process::Signal::STOP).unwrap();
    while !is_stopped(pid) {
        std::thread::yield_now();
    }
    let deadline = Context::detached("t", Some(Instant::now() + Duration::from_millis(50)), CancelToken::new());
    assert_eq!(source.datasets(&deadline).unwrap_err().code, ErrorCode::Timeout);
    // This one is a neighbour: it is lost to the kill, and made again with a new worker.
    assert_eq!(source.datasets(&ctx()).unwrap().len(), 1);
    assert_ne!(source.worker_pid().unwrap(), pid);
}

#[test]
fn an_idle_worker_leaves_and_a_call_brings_one_back() {
    let folder = Folder::new();
    let limits = Limits { idle_after: Duration::from_millis(30), ..Limits::default() };
    let source = numbers(&folder, 10, limits);
    source.datasets(&ctx()).unwrap();
    let start = Instant::now();
    while source.worker_pid().is_some() {
        assert!(start.elapsed() < LONG);
        std::thread::yield_now();
    }
    assert_eq!(source.datasets(&ctx()).unwrap().len(), 1);
}

#[test]
fn a_configuration_that_the_plugin_refuses_is_its_own_error() {
    let folder = Folder::new();
    folder.drop_in("numbers.c", "libnumbers.so");
    let config = serde_json::json!({ "rows": -1 });
    let path = folder.path("libnumbers.so");
    let source = WorkerSource::of_library("numbers", path, &config, worker(), Limits::default());
    let error = source.datasets(&ctx()).unwrap_err();
    assert_eq!(error.code, ErrorCode::InvalidConfig);
    assert_eq!(error.message, "'rows' is not a natural number");
}

#[test]
fn each_broken_file_says_why_and_the_good_one_serves() {
    let folder = Folder::new();
    for (source, library) in [
        ("numbers.c", "libnumbers.so"),
        ("newer_abi.c", "libnewer.so"),
        ("crash_in_constructor.c", "libcrash.so"),
        ("not_a_plugin.c", "libother.so"),
    ] {
        folder.drop_in(source, library);
    }
    let good = std::fs::read(folder.path("libnumbers.so")).unwrap();
    folder.write("libshort.so", &good[..good.len() / 2]);
    folder.write("libtext.so", "text");
    folder.write("libempty.so", "");
    let mut foreign = good.clone();
    foreign[18] = 0x08;
    folder.write("libmips.so", &foreign);
    folder.write("orphan.toml", "");
    folder.write("good.toml", "library = \"libnumbers.so\"");
    folder.write("open.toml", "library = \"libnumbers.so\"\nconfig = { rows = \"many\" }");

    let host = folder.host();
    let statuses = host.statuses();
    let check = |name: &str, step: &str, reason: &str| {
        let status = status(&statuses, name);
        assert_eq!(status.state, PluginState::Failed, "{status:?}");
        let last = status.steps.last().unwrap();
        assert_eq!((last.name.as_str(), last.ok), (step, false), "{status:?}");
        assert!(last.detail.contains(reason), "{last:?}");
        for step in &status.steps {
            assert!(!step.detail.contains(folder.0.path().to_str().unwrap()), "{step:?}");
        }
    };
    check("newer", "elf", "built for ABI 2");
    check("crash", "load", "died with signal 11 while being loaded");
    check("other", "elf", "not a Larder plugin");
    check("short", "elf", "truncated");
    check("text", "elf", "not an ELF");
    check("empty", "elf", "empty");
    check("mips", "elf", "was built for");
    check("orphan", "sidecar", "no library 'liborphan.so'");
    check("open", "open", "'rows' is not a natural number");
    let sources = host.sources();
    assert_eq!(sources.iter().map(|instance| &*instance.name).collect::<Vec<_>>(), ["good"]);
    assert_eq!(collect(&*sources[0].source, &ScanRequest::all("numbers")).unwrap()[0].num_rows(), 10);
}

#[test]
fn a_library_without_sidecar_is_loaded_with_its_defaults() {
    let folder = Folder::new();
    folder.drop_in("numbers.c", "libnumbers.so");
    let mut options = folder.options();
    options.defaults.insert("numbers".into(), serde_json::json!({ "rows": 123 }));
    let host = PluginHost::new(options).unwrap();
    let status = status(&host.reload().unwrap(), "numbers");
    assert_eq!(status.state, PluginState::Loaded, "{status:?}");
    assert_eq!((status.version.as_str(), status.generation), ("1.0.0", 1));
    assert_eq!(
        status.steps.iter().map(|step| step.name.as_str()).collect::<Vec<_>>(),
        ["trust", "copy", "elf", "load", "open", "datasets"]
    );
    let instance = Arc::clone(&host.sources()[0]);
    assert_eq!((&*instance.name, instance.identity.len()), ("numbers", 64));
    let rows: usize =
        collect(&*instance.source, &ScanRequest::all("numbers")).unwrap().iter().map(|b| b.num_rows()).sum();
    assert_eq!(rows, 123);
}

#[test]
fn sidecars_make_instances_of_their_own_and_policies_are_handed_on() {
    let folder = Folder::new();
    folder.drop_in("numbers.c", "libnumbers.so");
    folder.write("few.toml", "library = \"libnumbers.so\"\n[config]\nrows = 3\n[policy]\nttl = \"5m\"");
    folder.write("many.toml", "library = \"libnumbers.so\"\n[config]\nrows = 30\n[datasets.numbers]\nttl = \"1s\"");
    let host = folder.host();
    let sources = host.sources();
    assert_eq!(sources.iter().map(|i| &*i.name).collect::<Vec<_>>(), ["few", "many"]);
    assert_ne!(sources[0].identity, sources[1].identity);
    assert_eq!(sources[0].policy["ttl"].as_str(), Some("5m"));
    assert_eq!(sources[1].dataset_policies["numbers"]["ttl"].as_str(), Some("1s"));

    // Another policy is another instance of the same source.
    folder.write("few.toml", "library = \"libnumbers.so\"\n[config]\nrows = 3\n[policy]\nttl = \"6m\"");
    host.reload().unwrap();
    let after = host.sources();
    assert_eq!(after[0].policy["ttl"].as_str(), Some("6m"));
    assert!(Arc::ptr_eq(&after[0].source, &sources[0].source));
}

#[test]
fn a_policy_that_means_nothing_fails_its_sidecar() {
    let folder = Folder::new();
    folder.drop_in("numbers.c", "libnumbers.so");
    folder.write("good.toml", "library = \"libnumbers.so\"\n[policy]\nttl = 5");
    folder.write("one.toml", "library = \"libnumbers.so\"\n[policy]\nttk = 5");
    folder.write("two.toml", "library = \"libnumbers.so\"\n[datasets.numbers]\nttk = 5");
    let mut options = folder.options();
    options.check_policy = Some(|policy| match policy.keys().find(|key| *key != "ttl") {
        Some(key) => Err(format!("'{key}' is unknown")),
        None => Ok(()),
    });
    let statuses = PluginHost::new(options).unwrap().reload().unwrap();
    assert_eq!(status(&statuses, "good").state, PluginState::Loaded);
    for (name, reason) in [("one", "[policy]: 'ttk' is unknown"), ("two", "[datasets.numbers]: 'ttk' is unknown")] {
        let failed = status(&statuses, name);
        let step = failed.steps.last().unwrap();
        assert_eq!((step.name.as_str(), step.ok, step.detail.as_str()), ("sidecar", false, reason));
    }
}

#[test]
fn a_broken_replacement_leaves_the_serving_version_alone_and_a_good_one_takes_over() {
    let folder = Folder::new();
    folder.drop_in("numbers.c", "libnumbers.so");
    let host = folder.host();
    let before = Arc::clone(&host.sources()[0]);
    let mut scan = before.source.scan(&ctx(), &ScanRequest::all("numbers")).unwrap();

    folder.drop_in("not_a_plugin.c", "libnumbers.so");
    let broken = status(&host.reload().unwrap(), "numbers");
    assert_eq!((broken.state, broken.generation), (PluginState::Outdated, 1));
    assert!(broken.last_error.unwrap().contains("not a Larder plugin"));
    assert!(Arc::ptr_eq(&host.sources()[0], &before));

    folder.drop_in("numbers.c", "libnumbers.so");
    folder.write("numbers.toml", "config = { rows = 77 }");
    let fine = status(&host.reload().unwrap(), "numbers");
    assert_eq!((fine.state, fine.generation), (PluginState::Loaded, 2));
    // Who still holds the version before is served by it.
    assert_eq!(scan.batches.next().unwrap().unwrap().num_rows(), 10);
    assert_eq!(collect(&*before.source, &ScanRequest::all("numbers")).unwrap()[0].num_rows(), 10);
    assert_eq!(collect(&*host.sources()[0].source, &ScanRequest::all("numbers")).unwrap()[0].num_rows(), 77);
}

#[test]
fn a_watched_folder_adds_and_removes_and_tells_its_subscribers() {
    let folder = Folder::new();
    let host =
        PluginHost::new(HostOptions { watch_every: Some(Duration::from_millis(20)), ..folder.options() }).unwrap();
    let (sender, changes) = channel();
    host.subscribe(Box::new(move |change| sender.send(change.clone()).unwrap()));
    folder.drop_in("numbers.c", "libnumbers.so");
    assert_eq!(changes.recv_timeout(LONG).unwrap().added, ["numbers"]);
    assert_eq!(host.sources().len(), 1);
    std::fs::remove_file(folder.path("libnumbers.so")).unwrap();
    assert_eq!(changes.recv_timeout(LONG).unwrap().removed, ["numbers"]);
    assert_eq!(host.sources().len(), 0);
}

#[test]
fn shutdown_leaves_no_worker() {
    let folder = Folder::new();
    folder.drop_in("numbers.c", "libnumbers.so");
    let host = folder.host();
    let pid = status(&host.statuses(), "numbers").worker_pid.unwrap();
    let source = Arc::clone(&host.sources()[0].source);
    host.shutdown();
    let raw = rustix::process::Pid::from_raw(pid as i32).unwrap();
    assert!(rustix::process::test_kill_process(raw).is_err());
    assert_eq!(source.datasets(&ctx()).unwrap_err().code, ErrorCode::Unavailable);
    assert!(host.reload().is_err());
}

#[test]
fn a_folder_that_others_may_write_is_refused() {
    let folder = Folder::new();
    folder.drop_in("numbers.c", "libnumbers.so");
    std::fs::set_permissions(folder.path("libnumbers.so"), std::fs::Permissions::from_mode(0o664)).unwrap();
    let host = PluginHost::new(HostOptions { exposure: Exposure::Network, ..folder.options() }).unwrap();
    let refused = status(&host.reload().unwrap(), "numbers");
    assert_eq!((refused.state, refused.steps[0].name.as_str()), (PluginState::Failed, "trust"));
    assert!(refused.steps[0].detail.contains("chmod g-w"));
}
