//! Configuration: a TOML file, then the environment over it.
//!
//! With the prefix `LOCKSTEP_KEEPER`, `LOCKSTEP_KEEPER__RPC__URL` sets `url` in `[rpc]`: two underscores step into a
//! table. A value that looks like a number but is text (a token of digits) is put in quotes: `'"12345"'`.

use std::path::{Path, PathBuf};

use figment::error::{Actual, Kind};
use figment::providers::{Env, Format as _, Toml};
use figment::{Error as FigmentError, Figment};
use serde::de::DeserializeOwned;

/// Why a configuration cannot be used. The text names the file or variable, the key and what is expected, and never
/// shows a value, which may be a secret.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file named on the command line is not there or cannot be read.
    #[error("configuration file {}: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// One or more keys are missing, unknown or of the wrong kind.
    #[error("configuration: {}", .problems.join("; "))]
    Invalid {
        /// One line per key.
        problems: Vec<String>,
    },
}

/// Reads `path` (when given) and the variables that begin with `env_prefix` and two underscores; the environment wins.
///
/// # Errors
/// [`ConfigError::Unreadable`] when the file cannot be read, [`ConfigError::Invalid`] when a key does not fit `T`.
pub fn load<T: DeserializeOwned>(path: Option<&Path>, env_prefix: &str) -> Result<T, ConfigError> {
    let mut figment = Figment::new();
    if let Some(path) = path {
        // figment takes a missing file for an empty one; a file that was asked for must be there.
        std::fs::File::open(path).map_err(|source| ConfigError::Unreadable {
            path: path.to_owned(),
            source,
        })?;
        figment = figment.merge(Toml::file_exact(path));
    }
    let prefix = format!("{env_prefix}__");
    figment
        .merge(Env::prefixed(&prefix).split("__"))
        .extract()
        .map_err(|error| ConfigError::Invalid {
            problems: error.into_iter().map(|e| describe(&e, &prefix)).collect(),
        })
}

fn describe(error: &FigmentError, prefix: &str) -> String {
    let key = error.path.join(".");
    let key = if key.is_empty() {
        "top level".to_owned()
    } else {
        format!("`{key}`")
    };
    let origin = match &error.metadata {
        Some(metadata) if metadata.name.contains("environment") => {
            format!(
                "environment variable {prefix}{}",
                error.path.join("__").to_uppercase()
            )
        }
        Some(metadata) => metadata
            .source
            .as_ref()
            .map_or_else(|| metadata.name.to_string(), ToString::to_string),
        None => format!("configuration file or environment ({prefix}…)"),
    };
    let problem = match &error.kind {
        Kind::MissingField(field) => format!("`{field}` is missing"),
        Kind::UnknownField(field, known) => {
            format!("`{field}` is not a key; known keys: {}", known.join(", "))
        }
        Kind::InvalidType(found, expected) | Kind::InvalidValue(found, expected) => {
            format!("expected {expected}, found {}", kind_of(found))
        }
        Kind::UnknownVariant(_, known) => format!("expected one of {}", known.join(", ")),
        other => other.to_string(),
    };
    format!("{key} in {origin}: {problem}")
}

/// The kind of a value, without the value.
const fn kind_of(found: &Actual) -> &'static str {
    match found {
        Actual::Bool(_) => "a boolean",
        Actual::Unsigned(_) | Actual::Signed(_) => "an integer",
        Actual::Float(_) => "a decimal number",
        Actual::Char(_) | Actual::Str(_) => "a text",
        Actual::Seq => "a list",
        Actual::Map => "a table",
        _ => "something else",
    }
}

#[cfg(test)]
mod tests {
    use figment::Jail;
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(deny_unknown_fields)]
    struct Sample {
        rpc: Rpc,
        #[serde(default)]
        retries: u8,
    }

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(deny_unknown_fields)]
    struct Rpc {
        url: String,
        key: Option<String>,
    }

    fn load_sample(path: &str) -> Result<Sample, ConfigError> {
        load(Some(Path::new(path)), "SAMPLE")
    }

    #[test]
    #[allow(clippy::result_large_err)]
    fn environment_wins_over_the_file() {
        Jail::expect_with(|jail| {
            jail.create_file("a.toml", "retries = 1\n[rpc]\nurl = \"http://file\"")?;
            jail.set_env("SAMPLE__RPC__URL", "http://env");
            let sample = load_sample("a.toml").unwrap();
            assert_eq!(
                sample,
                Sample {
                    rpc: Rpc {
                        url: "http://env".into(),
                        key: None
                    },
                    retries: 1
                }
            );
            Ok(())
        });
    }

    #[test]
    fn a_named_file_must_exist() {
        let error = load_sample("no-such.toml").unwrap_err();
        assert!(error.to_string().contains("no-such.toml"), "{error}");
    }

    #[test]
    #[allow(clippy::result_large_err)]
    fn errors_name_key_place_and_expectation_but_no_value() {
        Jail::expect_with(|jail| {
            jail.create_file("a.toml", "retries = \"hunter2\"\n[rpc]\nurl = \"x\"")?;
            let text = load_sample("a.toml").unwrap_err().to_string();
            assert!(
                text.contains("`retries`") && text.contains("a.toml") && text.contains("u8"),
                "{text}"
            );
            assert!(!text.contains("hunter2"), "{text}");

            jail.create_file("b.toml", "[rpc]\nurl = \"x\"\nspeed = 1")?;
            let text = load_sample("b.toml").unwrap_err().to_string();
            assert!(text.contains("`speed`") && text.contains("url, key"), "{text}");

            jail.create_file("c.toml", "[rpc]\nurl = \"x\"")?;
            jail.set_env("SAMPLE__RPC__KEY", "123456");
            let text = load_sample("c.toml").unwrap_err().to_string();
            assert!(
                text.contains("SAMPLE__RPC__KEY") && !text.contains("123456"),
                "{text}"
            );
            Ok(())
        });
    }
}
