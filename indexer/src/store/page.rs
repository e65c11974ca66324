//! Page cursors: a letter for the list and the key of the last row, in hex, opaque to whoever passes them on.

use super::{Result, StoreError};

/// Where a list goes on.
pub fn encode(list: char, key: &[i128]) -> String {
    let text = key.iter().map(ToString::to_string).collect::<Vec<_>>().join(":");
    alloy::hex::encode(format!("{list}:{text}"))
}

/// Reads a cursor of `list` with `N` parts.
pub fn decode<const N: usize>(list: char, cursor: &str) -> Result<[i128; N]> {
    let read = || -> Option<[i128; N]> {
        let text = String::from_utf8(alloy::hex::decode(cursor).ok()?).ok()?;
        let rest = text.strip_prefix(list)?.strip_prefix(':')?;
        let parts: Vec<i128> = rest
            .split(':')
            .map(|part| part.parse().ok())
            .collect::<Option<_>>()?;
        parts.try_into().ok()
    };
    read().ok_or(StoreError::BadCursor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_good_for_its_own_list_only() {
        let cursor = encode('f', &[7, -1, 3]);
        assert_eq!(decode::<3>('f', &cursor).unwrap(), [7, -1, 3]);
        assert!(matches!(decode::<3>('b', &cursor), Err(StoreError::BadCursor)));
        assert!(matches!(decode::<2>('f', &cursor), Err(StoreError::BadCursor)));
        for junk in ["", "zz", "00", &format!("{cursor}0"), "663a3a"] {
            assert!(
                matches!(decode::<3>('f', junk), Err(StoreError::BadCursor)),
                "{junk}"
            );
        }
    }
}
