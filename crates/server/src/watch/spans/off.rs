//! A build without OpenTelemetry: there is no exporter, and so nothing that one could do.

use std::time::Duration;

use super::{Asked, Done, SpansError};
use crate::http::trace_parent::TraceId;

pub(super) enum Exporter {}

pub(super) enum Open {}

impl Exporter {
    pub(super) fn new(_: &str) -> Result<Self, SpansError> {
        Err(SpansError::NotBuilt)
    }

    pub(super) fn begin(&self, _: &Asked<'_>) -> Option<Open> {
        match *self {}
    }

    pub(super) fn tell(&self, _: &str, _: &Done<'_>) {
        match *self {}
    }

    pub(super) fn close(&self, _: Duration) {
        match *self {}
    }
}

impl Open {
    pub(super) fn trace_id(&self) -> TraceId {
        match *self {}
    }

    pub(super) fn end(self, _: &str, _: u16) {
        match self {}
    }
}
