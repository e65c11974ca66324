//! `lockstep-api`.

fn main() -> anyhow::Result<()> {
    print!("{}", lockstep_api::routes::openapi_json()?);
    Ok(())
}
