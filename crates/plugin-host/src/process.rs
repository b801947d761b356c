//! One worker process: started, watched through a pidfd, killed, reaped. No zombie stays.
//!
//! The kernel kills a worker when the *thread* that started it ends. So all are started by one
//! thread that lives as long as the process: [`spawn`] hands it the work.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc::{Sender, channel};

use parking_lot::Mutex;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use rustix::process::{
    Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, kill_process_group, pidfd_open, pidfd_send_signal, waitid,
};

use crate::options::WorkerCommand;

/// Variables of the server that a worker gets too.
const ENVIRONMENT: [&str; 5] = ["PATH", "LANG", "LC_ALL", "TZ", "LARDER_LOG"];

/// A started worker and the host's ends of its pipes.
#[derive(Debug)]
pub(crate) struct Started {
    pub(crate) process: Process,
    pub(crate) control: OwnedFd,
    pub(crate) stdout: OwnedFd,
    pub(crate) stderr: OwnedFd,
}

/// A process that was not reaped yet, unless `reaped` says so.
#[derive(Debug)]
pub(crate) struct Process {
    pid: Pid,
    pidfd: OwnedFd,
    reaped: Mutex<bool>,
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    Code(i32),
    Signal(i32),
}

impl std::fmt::Display for Ended {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Code(code) => write!(f, "left with exit code {code}"),
            Self::Signal(signal) => write!(f, "died with signal {signal}"),
        }
    }
}

impl Process {
    pub(crate) fn pid(&self) -> u32 {
        self.pid.as_raw_pid().unsigned_abs()
    }

    /// Readable once the process has ended.
    pub(crate) fn pidfd(&self) -> BorrowedFd<'_> {
        std::os::fd::AsFd::as_fd(&self.pidfd)
    }

    /// Kills the process and what it started.
    pub(crate) fn kill(&self) {
        let reaped = self.reaped.lock();
        if !*reaped {
            // Both fail only when it has ended already.
            let _ = pidfd_send_signal(&self.pidfd, Signal::KILL);
            let _ = kill_process_group(self.pid, Signal::KILL);
        }
    }

    /// How the process ended, if it has; from then on its id may be another's.
    pub(crate) fn try_reap(&self) -> Option<Ended> {
        let mut reaped = self.reaped.lock();
        if *reaped {
            return None;
        }
        let id = WaitId::PidFd(self.pidfd());
        let status = waitid(id, WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT).ok()??;
        // Its children would hold its pipes; while it is a zombie the group's id is still its own.
        let _ = kill_process_group(self.pid, Signal::KILL);
        let _ = waitid(WaitId::PidFd(self.pidfd()), WaitIdOptions::EXITED | WaitIdOptions::NOHANG);
        *reaped = true;
        Some(match (status.exit_status(), status.terminating_signal()) {
            (Some(code), _) => Ended::Code(code),
            (None, signal) => Ended::Signal(signal.unwrap_or_default()),
        })
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        if !*self.reaped.lock() {
            let _ = waitid(WaitId::PidFd(self.pidfd()), WaitIdOptions::EXITED);
        }
    }
}

type Job = Box<dyn FnOnce() + Send>;

/// Starts a worker of `command` for `instance`.
pub(crate) fn spawn(command: &WorkerCommand, instance: &str) -> io::Result<Started> {
    static SPAWNER: OnceLock<Option<Sender<Job>>> = OnceLock::new();
    let spawner = SPAWNER.get_or_init(|| {
        let (sender, jobs) = channel::<Job>();
        let thread = std::thread::Builder::new().name("plugin-spawner".into());
        thread.spawn(move || jobs.into_iter().for_each(|job| job())).ok().map(|_| sender)
    });
    let gone = || io::Error::other("the thread that starts workers is gone");
    let spawner = spawner.as_ref().ok_or_else(gone)?;
    let (answer, started) = channel();
    let (command, instance) = (command.clone(), instance.to_owned());
    let job: Job = Box::new(move || {
        let _ = answer.send(spawn_here(&command, &instance));
    });
    spawner.send(job).map_err(|_| gone())?;
    started.recv().map_err(|_| gone())?
}

fn spawn_here(command: &WorkerCommand, instance: &str) -> io::Result<Started> {
    let (control, theirs) = socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    let mut child = Command::new(&command.program);
    // Lists of processes show `larder plugin-host <instance>`, not the link that it was started from.
    child.arg0("larder").args(&command.args).arg(instance);
    child.env_clear().envs(ENVIRONMENT.iter().filter_map(|key| Some((key, std::env::var_os(key)?))));
    child.envs(command.env.iter().map(|(key, value)| (key, value)));
    child.stdin(Stdio::from(theirs)).stdout(Stdio::piped()).stderr(Stdio::piped());
    // A group of its own: Ctrl-C in the server's terminal is the server's to handle.
    child.process_group(0);
    if let Some(directory) = &command.directory {
        child.current_dir(directory);
    }
    let mut child = child.spawn()?;
    let pid = Pid::from_child(&child);
    let pidfd = pidfd_open(pid, PidfdFlags::empty()).inspect_err(|_| {
        let _ = child.kill();
        let _ = child.wait();
    })?;
    let missing = || io::Error::other("a pipe of the worker is missing");
    Ok(Started {
        process: Process { pid, pidfd, reaped: Mutex::new(false) },
        control,
        stdout: child.stdout.take().ok_or_else(missing)?.into(),
        stderr: child.stderr.take().ok_or_else(missing)?.into(),
    })
}
