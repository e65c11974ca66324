//! Deployment and health.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use lockstep_contracts::digest::WITNESS_TYPE_STRING;

use super::AnyProblem;
use crate::dto::deployment::{Contracts, Deployment, ListedMarket, SigningDomain, SigningDomains};
use crate::dto::problem::Problem;
use crate::dto::status::Status;
use crate::error::Result;
use crate::state::App;

/// What a client needs to build typed data and to read the chain by itself.
#[utoipa::path(
    get,
    path = "/api/v1/deployment",
    operation_id = "getDeployment",
    tag = "info",
    responses((status = 200, description = "The deployment.", body = Deployment), AnyProblem),
)]
pub async fn deployment(State(app): State<App>) -> Json<Deployment> {
    let deployment = &app.deployment;
    let domain = |name: &str, version: Option<&str>, contract: alloy::primitives::Address| SigningDomain {
        name: name.to_owned(),
        version: version.map(ToOwned::to_owned),
        chain_id: deployment.chain_id,
        verifying_contract: contract.into(),
    };
    let without_slash = |url: &url::Url| url.as_str().trim_end_matches('/').to_owned();
    Json(Deployment {
        chain_id: deployment.chain_id,
        deployment_block: deployment.deployment_block,
        contracts: Contracts {
            registry: deployment.registry.into(),
            engine: deployment.engine.into(),
            liquidator: deployment.liquidator.into(),
            insurance: deployment.insurance.into(),
            venue: deployment.venue.into(),
            usdc: deployment.usdc.into(),
            permit2: deployment.permit2.into(),
        },
        domains: SigningDomains {
            engine: domain("Lockstep", Some("1"), deployment.engine),
            permit2: domain("Permit2", None, deployment.permit2),
            witness_type_string: WITNESS_TYPE_STRING.to_owned(),
        },
        rpc_url: app.config.public_rpc_url.as_ref().map(without_slash),
        explorer_url: app.config.explorer_url.as_ref().map(without_slash),
        markets: deployment
            .markets
            .iter()
            .map(|market| ListedMarket {
                listing_id: market.listing_id,
                symbol: market.symbol.clone(),
                venue_market: market.venue_market.into(),
            })
            .collect(),
    })
}

/// How the system is.
#[utoipa::path(
    get,
    path = "/api/v1/status",
    operation_id = "getStatus",
    tag = "info",
    responses((status = 200, description = "How its parts are; 200 also when some are down.", body = Status), AnyProblem),
)]
pub async fn status(State(app): State<App>) -> Result<Json<Status>> {
    Ok(Json(crate::health::status(&app).await))
}

/// This process answers.
#[utoipa::path(
    get,
    path = "/healthz",
    operation_id = "healthz",
    tag = "info",
    responses((status = 200, description = "It does.", body = String, content_type = "text/plain")),
)]
pub async fn healthz() -> &'static str {
    "ok\n"
}

/// This process can answer requests: the store can be read.
#[utoipa::path(
    get,
    path = "/readyz",
    operation_id = "readyz",
    tag = "info",
    responses(
        (status = 200, description = "It can.", body = String, content_type = "text/plain"),
        (status = 503, description = "The store cannot be read.", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub async fn readyz(State(app): State<App>) -> Result<(StatusCode, &'static str)> {
    app.reader()?.status().await?;
    Ok((StatusCode::OK, "ok\n"))
}
