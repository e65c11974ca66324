use serde::{Deserialize, Serialize};

use super::{Balance, Book, Fill, Funding, Interval, Kline, Mark, Order, Position, Text, Ticker, Trade};

/// What a stream said, in the words of the model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Event {
    /// An order of the account was filled, in part or whole.
    Fill(Fill),
    /// An order of the account changed.
    Order(Order),
    /// A position of the account changed.
    Position(Position),
    /// A balance of the account changed.
    Balance(Balance),
    /// Best prices.
    Ticker(Ticker),
    /// A book or a change of one.
    Book(Book),
    /// A public trade.
    Trade(Trade),
    /// A kline.
    Kline(Kline),
    /// A mark price.
    Mark(Mark),
    /// A funding rate.
    Funding(Funding),
    /// Something about the connection or the account's setting.
    Control(Control),
}

/// What a venue says about the connection, a subscription or a setting.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "control", rename_all = "snake_case")]
pub enum Control {
    /// It wants this text back at once.
    Ping {
        /// The answer, ready to send.
        reply: Text,
    },
    /// It answered a heartbeat.
    Pong,
    /// It greets, or says something that needs no answer.
    Notice {
        /// What.
        message: Text,
    },
    /// The login was taken.
    LoggedIn {
        /// How long it holds, where the venue says so, seconds. It is said again before that.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        valid_seconds: Option<u64>,
    },
    /// The login was refused.
    LoginRefused {
        /// The venue's code.
        code: Text,
        /// The venue's words.
        message: Text,
    },
    /// A subscription stands.
    Subscribed {
        /// The venue's word for it, where it repeats it.
        topic: Text,
    },
    /// A subscription ended.
    Unsubscribed {
        /// The venue's word for it, where it repeats it.
        topic: Text,
    },
    /// A request on the socket was refused.
    Refused {
        /// The venue's code.
        code: Text,
        /// The venue's words.
        message: Text,
    },
    /// A request on the socket was answered with success; the answer's id, where it has one.
    Answered {
        /// The id the request had.
        id: Text,
    },
    /// The account stream's key or session is over: make a new one and take a snapshot.
    SessionExpired,
    /// The venue will close the socket or its doors soon: move now.
    Maintenance {
        /// The venue's words.
        message: Text,
    },
    /// Leverage was changed.
    LeverageChanged {
        /// The venue's word for the instrument.
        instrument: Text,
        /// Times the margin.
        leverage: rust_decimal::Decimal,
    },
    /// The account is short of margin.
    MarginCall {
        /// The venue's words or the instruments named.
        message: Text,
    },
    /// The list of positions in this message is complete: what is not in it is closed.
    PositionsComplete,
}

/// Whose a socket is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// Anybody's: market data.
    #[default]
    Public,
    /// An account's.
    Private,
}

/// What one can subscribe to.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "stream", rename_all = "snake_case")]
pub enum Stream {
    /// Best prices of an instrument.
    Ticker {
        /// The venue's word for the instrument.
        instrument: Text,
    },
    /// The book of an instrument.
    Book {
        /// The venue's word for the instrument.
        instrument: Text,
    },
    /// Public trades of an instrument.
    Trades {
        /// The venue's word for the instrument.
        instrument: Text,
    },
    /// Klines of an instrument.
    Klines {
        /// The venue's word for the instrument.
        instrument: Text,
        /// Their length.
        interval: Interval,
    },
    /// Mark price and funding of an instrument.
    Mark {
        /// The venue's word for the instrument.
        instrument: Text,
    },
    /// Orders, fills, positions and balances of the account.
    Account,
    /// Fills of somebody, on a venue where they are public (Hyperliquid).
    User {
        /// Address.
        user: Text,
    },
}

impl Stream {
    /// Which socket it lives on.
    #[must_use]
    pub const fn scope(&self) -> Scope {
        match self {
            Self::Account => Scope::Private,
            _ => Scope::Public,
        }
    }
}
