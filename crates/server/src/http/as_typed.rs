//! URLs as people type them: with `"`, `<`, `>` or letters beyond ASCII that should have been percent-encoded.
//!
//! Lists of texts are written with quotes, `?name=in.("a,b",c)`, and curl sends them as they are. actix refuses such a request line
//! before any handler sees it, so they are encoded here, between the socket and actix.
//!
//! Bytes are only touched where it is certain that they are a request line: heads are followed line by line, and behind
//! the first that may be followed by something else than a head (a body, another protocol), the connection is left alone
//! for good. To mistake a body for a head would let one client speak for another behind a proxy. A line ends with `\n`, with or
//! without `\r`, as it does for actix's parser.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use memchr::memchr;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Behind a head with one of these, something else than a head may come.
const BEFORE_OTHERS: [&[u8]; 3] = [b"content-length:", b"transfer-encoding:", b"upgrade:"];
/// So much of a line tells what it is.
const TELLING: usize = 20;

/// A connection whose request lines are encoded as they are read.
pub(crate) struct AsTyped<I> {
    io: I,
    /// What was read, and found no room.
    left: Vec<u8>,
    heads: Heads,
}

impl<I> AsTyped<I> {
    pub(crate) fn new(io: I) -> Self {
        Self { io, left: Vec::new(), heads: Heads::default() }
    }
}

impl<I: AsyncRead + Unpin> AsyncRead for AsTyped<I> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if !self.left.is_empty() {
            let given = self.left.len().min(buffer.remaining());
            buffer.put_slice(&self.left[..given]);
            // Not drained: there are many connections, and few that ever need the room again.
            self.left = self.left[given..].to_vec();
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.io).poll_read(cx, buffer))?;
        if let Some(encoded) = self.heads.follow(&buffer.filled()[before..]) {
            buffer.set_filled(before);
            let (now, later) = encoded.split_at(encoded.len().min(buffer.remaining()));
            buffer.put_slice(now);
            self.left = later.to_vec();
        }
        Poll::Ready(Ok(()))
    }
}

/// Where in a connection the next byte is.
#[derive(Default, PartialEq, Eq)]
enum Place {
    /// In a request line, or before one.
    #[default]
    RequestLine,
    /// In the headers of a request.
    Headers,
    /// Where nobody looks any more.
    Beyond,
}

/// Follows the heads of a connection.
#[derive(Default)]
struct Heads {
    place: Place,
    /// How the line begins.
    line: [u8; TELLING],
    /// How many bytes of the line have come; no more than [`TELLING`] are counted.
    length: usize,
    /// Whether the request line's method is over.
    in_target: bool,
    /// Whether something else comes behind this head.
    before_others: bool,
}

impl Heads {
    /// Takes what was read; what it is to be replaced with, if there is something to encode in it.
    fn follow(&mut self, read: &[u8]) -> Option<Vec<u8>> {
        let mut encoded: Option<Vec<u8>> = None;
        let mut at = 0;
        while at < read.len() && self.place != Place::Beyond {
            let end = memchr(b'\n', &read[at..]).map_or(read.len(), |end| at + end + 1);
            let part = &read[at..end];
            // All bytes of the target are looked at, without branches.
            match self.target_in(part) {
                Some(start) if part[start..].iter().fold(false, |any, byte| any | is_to_be_encoded(byte)) => {
                    let out = encoded.get_or_insert_with(|| read[..at].to_vec());
                    out.extend_from_slice(&part[..start]);
                    encode(&part[start..], out);
                }
                _ => {
                    if let Some(out) = &mut encoded {
                        out.extend_from_slice(part);
                    }
                }
            }
            self.take(part);
            at = end;
        }
        if let Some(out) = &mut encoded {
            out.extend_from_slice(&read[at..]);
        }
        encoded
    }

    /// Where in this part of a line what comes after the method begins, if the line is a request line.
    fn target_in(&mut self, part: &[u8]) -> Option<usize> {
        if self.place != Place::RequestLine {
            return None;
        }
        let start = if self.in_target { 0 } else { memchr(b' ', part)? };
        self.in_target = true;
        Some(start)
    }

    /// Goes on behind this part of a line.
    fn take(&mut self, part: &[u8]) {
        let is_end = part.ends_with(b"\n");
        // Nearly all lines come whole.
        if is_end && self.length == 0 {
            return self.end_line(&part[..part.len().min(TELLING)]);
        }
        let told = part.len().min(TELLING - self.length);
        self.line[self.length..self.length + told].copy_from_slice(&part[..told]);
        self.length += told;
        if is_end {
            let line = self.line;
            self.end_line(&line[..self.length]);
        }
    }

    /// Goes on behind a line that begins so.
    fn end_line(&mut self, line: &[u8]) {
        match (&self.place, line) {
            // Before a request line the parser skips empty ones.
            (Place::RequestLine, b"\n" | b"\r\n") => {}
            (Place::RequestLine, _) if begins(line, b"connect ") => self.place = Place::Beyond,
            (Place::RequestLine, _) => self.place = Place::Headers,
            (_, b"\n" | b"\r\n") => {
                self.place = if self.before_others { Place::Beyond } else { Place::RequestLine };
            }
            _ => self.before_others |= BEFORE_OTHERS.iter().any(|name| begins(line, name)),
        }
        (self.length, self.in_target) = (0, false);
    }
}

/// Whether a line begins with a name, which is written in lower case.
fn begins(line: &[u8], name: &[u8]) -> bool {
    // The first letter tells most of them apart.
    line[0].to_ascii_lowercase() == name[0]
        && line.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name))
}

fn encode(target: &[u8], out: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    for byte in target {
        if is_to_be_encoded(byte) {
            out.extend([b'%', DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
        } else {
            out.push(*byte);
        }
    }
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
    fn a_head_may_come_in_any_pieces() {
        let typed = "GET /\"é\" HTTP/1.1\r\nhost: a\r\nupgrade-insecure-requests: 1\r\nx: \"\"\r\n\r\n";
        let encoded = typed.replacen("/\"é\"", "/%22%C3%A9%22", 1);
        let (bytes, twice) = (typed.repeat(2).into_bytes(), encoded.repeat(2));
        for size in [1, 2, 3, 7, 20, 50, 1_000] {
            let mut heads = Heads::default();
            let follow = |part: &[u8]| heads.follow(part).unwrap_or_else(|| part.to_vec());
            let read: Vec<u8> = bytes.chunks(size).flat_map(follow).collect();
            assert_eq!(String::from_utf8_lossy(&read), twice, "{size} bytes at a time");
        }
        check(
            &["\r\n\n", typed, &typed.replace("\r\n", "\n"), typed],
            &format!("\r\n\n{encoded}{}{encoded}", encoded.replace("\r\n", "\n")),
        );
    }

    #[test]
    fn behind_what_is_no_head_nothing_is_touched() {
        let quoted = "GET /\" HTTP/1.1\r\nhost: a\r\n\r\n";
        for before in [
            "POST /query HTTP/1.1\r\nContent-Length: 33\r\n\r\n",
            "POST /query HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n",
            "GET / HTTP/1.1\r\nUPGRADE: websocket\r\n\r\n",
            "CONNECT a:80 HTTP/1.1\r\n\r\n",
            "GET / HTTP/1.1\r\nhost: ",
        ] {
            check(&[before, quoted], &[before, quoted].concat());
        }
        // The request line itself is one, whatever comes behind its head.
        let with_body = "POST /\" HTTP/1.1\r\ncontent-length: 5\r\n\r\n\"\r\n\r\n";
        check(&[with_body, quoted], &[&with_body.replacen('"', "%22", 1), quoted].concat());
        let method = "G\"T / HTTP/1.1\r\n\r\n";
        check(&[method], method);
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
