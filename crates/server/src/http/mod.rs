//! HTTP: what every request passes ([`guard`]), what is served where ([`routes`]), and how a query's
//! rows are answered ([`rows`]) from bodies that were made before ([`memo`], [`body`]).
//!
//! A question is read (`question`), its body found (`found`) or made (`make`): kept as bytes, or streamed ([`stream`]) if it
//! is too large for that.

pub(crate) mod as_typed;
pub mod body;
pub mod body_layout;
pub mod cache_headers;
mod changes;
pub mod dto;
pub mod entries;
pub mod entry_key;
pub mod events;
mod explain;
mod facets;
pub mod figures;
mod found;
pub mod guard;
pub mod handlers;
pub mod hosts;
mod loads;
mod make;
pub mod memo;
pub mod negotiate;
pub mod page;
mod prefer;
pub mod question;
mod report;
pub mod request_id;
pub mod routes;
pub mod rows;
pub mod stream;
mod timing;
pub mod trace_parent;
pub mod walks;
pub mod worth;
