//! EIP-4361 messages, read strictly: what was shown to the signer is what is judged, so a message that is not exactly of
//! the standard's form is refused rather than guessed at.

use alloy::primitives::Address;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// A message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// `https` in `https://example.com wants you…`, when it is there.
    pub scheme: Option<String>,
    /// Host and port of the page that asks.
    pub domain: String,
    /// Who signs.
    pub address: Address,
    /// The reason shown.
    pub statement: Option<String>,
    /// What is logged in to.
    pub uri: String,
    /// EIP-155 chain id.
    pub chain_id: u64,
    /// Nonce.
    pub nonce: String,
    /// Unix milliseconds.
    pub issued_at: i64,
    /// Unix milliseconds.
    pub expiration_time: Option<i64>,
    /// Unix milliseconds.
    pub not_before: Option<i64>,
}

/// Why a text is no message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NotAMessage(pub &'static str);

const PREAMBLE: &str = " wants you to sign in with your Ethereum account:";

fn moment(text: &str) -> Result<i64, NotAMessage> {
    OffsetDateTime::parse(text, &Rfc3339)
        .ok()
        .and_then(|moment| i64::try_from(moment.unix_timestamp_nanos() / 1_000_000).ok())
        .ok_or(NotAMessage("times are written as in RFC 3339"))
}

impl Message {
    /// Reads a message.
    ///
    /// # Errors
    /// [`NotAMessage`] with what is not of the standard's form.
    pub fn parse(text: &str) -> Result<Self, NotAMessage> {
        let mut lines = text.split('\n').peekable();
        let first = lines
            .next()
            .and_then(|line| line.strip_suffix(PREAMBLE))
            .ok_or(NotAMessage(
                "the first line is `<domain> wants you to sign in with your Ethereum account:`",
            ))?;
        let (scheme, domain) = match first.split_once("://") {
            Some((scheme, domain)) => (Some(scheme.to_owned()), domain),
            None => (None, first),
        };
        if domain.is_empty() || domain.contains([' ', '/', '?', '#', '@']) {
            return Err(NotAMessage("the domain is a host, and a port if need be"));
        }
        let address = lines
            .next()
            .and_then(|line| Address::parse_checksummed(line, None).ok())
            .ok_or(NotAMessage(
                "the second line is the address with its EIP-55 checksum",
            ))?;
        if lines.next() != Some("") {
            return Err(NotAMessage("an empty line follows the address"));
        }
        // Without a statement one empty line may be followed by another, as the standard has it, or not, as many
        // wallets' libraries have it.
        let statement = match lines.peek() {
            Some(&"") => {
                lines.next();
                None
            }
            Some(line) if line.starts_with("URI: ") => None,
            Some(_) => {
                let statement = lines.next().map(ToOwned::to_owned);
                if lines.next() != Some("") {
                    return Err(NotAMessage("an empty line follows the statement"));
                }
                statement
            }
            None => return Err(NotAMessage("the message ends after the address")),
        };

        let mut field = |name: &str, missing: &'static str| -> Result<String, NotAMessage> {
            lines
                .next()
                .and_then(|line| line.strip_prefix(name)?.strip_prefix(": "))
                .filter(|value| !value.is_empty())
                .map(ToOwned::to_owned)
                .ok_or(NotAMessage(missing))
        };
        let uri = field("URI", "`URI: ` follows")?;
        if field("Version", "`Version: ` follows the URI")? != "1" {
            return Err(NotAMessage("the version is 1"));
        }
        let chain_id = field("Chain ID", "`Chain ID: ` follows the version")?
            .parse()
            .map_err(|_| NotAMessage("the chain id is a number"))?;
        let nonce = field("Nonce", "`Nonce: ` follows the chain id")?;
        if nonce.len() < 8 || !nonce.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return Err(NotAMessage("the nonce has at least 8 letters and digits"));
        }
        let issued_at = moment(&field("Issued At", "`Issued At: ` follows the nonce")?)?;

        let mut message = Self {
            scheme,
            domain: domain.to_owned(),
            address,
            statement,
            uri,
            chain_id,
            nonce,
            issued_at,
            expiration_time: None,
            not_before: None,
        };
        // What is optional comes in this order, each at most once.
        let mut next = lines.next();
        if let Some(value) = next.and_then(|line| line.strip_prefix("Expiration Time: ")) {
            message.expiration_time = Some(moment(value)?);
            next = lines.next();
        }
        if let Some(value) = next.and_then(|line| line.strip_prefix("Not Before: ")) {
            message.not_before = Some(moment(value)?);
            next = lines.next();
        }
        if next.is_some_and(|line| line.starts_with("Request ID: ")) {
            next = lines.next();
        }
        if next == Some("Resources:") {
            next = lines.find(|line| !line.starts_with("- "));
        }
        match next {
            None => Ok(message),
            Some(_) => Err(NotAMessage("there is more than the standard allows")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADDRESS: &str = "0xC02aaA39b223FE8D0A0e5C4F27eAD9083C756Cc2";

    fn full() -> String {
        format!(
            "https://example.com wants you to sign in with your Ethereum account:\n{ADDRESS}\n\nI accept: https://x\n\n\
             URI: https://example.com/login\nVersion: 1\nChain ID: 31337\nNonce: 32891756\n\
             Issued At: 2021-09-30T16:25:24Z\nExpiration Time: 2021-09-30T17:25:24.500Z\n\
             Not Before: 2021-09-30T16:00:00+00:00\nRequest ID: 7\nResources:\n- ipfs://x\n- https://y"
        )
    }

    #[test]
    fn reads_the_standards_example() {
        let message = Message::parse(&full()).unwrap();
        assert_eq!(message.scheme.as_deref(), Some("https"));
        assert_eq!(message.domain, "example.com");
        assert_eq!(message.address.to_string(), ADDRESS);
        assert_eq!(message.statement.as_deref(), Some("I accept: https://x"));
        assert_eq!(message.chain_id, 31_337);
        assert_eq!(message.issued_at, 1_633_019_124_000);
        assert_eq!(message.expiration_time, Some(1_633_022_724_500));
        assert_eq!(message.not_before, Some(1_633_017_600_000));
    }

    #[test]
    fn reads_both_ways_to_leave_the_statement_out() {
        for gap in ["\n\n", "\n\n\n"] {
            let text = format!(
                "localhost:8080 wants you to sign in with your Ethereum account:\n{ADDRESS}{gap}URI: http://localhost:8080\n\
                 Version: 1\nChain ID: 1\nNonce: 12345678\nIssued At: 2021-09-30T16:25:24.000Z"
            );
            let message = Message::parse(&text).unwrap();
            assert_eq!(
                (message.statement, message.domain.as_str()),
                (None, "localhost:8080")
            );
        }
    }

    #[test]
    fn refuses_what_is_not_of_the_form() {
        for (from, to) in [
            ("wants you", "wants me"),
            ("example.com wants", "evil.com/example.com wants"),
            ("https://example.com wants", "https:// wants"),
            ("0xC02aaA", "0xc02aaA"),
            ("Version: 1", "Version: 2"),
            ("Chain ID: 31337", "Chain ID: 0x1"),
            ("Nonce: 32891756", "Nonce: 328"),
            ("Nonce: 32891756", "Nonce: 3289-1756"),
            ("Issued At: 2021", "Issued At: yesterday 2021"),
            ("Not Before", "Not After"),
            ("Resources:", "Sources:"),
            ("- https://y", "- https://y\nChain ID: 1"),
            ("Version: 1\nChain ID: 31337", "Chain ID: 31337\nVersion: 1"),
        ] {
            let text = full().replacen(from, to, 1);
            assert_ne!(text, full(), "{from}");
            assert!(Message::parse(&text).is_err(), "{from} -> {to}");
        }
        for end in 0..full().find("Z\nExpiration").unwrap() {
            assert!(Message::parse(full().get(..end).unwrap_or("")).is_err(), "{end}");
        }
    }
}
