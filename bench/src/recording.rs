//! An answer as it came over the wire, so that a peer can give the same one.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context, bail};

/// What every server makes anew for each answer.
const OWN_HEADERS: [&str; 4] = ["content-length", "date", "connection", "transfer-encoding"];

/// Status, headers and body of an answer.
pub(crate) struct Recording {
    /// The status code.
    pub(crate) status: u16,
    /// Names in lower case and values, in the order of the answer, without those that every server makes anew.
    pub(crate) headers: Vec<(String, String)>,
    /// The body, compressed if it was asked for so.
    pub(crate) body: Vec<u8>,
}

impl Recording {
    /// Asks for `url` with further header lines.
    pub(crate) fn of(url: &str, header_lines: &[String]) -> anyhow::Result<Self> {
        let (host, path) =
            url.strip_prefix("http://").and_then(|rest| rest.split_once('/')).context("read the address")?;
        let mut request = format!("GET /{path} HTTP/1.1\r\nHost: {host}\r\n");
        for header in header_lines {
            request.push_str(header);
            request.push_str("\r\n");
        }
        request.push_str("\r\n");
        let mut stream = TcpStream::connect(host).with_context(|| format!("connect to {host}"))?;
        stream.set_read_timeout(Some(Duration::from_secs(30)))?;
        stream.write_all(request.as_bytes()).context("ask for an answer to record")?;
        let mut bytes = Vec::new();
        let mut piece = [0; 16 * 1024];
        loop {
            if let Some(recording) = Self::read(&bytes)? {
                return Ok(recording);
            }
            match stream.read(&mut piece).with_context(|| format!("read the answer of {url}"))? {
                0 => bail!("read the answer of {url}: it ended early"),
                read => bytes.extend_from_slice(&piece[..read]),
            }
        }
    }

    /// The answer in `bytes`; `None` if it is not there to its end.
    pub(crate) fn read(bytes: &[u8]) -> anyhow::Result<Option<Self>> {
        let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else { return Ok(None) };
        let head = std::str::from_utf8(&bytes[..end]).context("read the head of an answer")?;
        let mut lines = head.split("\r\n");
        let status = lines.next().and_then(|line| line.split(' ').nth(1)).and_then(|code| code.parse().ok());
        let status = status.context("read the status of an answer")?;
        let headers = lines
            .map(|line| line.split_once(':').map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned())))
            .collect::<Option<Vec<_>>>()
            .context("read the headers of an answer")?;
        let length = headers.iter().find(|(name, _)| name == "content-length").and_then(|(_, n)| n.parse().ok());
        let length: usize = match (status, length) {
            (304, _) => 0,
            (_, Some(length)) => length,
            (_, None) => bail!("record an answer of unknown length"),
        };
        let Some(body) = bytes[end + 4..].get(..length) else { return Ok(None) };
        let headers = headers.into_iter().filter(|(name, _)| !OWN_HEADERS.contains(&name.as_str())).collect();
        Ok(Some(Self { status, headers, body: body.to_vec() }))
    }

    /// The bytes that [`read`](Self::read) makes it of again.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = format!("HTTP/1.1 {}\r\ncontent-length: {}", self.status, self.body.len()).into_bytes();
        for (name, value) in &self.headers {
            bytes.extend_from_slice(format!("\r\n{name}: {value}").as_bytes());
        }
        bytes.extend_from_slice(b"\r\n\r\n");
        bytes.extend_from_slice(&self.body);
        bytes
    }

    /// The value of a header; empty if it is missing.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(other, _)| other == name).map_or("", |(_, value)| value)
    }

    /// The names of its headers, sorted.
    pub(crate) fn header_names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.headers.iter().map(|(name, _)| name.as_str()).collect();
        names.sort_unstable();
        names
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recording_is_read_again_as_it_was_and_not_before_its_end() {
        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nETag: \"a:b\"\r\nDate: now\r\n\r\n\r\n\0x";
        for end in 0..answer.len() {
            assert!(Recording::read(&answer[..end]).unwrap().is_none(), "cut at {end}");
        }
        let recording = Recording::read(answer).unwrap().unwrap();
        let again = Recording::read(&recording.to_bytes()).unwrap().unwrap();
        for recording in [recording, again] {
            assert_eq!((recording.status, recording.header("etag")), (200, "\"a:b\""));
            assert_eq!((recording.header_names(), &*recording.body), (vec!["etag"], &b"\r\n\0x"[..]));
        }
    }
}
