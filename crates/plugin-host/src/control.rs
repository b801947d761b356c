//! The control socket's framing: a length (u32, little endian), then MessagePack.

use std::collections::VecDeque;
use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use parking_lot::Mutex;
use rustix::io::Errno;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, recvmsg, sendmsg,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::protocol::{MAX_MESSAGE, ProtocolError, decode, encode};

/// Bytes asked for at a time.
const CHUNK: usize = 16 * 1024;

/// Descriptors that may come in one `recvmsg`.
const MAX_DESCRIPTORS: usize = 16;

/// Why a control message could not be sent or received.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ControlError {
    #[error("the other end closed the control socket")]
    Closed,
    #[error("the other end does not read its control socket")]
    Full,
    #[error("an earlier message was cut short")]
    Cut,
    #[error("the other end sent descriptors that nobody asked for")]
    Unasked,
    #[error("the control socket failed")]
    Io(#[source] Errno),
    #[error(transparent)]
    Protocol(#[from] ProtocolError),
}

impl From<Errno> for ControlError {
    fn from(error: Errno) -> Self {
        match error {
            Errno::PIPE | Errno::CONNRESET => Self::Closed,
            Errno::AGAIN => Self::Full,
            other => Self::Io(other),
        }
    }
}

/// The sending side, for any number of threads.
#[derive(Debug)]
pub(crate) struct Outbox {
    socket: Arc<OwnedFd>,
    /// Whether a message was cut short: what came after it would be read as its rest.
    is_cut: Mutex<bool>,
}

impl Outbox {
    pub(crate) fn new(socket: Arc<OwnedFd>) -> Self {
        Self { socket, is_cut: Mutex::new(false) }
    }

    /// Sends one message, with a descriptor if there is one, without mixing the bytes of two threads.
    /// What cannot be sent within the socket's time-out is an error, after which the socket is of no
    /// more use.
    pub(crate) fn send<T: Serialize>(
        &self,
        message: &T,
        descriptor: Option<BorrowedFd<'_>>,
    ) -> Result<(), ControlError> {
        self.send_while(message, descriptor, || false)
    }

    /// As [`send`](Self::send); at each time-out `go_on` says whether to wait for another one.
    pub(crate) fn send_while<T: Serialize>(
        &self,
        message: &T,
        descriptor: Option<BorrowedFd<'_>>,
        go_on: impl Fn() -> bool,
    ) -> Result<(), ControlError> {
        let mut is_cut = self.is_cut.lock();
        if *is_cut {
            return Err(ControlError::Cut);
        }
        let sent = send(&self.socket, message, descriptor, go_on);
        // A message that cannot be encoded has not been begun.
        *is_cut = matches!(sent, Err(ControlError::Full | ControlError::Io(_)));
        sent
    }
}

fn send<T: Serialize>(
    socket: impl AsFd,
    message: &T,
    descriptor: Option<BorrowedFd<'_>>,
    go_on: impl Fn() -> bool,
) -> Result<(), ControlError> {
    let body = encode(message)?;
    let mut bytes = Vec::with_capacity(4 + body.len());
    bytes.extend_from_slice(&u32::try_from(body.len()).unwrap_or(u32::MAX).to_le_bytes());
    bytes.extend_from_slice(&body);
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let descriptors = descriptor.as_slice();
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() {
        ancillary.push(SendAncillaryMessage::ScmRights(descriptors));
    }
    let mut sent = 0;
    while sent < bytes.len() {
        match sendmsg(&socket, &[IoSlice::new(&bytes[sent..])], &mut ancillary, SendFlags::NOSIGNAL) {
            Ok(count) => {
                sent += count;
                ancillary.clear();
            }
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) if go_on() => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// What was received and not yet read.
#[derive(Debug)]
pub(crate) struct Inbox {
    bytes: Vec<u8>,
    /// Those that came along; `None` where none may.
    descriptors: Option<VecDeque<OwnedFd>>,
}

impl Inbox {
    /// For messages that may bring descriptors.
    pub(crate) fn with_descriptors() -> Self {
        Self { bytes: Vec::new(), descriptors: Some(VecDeque::new()) }
    }

    /// For messages of someone who must not fill our table of descriptors.
    pub(crate) fn without_descriptors() -> Self {
        Self { bytes: Vec::new(), descriptors: None }
    }

    /// One `recvmsg`. [`ControlError::Full`] means that a socket that does not wait has nothing.
    pub(crate) fn receive(&mut self, socket: impl AsFd, flags: RecvFlags) -> Result<(), ControlError> {
        let mut chunk = [0; CHUNK];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_DESCRIPTORS))];
        // Where there is no room for descriptors the kernel drops them, and says so.
        let room = if self.descriptors.is_some() { &mut space[..] } else { &mut [] };
        let mut ancillary = RecvAncillaryBuffer::new(room);
        let flags = flags | RecvFlags::CMSG_CLOEXEC;
        let got = loop {
            match recvmsg(&socket, &mut [IoSliceMut::new(&mut chunk)], &mut ancillary, flags) {
                Err(Errno::INTR) => {}
                other => break other?,
            }
        };
        for message in ancillary.drain() {
            if let RecvAncillaryMessage::ScmRights(descriptors) = message {
                self.descriptors.get_or_insert_default().extend(descriptors);
            }
        }
        if self.descriptors.is_none() && got.flags.contains(ReturnFlags::CTRUNC) {
            return Err(ControlError::Unasked);
        }
        if got.bytes == 0 {
            return Err(ControlError::Closed);
        }
        self.bytes.extend_from_slice(&chunk[..got.bytes]);
        Ok(())
    }

    /// The next whole message, if there is one.
    pub(crate) fn next<T: DeserializeOwned>(&mut self) -> Result<Option<T>, ControlError> {
        let Some(prefix) = self.bytes.first_chunk::<4>() else { return Ok(None) };
        let len = u32::from_le_bytes(*prefix) as usize;
        if len > MAX_MESSAGE {
            return Err(ProtocolError::TooLarge(len).into());
        }
        let Some(body) = self.bytes.get(4..4 + len) else { return Ok(None) };
        let message = decode(body)?;
        self.bytes.drain(..4 + len);
        Ok(Some(message))
    }

    /// The oldest descriptor that came along.
    pub(crate) fn descriptor(&mut self) -> Option<OwnedFd> {
        self.descriptors.as_mut()?.pop_front()
    }
}

#[cfg(test)]
mod tests {
    use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};

    use super::*;
    use crate::protocol::ToWorker;

    #[test]
    fn messages_and_descriptors_arrive_in_order() {
        let (near, far) = socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None).unwrap();
        let (lane, other_end) =
            socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None).unwrap();
        send(&near, &ToWorker::Cancel { call: 1 }, None, || false).unwrap();
        send(&near, &ToWorker::NewLane, Some(lane.as_fd()), || false).unwrap();
        send(&near, &ToWorker::Cancel { call: 2 }, None, || false).unwrap();
        drop((near, lane));

        let mut inbox = Inbox::with_descriptors();
        while inbox.receive(&far, RecvFlags::empty()).is_ok() {}
        assert!(matches!(inbox.next().unwrap(), Some(ToWorker::Cancel { call: 1 })));
        assert!(matches!(inbox.next().unwrap(), Some(ToWorker::NewLane)));
        assert!(matches!(inbox.next().unwrap(), Some(ToWorker::Cancel { call: 2 })));
        assert!(inbox.next::<ToWorker>().unwrap().is_none());
        let lane = inbox.descriptor().unwrap();
        assert!(inbox.descriptor().is_none());

        rustix::io::write(&lane, b"x").unwrap();
        let mut byte = [0; 1];
        assert_eq!(rustix::io::read(&other_end, &mut byte).unwrap(), 1);
    }

    #[test]
    fn descriptors_that_nobody_asked_for_are_closed_and_an_error() {
        let (near, far) = socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None).unwrap();
        let (given, other_end) =
            socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None).unwrap();
        send(&near, &ToWorker::NewLane, Some(given.as_fd()), || false).unwrap();
        drop(given);
        let mut inbox = Inbox::without_descriptors();
        assert!(matches!(inbox.receive(&far, RecvFlags::empty()), Err(ControlError::Unasked)));
        assert!(inbox.descriptor().is_none());
        // Nobody holds it any more.
        assert_eq!(rustix::io::read(&other_end, &mut [0; 1]).unwrap(), 0);
    }

    #[test]
    fn a_long_message_is_waited_for_and_after_one_that_was_cut_nothing_is_sent() {
        use rustix::net::sockopt::{Timeout, set_socket_timeout};
        let (near, far) = socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None).unwrap();
        set_socket_timeout(&near, Timeout::Send, Some(std::time::Duration::from_millis(1))).unwrap();
        let outbox = Outbox::new(Arc::new(near));
        let long = "x".repeat(4 << 20);
        let waits = std::sync::atomic::AtomicU32::new(0);
        std::thread::scope(|scope| {
            // Reads only once the sender has had to wait.
            scope.spawn(|| {
                let mut inbox = Inbox::without_descriptors();
                while waits.load(std::sync::atomic::Ordering::Acquire) == 0 {
                    std::thread::yield_now();
                }
                while inbox.next::<String>().unwrap().is_none() {
                    inbox.receive(&far, RecvFlags::empty()).unwrap();
                }
            });
            let go_on = || waits.fetch_add(1, std::sync::atomic::Ordering::Release) < u32::MAX;
            outbox.send_while(&long, None, go_on).unwrap();
        });
        assert!(matches!(outbox.send(&long, None), Err(ControlError::Full)));
        assert!(matches!(outbox.send(&"short", None), Err(ControlError::Cut)));
    }

    #[test]
    fn a_length_over_the_limit_is_refused() {
        let mut inbox = Inbox::with_descriptors();
        inbox.bytes.extend_from_slice(&u32::MAX.to_le_bytes());
        assert!(inbox.next::<ToWorker>().is_err());
    }
}
