//! Frames on a lane: 16 bytes of header, then a payload.
//!
//! A frame is a [`Message`](Frame::Message) (MessagePack, small) or a [`Batch`](Frame::Batch) (the
//! Arrow IPC messages of one record batch). A batch is read with one `recv` into one buffer of its
//! own, which the arrays then share: no byte is copied in this process after it left the kernel.
//! What is small goes through a scratch buffer, so that a short answer costs one `recv` in all.
//!
//! Waiting never lasts longer than the socket's time-out; then [`Tick`] is asked whether to go on.

use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use arrow::buffer::{Buffer, MutableBuffer};
use plugin_sdk::SourceError;
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendAncillaryBuffer, SendFlags, recv, sendmsg};

use crate::protocol::MAX_MESSAGE;

const HEADER: usize = 16;
const MAGIC: [u8; 4] = *b"LRD1";
const MESSAGE: u32 = 1;
const BATCH: u32 = 2;

/// Bytes that are read ahead of need.
const SCRATCH: usize = 16 * 1024;

/// Corked bytes beyond which payloads are no longer copied together.
const COPY_BELOW: usize = 16 * 1024;

/// Slices in one `sendmsg`; Linux takes up to 1024.
const MAX_SLICES: usize = 512;

/// Asked while a socket makes wait; an error ends the waiting.
pub(crate) trait Tick {
    fn tick(&mut self) -> Result<(), SourceError>;
}

/// Waits for as long as it takes.
pub(crate) struct Forever;

impl Tick for Forever {
    fn tick(&mut self) -> Result<(), SourceError> {
        Ok(())
    }
}

/// One frame.
#[derive(Debug)]
pub(crate) enum Frame {
    Message(Vec<u8>),
    Batch(Buffer),
}

/// Why no frame could be read or written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FrameError {
    #[error("the other end closed the connection")]
    Closed,
    #[error("the connection failed")]
    Io(#[source] Errno),
    #[error("a message of {bytes} bytes is over the limit of {max}")]
    TooLarge { bytes: u64, max: u64 },
    #[error("out of memory for a message of {0} bytes")]
    OutOfMemory(u64),
    #[error("what came is not a frame")]
    Malformed,
    #[error(transparent)]
    Stopped(SourceError),
}

impl From<Errno> for FrameError {
    fn from(error: Errno) -> Self {
        match error {
            Errno::PIPE | Errno::CONNRESET => Self::Closed,
            other => Self::Io(other),
        }
    }
}

/// Reads frames.
#[derive(Debug)]
pub(crate) struct FrameReader {
    socket: Arc<OwnedFd>,
    scratch: Box<[u8]>,
    start: usize,
    end: usize,
    max_bytes: u64,
}

impl FrameReader {
    pub(crate) fn new(socket: Arc<OwnedFd>, max_bytes: u64) -> Self {
        Self { socket, scratch: vec![0; SCRATCH].into_boxed_slice(), start: 0, end: 0, max_bytes }
    }

    /// Whether nothing was read that is not consumed.
    pub(crate) fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// The next frame.
    pub(crate) fn read(&mut self, tick: &mut dyn Tick) -> Result<Frame, FrameError> {
        while self.buffered().len() < HEADER {
            self.fill(tick)?;
            if self.buffered().len() < HEADER {
                tick.tick().map_err(FrameError::Stopped)?;
            }
        }
        let header = &self.buffered()[..HEADER];
        let (magic, kind) = (&header[..4], &header[4..8]);
        if magic != MAGIC {
            return Err(FrameError::Malformed);
        }
        let kind = u32::from_le_bytes([kind[0], kind[1], kind[2], kind[3]]);
        let bytes = u64::from_le_bytes(header[8..16].try_into().map_err(|_| FrameError::Malformed)?);
        self.start += HEADER;
        let max = if kind == BATCH { self.max_bytes } else { MAX_MESSAGE as u64 };
        if bytes > max {
            return Err(FrameError::TooLarge { bytes, max });
        }
        let len = usize::try_from(bytes).map_err(|_| FrameError::TooLarge { bytes, max })?;
        match kind {
            MESSAGE => Ok(Frame::Message(self.payload(len, tick)?.as_slice().to_vec())),
            BATCH => Ok(Frame::Batch(self.payload(len, tick)?.into())),
            _ => Err(FrameError::Malformed),
        }
    }

    fn buffered(&self) -> &[u8] {
        &self.scratch[self.start..self.end]
    }

    fn fill(&mut self, tick: &mut dyn Tick) -> Result<(), FrameError> {
        self.scratch.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        let (socket, room) = (&self.socket, &mut self.scratch[self.end..]);
        self.end += wait(tick, || recv(socket, &mut *room, RecvFlags::empty()).map(|(_, got)| got))?;
        Ok(())
    }

    fn payload(&mut self, len: usize, tick: &mut dyn Tick) -> Result<MutableBuffer, FrameError> {
        let mut payload = MutableBuffer::try_with_capacity(len).map_err(|_| FrameError::OutOfMemory(len as u64))?;
        let ready = self.buffered().len().min(len);
        payload.extend_from_slice(&self.scratch[self.start..self.start + ready]);
        self.start += ready;
        while payload.len() < len {
            let filled = payload.len();
            // SAFETY: the buffer has room for `len` bytes, of which the first `filled` are in use.
            let spare: &mut [MaybeUninit<u8>] =
                unsafe { std::slice::from_raw_parts_mut(payload.as_mut_ptr().add(filled).cast(), len - filled) };
            let got = wait(tick, || recv(&self.socket, &mut *spare, RecvFlags::WAITALL).map(|(_, got)| got))?;
            // SAFETY: the kernel has just written `got` bytes there, no more than there was room for.
            unsafe { payload.set_len(filled + got) };
            // The socket's time-out ends a receive that has got something without an error.
            if filled + got < len {
                tick.tick().map_err(FrameError::Stopped)?;
            }
        }
        Ok(payload)
    }
}

/// Runs one receiving call until it gives bytes.
fn wait(tick: &mut dyn Tick, mut call: impl FnMut() -> Result<usize, Errno>) -> Result<usize, FrameError> {
    loop {
        match call() {
            Ok(0) => return Err(FrameError::Closed),
            Ok(got) => return Ok(got),
            Err(Errno::AGAIN | Errno::INTR) => tick.tick().map_err(FrameError::Stopped)?,
            Err(error) => return Err(error.into()),
        }
    }
}

/// Writes frames.
#[derive(Debug)]
pub(crate) struct FrameWriter {
    socket: Arc<OwnedFd>,
    corked: Vec<u8>,
}

impl FrameWriter {
    pub(crate) fn new(socket: Arc<OwnedFd>) -> Self {
        Self { socket, corked: Vec::new() }
    }

    /// Keeps a message back until the next [`send`](Self::send), to go with it in one system call.
    pub(crate) fn cork(&mut self, message: &[u8]) {
        self.corked.extend_from_slice(&header(MESSAGE, message.len()));
        self.corked.extend_from_slice(message);
    }

    /// Sends a message, after all that is corked.
    pub(crate) fn send_message(&mut self, message: &[u8], tick: &mut dyn Tick) -> Result<(), FrameError> {
        self.cork(message);
        let corked = std::mem::take(&mut self.corked);
        send_all(&self.socket, &mut [IoSlice::new(&corked)], tick)?;
        self.corked = corked;
        self.corked.clear();
        Ok(())
    }

    /// Sends the Arrow IPC messages of a batch, after all that is corked.
    pub(crate) fn send_batch(&mut self, parts: &[Buffer], tick: &mut dyn Tick) -> Result<(), FrameError> {
        let len = parts.iter().map(Buffer::len).sum::<usize>();
        let mut corked = std::mem::take(&mut self.corked);
        corked.extend_from_slice(&header(BATCH, len));
        if len <= COPY_BELOW {
            parts.iter().for_each(|part| corked.extend_from_slice(part));
            send_all(&self.socket, &mut [IoSlice::new(&corked)], tick)?;
        } else {
            let filled = parts.iter().filter(|part| !part.is_empty());
            let mut slices: Vec<_> =
                std::iter::once(corked.as_slice()).chain(filled.map(Buffer::as_slice)).map(IoSlice::new).collect();
            send_all(&self.socket, &mut slices, tick)?;
        }
        corked.clear();
        self.corked = corked;
        Ok(())
    }
}

fn header(kind: u32, len: usize) -> [u8; HEADER] {
    let mut header = [0; HEADER];
    header[..4].copy_from_slice(&MAGIC);
    header[4..8].copy_from_slice(&kind.to_le_bytes());
    header[8..].copy_from_slice(&(len as u64).to_le_bytes());
    header
}

/// Sends all of `slices`. A plugin may have given SIGPIPE its deadly default back, hence NOSIGNAL.
fn send_all(socket: &OwnedFd, mut slices: &mut [IoSlice<'_>], tick: &mut dyn Tick) -> Result<(), FrameError> {
    while !slices.is_empty() {
        let some = &slices[..slices.len().min(MAX_SLICES)];
        match sendmsg(socket.as_fd(), some, &mut SendAncillaryBuffer::default(), SendFlags::NOSIGNAL) {
            Ok(sent) => {
                let wanted: usize = some.iter().map(|slice| slice.len()).sum();
                IoSlice::advance_slices(&mut slices, sent);
                if sent < wanted {
                    tick.tick().map_err(FrameError::Stopped)?;
                }
            }
            Err(Errno::AGAIN | Errno::INTR) => tick.tick().map_err(FrameError::Stopped)?,
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use rustix::net::{AddressFamily, SocketFlags, SocketType, send, socketpair};

    use super::*;

    fn pair() -> (Arc<OwnedFd>, Arc<OwnedFd>) {
        let (a, b) = socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None).unwrap();
        (Arc::new(a), Arc::new(b))
    }

    fn bytes(len: usize) -> Vec<u8> {
        (0..len).map(|i| (i % 251) as u8).collect()
    }

    #[test]
    fn frames_of_any_size_arrive_whole_and_in_order() {
        let (near, far) = pair();
        let sizes = [0, 1, 100, SCRATCH - HEADER, SCRATCH, SCRATCH + 1, 3_000_000, 5];
        let writing = std::thread::spawn(move || {
            let mut writer = FrameWriter::new(near);
            for len in sizes {
                writer.cork(&bytes(len.min(300)));
                let (head, tail) = (bytes(len)[..len / 3].to_vec(), bytes(len)[len / 3..].to_vec());
                writer.send_batch(&[head.into(), Buffer::default(), tail.into()], &mut Forever).unwrap();
                writer.send_message(&bytes(len), &mut Forever).unwrap();
            }
        });
        let mut reader = FrameReader::new(far, u64::MAX);
        for len in sizes {
            let Frame::Message(message) = reader.read(&mut Forever).unwrap() else { panic!() };
            assert_eq!(message, bytes(len.min(300)));
            let Frame::Batch(batch) = reader.read(&mut Forever).unwrap() else { panic!() };
            assert_eq!(batch.as_slice(), bytes(len));
            assert_eq!(batch.as_ptr() as usize % 64, 0);
            let Frame::Message(message) = reader.read(&mut Forever).unwrap() else { panic!() };
            assert_eq!(message, bytes(len));
        }
        writing.join().unwrap();
        assert!(matches!(reader.read(&mut Forever), Err(FrameError::Closed)));
    }

    #[track_caller]
    fn check_refused(raw: &[u8], expected: impl Fn(&FrameError) -> bool) {
        let (near, far) = pair();
        send(&near, raw, SendFlags::empty()).unwrap();
        drop(near);
        let error = FrameReader::new(far, 1000).read(&mut Forever).unwrap_err();
        assert!(expected(&error), "{error:?}");
    }

    #[test]
    fn what_is_no_frame_is_refused() {
        check_refused(b"", |e| matches!(e, FrameError::Closed));
        check_refused(b"LRD", |e| matches!(e, FrameError::Closed));
        check_refused(b"HTTP/1.1 200 OK\r\n\r\n", |e| matches!(e, FrameError::Malformed));
        check_refused(&header(9, 0), |e| matches!(e, FrameError::Malformed));
        check_refused(&header(BATCH, 10), |e| matches!(e, FrameError::Closed));
        check_refused(&header(BATCH, 1001), |e| matches!(e, FrameError::TooLarge { bytes: 1001, max: 1000 }));
        check_refused(&header(MESSAGE, MAX_MESSAGE + 1), |e| matches!(e, FrameError::TooLarge { .. }));
    }

    struct Stop(u32);

    impl Tick for Stop {
        fn tick(&mut self) -> Result<(), SourceError> {
            self.0 += 1;
            if self.0 < 3 { Ok(()) } else { Err(SourceError::invalid_data("enough")) }
        }
    }

    fn limit_waits(socket: &OwnedFd) {
        use rustix::net::sockopt::{Timeout, set_socket_timeout};
        for timeout in [Timeout::Recv, Timeout::Send] {
            set_socket_timeout(socket, timeout, Some(std::time::Duration::from_millis(1))).unwrap();
        }
    }

    #[test]
    fn a_tick_ends_the_waiting() {
        let (near, far) = pair();
        limit_waits(&far);
        let mut stop = Stop(0);
        let error = FrameReader::new(far, 1000).read(&mut stop).unwrap_err();
        assert!(matches!(error, FrameError::Stopped(_)));
        assert_eq!(stop.0, 3);
        drop(near);
    }

    #[test]
    fn a_tick_ends_a_frame_that_comes_byte_by_byte() {
        let (near, far) = pair();
        limit_waits(&far);
        // Sends one more byte each time that it is asked whether to go on.
        struct Drip(Arc<OwnedFd>, Stop);
        impl Tick for Drip {
            fn tick(&mut self) -> Result<(), SourceError> {
                send(&self.0, b"x", SendFlags::empty()).unwrap();
                self.1.tick()
            }
        }
        for sent in [&header(BATCH, 100)[..], &header(BATCH, 100)[..3]] {
            send(&near, sent, SendFlags::empty()).unwrap();
            let mut drip = Drip(Arc::clone(&near), Stop(0));
            let error = FrameReader::new(Arc::clone(&far), 1000).read(&mut drip).unwrap_err();
            assert!(matches!(error, FrameError::Stopped(_)), "{error:?}");
            // What is left is no frame: a reader of its own for the next one.
            while rustix::net::recv(&far, &mut [0; 64], RecvFlags::DONTWAIT).is_ok() {}
        }
    }

    #[test]
    fn a_tick_ends_a_send_that_nobody_reads() {
        let (near, _far) = pair();
        limit_waits(&near);
        let much = vec![Buffer::from(bytes(8 << 20))];
        let error = FrameWriter::new(near).send_batch(&much, &mut Stop(0)).unwrap_err();
        assert!(matches!(error, FrameError::Stopped(_)), "{error:?}");
    }
}
