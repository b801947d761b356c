//! URLs as people type them: with `"`, `<`, `>` or letters beyond ASCII that should have been percent-encoded.
//!
//! Lists of texts are written with quotes, `?name=in.("a,b",c)`, and curl sends them as they are. actix refuses such a request line
//! before any handler sees it, so they are encoded here, between the socket and actix.
//!
//! Bytes are only touched where it is certain that they are a request line: as long as each read of the connection has
//! been nothing but whole heads without a body. From the first on that was not (a body, half a head), the connection is left
//! alone for good. To mistake a body for a head would let one client speak for another behind a proxy.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use memchr::memchr;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The end of a head.
const END: &[u8] = b"\r\n\r\n";
/// With one of these headers a head may be followed by something else than a head.
const BEFORE_OTHERS: [&[u8]; 3] = [b"content-length", b"transfer-encoding", b"upgrade"];

/// A connection whose request lines are encoded as they are read.
pub(crate) struct AsTyped<I> {
    io: I,
    /// What was read, and found no room.
    left: Vec<u8>,
    /// Whether what is read next begins a request.
    at_a_head: bool,
}

impl<I> AsTyped<I> {
    pub(crate) fn new(io: I) -> Self {
        Self { io, left: Vec::new(), at_a_head: true }
    }
}

impl<I: AsyncRead + Unpin> AsyncRead for AsTyped<I> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if !self.left.is_empty() {
            let given = self.left.len().min(buffer.remaining());
            buffer.put_slice(&self.left[..given]);
            self.left.drain(..given);
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.io).poll_read(cx, buffer))?;
        let read = &buffer.filled()[before..];
        if !self.at_a_head || read.is_empty() {
            return Poll::Ready(Ok(()));
        }
        self.at_a_head = are_heads_alone(read);
        if let Some(encoded) = self.at_a_head.then(|| encoded(read)).flatten() {
            buffer.set_filled(before);
            let (now, later) = encoded.split_at(encoded.len().min(buffer.remaining()));
            buffer.put_slice(now);
            self.left = later.to_vec();
        }
        Poll::Ready(Ok(()))
    }
}

/// Whether what was read is whole heads, after which the next request begins.
fn are_heads_alone(read: &[u8]) -> bool {
    read.ends_with(END) && {
        let mut rest = read;
        while let Some(end) = memchr(b'\n', rest) {
            rest = &rest[end + 1..];
            let begins = |name: &&[u8]| rest.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name));
            if BEFORE_OTHERS.iter().any(begins) {
                return false;
            }
        }
        true
    }
}

/// What was read with its first request line encoded, if there is something to encode in it.
fn encoded(read: &[u8]) -> Option<Vec<u8>> {
    let line = &read[..memchr(b'\n', read)?];
    let (start, end) = (memchr(b' ', line)? + 1, line.iter().rposition(|byte| *byte == b' ')?);
    let target = line.get(start..end)?;
    if !target.iter().any(is_to_be_encoded) {
        return None;
    }
    let mut encoded = Vec::with_capacity(read.len() + 64);
    encoded.extend_from_slice(&read[..start]);
    for byte in target {
        if is_to_be_encoded(byte) {
            const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
            encoded.extend([b'%', DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
        } else {
            encoded.push(*byte);
        }
    }
    encoded.extend_from_slice(&read[end..]);
    Some(encoded)
}

fn is_to_be_encoded(byte: &u8) -> bool {
    matches!(byte, b'"' | b'<' | b'>' | 0x80..)
}

impl<I: AsyncWrite + Unpin> AsyncWrite for AsTyped<I> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    /// What is read, by as many bytes at a time, of what a client sends in these parts.
    async fn read(parts: &[&[u8]], room: usize) -> Vec<u8> {
        let (mut client, server) = duplex(1 << 16);
        let mut server = AsTyped::new(server);
        let mut all = Vec::new();
        for part in parts {
            client.write_all(part).await.unwrap();
            let mut piece = vec![0; room];
            loop {
                let read = server.read(&mut piece).await.unwrap();
                all.extend_from_slice(&piece[..read]);
                // Of what the client has sent nothing is left when the read did not fill its room.
                if read < room {
                    break;
                }
            }
        }
        all
    }

    #[track_caller]
    fn check(parts: &[&str], expected: &str) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let parts: Vec<&[u8]> = parts.iter().map(|part| part.as_bytes()).collect();
        let read = runtime.block_on(read(&parts, 4096));
        assert_eq!(String::from_utf8_lossy(&read), expected);
    }

    #[test]
    fn what_is_typed_in_a_url_is_encoded() {
        let typed = "GET /rows?s=in.(\"a,b\",ü)&x=<>&y=%22 HTTP/1.1\r\nhost: a\r\nif-none-match: \"e\"\r\n\r\n";
        let encoded =
            "GET /rows?s=in.(%22a,b%22,%C3%BC)&x=%3C%3E&y=%22 HTTP/1.1\r\nhost: a\r\nif-none-match: \"e\"\r\n\r\n";
        check(&[typed], encoded);
        check(&[typed, typed], &encoded.repeat(2));
        let plain = "GET /rows?year=gte.2020 HTTP/1.1\r\nhost: a\r\n\r\n";
        check(&[plain, typed, plain], &[plain, encoded, plain].concat());
    }

    #[test]
    fn nothing_else_is_touched() {
        let quoted = "GET /\" HTTP/1.1\r\nhost: a\r\n\r\n";
        for before in [
            "POST /query HTTP/1.1\r\nContent-Length: 33\r\n\r\n",
            "POST /query HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n",
            "GET / HTTP/1.1\r\nUPGRADE: websocket\r\n\r\n",
            "GET / HTTP/1.1\r\nhost:",
        ] {
            check(&[before, quoted], &[before, quoted].concat());
        }
        // A head and the body behind it.
        let with_body = "POST /\" HTTP/1.1\r\ncontent-length: 5\r\n\r\n\"\r\n\r\n";
        check(&[with_body, quoted], &[with_body, quoted].concat());
    }

    #[tokio::test]
    async fn it_takes_as_much_room_as_there_is() {
        let typed = format!("GET /{} HTTP/1.1\r\n\r\n", "\"".repeat(30));
        let expected = format!("GET /{} HTTP/1.1\r\n\r\n", "%22".repeat(30));
        let (mut client, server) = duplex(1 << 16);
        client.write_all(typed.as_bytes()).await.unwrap();
        drop(client);
        let mut server = AsTyped::new(server);
        let (mut all, mut piece) = (Vec::new(), [0; 64]);
        loop {
            match server.read(&mut piece).await.unwrap() {
                0 => break,
                read => all.extend_from_slice(&piece[..read]),
            }
        }
        assert_eq!(String::from_utf8_lossy(&all), expected);
    }
}
