//! A worker is killed under load: its neighbours notice nothing, and it comes back.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use serde_json::Value;
use tests::Server;
use tests::poll::{PATIENCE, RaiseOnDrop, until, until_true};

const SIDECAR: &str = "[config.datasets.orders]\nrows = 20000\nseed = 5\n\
    columns = [{ name = \"id\", type = \"sequence\" }, { name = \"n\", type = \"int\", min = 0, max = 99 }]\n";

fn worker(server: &Server, plugin: &str) -> Option<Pid> {
    let pid = server.plugin(plugin)["worker_pid"].as_i64()?;
    Pid::from_raw(i32::try_from(pid).expect("a process id"))
}

/// What one client of a source saw.
#[derive(Debug, Default)]
struct Seen {
    good: AtomicU64,
    failed: AtomicU64,
}

impl Seen {
    fn count(&self, status: u16) {
        let counter = if status == 200 { &self.good } else { &self.failed };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    fn good(&self) -> u64 {
        self.good.load(Ordering::Relaxed)
    }
}

#[test]
fn a_killed_worker_costs_its_own_calls_at_most() {
    let server = Server::options().plugin("files").plugin("synthetic").file("synthetic.toml", SIDECAR).start();
    server.rows("orders", "limit=1");
    let (done, files, synthetic, cached) = (AtomicBool::new(false), Seen::default(), Seen::default(), Seen::default());
    std::thread::scope(|scope| {
        let ask = |seen: &'static str, method: &'static str, path: &'static str| {
            let (client, done) = (server.client(), &done);
            let seen = match seen {
                "files" => &files,
                "synthetic" => &synthetic,
                _ => &cached,
            };
            scope.spawn(move || {
                while !done.load(Ordering::Relaxed) {
                    let answer = client.send(method, path, &[], (method == "POST").then_some(b""));
                    seen.count(answer.status);
                    if answer.status != 200 {
                        let problem = answer.json();
                        let code = problem["code"].as_str().unwrap_or_default().to_owned();
                        assert!(["source_crashed", "source_unavailable"].contains(&code.as_str()), "{problem:#}");
                    }
                }
            });
        };
        ask("files", "POST", "/api/v1/datasets/sector_analysis/refresh");
        ask("files", "GET", "/api/v1/datasets/geographic/rows?order=rate");
        ask("synthetic", "POST", "/api/v1/datasets/orders/refresh");
        ask("cached", "GET", "/api/v1/datasets/orders/rows?n=lt.5&limit=10");
        let _end = RaiseOnDrop(&done);
        for _ in 0..2 {
            let (good, neighbours) = (synthetic.good(), files.good());
            let pid = until("the source has a worker", PATIENCE, || worker(&server, "synthetic"));
            kill_process(pid, Signal::KILL).expect("the worker is killed");
            until_true("the source recovers", PATIENCE, || synthetic.good() > good + 2);
            until_true("its neighbour goes on", PATIENCE, || files.good() > neighbours + 2);
            until_true("a new worker is there", PATIENCE, || {
                worker(&server, "synthetic").is_some_and(|new| new != pid)
            });
        }
        done.store(true, Ordering::Relaxed);
    });
    assert_eq!(files.failed.load(Ordering::Relaxed), 0, "requests to the neighbour failed");
    assert_eq!(cached.failed.load(Ordering::Relaxed), 0, "what is kept is served while the source is away");
    assert!(cached.good() > 0);
    let plugin = server.plugin("synthetic");
    assert_eq!(plugin["state"], "loaded", "{plugin:#}");
    assert_eq!(plugin["crashes"], Value::from(2), "{plugin:#}");
    assert_eq!(server.plugin("files")["crashes"], Value::from(0));
}

#[test]
fn workers_end_with_their_server_even_when_it_is_killed() {
    let mut server = Server::options().plugin("files").plugin("synthetic").start();
    server.rows("synthetic_orders", "limit=1");
    server.rows("sector_analysis", "");
    let workers: Vec<Pid> = ["files", "synthetic"].iter().filter_map(|name| worker(&server, name)).collect();
    assert_eq!(workers.len(), 2);
    kill_process(server.pid(), Signal::KILL).expect("the server is killed");
    server.wait();
    until_true("no worker is left", PATIENCE, || workers.iter().all(|pid| !is_alive(*pid)));
}

/// Whether a process runs; one that has ended and waits to be reaped does not.
pub(crate) fn is_alive(pid: Pid) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).unwrap_or_default();
    let state = stat.rsplit(')').next().and_then(|rest| rest.trim_start().chars().next());
    test_kill_process(pid).is_ok() && state.is_some_and(|state| state != 'Z')
}
