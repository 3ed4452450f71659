//! The head of an invocation, up to where the signer goes on.

use super::event::Decimal;
use super::function::Invocation;

/// What the head of an invocation is made of.
#[derive(Clone, Copy, Debug)]
pub struct InvokeHead<'a> {
    /// [`super::InvokeTarget::request_target`]
    pub request_target: &'a str,
    /// The text of `Host`.
    pub host: &'a str,
    /// The event's length in bytes.
    pub content_length: usize,
    /// `invoke=`
    pub invocation: Invocation,
    /// `lambda_log_tail`
    pub log_tail: bool,
    /// The client's trace, so that X-Ray sees one trace; empty for none. It is not signed.
    pub trace_id: &'a [u8],
}

impl<'a> InvokeHead<'a> {
    /// The headers to be signed besides those that the signer adds, sorted by name.
    pub fn signed_headers(&self) -> impl Iterator<Item = (&'static str, &'a str)> + use<'a> {
        let invocation = match self.invocation {
            Invocation::Sync => None,
            Invocation::Async => Some(("x-amz-invocation-type", "Event")),
            Invocation::DryRun => Some(("x-amz-invocation-type", "DryRun")),
        };
        let log_tail = self.log_tail.then_some(("x-amz-log-type", "Tail"));
        [
            Some(("content-type", "application/json")),
            Some(("host", self.host)),
            invocation,
            log_tail,
        ]
        .into_iter()
        .flatten()
    }

    /// Appends request line and headers, each with its line end, without the empty line that ends a head.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.reserve(512);
        out.extend_from_slice(b"POST ");
        out.extend_from_slice(self.request_target.as_bytes());
        out.extend_from_slice(b" HTTP/1.1\r\n");
        for (name, value) in self.signed_headers() {
            push_line(out, name, value.as_bytes());
        }
        push_line(out, "content-length", Decimal::new(self.content_length as u64).as_bytes());
        if !self.trace_id.is_empty() {
            push_line(out, "x-amzn-trace-id", self.trace_id);
        }
    }
}

fn push_line(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: InvokeHead<'_> = InvokeHead {
        request_target: "/2015-03-31/functions/f/invocations",
        host: "lambda.eu-west-1.amazonaws.com",
        content_length: 12,
        invocation: Invocation::Sync,
        log_tail: false,
        trace_id: b"",
    };

    #[test]
    fn heads_have_what_the_invocation_needs() {
        for (head, expected) in [
            (
                HEAD,
                "POST /2015-03-31/functions/f/invocations HTTP/1.1\r\n\
                 content-type: application/json\r\n\
                 host: lambda.eu-west-1.amazonaws.com\r\n\
                 content-length: 12\r\n",
            ),
            (
                InvokeHead { invocation: Invocation::Async, trace_id: b"Root=1", ..HEAD },
                "POST /2015-03-31/functions/f/invocations HTTP/1.1\r\n\
                 content-type: application/json\r\n\
                 host: lambda.eu-west-1.amazonaws.com\r\n\
                 x-amz-invocation-type: Event\r\n\
                 content-length: 12\r\n\
                 x-amzn-trace-id: Root=1\r\n",
            ),
            (
                InvokeHead { invocation: Invocation::DryRun, log_tail: true, ..HEAD },
                "POST /2015-03-31/functions/f/invocations HTTP/1.1\r\n\
                 content-type: application/json\r\n\
                 host: lambda.eu-west-1.amazonaws.com\r\n\
                 x-amz-invocation-type: DryRun\r\n\
                 x-amz-log-type: Tail\r\n\
                 content-length: 12\r\n",
            ),
        ] {
            let mut out = Vec::new();
            head.write(&mut out);
            assert_eq!(String::from_utf8(out).unwrap(), expected);
            assert!(head.signed_headers().is_sorted());
        }
    }
}
