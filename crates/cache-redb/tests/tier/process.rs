//! Processes that run a role of this test binary.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

const ROLE: &str = "CACHE_REDB_ROLE";
const DIR: &str = "CACHE_REDB_DIR";
/// What the lines begin with that a child says; the test harness prints others.
const MARK: &str = "@ ";

/// The role and the directory of this process, if it has one.
pub(crate) fn role() -> Option<(String, PathBuf)> {
    Some((std::env::var(ROLE).ok()?, std::env::var_os(DIR)?.into()))
}

/// Says a line to the parent.
pub(crate) fn say(line: &str) {
    println!("{MARK}{line}");
}

/// Runs a role to its end.
#[track_caller]
pub(crate) fn run(role: &str, dir: &Path) {
    finish(command(&[], role, dir));
}

/// Runs a role that a file's limit does not kill: ignoring a signal is inherited.
#[track_caller]
pub(crate) fn run_ignoring_limits(role: &str, dir: &Path) {
    finish(command(&["sh", "-c", "trap '' XFSZ; exec \"$0\" \"$@\""], role, dir));
}

/// Runs a role on a file system of 4 MiB of its own, where one may be mounted; containers without that right have
/// the limit on files alone.
#[track_caller]
pub(crate) fn run_on_tmpfs(role: &str, dir: &Path) {
    let mount = format!("mount -t tmpfs -o size=4m tmpfs '{}'", dir.display());
    let allowed = Command::new("unshare").args(["-rm", "sh", "-c", &mount]).stderr(Stdio::null()).status();
    if !allowed.is_ok_and(|status| status.success()) {
        eprintln!("no file system may be mounted here");
        return;
    }
    let script = format!("{mount} && exec \"$0\" \"$@\"");
    finish(command(&["unshare", "-rm", "sh", "-c", &script], role, dir));
}

/// Starts a role whose lines are read meanwhile.
pub(crate) fn start(role: &str, dir: &Path) -> (Child, impl Iterator<Item = String> + use<>) {
    let mut child = command(&[], role, dir).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let stdout: ChildStdout = child.stdout.take().unwrap();
    // A line that was cut by the end of the process says nothing.
    let mut reader = BufReader::new(stdout);
    let lines = std::iter::from_fn(move || {
        let mut line = String::new();
        loop {
            line.clear();
            reader.read_line(&mut line).unwrap();
            let whole = line.strip_suffix('\n')?;
            if let Some((_, said)) = whole.split_once(MARK) {
                return Some(said.to_owned());
            }
        }
    });
    (child, lines)
}

fn command(wrapper: &[&str], role: &str, dir: &Path) -> Command {
    let program = std::env::current_exe().unwrap();
    let mut command = match wrapper.split_first() {
        Some((first, rest)) => {
            let mut command = Command::new(first);
            command.args(rest).arg(program);
            command
        }
        None => Command::new(program),
    };
    command.args(["--exact", "crash::child", "--nocapture", "--test-threads=1"]).env(ROLE, role).env(DIR, dir);
    command
}

#[track_caller]
fn finish(mut command: Command) {
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && said.contains("@ done"),
        "{:?}\n{said}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
}
