//! Sockets and requests: how frames and replies get here and orders get out, and what is known when they do not.
//!
//! # Data flow
//! ```text
//! socket ── frame ──▶ Protocol::decode ──▶ Event ──▶ Feed (bounded) ──▶ account, book, aggregate
//!    ▲                                                 │ Lost, Connected
//!    │ listen key, login                               ▼
//! rest ◀── snapshot ─────────────────────────── account::AccountState
//!    ▲ limiter (reserve for reductions), clock (offset), health (circuit), ledger (intent first)
//!    └── Operation ◀── keeper
//! ```
//! Nothing flows back but requests. What a venue's words mean is in its [`crate::protocol::Protocol`]; nothing in here
//! knows a venue but [`limits`] (figures and headers) and [`identity`] (alphabets).
//!
//! # What is done when the outcome of an order is not known
//! A timeout, a 5xx, a 429 after the sending, a reply that cannot be read, "busy", "I do not know", "this id exists": none
//! of them is a rejection, and none is a licence to send again.
//! 1. Before an order leaves, its intent is in the [`ledger`], under a client order id that follows from its cause
//!    ([`identity`]). A restart that decides the same makes the same id and finds the intent.
//! 2. Each request is sent at most once ([`rest::Client::act`]). Nothing below sends again by itself: no retry in the HTTP
//!    client, no redirect.
//! 3. An act ends as [`rest::Outcome::Done`], [`rest::Outcome::Refused`] (certainly not done), [`rest::Outcome::NotSent`]
//!    (never left) or [`rest::Outcome::Unknown`].
//! 4. [`rest::Client::resolve`] asks for the order by its client id, with growing pauses. "Not found" right after sending
//!    means nothing. Only when the question was asked after the end of the request's validity on the venue's clock (twice
//!    the documented window) plus the venue's lag, and no fill carries the id either, has it never arrived.
//! 5. Where the venue documents no end of validity (Deribit, Hyperliquid without `expiresAfter`), an order that is not
//!    found stays open: the position decides, not the order. The keeper compares positions with the target anyway.
//! 6. The next attempt has another attempt number and so another id. The old id is never used again.
//! 7. At the start, [`ledger::Ledger::unsettled`] is resolved before the first new order.

pub mod backoff;
pub mod clock;
pub mod dedupe;
pub mod feed;
pub mod http;
pub mod identity;
pub mod ledger;
pub mod limiter;
pub mod limits;
pub mod random;
pub mod redundant;
pub mod rest;
pub mod session;
pub mod snapshot;
pub mod socket;
pub mod websocket;
