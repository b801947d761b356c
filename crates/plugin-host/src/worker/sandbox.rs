//! What a worker gives up before it loads foreign code, while it has one thread.
//!
//! The parent has cleared the environment. Here go inherited descriptors, the right to gain
//! privileges, core dumps (they would hold other people's data), and, by a bound on the address
//! space, the machine's memory. The kernel kills the worker when the server's thread that started
//! it ends, whatever state the worker is in.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::process::{Resource, Rlimit, Signal, setrlimit};

/// Narrows this process and gives the control socket, which was its standard input.
pub(super) fn enter() -> io::Result<OwnedFd> {
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    rustix::thread::set_no_new_privs(true)?;
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?;
    close_inherited()?;
    // When memory runs out the kernel takes this process and not the server. Where there is no /proc
    // to say so in, it takes whichever is the largest.
    let _ = std::fs::write("/proc/self/oom_score_adj", "1000");
    // The plugin may read its standard input; it must not read our messages there.
    let control = rustix::io::fcntl_dupfd_cloexec(io::stdin().as_fd(), 3)?;
    rustix::stdio::dup2_stdin(File::open("/dev/null")?)?;
    Ok(control)
}

fn close_inherited() -> io::Result<()> {
    // SAFETY: no code of this process has opened a descriptor yet, so none can be in use.
    let failed = unsafe { libc::close_range(3, libc::c_uint::MAX, 0) } != 0;
    if failed { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Bounds the address space: allocations beyond it fail, or end this process.
pub(super) fn limit_memory(bytes: u64) -> io::Result<()> {
    Ok(setrlimit(Resource::As, Rlimit { current: Some(bytes), maximum: Some(bytes) })?)
}
