//! A client that hides nothing: an error status is an answer like any other, bodies are the bytes
//! of the wire, and a request can also be written by hand.

use std::io::{Read, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::Value;
use ureq::http::{HeaderMap, Method, Request};

/// One answer.
#[derive(Debug, Clone)]
pub struct Answer {
    /// What was asked, for messages.
    pub asked: String,
    /// The status code.
    pub status: u16,
    /// The headers as they came.
    pub headers: HeaderMap,
    /// The body as it came, perhaps compressed.
    pub body: Vec<u8>,
}

impl Answer {
    /// A header's value, `""` when it is absent.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The body after its Content-Encoding was taken off.
    ///
    /// # Panics
    /// When the body is not what the header says.
    pub fn decoded(&self) -> Vec<u8> {
        match self.header("content-encoding") {
            "" | "identity" => self.body.clone(),
            "gzip" => {
                let mut bytes = Vec::new();
                flate2::read::GzDecoder::new(&self.body[..]).read_to_end(&mut bytes).expect("a gzip body");
                bytes
            }
            "zstd" => zstd::decode_all(&self.body[..]).expect("a zstd body"),
            other => panic!("{}: unknown content-encoding {other}", self.asked),
        }
    }

    /// The body as text.
    ///
    /// # Panics
    /// When it is not UTF-8.
    pub fn text(&self) -> String {
        String::from_utf8(self.decoded()).expect("a UTF-8 body")
    }

    /// The body as JSON.
    ///
    /// # Panics
    /// When it is not JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        let text = self.text();
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{} gave no JSON ({error}): {text}", self.asked))
    }

    /// How the body begins, whatever it is, for messages.
    pub fn beginning(&self) -> String {
        String::from_utf8_lossy(&self.decoded()).chars().take(600).collect()
    }

    /// Demands a status.
    ///
    /// # Panics
    /// When it is another.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{} answered {}: {}", self.asked, self.status, self.beginning());
        self
    }
}

/// A client of one server; cheap to clone, connections are kept.
#[derive(Debug, Clone)]
pub struct Client {
    base: String,
    agent: ureq::Agent,
}

impl Client {
    /// A client of `http://host:port`.
    pub fn new(base: &str) -> Self {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .allow_non_standard_methods(true)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .timeout_global(Some(Duration::from_secs(60)))
            .max_idle_connections_per_host(128)
            .max_idle_connections(128)
            .build();
        Self { base: base.to_owned(), agent: config.into() }
    }

    /// Sends a request; an error is one of the connection.
    ///
    /// # Errors
    /// When no whole answer came.
    pub fn try_send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<&[u8]>,
    ) -> Result<Answer, ureq::Error> {
        let mut request = Request::builder().method(Method::from_bytes(method.as_bytes()).expect("a method"));
        request = request.uri(format!("{}{path}", self.base));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = match body {
            Some(body) => self.agent.run(request.body(body.to_vec()).map_err(ureq::Error::from)?),
            None => self.agent.run(request.body(()).map_err(ureq::Error::from)?),
        }?;
        let (parts, body) = response.into_parts();
        Ok(Answer {
            asked: format!("{method} {path}"),
            status: parts.status.as_u16(),
            headers: parts.headers,
            body: body.into_with_config().limit(1 << 30).read_to_vec()?,
        })
    }

    /// The body of a GET, as it comes.
    ///
    /// # Panics
    /// When the answer is not 200.
    #[track_caller]
    pub fn stream(&self, path: &str, headers: &[(&str, &str)]) -> Box<dyn Read + Send + Sync> {
        let mut request = Request::builder().method(Method::GET).uri(format!("{}{path}", self.base));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response =
            self.agent.run(request.body(()).expect("a request")).unwrap_or_else(|e| panic!("GET {path}: {e}"));
        assert_eq!(response.status().as_u16(), 200, "GET {path}");
        Box::new(response.into_body().into_reader())
    }

    /// Sends a request.
    ///
    /// # Panics
    /// When no whole answer came.
    #[track_caller]
    pub fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: Option<&[u8]>) -> Answer {
        self.try_send(method, path, headers, body).unwrap_or_else(|error| panic!("{method} {path}: {error}"))
    }

    /// GET.
    #[track_caller]
    pub fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[], None)
    }

    /// GET with headers.
    #[track_caller]
    pub fn get_with(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        self.send("GET", path, headers, None)
    }

    /// POST of a JSON document.
    #[track_caller]
    pub fn post(&self, path: &str, body: &Value) -> Answer {
        self.send("POST", path, &[("content-type", "application/json")], Some(body.to_string().as_bytes()))
    }

    /// Sends the bytes of a request on a connection of its own and reads the answer until the server closes it.
    ///
    /// # Panics
    /// When the answer is no HTTP/1.1 answer.
    #[track_caller]
    pub fn raw(&self, request: &[u8]) -> Answer {
        let mut stream = TcpStream::connect(self.base.trim_start_matches("http://")).expect("the server accepts");
        stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a time-out can be set");
        // A server may refuse and close before it has read all: what counts is its answer.
        stream.write_all(request).ok();
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).ok();
        let asked = String::from_utf8_lossy(&request[..request.len().min(80)]).into_owned();
        parse_raw(asked, &bytes)
    }
}

/// Takes an answer without chunks apart.
#[track_caller]
fn parse_raw(asked: String, bytes: &[u8]) -> Answer {
    let head = bytes.windows(4).position(|w| w == b"\r\n\r\n");
    let head = head.unwrap_or_else(|| panic!("{asked}: no answer, but {:?}", String::from_utf8_lossy(bytes)));
    let text = std::str::from_utf8(&bytes[..head]).expect("a head in ASCII");
    let mut lines = text.split("\r\n");
    let status = lines.next().and_then(|line| line.split(' ').nth(1)).and_then(|code| code.parse().ok());
    let mut headers = HeaderMap::new();
    for (name, value) in lines.filter_map(|line| line.split_once(':')) {
        let name: ureq::http::HeaderName = name.parse().expect("a header name");
        headers.append(name, value.trim().parse().expect("a header value"));
    }
    Answer { asked, status: status.expect("a status line"), headers, body: bytes[head + 4..].to_vec() }
}

/// Percent-encodes a query value: all but the unreserved characters.
pub fn encode(value: &str) -> String {
    value
        .bytes()
        .map(|b| match b {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => char::from(b).to_string(),
            _ => format!("%{b:02X}"),
        })
        .collect()
}
