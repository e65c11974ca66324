//! The transport against a scripted venue with a protocol of its own, over real HTTP on loopback and over a network in
//! memory; and against the simulators, whose words it speaks, over a network in memory whose faults follow from a seed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod login;
mod memory;
mod network;
mod plan;
mod rest;
mod script;
mod seeds;
#[path = "../support/mod.rs"]
mod support;
