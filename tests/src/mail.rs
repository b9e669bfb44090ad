//! Reading a mail as its recipient would: header folding and encoded words, multipart,
//! quoted-printable, base64, links. Only UTF-8, which is all that the product writes.

use base64::Engine;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use base64::engine::{DecodePaddingMode, general_purpose::STANDARD};

/// A mail that the server accepted, or a `.eml` file.
#[derive(Debug, Clone)]
pub struct Mail {
    /// The envelope's recipients (RCPT).
    pub to: Vec<String>,
    /// The envelope's sender (MAIL).
    pub from: String,
    /// Unix milliseconds; 0 where there was no server.
    pub received_at_ms: u64,
    /// Unfolded and decoded, in order.
    pub headers: Vec<(String, String)>,
    /// The message as it was sent.
    pub raw: Vec<u8>,
    pub body_text: String,
    pub body_html: String,
}

impl Mail {
    /// Reads a file of the sink (with its `X-Envelope-…` lines) or a plain message.
    pub fn parse(file: &[u8]) -> Self {
        let mut mail = Mail {
            to: Vec::new(),
            from: String::new(),
            received_at_ms: 0,
            headers: Vec::new(),
            raw: Vec::new(),
            body_text: String::new(),
            body_html: String::new(),
        };
        let mut rest = file;
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            let line = String::from_utf8_lossy(&rest[..end]);
            let line = line.trim_end();
            if let Some(to) = line.strip_prefix("X-Envelope-To: ") {
                mail.to.push(to.to_owned());
            } else if let Some(from) = line.strip_prefix("X-Envelope-From: ") {
                mail.from = from.to_owned();
            } else if let Some(at) = line.strip_prefix("X-Received-At-Ms: ") {
                mail.received_at_ms = at.parse().unwrap_or(0);
            } else if line != "X-Envelope-From:" {
                break;
            }
            rest = &rest[end + 1..];
        }
        mail.raw = rest.to_vec();
        let part = Part::parse(rest);
        part.collect(&mut mail.body_text, &mut mail.body_html);
        mail.headers = part
            .headers
            .into_iter()
            .map(|(name, value)| (name, decode_words(&value)))
            .collect();
        mail
    }

    /// The first header of this name, decoded; `""` if there is none.
    pub fn header(&self, name: &str) -> &str {
        find(&self.headers, name)
    }

    /// The web addresses in the text part; in the HTML part if there is no text part.
    pub fn links(&self) -> Vec<String> {
        if self.body_text.is_empty() {
            return links(&self.body_html.replace("&amp;", "&"));
        }
        links(&self.body_text)
    }
}

struct Part<'a> {
    headers: Vec<(String, String)>,
    body: &'a [u8],
}

impl<'a> Part<'a> {
    fn parse(bytes: &'a [u8]) -> Self {
        let (mut headers, mut rest) = (Vec::<(String, String)>::new(), bytes);
        while !rest.is_empty() {
            let end = rest.iter().position(|byte| *byte == b'\n');
            let (line, after) = rest.split_at(end.map_or(rest.len(), |end| end + 1));
            rest = after;
            let line = String::from_utf8_lossy(line);
            let line = line.trim_end_matches(['\r', '\n']);
            if line.is_empty() {
                break;
            }
            if line.starts_with([' ', '\t']) {
                if let Some((_, value)) = headers.last_mut() {
                    value.push_str(line);
                }
            } else if let Some((name, value)) = line.split_once(':') {
                headers.push((name.to_owned(), value.trim().to_owned()));
            }
        }
        Part {
            headers,
            body: rest,
        }
    }

    /// Adds the text and HTML leaves below this part.
    fn collect(&self, text: &mut String, html: &mut String) {
        let kind = find(&self.headers, "Content-Type");
        let lower = kind.to_ascii_lowercase();
        if lower.starts_with("multipart/") {
            if let Some(boundary) = parameter(kind, "boundary") {
                for part in split(self.body, &boundary) {
                    Part::parse(part).collect(text, html);
                }
            }
        } else if lower.starts_with("text/html") {
            html.push_str(&self.decoded());
        } else if lower.is_empty() || lower.starts_with("text/plain") {
            text.push_str(&self.decoded());
        }
    }

    fn decoded(&self) -> String {
        let encoding = find(&self.headers, "Content-Transfer-Encoding").to_ascii_lowercase();
        let bytes = match encoding.as_str() {
            "quoted-printable" => quoted_printable(self.body),
            "base64" => base64(self.body),
            _ => self.body.to_vec(),
        };
        String::from_utf8_lossy(&bytes).replace("\r\n", "\n")
    }
}

fn find<'a>(headers: &'a [(String, String)], name: &str) -> &'a str {
    headers
        .iter()
        .find(|(known, _)| known.eq_ignore_ascii_case(name))
        .map_or("", |(_, value)| value)
}

fn parameter(value: &str, name: &str) -> Option<String> {
    value.split(';').skip(1).find_map(|parameter| {
        let (known, value) = parameter.split_once('=')?;
        known
            .trim()
            .eq_ignore_ascii_case(name)
            .then(|| value.trim().trim_matches('"').to_owned())
    })
}

/// The parts between the boundary's lines, without the line break before each.
fn split<'a>(body: &'a [u8], boundary: &str) -> Vec<&'a [u8]> {
    let delimiter = format!("--{boundary}");
    let (mut parts, mut start, mut at) = (Vec::new(), None, 0);
    for line in body.split_inclusive(|byte| *byte == b'\n') {
        if line.starts_with(delimiter.as_bytes()) {
            if let Some(start) = start {
                let part: &[u8] = &body[start..at];
                let part = part.strip_suffix(b"\n").unwrap_or(part);
                parts.push(part.strip_suffix(b"\r").unwrap_or(part));
            }
            let last = line[delimiter.len()..].starts_with(b"--");
            start = (!last).then_some(at + line.len());
        }
        at += line.len();
    }
    parts
}

fn quoted_printable(body: &[u8]) -> Vec<u8> {
    let (mut decoded, mut rest) = (Vec::with_capacity(body.len()), body);
    while let Some((byte, after)) = rest.split_first() {
        let hex = || {
            let digits = std::str::from_utf8(after.get(..2)?).ok()?;
            u8::from_str_radix(digits, 16).ok()
        };
        rest = if *byte != b'=' {
            decoded.push(*byte);
            after
        } else if let Some(value) = hex() {
            decoded.push(value);
            &after[2..]
        } else if let Some(after) = after.strip_prefix(b"\r\n") {
            after
        } else if let Some(after) = after.strip_prefix(b"\n") {
            after
        } else {
            decoded.push(b'=');
            after
        };
    }
    decoded
}

fn base64(body: &[u8]) -> Vec<u8> {
    let engine = GeneralPurpose::new(
        &base64::alphabet::STANDARD,
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
    );
    let digits: Vec<u8> = body
        .iter()
        .copied()
        .filter(|byte| !byte.is_ascii_whitespace())
        .collect();
    engine.decode(digits).unwrap_or_default()
}

/// RFC 2047: `=?utf-8?b?…?=` and `=?utf-8?q?…?=`; white space between two encoded words is none.
fn decode_words(value: &str) -> String {
    let (mut decoded, mut rest) = (Vec::new(), value);
    let mut after_word = false;
    while let Some(start) = rest.find("=?") {
        let (plain, word) = rest.split_at(start);
        let Some((bytes, length)) = decode_word(word) else {
            decoded.extend_from_slice(&rest.as_bytes()[..start + 2]);
            rest = &rest[start + 2..];
            after_word = false;
            continue;
        };
        if !(after_word && plain.trim().is_empty()) {
            decoded.extend_from_slice(plain.as_bytes());
        }
        decoded.extend(bytes);
        rest = &word[length..];
        after_word = true;
    }
    decoded.extend_from_slice(rest.as_bytes());
    String::from_utf8_lossy(&decoded).into_owned()
}

/// The bytes of the encoded word at the start, and its length in the text.
fn decode_word(text: &str) -> Option<(Vec<u8>, usize)> {
    let mut fields = text[2..].splitn(3, '?');
    let (charset, encoding, rest) = (fields.next()?, fields.next()?, fields.next()?);
    let (content, _) = rest.split_once("?=")?;
    let bytes = match encoding {
        "b" | "B" => STANDARD.decode(content).ok()?,
        "q" | "Q" => quoted_printable(content.replace('_', " ").as_bytes()),
        _ => return None,
    };
    let length = 2 + charset.len() + 1 + encoding.len() + 1 + content.len() + 2;
    Some((bytes, length))
}

fn links(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(start) = ["http://", "https://"]
        .iter()
        .filter_map(|scheme| rest.find(scheme))
        .min()
    {
        let link = &rest[start..];
        let end = link
            .find(|c: char| c.is_whitespace() || "<>\"'`".contains(c))
            .unwrap_or(link.len());
        let (link, after) = link.split_at(end);
        found.push(
            link.trim_end_matches(['.', ',', ';', ':', '!', ')'])
                .to_owned(),
        );
        rest = after;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALTERNATIVE: &str = "\
X-Envelope-To: ops@a.test\r\n\
X-Envelope-To: dev@a.test\r\n\
X-Envelope-From: symbolon@a.test\r\n\
X-Received-At-Ms: 1700000000123\r\n\
Subject: =?utf-8?b?2KrYo9mD2YrYrw==?= =?utf-8?q?_caf=C3=A9?= end\r\n\
Content-Type: multipart/alternative;\r\n boundary=\"b=1\"\r\n\
\r\n\
preamble\r\n\
--b=1\r\n\
Content-Type: text/plain; charset=utf-8\r\n\
Content-Transfer-Encoding: quoted-printable\r\n\
\r\n\
Caf=C3=A9: https://a.test/confirm?t=3Da=\r\n\
bc (see http://b.test/x).\r\n\
--b=1\r\n\
Content-Type: text/html; charset=utf-8\r\n\
Content-Transfer-Encoding: base64\r\n\
\r\n\
PHA+2KrYo9mD\r\n\
2YrYrzwvcD4=\r\n\
--b=1--\r\n";

    #[test]
    fn a_multipart_mail_is_read_whole() {
        let mail = Mail::parse(ALTERNATIVE.as_bytes());
        assert_eq!(mail.to, ["ops@a.test", "dev@a.test"]);
        assert_eq!(mail.from, "symbolon@a.test");
        assert_eq!(mail.received_at_ms, 1_700_000_000_123);
        assert_eq!(mail.header("subject"), "تأكيد café end");
        assert_eq!(
            mail.body_text,
            "Café: https://a.test/confirm?t=abc (see http://b.test/x)."
        );
        assert_eq!(mail.body_html, "<p>تأكيد</p>");
        assert_eq!(
            mail.links(),
            ["https://a.test/confirm?t=abc", "http://b.test/x"]
        );
        assert!(mail.raw.starts_with(b"Subject:"));
    }

    #[test]
    fn a_plain_mail_has_its_body_as_text() {
        let mail = Mail::parse(b"Subject: a =? b\r\n\r\nline =41\r\nnext\r\n");
        assert_eq!(mail.header("Subject"), "a =? b");
        assert_eq!(mail.body_text, "line =41\nnext\n");
        assert!(mail.links().is_empty());
    }

    #[test]
    fn an_html_mail_gives_its_links() {
        let mail = Mail::parse(
            b"Content-Type: text/html\n\n<a href=\"https://a.test/?a=1&amp;b=2\">x</a>",
        );
        assert_eq!(mail.links(), ["https://a.test/?a=1&b=2"]);
    }
}
