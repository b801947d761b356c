//! A collector of OpenTelemetry spans, as small as can be: it keeps the bytes that it is sent, and looks for others in them.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use crate::poll::{PATIENCE, until_true};

/// What a collector does with what it is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// It takes it.
    Takes,
    /// It answers 503.
    Refuses,
    /// It never answers.
    Hangs,
}

/// A collector on a port of its own, until the process ends.
#[derive(Debug)]
pub struct Collector {
    url: String,
    received: Arc<Mutex<Vec<u8>>>,
}

impl Collector {
    /// Listens.
    ///
    /// # Panics
    /// When there is no port.
    pub fn start(manner: Manner) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let received = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&received);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let kept = Arc::clone(&kept);
                std::thread::spawn(move || serve(stream, manner, &kept));
            }
        });
        Self { url, received }
    }

    /// `http://127.0.0.1:PORT`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// How often something is in what was received.
    ///
    /// # Panics
    /// When a connection's thread has.
    pub fn count(&self, wanted: &[u8]) -> usize {
        let received = self.received.lock().expect("the bytes");
        received.windows(wanted.len()).filter(|window| *window == wanted).count()
    }

    /// Waits until something was received.
    ///
    /// # Panics
    /// When it does not come.
    #[track_caller]
    pub fn receives(&self, what: &str, wanted: &[u8]) {
        until_true(&format!("the collector receives {what}"), PATIENCE, || self.count(wanted) > 0);
    }
}

/// Reads requests as they come: each with its head and its body, which has the length that the head says.
fn serve(stream: TcpStream, manner: Manner, kept: &Mutex<Vec<u8>>) {
    let mut reader = BufReader::new(stream);
    loop {
        let (mut head, mut length) = (String::new(), 0);
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).is_err() || line.is_empty() {
                return;
            }
            if let Some(text) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = text.trim().parse().expect("a length");
            }
            if line == "\r\n" {
                break;
            }
            head += &line;
        }
        let mut body = vec![0; length];
        if reader.read_exact(&mut body).is_err() {
            return;
        }
        kept.lock().expect("the bytes").extend([head.into_bytes(), body].concat());
        let answer = match manner {
            Manner::Takes => "200 OK",
            Manner::Refuses => "503 Service Unavailable",
            Manner::Hangs => loop {
                std::thread::park();
            },
        };
        if write!(reader.get_mut(), "HTTP/1.1 {answer}\r\ncontent-length: 0\r\n\r\n").is_err() {
            return;
        }
    }
}
