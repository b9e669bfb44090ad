//! Requests and answers written down, for snapshots that show a dialect's wire word by word.

use super::*;
use std::fmt::{self, Write};

/// The headers of answers that are part of a contract.
const SHOWN: [&str; 19] = [
    "content-type",
    "location",
    "www-authenticate",
    "allow",
    "retry-after",
    "cache-control",
    "etag",
    "link",
    "idempotency-replayed",
    "ratelimit-policy",
    "ratelimit",
    "x-symbolon-account",
    "x-symbolon-environment",
    "x-symbolon-service-account",
    "x-symbolon-service-account-name",
    "x-symbolon-token",
    "x-symbolon-scopes",
    "x-symbolon-expires-at",
    "x-symbolon-code",
];

/// What was asked and answered so far. Clock and dice of an [`Instance`] are fixed, so the same questions
/// in the same order give the same text, on either database:
/// `insta::assert_snapshot!("name", transcript.to_string())`.
#[derive(Default)]
pub(crate) struct Transcript(String);

impl Transcript {
    /// Asks, and writes question and answer down under a heading.
    pub(crate) async fn ask<S, B>(&mut self, name: &str, ask: Ask<'_, S>) -> Got
    where
        S: Service<actix_http::Request, Response = ServiceResponse<B>, Error = Error>,
        B: MessageBody + 'static,
    {
        let request = ask.request.clone();
        let got = ask.got().await;
        self.write(name, &request, &got)
            .expect("writing to a String");
        got
    }

    fn write(&mut self, name: &str, request: &Request, got: &Got) -> fmt::Result {
        let text = &mut self.0;
        let gap = if text.is_empty() { "" } else { "\n" };
        writeln!(text, "{gap}## {name}")?;
        writeln!(text, "{} {}", request.method, request.path)?;
        for (name, value) in &request.headers {
            writeln!(text, "{name}: {value}")?;
        }
        write_body(text, &String::from_utf8_lossy(&request.body))?;
        writeln!(text, "=> {}", got.status)?;
        for name in SHOWN {
            for value in got.headers.get_all(name) {
                writeln!(
                    text,
                    "{name}: {}",
                    String::from_utf8_lossy(value.as_bytes())
                )?;
            }
        }
        write_body(text, &got.text)
    }
}

impl fmt::Display for Transcript {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn write_body(text: &mut String, body: &str) -> fmt::Result {
    match body {
        "" => Ok(()),
        body if serde_json::from_str::<Value>(body).is_ok() => {
            writeln!(text, "{}", indented(body))
        }
        body => writeln!(text, "{body}"),
    }
}

/// JSON on many lines, its fields in the order in which they were sent.
fn indented(json: &str) -> String {
    let (mut text, mut depth, mut quoted, mut escaped) = (String::new(), 0, false, false);
    let mut characters = json.chars().peekable();
    let line = |text: &mut String, depth: usize| {
        text.push('\n');
        text.extend(std::iter::repeat_n("  ", depth));
    };
    while let Some(c) = characters.next() {
        match c {
            _ if quoted => {
                quoted = escaped || c != '"';
                escaped = !escaped && c == '\\';
                text.push(c);
            }
            c if c.is_ascii_whitespace() => {}
            '{' | '[' => {
                text.push(c);
                while characters.peek().is_some_and(char::is_ascii_whitespace) {
                    characters.next();
                }
                if let Some(close) = characters.next_if(|next| matches!(next, '}' | ']')) {
                    text.push(close);
                } else {
                    depth += 1;
                    line(&mut text, depth);
                }
            }
            '}' | ']' => {
                depth -= 1;
                line(&mut text, depth);
                text.push(c);
            }
            ',' => {
                text.push(c);
                line(&mut text, depth);
            }
            ':' => text.push_str(": "),
            c => {
                quoted = c == '"';
                text.push(c);
            }
        }
    }
    text
}

#[test]
fn indentation_keeps_order_and_texts() {
    let json = r#"{"b":[1,{"a":"x, \"y\": {\\"}],"a":{ },"c":[[],null]}"#;
    let wanted = r#"{
  "b": [
    1,
    {
      "a": "x, \"y\": {\\"
    }
  ],
  "a": {},
  "c": [
    [],
    null
  ]
}"#;
    assert_eq!(indented(json), wanted);
    let (before, after): (Value, Value) = (
        serde_json::from_str(json).unwrap(),
        serde_json::from_str(wanted).unwrap(),
    );
    assert_eq!(before, after);
}

async fn a_transcript_is_the_same_on_both(instance: Instance) {
    let service = serve!(instance.app);
    let mut transcript = Transcript::default();
    let path = instance.service_accounts();
    let create = Ask::post(&service, &path)
        .by(&instance.operator)
        .with("idempotency-key", "first")
        .sends(&json!({"name": "Billing", "contact_email": "ops@example.com"}));
    let made = transcript.ask("create", create).await.json();
    let path = format!("{path}/{}", made["id"].as_str().unwrap());
    let rotate = Ask::post(&service, &format!("{path}/rotate")).by(&instance.operator);
    transcript.ask("rotate", rotate).await;
    let put = Ask::new(&service, Method::PUT, &path);
    transcript.ask("a method it does not take", put).await;
    let delete = Ask::new(&service, Method::DELETE, &path).by(&instance.operator);
    transcript.ask("revoke", delete).await;
    insta::assert_snapshot!("native", transcript.to_string());
}

on_both!(a_transcript_is_the_same_on_both);
