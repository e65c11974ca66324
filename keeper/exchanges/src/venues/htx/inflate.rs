//! The venue's frames are gzip streams. They are inflated into a buffer that each thread keeps: a fill must not wait for
//! forty kilobytes of new state.

use std::cell::Cell;

use miniz_oxide::inflate::TINFLStatus;
use miniz_oxide::inflate::core::inflate_flags::TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF;
use miniz_oxide::inflate::core::{DecompressorOxide, decompress};

use crate::error::DecodeError;
use crate::json::MAXIMUM_FRAME;

/// How a gzip stream begins: two magic bytes, then the only method there is.
pub(super) const MAGIC: [u8; 2] = [0x1f, 0x8b];
const DEFLATE: u8 = 8;
/// What the fixed part of the header takes, and what stands behind the stream: checksum and length.
const HEADER: usize = 10;
const TRAILER: usize = 8;
/// Flags of the header: what stands between its fixed part and the stream.
const HEADER_CHECKSUM: u8 = 2;
const EXTRA: u8 = 4;
const NAME: u8 = 8;
const COMMENT: u8 = 16;

/// Room a thread starts with, and the most it keeps from one frame to the next: books of the deepest stream fit.
const FIRST_ROOM: usize = 16 * 1024;
const KEPT_ROOM: usize = 1024 * 1024;

/// State and room for what comes out. The length of `room` is never taken back, so that it is not filled with zeros for
/// each frame.
#[derive(Default)]
struct Scratch {
    state: Box<DecompressorOxide>,
    room: Vec<u8>,
}

thread_local! {
    static SCRATCH: Cell<Option<Box<Scratch>>> = const { Cell::new(None) };
}

/// Inflates a frame and hands what comes out to `read`. Never more than a frame may have: a few bytes can inflate to
/// gigabytes.
pub(super) fn with_inflated<T>(
    frame: &[u8],
    read: impl FnOnce(&[u8]) -> Result<T, DecodeError>,
) -> Result<T, DecodeError> {
    // Taken out while it is used: whoever comes here meanwhile gets one of their own.
    let mut scratch = SCRATCH.take().unwrap_or_default();
    let result = inflate(frame, &mut scratch).and_then(|length| {
        let inflated = scratch.room.get(..length).unwrap_or_default();
        read(inflated)
    });
    if scratch.room.len() > KEPT_ROOM {
        scratch.room = Vec::new();
    }
    SCRATCH.set(Some(scratch));
    result
}

fn malformed(why: &str) -> DecodeError {
    DecodeError::Malformed {
        detail: format!("gzip: {why}"),
    }
}

/// Inflates into the scratch; how long it is.
fn inflate(frame: &[u8], scratch: &mut Scratch) -> Result<usize, DecodeError> {
    let mut rest = body(frame).ok_or_else(|| malformed("the header is cut off or unknown"))?;
    if scratch.room.is_empty() {
        scratch.room.resize(FIRST_ROOM, 0);
    }
    scratch.state.init();
    let mut length = 0;
    loop {
        let (status, read, written) = decompress(
            &mut scratch.state,
            rest,
            &mut scratch.room,
            length,
            TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF,
        );
        rest = rest.get(read..).unwrap_or_default();
        length = length.saturating_add(written);
        if length > MAXIMUM_FRAME {
            return Err(DecodeError::TooLarge {
                bytes: length,
                limit: MAXIMUM_FRAME,
            });
        }
        match status {
            TINFLStatus::Done => break,
            TINFLStatus::HasMoreOutput => {
                // One more than a frame may have, so that what is too large is told from what just fits.
                let room = scratch.room.len().saturating_mul(2).min(MAXIMUM_FRAME + 1);
                scratch.room.resize(room, 0);
            }
            _ => return Err(malformed("the stream is damaged or cut off")),
        }
    }
    let inflated = scratch.room.get(..length).unwrap_or_default();
    let checked = rest.first_chunk::<TRAILER>().map(|trailer| {
        let [a, b, c, d, e, f, g, h] = *trailer;
        let checksum = u32::from_le_bytes([a, b, c, d]);
        let told = u32::from_le_bytes([e, f, g, h]);
        checksum == crc32fast::hash(inflated) && u32::try_from(length).is_ok_and(|length| length == told)
    });
    match checked {
        Some(true) => Ok(length),
        Some(false) => Err(malformed("the checksum or the length is another")),
        None => Err(malformed("the end is cut off")),
    }
}

/// What stands behind the header.
fn body(frame: &[u8]) -> Option<&[u8]> {
    let (header, mut rest) = frame.split_at_checked(HEADER)?;
    let (method, flags) = (*header.get(2)?, *header.get(3)?);
    if !header.starts_with(&MAGIC) || method != DEFLATE {
        return None;
    }
    if flags & EXTRA != 0 {
        let (length, after) = rest.split_first_chunk::<2>()?;
        rest = after.get(usize::from(u16::from_le_bytes(*length))..)?;
    }
    for text in [NAME, COMMENT] {
        if flags & text != 0 {
            let end = rest.iter().position(|byte| *byte == 0)?;
            rest = rest.get(end + 1..)?;
        }
    }
    if flags & HEADER_CHECKSUM != 0 {
        rest = rest.get(2..)?;
    }
    Some(rest)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::{Compression, GzBuilder};

    use super::*;

    fn gzip(builder: GzBuilder, text: &[u8]) -> Vec<u8> {
        let mut encoder = builder.write(Vec::new(), Compression::default());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    fn inflated(frame: &[u8]) -> Result<Vec<u8>, DecodeError> {
        with_inflated(frame, |bytes| Ok(bytes.to_vec()))
    }

    #[test]
    fn what_was_compressed_comes_out_whatever_the_header_says_and_however_long_it_is() {
        let long: Vec<u8> = (0..200_000_u32)
            .flat_map(|number| (number / 7).to_le_bytes())
            .collect();
        for text in [b"".as_slice(), b"{}", &long, b"short again"] {
            for builder in [
                GzBuilder::new(),
                GzBuilder::new()
                    .filename("name")
                    .comment("more")
                    .extra(vec![7; 300]),
            ] {
                assert_eq!(inflated(&gzip(builder, text)).unwrap(), text);
            }
        }
    }

    #[test]
    fn a_stream_that_is_cut_off_or_changed_is_refused() {
        let whole = gzip(GzBuilder::new(), b"{\"op\":\"ping\",\"ts\":1492420473058}");
        for length in 0..whole.len() {
            assert_eq!(
                inflated(&whole[..length]).unwrap_err().code(),
                "malformed",
                "{length}"
            );
        }
        // Checksum and length.
        for place in whole.len() - TRAILER..whole.len() {
            let mut changed = whole.clone();
            changed[place] ^= 1;
            assert_eq!(inflated(&changed).unwrap_err().code(), "malformed", "{place}");
        }
    }

    #[test]
    fn what_inflates_to_more_than_a_frame_is_refused_and_what_just_fits_is_not() {
        let fits = vec![b' '; MAXIMUM_FRAME];
        assert_eq!(
            inflated(&gzip(GzBuilder::new(), &fits)).unwrap().len(),
            MAXIMUM_FRAME
        );
        let bomb = vec![b' '; MAXIMUM_FRAME * 4];
        assert_eq!(
            inflated(&gzip(GzBuilder::new(), &bomb)).unwrap_err(),
            DecodeError::TooLarge {
                bytes: MAXIMUM_FRAME + 1,
                limit: MAXIMUM_FRAME
            }
        );
    }
}
