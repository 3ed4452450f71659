//! Bodies encoded by gzip, decoded no further than a bound.

use std::io::Read;

use flate2::bufread::MultiGzDecoder;

/// Why a body is not decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NotDecoded {
    /// It is no gzip, cut short, or followed by something else.
    Broken,
    /// It would be longer than the bound.
    TooLarge,
}

/// The decoded body, `max_bytes` long at most.
///
/// Source: RFC 1952; its members are decoded one after the other, as RFC 9110 section 8.4.1.3 has it.
pub(super) fn decode(body: &[u8], max_bytes: usize) -> Result<Vec<u8>, NotDecoded> {
    let mut decoded = Vec::new();
    let mut decoder = MultiGzDecoder::new(body).take((max_bytes as u64).saturating_add(1));
    decoder.read_to_end(&mut decoded).map_err(|_| NotDecoded::Broken)?;
    if decoded.len() > max_bytes { Err(NotDecoded::TooLarge) } else { Ok(decoded) }
}

/// The body as a member of gzip, for tests.
#[cfg(test)]
pub(super) fn encode(body: &[u8]) -> Vec<u8> {
    let mut encoded = Vec::new();
    flate2::bufread::GzEncoder::new(body, flate2::Compression::best())
        .read_to_end(&mut encoded)
        .unwrap();
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `printf '{"a":1}' | gzip -n`
    const ENCODED: [u8; 27] = [
        0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 0xab, 0x56, 0x4a, 0x54, 0xb2, 0x32, 0xac, 5, 0, 0xaf,
        0xac, 0x1b, 0x56, 7, 0, 0, 0,
    ];

    #[test]
    fn what_is_encoded_is_decoded_up_to_the_bound() {
        assert_eq!(decode(&ENCODED, 7).as_deref(), Ok(&b"{\"a\":1}"[..]));
        assert_eq!(decode(&ENCODED, 6), Err(NotDecoded::TooLarge));
        let two = [ENCODED, ENCODED].concat();
        assert_eq!(decode(&two, 14).as_deref(), Ok(&b"{\"a\":1}{\"a\":1}"[..]));
        let bomb = encode(&vec![b' '; 100_000_000]);
        assert!(bomb.len() < 200_000);
        assert_eq!(decode(&bomb, 1000), Err(NotDecoded::TooLarge));
    }

    #[test]
    fn what_is_no_gzip_is_told_apart() {
        let mut wrong_sum = ENCODED;
        wrong_sum[19] ^= 1;
        let cut = &ENCODED[..ENCODED.len() - 1];
        let followed = [&ENCODED[..], b"{}"].concat();
        for body in [b"{\"a\":1}".as_slice(), b"", &wrong_sum, cut, &followed] {
            assert_eq!(decode(body, 1000), Err(NotDecoded::Broken), "{body:?}");
        }
    }
}
