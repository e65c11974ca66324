//! The last words of a process: what failed, on what, and why, on standard error, and the exit code that goes with it.
//! A supervisor and a person both need them, whatever the log filter is.

use std::error::Error;
use std::process::ExitCode;

use crate::logs::Format;
use crate::panics;

/// The exit code of a process that ends with `outcome`. An error is told as its chain of causes. After a panic anywhere
/// the code is a failure too, or nothing would start the process again.
#[must_use]
pub fn report(format: Format, outcome: anyhow::Result<ExitCode>) -> ExitCode {
    match outcome {
        Ok(_) if panics::happened() => ExitCode::FAILURE,
        Ok(code) => code,
        Err(error) => {
            let text = explain(error.as_ref());
            // Who reads JSON gets JSON, unless logging was never started or is off: then the text is better than nothing.
            if format == Format::Json && tracing::enabled!(tracing::Level::ERROR) {
                tracing::error!("{text}");
            } else {
                eprintln!("error: {text}");
            }
            ExitCode::FAILURE
        }
    }
}

/// One line per cause.
#[must_use]
pub fn explain(error: &(dyn Error + 'static)) -> String {
    causes(error).join("\n  because: ")
}

/// The error and its causes, without what an earlier one has said already, and without what URLs may hold.
#[must_use]
pub fn causes(error: &(dyn Error + 'static)) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut cause = Some(error);
    while let Some(error) = cause {
        let text = without_secrets(&error.to_string());
        if !lines.iter().any(|line| line.contains(&text)) {
            lines.push(text);
        }
        cause = error.source();
    }
    lines
}

/// URLs are cut to scheme and host: user, path and query of an endpoint may be a key. Files keep their path.
fn without_secrets(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("://") {
        shown.push_str(before);
        shown.push_str("://");
        let end = after
            .find(|c: char| c.is_whitespace() || "\"'`()<>,;".contains(c))
            .unwrap_or(after.len());
        let (url, _) = after.split_at(end);
        let url = url.trim_end_matches([':', '.']);
        let further = after.strip_prefix(url).unwrap_or_default();
        if before.ends_with("sqlite") || before.ends_with("file") {
            shown.push_str(url);
        } else {
            let (host, path) = url.split_at(url.find(['/', '?', '#']).unwrap_or(url.len()));
            shown.push_str(host.rsplit('@').next().unwrap_or_default());
            if path.len() > 1 {
                shown.push_str("/…");
            }
        }
        rest = further;
    }
    shown.push_str(rest);
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("journal j.db: {source}")]
    struct Outer {
        source: std::io::Error,
    }

    #[test]
    fn every_cause_is_told_once() {
        let source = std::io::Error::other("no room");
        let error = anyhow::Error::new(Outer { source }).context("the keeper cannot start");
        assert_eq!(
            explain(error.as_ref()),
            "the keeper cannot start\n  because: journal j.db: no room"
        );
    }

    #[test]
    fn urls_keep_their_host_and_nothing_else() {
        for (text, shown) in [
            (
                "GET https://u:p@rpc.example:8443/v2/k?x=k: refused",
                "GET https://rpc.example:8443/…: refused",
            ),
            ("url (http://rpc.example/)", "url (http://rpc.example)"),
            (
                "postgres://me:pw@db/store, sqlite:///var/s.db.",
                "postgres://db/…, sqlite:///var/s.db.",
            ),
            ("nothing :// here://", "nothing :// here://"),
            ("", ""),
        ] {
            assert_eq!(without_secrets(text), shown);
        }
    }

    #[test]
    fn errors_fail() {
        let failed = report(Format::Pretty, Err(anyhow::anyhow!("no")));
        assert_eq!(format!("{failed:?}"), format!("{:?}", ExitCode::FAILURE));
        let ended = report(Format::Pretty, Ok(ExitCode::SUCCESS));
        assert_eq!(format!("{ended:?}"), format!("{:?}", ExitCode::SUCCESS));
    }
}
