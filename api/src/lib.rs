//! REST, WebSocket, OpenAPI and the dashboard. Reads the indexer's store, hands followers' signatures to the keeper, and
//! holds nothing that the chain does not know, except labels, sessions and a relay history.

mod client;
pub mod config;
mod convert;
mod csv;
pub mod dto;
pub mod error;
mod extract;
mod figures;
mod health;
mod limit;
mod nav;
pub mod private;
mod relay;
pub mod routes;
pub mod server;
mod session;
pub mod state;
pub mod stream;
mod web;
