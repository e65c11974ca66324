use std::fmt;
use std::io::Read as _;

use anyhow::Context as _;
use clap::Args;
use lockstep_exchanges::credentials::Credentials;
use lockstep_exchanges::model::{Instrument, Venue};
use lockstep_exchanges::operation::Operation;
use lockstep_exchanges::protocol::{Context, Environment};
use lockstep_exchanges::request::{Access, Method, Request};
use lockstep_exchanges::venues::{Generation, protocol_of};
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// `exchanges sign`.
#[derive(Debug, Args)]
pub struct Sign {
    /// For whom; may stand in the description instead.
    venue: Option<Venue>,
}

/// What stands on standard input.
#[derive(Deserialize)]
struct Description {
    venue: Option<Venue>,
    #[serde(default)]
    generation: Generation,
    #[serde(default)]
    environment: Environment,
    endpoint: Option<String>,
    credentials: Option<Credentials>,
    timestamp_ms: u64,
    operation: Option<String>,
    parameters: Option<Box<RawValue>>,
    raw: Option<Raw>,
    #[serde(default)]
    instruments: Vec<Instrument>,
}

/// Any request.
#[derive(Deserialize)]
struct Raw {
    method: String,
    path: String,
    #[serde(default)]
    query: Pairs,
    body: Option<Box<RawValue>>,
    #[serde(default)]
    access: Access,
}

/// A query in the order in which it was written: an object, a list of pairs, or `a=1&b=2`.
#[derive(Default)]
struct Pairs(Vec<(String, String)>);

impl<'de> Deserialize<'de> for Pairs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;
        impl<'de> Visitor<'de> for Read {
            type Value = Pairs;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object, a list of pairs or a query string")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pairs, A::Error> {
                let mut pairs = Vec::new();
                while let Some((name, value)) = map.next_entry::<String, Box<RawValue>>()? {
                    pairs.push((name, plain(value.get())));
                }
                Ok(Pairs(pairs))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Pairs, A::Error> {
                let mut pairs = Vec::new();
                while let Some((name, value)) = list.next_element::<(String, Box<RawValue>)>()? {
                    pairs.push((name, plain(value.get())));
                }
                Ok(Pairs(pairs))
            }
            fn visit_str<E>(self, text: &str) -> Result<Pairs, E> {
                Ok(Pairs(
                    url::form_urlencoded::parse(text.trim_start_matches('?').as_bytes())
                        .into_owned()
                        .collect(),
                ))
            }
            fn visit_unit<E>(self) -> Result<Pairs, E> {
                Ok(Pairs::default())
            }
        }
        deserializer.deserialize_any(Read)
    }
}

/// A JSON text without its quotes, anything else as it stands.
fn plain(json: &str) -> String {
    serde_json::from_str::<String>(json).unwrap_or_else(|_| json.to_owned())
}

impl Raw {
    fn into_request(self) -> anyhow::Result<Request> {
        let method = match self.method.to_ascii_uppercase().as_str() {
            "GET" => Method::Get,
            "POST" => Method::Post,
            "PUT" => Method::Put,
            "DELETE" => Method::Delete,
            other => anyhow::bail!("raw.method {other:?}: GET, POST, PUT or DELETE"),
        };
        let mut request = Request::new(method, self.path, self.access);
        request.query = self.query.0;
        // A body given as JSON is sent as it was written; one given as text is sent as the text says.
        request.body = self
            .body
            .filter(|body| body.get() != "null")
            .map(|body| plain(body.get()))
            .unwrap_or_default();
        Ok(request)
    }
}

impl Sign {
    /// Reads one description and prints the request, or several, one per line, where the operation takes several.
    ///
    /// # Errors
    /// When the description is none, the operation cannot be put into the venue's words, or the credentials cannot sign.
    pub fn run(self) -> anyhow::Result<()> {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text)?;
        let description: Description =
            serde_json::from_str(&text).context("standard input is no description of a request")?;
        let venue = match (self.venue, description.venue) {
            (Some(argument), Some(stated)) if argument != stated => {
                anyhow::bail!("the argument says {argument}, the description {stated}")
            }
            (Some(venue), _) | (None, Some(venue)) => venue,
            (None, None) => anyhow::bail!("for which venue? Name it as the argument or as \"venue\""),
        };
        let protocol = protocol_of(venue, description.generation);
        let instruments = protocol.known_instruments().with(description.instruments);
        let context = Context {
            instruments: &instruments,
            timestamp_ms: description.timestamp_ms,
        };
        let requests = match (description.operation, description.raw) {
            (Some(name), None) => {
                let operation = operation(&name, description.parameters.as_deref())?;
                protocol.requests(&operation, &context)?
            }
            (None, Some(raw)) => vec![raw.into_request()?],
            _ => anyhow::bail!("give either \"operation\" with \"parameters\" or \"raw\""),
        };
        let rest = description
            .endpoint
            .unwrap_or_else(|| protocol.endpoints(description.environment).rest);
        for request in requests {
            let signed = protocol.sign(
                &request,
                rest.trim_end_matches('/'),
                description.credentials.as_ref(),
                description.timestamp_ms,
            )?;
            println!("{}", serde_json::to_string(&signed)?);
        }
        Ok(())
    }
}

fn operation(name: &str, parameters: Option<&RawValue>) -> anyhow::Result<Operation> {
    let parameters = parameters.map_or("{}", RawValue::get);
    // Checked first, so that a wrong name is not reported as a wrong parameter.
    serde_json::from_str::<IgnoredAny>(parameters).context("\"parameters\" is no JSON")?;
    let whole = format!(
        "{{\"operation\":{},\"parameters\":{parameters}}}",
        serde_json::Value::from(name)
    );
    serde_json::from_str(&whole).with_context(|| format!("operation {name:?}"))
}
