//! Frames of `application/vnd.amazon.eventstream`.
//!
//! Source: "Event stream encoding" (Amazon Transcribe developer guide and smithy.io): total length, headers length,
//! CRC-32 of both; headers; payload; CRC-32 of all before. Big-endian.

/// Which check sum of a frame is written wrong, to test readers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Corruption {
    /// The one over the two lengths.
    PreludeCrc,
    /// The one over the whole frame.
    MessageCrc,
}

const STRING: u8 = 7;

/// One frame with string headers.
pub(crate) fn frame(
    headers: &[(&str, &str)],
    payload: &[u8],
    corruption: Option<Corruption>,
) -> Vec<u8> {
    let mut encoded = Vec::new();
    for (name, value) in headers {
        encoded.push(name.len() as u8);
        encoded.extend_from_slice(name.as_bytes());
        encoded.push(STRING);
        encoded.extend_from_slice(&(value.len() as u16).to_be_bytes());
        encoded.extend_from_slice(value.as_bytes());
    }
    let total = 16 + encoded.len() + payload.len();
    let mut out = Vec::with_capacity(total);
    out.extend_from_slice(&(total as u32).to_be_bytes());
    out.extend_from_slice(&(encoded.len() as u32).to_be_bytes());
    let prelude_crc = crc32fast::hash(&out) ^ u32::from(corruption == Some(Corruption::PreludeCrc));
    out.extend_from_slice(&prelude_crc.to_be_bytes());
    out.extend_from_slice(&encoded);
    out.extend_from_slice(payload);
    let message_crc = crc32fast::hash(&out) ^ u32::from(corruption == Some(Corruption::MessageCrc));
    out.extend_from_slice(&message_crc.to_be_bytes());
    out
}

/// A piece of a function's streamed reply.
pub(crate) fn payload_chunk(payload: &[u8], corruption: Option<Corruption>) -> Vec<u8> {
    let headers = [
        (":event-type", "PayloadChunk"),
        (":content-type", "application/octet-stream"),
        (":message-type", "event"),
    ];
    frame(&headers, payload, corruption)
}

/// The end of a stream, with an error where the function failed.
pub(crate) fn invoke_complete(details: &serde_json::Value) -> Vec<u8> {
    let headers = [
        (":event-type", "InvokeComplete"),
        (":content-type", "application/json"),
        (":message-type", "event"),
    ];
    frame(&headers, details.to_string().as_bytes(), None)
}

/// An exception in mid-stream.
pub(crate) fn exception(kind: &str, payload: &[u8]) -> Vec<u8> {
    let headers = [
        (":exception-type", kind),
        (":content-type", "application/json"),
        (":message-type", "exception"),
    ];
    frame(&headers, payload, None)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vectors `empty_message`, `payload_no_headers` and `payload_one_str_header` of the AWS event-stream test suite
    /// (aws-c-event-stream, tests).
    #[test]
    fn published_vectors() {
        let empty = [0, 0, 0, 0x10, 0, 0, 0, 0, 0x05, 0xc2, 0x48, 0xeb, 0x7d, 0x98, 0xc8, 0xff];
        assert_eq!(frame(&[], b"", None), empty);

        let mut no_headers = vec![0, 0, 0, 0x1d, 0, 0, 0, 0, 0xfd, 0x52, 0x8c, 0x5a];
        no_headers.extend_from_slice(b"{'foo':'bar'}");
        no_headers.extend_from_slice(&[0xc3, 0x65, 0x39, 0x36]);
        assert_eq!(frame(&[], b"{'foo':'bar'}", None), no_headers);

        let mut one_header = vec![0, 0, 0, 0x3d, 0, 0, 0, 0x20, 0x07, 0xfd, 0x83, 0x96, 0x0c];
        one_header.extend_from_slice(b"content-type");
        one_header.extend_from_slice(&[7, 0, 0x10]);
        one_header.extend_from_slice(b"application/json");
        one_header.extend_from_slice(b"{'foo':'bar'}");
        one_header.extend_from_slice(&[0x8d, 0x9c, 0x08, 0xb1]);
        assert_eq!(
            frame(&[("content-type", "application/json")], b"{'foo':'bar'}", None),
            one_header
        );
    }

    #[test]
    fn corruption_touches_only_its_check_sum() {
        let right = frame(&[], b"x", None);
        let wrong = frame(&[], b"x", Some(Corruption::MessageCrc));
        assert_eq!(right[..13], wrong[..13]);
        assert_ne!(right[13..], wrong[13..]);
        assert_ne!(right[8..12], frame(&[], b"x", Some(Corruption::PreludeCrc))[8..12]);
    }
}
