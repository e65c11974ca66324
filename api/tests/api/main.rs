//! The API over HTTP: the real router, a real SQLite store filled through the indexer's own derivation, a real WebSocket.
//! Every answer is held against its own schema in the OpenAPI document.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::float_arithmetic
)]

mod door;
mod openapi;
mod problems;
mod process;
mod reads;
mod relay;
mod schema;
mod session;
mod stream;
mod web;
mod world;
