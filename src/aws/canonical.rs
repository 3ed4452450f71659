//! Paths and queries in the form that is signed, and the percent-encoding both share.

/// Whether a byte stands for itself in what is signed.
///
/// Source: RFC 3986 section 2.3, unreserved characters.
const fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// Appends the text with all but unreserved characters as `%XX`: one segment of a path, a name or a value.
///
/// Source: "UriEncode" in "Create a signed AWS API request" of the AWS IAM guide.
pub fn encode(text: &[u8], out: &mut String) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let digit = |value: u8| DIGITS.get(usize::from(value)).map_or('0', |digit| char::from(*digit));
    for byte in text.iter().copied() {
        if is_unreserved(byte) {
            out.push(char::from(byte));
        } else {
            out.extend(['%', digit(byte >> 4), digit(byte & 15)]);
        }
    }
}

/// The path to sign for a path as it is sent: dot segments and doubled slashes resolved, every segment encoded once more
/// (`%3A` becomes `%253A`), as all services but S3 want it.
///
/// Source: "Create a canonical request" of the AWS IAM guide; RFC 3986 section 5.2.4.
pub fn canonical_path(sent: &[u8]) -> String {
    let mut segments: Vec<&[u8]> = Vec::new();
    for segment in sent.split(|byte| *byte == b'/') {
        match segment {
            b"" | b"." => {}
            b".." => {
                segments.pop();
            }
            _ => segments.push(segment),
        }
    }
    let mut path = String::with_capacity(sent.len() + 16);
    for segment in &segments {
        path.push('/');
        encode(segment, &mut path);
    }
    let last = sent.rsplit(|byte| *byte == b'/').next();
    if segments.is_empty() || matches!(last, Some(b"" | b"." | b"..")) {
        path.push('/');
    }
    path
}

/// The query to sign and to send for a query as received, without its `?`: arguments decoded once (`+` is a space), encoded
/// in AWS's form, sorted by name and value; an argument without `=` has an empty value. Bytes that are no UTF-8 are kept.
///
/// Source: "Create a canonical request" of the AWS IAM guide.
pub fn canonical_query(received: &[u8]) -> String {
    let mut arguments: Vec<(String, String)> = received
        .split(|byte| *byte == b'&')
        .filter(|argument| !argument.is_empty())
        .map(|argument| {
            let mut halves = argument.splitn(2, |byte| *byte == b'=');
            let mut half = || reencode(halves.next().unwrap_or_default());
            (half(), half())
        })
        .collect();
    arguments.sort_unstable();
    let mut query = String::with_capacity(received.len() + 16);
    for (name, value) in &arguments {
        if !query.is_empty() {
            query.push('&');
        }
        query.extend([name, "=", value]);
    }
    query
}

/// The text decoded as in a form and encoded again. A `%` that begins no escape stands for itself.
fn reencode(text: &[u8]) -> String {
    let (mut encoded, mut rest) = (String::with_capacity(text.len()), text);
    while let [byte, tail @ ..] = rest {
        let (decoded, tail) = match (byte, tail) {
            (b'+', _) => (b' ', tail),
            (b'%', [high, low, after @ ..]) => match (hex_value(*high), hex_value(*low)) {
                (Some(high), Some(low)) => (high << 4 | low, after),
                _ => (b'%', tail),
            },
            _ => (*byte, tail),
        };
        encode(&[decoded], &mut encoded);
        rest = tail;
    }
    encoded
}

fn hex_value(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_normalised_and_encoded_once_more() {
        for (sent, expected) in [
            ("", "/"),
            ("/", "/"),
            ("//", "/"),
            ("/a/b", "/a/b"),
            ("//a//", "/a/"),
            ("/a/./b/../c", "/a/c"),
            ("/a/..", "/"),
            ("/a/b/.", "/a/b/"),
            ("/a/b/..", "/a/"),
            ("/../../a", "/a"),
            ("/a%2Fb", "/a%252Fb"),
            ("/..a/b..", "/..a/b.."),
            // AWS's vectors double-encode-path and double-url-encode
            ("/test/@connections/JBDvjfGEIAMCERw%3D", "/test/%40connections/JBDvjfGEIAMCERw%253D"),
            (
                "/2015-03-31/functions/arn%3Aaws%3Alambda%3Aus-west-2%3A892717189312%3Afunction%3Amy-rusty-fun/invocations",
                "/2015-03-31/functions/arn%253Aaws%253Alambda%253Aus-west-2%253A892717189312%253Afunction%253Amy-rusty-fun/invocations",
            ),
        ] {
            assert_eq!(canonical_path(sent.as_bytes()), expected, "{sent}");
        }
        assert_eq!(canonical_path(b"/\xff"), "/%FF");
    }

    #[test]
    fn queries_are_decoded_encoded_and_sorted() {
        for (received, expected) in [
            ("", ""),
            ("a", "a="),
            ("a=", "a="),
            ("=a", "=a"),
            ("&&a=1&", "a=1"),
            ("b=2&a=1", "a=1&b=2"),
            ("a=2&a=1&A=3", "A=3&a=1&a=2"),
            ("a=1+2", "a=1%202"),
            ("a=1%202", "a=1%202"),
            ("a=%2b", "a=%2B"),
            ("a=b=c", "a=b%3Dc"),
            ("a=%", "a=%25"),
            ("a=%4", "a=%254"),
            ("a=%zz", "a=%25zz"),
            ("a=%41", "a=A"),
            ("ü=é", "%C3%BC=%C3%A9"),
            ("a=/?:@!$'()*,;", "a=%2F%3F%3A%40%21%24%27%28%29%2A%2C%3B"),
            // `-` sorts before `.` and digits, encoded bytes before letters
            ("a-b=1&a.b=2&a=3&ab=4&%C3%BC=5", "%C3%BC=5&a=3&a-b=1&a.b=2&ab=4"),
        ] {
            assert_eq!(canonical_query(received.as_bytes()), expected, "{received}");
        }
        assert_eq!(canonical_query(b"a=\xff%fe"), "a=%FF%FE");
    }

    #[test]
    fn a_canonical_query_is_its_own_canonical_form() {
        for received in ["a=%2525&b=+&c", "x=%E2%82%AC&x=%&y=a%3Db"] {
            let once = canonical_query(received.as_bytes());
            assert_eq!(canonical_query(once.as_bytes()), once);
        }
    }
}
