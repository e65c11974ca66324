//! Typed view calls, many in one round trip.

use alloy::primitives::{Address, Bytes};
use alloy::sol_types::SolCall;

use super::{Answer, Call, Revert, Rpc, RpcError};

/// Asks every `(contract, call)`; the answers come in the same order.
///
/// # Errors
/// When the endpoint does not answer, or an answer is not what the ABI promises.
pub async fn many<C: SolCall>(
    rpc: &dyn Rpc,
    calls: &[(Address, C)],
) -> Result<Vec<Answer<C::Return>>, RpcError> {
    if calls.is_empty() {
        return Ok(Vec::new());
    }
    let wire: Vec<_> = calls.iter().map(|(to, call)| encode(*to, call)).collect();
    rpc.calls(&wire).await?.into_iter().map(decode::<C>).collect()
}

/// Asks every `(contract, call)`, and a question without an answer leaves the others theirs. A revert is as surprising as
/// no answer.
pub async fn each<C: SolCall>(rpc: &dyn Rpc, calls: &[(Address, C)]) -> Vec<Result<C::Return, RpcError>> {
    if calls.is_empty() {
        return Vec::new();
    }
    let wire: Vec<_> = calls.iter().map(|(to, call)| encode(*to, call)).collect();
    let answers = rpc.each(&wire).await;
    calls
        .iter()
        .zip(answers)
        .map(|((to, _), answer)| decode::<C>(answer?)?.map_err(|revert| refused::<C>(*to, revert)))
        .collect()
}

/// Asks one.
///
/// # Errors
/// As [`many`].
pub async fn one<C: SolCall>(rpc: &dyn Rpc, to: Address, call: C) -> Result<Answer<C::Return>, RpcError> {
    many(rpc, &[(to, call)])
        .await?
        .pop()
        .ok_or(RpcError::Unreadable { what: C::SIGNATURE })
}

/// Asks one whose revert is as surprising as no answer.
///
/// # Errors
/// As [`many`], and when the call reverts.
pub async fn must<C: SolCall>(rpc: &dyn Rpc, to: Address, call: C) -> Result<C::Return, RpcError> {
    one(rpc, to, call)
        .await?
        .map_err(|revert| refused::<C>(to, revert))
}

fn refused<C: SolCall>(to: Address, revert: Revert) -> RpcError {
    RpcError::Refused {
        endpoint: to.to_string(),
        method: C::SIGNATURE,
        code: 3,
        message: revert.message,
    }
}

/// A call as it goes on the wire.
pub fn encode<C: SolCall>(to: Address, call: &C) -> Call {
    Call {
        from: None,
        to,
        data: Bytes::from(call.abi_encode()),
    }
}

/// An answer as it comes from the wire.
///
/// # Errors
/// [`RpcError::Unreadable`].
pub fn decode<C: SolCall>(answer: Answer<Bytes>) -> Result<Answer<C::Return>, RpcError> {
    match answer {
        Ok(data) => C::abi_decode_returns(&data)
            .map(Ok)
            .map_err(|_| RpcError::Unreadable { what: C::SIGNATURE }),
        Err(revert) => Ok(Err(revert)),
    }
}
