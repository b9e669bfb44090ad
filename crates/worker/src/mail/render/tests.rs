//! What a mail looks like to a mail program, with names that would break out if they could.

use super::*;
use symbolon_domain::EmailAddress;
use symbolon_domain::NoticeId;
use symbolon_domain::dice::SeededDice;

fn mail(language: Language, name: &str, reminder: bool) -> ConfirmationMail {
    let now = Timestamp::parse("2026-11-22T05:31:00Z").unwrap();
    ConfirmationMail {
        notice_id: NoticeId::new(now, &mut SeededDice::new(1)),
        to: EmailAddress::parse("ops@example.com").unwrap(),
        language,
        service_account: name.to_owned(),
        account: "Acme & Söhne".to_owned(),
        link: "https://symbolon.example/confirm/AbC-123_~".to_owned(),
        message_id: "019a-1@symbolon.example".to_owned(),
        expires_at: now.plus(Duration::from_secs(7 * 86_400)),
        reminder,
    }
}

fn rendered(mail: &ConfirmationMail) -> String {
    let from: Mailbox = "Symbolon Ops <symbolon@example.org>".parse().unwrap();
    let now = Timestamp::parse("2026-11-22T05:31:00Z").unwrap();
    let outgoing = confirmation(mail, &from, now).unwrap();
    assert!(
        outgoing.raw.is_ascii(),
        "no server may be unable to carry it"
    );
    assert_eq!(outgoing.raw, confirmation(mail, &from, now).unwrap().raw);
    String::from_utf8(outgoing.raw).unwrap()
}

fn headers(raw: &str) -> Vec<String> {
    let head = raw.split("\r\n\r\n").next().unwrap();
    head.replace("\r\n ", " ")
        .split("\r\n")
        .map(str::to_owned)
        .collect()
}

/// The texts of both parts, decoded.
fn parts(raw: &str) -> Vec<String> {
    let boundary = raw
        .split("boundary=\"")
        .nth(1)
        .unwrap()
        .split('"')
        .next()
        .unwrap();
    let parts: Vec<_> = raw.split(&format!("--{boundary}")).collect();
    assert_eq!(parts.len(), 4, "preamble and headers, text, HTML, end");
    parts[1..3]
        .iter()
        .map(|part| {
            let (head, body) = part.split_once("\r\n\r\n").unwrap();
            let bytes = if head.contains("base64") {
                base64(body)
            } else if head.contains("quoted-printable") {
                quoted_printable(body)
            } else {
                assert!(head.contains("7bit"), "{head}");
                body.as_bytes().to_vec()
            };
            String::from_utf8(bytes).unwrap().replace("\r\n", "\n")
        })
        .collect()
}

fn base64(text: &str) -> Vec<u8> {
    let value = |c: u8| {
        b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
            .iter()
            .position(|x| *x == c)
    };
    let digits: Vec<u32> = text.bytes().filter_map(value).map(|v| v as u32).collect();
    let mut bytes = Vec::new();
    for group in digits.chunks(4) {
        let word = group
            .iter()
            .enumerate()
            .fold(0, |word, (i, v)| word | v << (18 - 6 * i));
        bytes.extend(&word.to_be_bytes()[1..group.len()]);
    }
    bytes
}

fn quoted_printable(text: &str) -> Vec<u8> {
    let text = text.replace("=\r\n", "");
    let mut bytes = text.bytes();
    let mut decoded = Vec::new();
    while let Some(byte) = bytes.next() {
        if byte == b'=' {
            let hex = [bytes.next().unwrap(), bytes.next().unwrap()];
            decoded.push(u8::from_str_radix(str::from_utf8(&hex).unwrap(), 16).unwrap());
        } else {
            decoded.push(byte);
        }
    }
    decoded
}

#[test]
fn it_is_machine_mail_with_both_parts() {
    let mail = mail(Language::En, "deployer", false);
    let raw = rendered(&mail);
    let headers = headers(&raw);
    for expected in [
        "From: \"Symbolon Ops\" <symbolon@example.org>",
        "To: ops@example.com",
        "Date: Sun, 22 Nov 2026 05:31:00 +0000",
        "Message-ID: <019a-1@symbolon.example>",
        "Auto-Submitted: auto-generated",
        "X-Auto-Response-Suppress: All",
        "Content-Language: en",
        "MIME-Version: 1.0",
    ] {
        assert!(
            headers.iter().any(|line| line == expected),
            "{expected}: {headers:#?}"
        );
    }
    let parts = parts(&raw);
    for part in &parts {
        assert!(part.contains(&mail.link), "{part}");
        assert!(part.contains("deployer"), "{part}");
        assert!(part.contains("29 November 2026"), "{part}");
    }
    assert!(
        parts[0].contains("Acme & Söhne") && !parts[0].contains('<'),
        "{}",
        parts[0]
    );
    assert!(parts[1].contains("Acme &#38; Söhne"), "{}", parts[1]);
    assert!(
        parts[1].contains(&format!("href=\"{}\"", mail.link)),
        "{}",
        parts[1]
    );
}

#[test]
fn no_text_is_missing_in_any_language_or_variant() {
    for language in Language::ALL {
        for reminder in [false, true] {
            let raw = rendered(&mail(language, "x", reminder));
            for text in parts(&raw) {
                assert!(!text.contains("mail-confirm"), "{text}");
            }
        }
    }
    let (first, reminder) = (
        rendered(&mail(Language::En, "x", false)),
        rendered(&mail(Language::En, "x", true)),
    );
    assert_ne!(parts(&first)[0], parts(&reminder)[0]);
    assert_ne!(headers(&first), headers(&reminder));
}

#[test]
fn arabic_runs_from_right_to_left() {
    let raw = rendered(&mail(Language::Ar, "deployer", false));
    let html = &parts(&raw)[1];
    assert!(html.contains("<html lang=\"ar\" dir=\"rtl\">"), "{html}");
    assert!(html.contains("حساب الخدمة"), "{html}");
    assert!(headers(&raw).contains(&"Content-Language: ar".to_owned()));
}

#[test]
fn hostile_names_stay_names() {
    let name =
        "\"><script>alert(1)</script>\r\nBcc: victim@example.net\r\n\r\n\u{2028}body =?utf-8?q?x?=";
    let raw = rendered(&mail(Language::En, name, false));
    let headers = headers(&raw);
    let names: Vec<_> = headers
        .iter()
        .map(|line| line.split(':').next().unwrap())
        .collect();
    assert!(!names.contains(&"Bcc"), "{names:?}");
    assert_eq!(names.iter().filter(|name| **name == "Subject").count(), 1);
    for line in raw.split("\r\n") {
        assert!(
            line.len() <= 998 && !line.contains('\r') && !line.contains('\n'),
            "{line:?}"
        );
        assert!(!line.starts_with("Bcc:"), "{line:?}");
    }
    let html = &parts(&raw)[1];
    assert!(!html.contains("<script>"), "{html}");
}
