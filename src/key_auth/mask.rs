//! Blanks keys out of what nginx logs: `$request`, URIs, lines of the error log.

use super::arguments::{Argument, ArgumentName};

const MASK: &[u8] = b"***";

/// A request line, `METHOD URI HTTP/x`, with the named arguments' values as `***`; `None` when it has none.
///
/// The line may be none that can be parsed, so that an argument begins behind every `?` and `&`; it goes on to the next `&`.
pub fn request_line(line: &[u8], names: &[ArgumentName]) -> Option<Vec<u8>> {
    // what is no protocol version belongs to the URI
    let protocol = b" HTTP/";
    let end = line.windows(protocol.len()).rposition(|it| it == protocol).unwrap_or(line.len());
    let (request, _) = line.split_at_checked(end)?;
    let begins = |byte: &u8| matches!(byte, b'?' | b'&');
    let (mut masked, mut shown, mut at) = (Vec::new(), 0, 0);
    while let Some(mark) = request.get(at..)?.iter().position(begins) {
        at += mark + 1;
        let rest = request.get(at..)?;
        let length = rest.iter().position(|byte| *byte == b'&').unwrap_or(rest.len());
        let argument = Argument::new(rest.get(..length)?);
        if !argument.value.is_empty() && argument.is_one_of(names) {
            masked.extend_from_slice(line.get(shown..at + length - argument.value.len())?);
            masked.extend_from_slice(MASK);
            at += length;
            shown = at;
        }
    }
    masked.extend_from_slice(line.get(shown..)?);
    (shown > 0).then_some(masked)
}

/// Masks a line of the error log in place, wherever in it a URI stands, and returns its new length, which is not larger.
///
/// nginx writes URIs into its lines as they are, quotes included: a value goes on to `&`, a space, or a quote that ends
/// the line or stands before a comma. A value of one or two bytes becomes as many stars.
pub fn log_line(line: &mut [u8], names: &[ArgumentName]) -> usize {
    let (mut read, mut write) = (0, 0);
    while let Some(byte) = line.get(read).copied() {
        put(line, &mut write, byte);
        read += 1;
        if !matches!(byte, b'?' | b'&' | b'"') {
            continue;
        }
        let rest = line.get(read..).unwrap_or_default();
        let whole = rest.get(..argument_end(rest)).unwrap_or_default();
        let Some(equals) = whole.iter().position(|byte| *byte == b'=') else { continue };
        let name = whole.get(..equals).unwrap_or_default();
        if !names.iter().any(|other| other.matches(name)) {
            continue;
        }
        let (value_length, end) = (whole.len() - equals - 1, read + whole.len());
        for at in read..=read + equals {
            let byte = line.get(at).copied().unwrap_or_default();
            put(line, &mut write, byte);
        }
        for star in MASK.iter().take(value_length) {
            put(line, &mut write, *star);
        }
        read = end;
    }
    write
}

fn put(line: &mut [u8], write: &mut usize, byte: u8) {
    if let Some(place) = line.get_mut(*write) {
        *place = byte;
        *write += 1;
    }
}

fn argument_end(rest: &[u8]) -> usize {
    let ends = |(at, byte): (usize, &u8)| match byte {
        b'&' | b' ' | b'\n' => true,
        b'"' => matches!(rest.get(at + 1), None | Some(b',' | b'\n' | b' ')),
        _ => false,
    };
    rest.iter().enumerate().position(ends).unwrap_or(rest.len())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn names() -> Vec<ArgumentName> {
        ["apikey", "k y"].iter().filter_map(|name| ArgumentName::new(name)).collect()
    }

    fn line(written: &str) -> String {
        let mut bytes = written.as_bytes().to_vec();
        let length = log_line(&mut bytes, &names());
        String::from_utf8(bytes[..length].to_vec()).unwrap()
    }

    #[test]
    fn the_request_line_shows_stars() {
        for (written, expected) in [
            ("GET /a?apikey=SECRET HTTP/1.1", Some("GET /a?apikey=*** HTTP/1.1")),
            (
                "GET /a?b=1&%61pikey=S&k+y=T&c HTTP/2.0",
                Some("GET /a?b=1&%61pikey=***&k+y=***&c HTTP/2.0"),
            ),
            ("GET /a?apikey=S HTTP/x HTTP/1.1", Some("GET /a?apikey=*** HTTP/1.1")),
            ("GET /a?apikey=SECRET", Some("GET /a?apikey=***")),
            ("GET /a?b=1&apikey=S?T&c=2 HTTP/1.1", Some("GET /a?b=1&apikey=***&c=2 HTTP/1.1")),
            ("G?T /?apikey=SECRET HTTP/1.1", Some("G?T /?apikey=*** HTTP/1.1")),
            ("G?a&apikey=1&b?T /?c&apikey=S", Some("G?a&apikey=***&b?T /?c&apikey=***")),
            ("GET /a?b=?apikey=SECRET HTTP/1.1", Some("GET /a?b=?apikey=*** HTTP/1.1")),
            ("?&?&", None),
            ("GET /a?apikey= HTTP/1.1", None),
            ("GET /a?b=apikey=1 HTTP/1.1", None),
            ("GET /apikey=1 HTTP/1.1", None),
            ("", None),
        ] {
            let masked = request_line(written.as_bytes(), &names());
            assert_eq!(masked.as_deref(), expected.map(str::as_bytes), "{written}");
        }
    }

    #[test]
    fn error_lines_show_stars_in_every_uri() {
        assert_eq!(
            line(
                "x, request: \"GET /a?apikey=SECRET HTTP/1.1\", upstream: \
                  \"http://127.0.0.1:80/a?b=1&%61pikey=SECRET\", host: \"h\", \
                  referrer: \"http://h/?k+y=SECRET&c=2\"\n"
            ),
            "x, request: \"GET /a?apikey=*** HTTP/1.1\", upstream: \
             \"http://127.0.0.1:80/a?b=1&%61pikey=***\", host: \"h\", \
             referrer: \"http://h/?k+y=***&c=2\"\n"
        );
        for (written, expected) in [
            ("\"/a?apikey=SEC\"RET\", x", "\"/a?apikey=***\", x"),
            ("\"/a?apikey=SECRET", "\"/a?apikey=***"),
            ("\"/a?apikey=ab&apikey=c\"", "\"/a?apikey=**&apikey=*\""),
            ("args: \"apikey=SECRET\"", "args: \"apikey=***\""),
            ("\"/a?apikey=&b=1\"", "\"/a?apikey=&b=1\""),
            ("\"/a?xapikey=SEEN\"", "\"/a?xapikey=SEEN\""),
            ("no uri", "no uri"),
        ] {
            assert_eq!(line(written), expected, "{written}");
        }
    }

    proptest! {
        #[test]
        fn no_line_shows_a_key(
            before in "\\PC{0,20}",
            separator in "[?&]",
            after in "(&[a-z=]{0,5})?(\"|\", x)?",
        ) {
            let shown = line(&format!("{before}{separator}apikey=S%45CRET{after}"));
            prop_assert!(!shown.contains("CRET"), "{}", shown);
        }

        #[test]
        fn no_bytes_make_it_fail(mut bytes: Vec<u8>) {
            let before = bytes.len();
            prop_assert!(log_line(&mut bytes, &names()) <= before);
        }
    }
}
