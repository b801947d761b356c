//! A reader of Server-Sent Events, as a browser's is: numbered events, comments skipped, dropped and taken up again.

use std::io::{BufRead, BufReader, Read};

use serde_json::Value;

use crate::http::Client;

/// One event.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// Its number, if it has one.
    pub id: Option<u64>,
    /// What kind it is.
    pub name: String,
    /// What it says.
    pub data: Value,
}

/// A stream that is being followed. It ends with the stream; dropping it closes the connection.
pub struct Events(BufReader<Box<dyn Read + Send + Sync>>);

impl Events {
    /// Follows `path` after the event of number `last`.
    ///
    /// # Panics
    /// When the answer is no stream of events.
    #[track_caller]
    pub fn follow(client: &Client, path: &str, last: Option<u64>) -> Self {
        let last = last.map(|last| last.to_string());
        let headers: Vec<(&str, &str)> = last.iter().map(|last| ("last-event-id", last.as_str())).collect();
        Self(BufReader::new(client.stream(path, &headers)))
    }
}

impl Iterator for Events {
    type Item = Event;

    fn next(&mut self) -> Option<Event> {
        let mut event = Event { id: None, name: String::new(), data: Value::Null };
        let mut line = String::new();
        loop {
            line.clear();
            if self.0.read_line(&mut line).ok()? == 0 {
                return None;
            }
            match line.trim_end_matches('\n').split_once(": ") {
                Some(("id", id)) => event.id = id.parse().ok(),
                Some(("event", name)) => name.clone_into(&mut event.name),
                Some(("data", data)) => event.data = serde_json::from_str(data).expect("JSON in an event"),
                _ if line == "\n" && !event.name.is_empty() => return Some(event),
                _ => {}
            }
        }
    }
}
