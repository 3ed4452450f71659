//! X-Ray trace ids.
//!
//! Source: AWS X-Ray developer guide, "Tracing header".

/// The longest trace header that is passed on.
const MAX_TRACE_BYTES: usize = 512;

/// True when a client's `X-Amzn-Trace-Id` may be kept: it has a root and holds nothing but printable text.
pub(crate) fn is_well_formed(value: &[u8]) -> bool {
    value.len() <= MAX_TRACE_BYTES
        && value.iter().all(|byte| matches!(byte, b' '..=b'~'))
        && value
            .split(|byte| *byte == b';')
            .any(|field| field.trim_ascii().strip_prefix(b"Root=").is_some_and(is_root))
}

/// `1-`, eight hex digits of the time, `-`, 24 hex digits.
fn is_root(root: &[u8]) -> bool {
    let is_hex =
        |part: &[u8], length| part.len() == length && part.iter().all(u8::is_ascii_hexdigit);
    let mut parts = root.split(|byte| *byte == b'-');
    parts.next() == Some(b"1")
        && parts.next().is_some_and(|time| is_hex(time, 8))
        && parts.next().is_some_and(|id| is_hex(id, 24))
        && parts.next().is_none()
}

/// The length of a trace header that is made here.
pub(crate) const MADE_BYTES: usize = 40;

/// A new trace header: `Root=1-TIME-ID`, its id the first 24 hex digits of the request's.
pub(crate) fn made_from(request_id: &[u8], time_s: u64) -> [u8; MADE_BYTES] {
    let mut made = *b"Root=1-00000000-000000000000000000000000";
    let (head, id) = made.split_at_mut(16);
    for (nibble, to) in head.iter_mut().skip(7).take(8).enumerate() {
        let value = (time_s >> (28 - 4 * nibble) & 15) as u32;
        *to = char::from_digit(value, 16).map_or(b'0', |digit| digit as u8);
    }
    match request_id.first_chunk::<24>() {
        Some(digits) if digits.iter().all(u8::is_ascii_hexdigit) => id.copy_from_slice(digits),
        _ => {
            let digits = request_id.iter().filter(|byte| byte.is_ascii_hexdigit());
            id.iter_mut().zip(digits).for_each(|(to, digit)| *to = *digit);
        }
    }
    made
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_with_a_root_is_well_formed() {
        for (value, expected) in [
            ("Root=1-5759e988-bd862e3fe1be46a994272793", true),
            (
                "Self=1-67891234-abcdef012345678912345678;Root=1-5759e988-bd862e3fe1be46a994272793",
                true,
            ),
            ("Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1", true),
            ("", false),
            ("Root=1-5759e988-bd862e3fe1be46a99427279", false),
            ("Root=2-5759e988-bd862e3fe1be46a994272793", false),
            ("Root=1-5759e988-bd862e3fe1be46a994272793-1", false),
            ("Root=1-5759e988-bd862e3fe1be46a994272793;x=\u{1}", false),
            ("Sampled=1", false),
        ] {
            assert_eq!(is_well_formed(value.as_bytes()), expected, "{value}");
        }
    }

    #[test]
    fn a_made_trace_has_the_time_and_the_request_id() {
        let made = made_from(b"0123456789abcdef0123456789abcdef", 0x5759_e988);
        assert_eq!(&made, b"Root=1-5759e988-0123456789abcdef01234567");
        assert_eq!(&made_from(b"ba+d", 1), b"Root=1-00000001-bad000000000000000000000");
        assert!(is_well_formed(&made_from(b"", 0)));
    }
}
