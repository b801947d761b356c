//! A lane: one socket pair between host and worker, taken by one call at a time.
//!
//! Like a kept-alive HTTP/1.1 connection: a request goes out, the answer comes back, then the lane
//! is free for the next call. A slow reader holds up its own call and no other, and closing a lane
//! in the middle of a scan ends that scan. The host's end waits for one tick at most.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::sockopt::{Timeout, set_socket_recv_buffer_size, set_socket_send_buffer_size, set_socket_timeout};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};

use crate::frame::{FrameReader, FrameWriter};

/// Bytes that the kernel may hold on the way; it takes less where its limit is lower.
const SOCKET_BUFFER: usize = 4 << 20;

/// The host's end.
#[derive(Debug)]
pub(crate) struct Lane {
    pub(crate) reader: FrameReader,
    pub(crate) writer: FrameWriter,
}

impl Lane {
    /// A lane, and the end that the worker gets.
    pub(crate) fn pair(tick: Duration, max_message_bytes: u64) -> Result<(Self, OwnedFd), Errno> {
        let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
        for end in [&ours, &theirs] {
            let _ = set_socket_send_buffer_size(end, SOCKET_BUFFER);
            let _ = set_socket_recv_buffer_size(end, SOCKET_BUFFER);
        }
        set_socket_timeout(&ours, Timeout::Recv, Some(tick))?;
        set_socket_timeout(&ours, Timeout::Send, Some(tick))?;
        let ours = Arc::new(ours);
        let reader = FrameReader::new(Arc::clone(&ours), max_message_bytes);
        Ok((Self { reader, writer: FrameWriter::new(ours) }, theirs))
    }
}
