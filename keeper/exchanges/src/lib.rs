#![doc = include_str!("../README.md")]

pub mod account;
pub mod aggregate;
pub mod book;
pub mod credentials;
pub mod crypto;
pub mod error;
pub mod health;
pub mod json;
pub mod model;
pub mod operation;
pub mod protocol;
pub mod request;
pub mod transport;
pub mod venues;
