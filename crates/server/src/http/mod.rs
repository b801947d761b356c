//! HTTP: what every request passes ([`guard`]), what is served where ([`routes`]), and how a query's
//! rows are answered ([`rows`]) from bodies that were made before ([`memo`], [`body`]).

pub mod body;
pub mod body_layout;
pub mod cache_headers;
pub mod dto;
pub mod entries;
pub mod entry_key;
pub mod figures;
mod found;
pub mod guard;
pub mod handlers;
pub mod hosts;
pub mod memo;
pub mod negotiate;
pub mod request_id;
pub mod routes;
pub mod rows;
pub mod walks;
