//! REST, WebSocket, OpenAPI and the dashboard. Reads the indexer's store, hands followers' signatures to the keeper, and
//! holds nothing that the chain does not know, except labels and sessions.

pub mod config;
mod convert;
mod csv;
pub mod dto;
pub mod error;
mod extract;
mod figures;
mod health;
mod nav;
pub mod routes;
pub mod state;
