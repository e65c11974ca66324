//! The account stream's key, asked for over REST.

use async_trait::async_trait;

use crate::error::Refusal;
use crate::model::Text;
use crate::operation::{Empty, Operation, Reply};

use super::rest::{Client, Outcome, UnknownCause};
use super::socket::{KeyError, SessionKeys};

#[async_trait]
impl SessionKeys for Client {
    async fn create(&self) -> Result<Text, KeyError> {
        match self.act(&Operation::CreateListenKey(Empty {})).await {
            Outcome::Done(Reply::ListenKey(key)) => Ok(key),
            other => Err(KeyError::Failed(describe(&other))),
        }
    }

    async fn keep(&self) -> Result<(), KeyError> {
        match self.act(&Operation::KeepListenKey(Empty {})).await {
            Outcome::Done(_) => Ok(()),
            Outcome::Unknown(UnknownCause::Venue(error)) if error.refusal == Refusal::NotFound => {
                Err(KeyError::Gone(error.to_string()))
            }
            Outcome::Refused(error) => Err(KeyError::Gone(error.to_string())),
            other => Err(KeyError::Failed(describe(&other))),
        }
    }
}

/// Without the key, which is one.
fn describe(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Done(_) => "a reply without a key".to_owned(),
        Outcome::Refused(error) => error.to_string(),
        Outcome::Unknown(cause) => cause.to_string(),
        Outcome::NotSent(cause) => cause.to_string(),
        Outcome::Several(_) => "several replies".to_owned(),
    }
}
