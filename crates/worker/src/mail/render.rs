//! The mails we write: their prose in the reader's language, text and HTML, and the headers of machine
//! mail.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::{Duration, SystemTime};

use askama::Template;
use lettre::Message;
use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart, SinglePart};
use symbolon_app::ConfirmationMail;
use symbolon_domain::{Language, Timestamp};
use symbolon_text::{Arg, Lang, date, message};

use super::OutgoingMail;

#[derive(Template)]
#[template(path = "confirm/body.txt", escape = "none")]
struct Text<'a> {
    heading: &'a str,
    intro: &'a str,
    action: &'a str,
    link: &'a str,
    expiry: &'a str,
    unexpected: &'a str,
    about: &'a str,
    footer: &'a str,
}

#[derive(Template)]
#[template(path = "confirm/body.html")]
struct Html<'a> {
    lang: &'a str,
    dir: &'a str,
    heading: &'a str,
    intro: &'a str,
    action: &'a str,
    button: &'a str,
    link_hint: &'a str,
    link: &'a str,
    expiry: &'a str,
    unexpected: &'a str,
    about: &'a str,
    footer: &'a str,
}

/// The mail that asks to confirm a contact, or its reminder. The same input makes the same bytes, so a
/// repeated mail differs from the first by its `Date` only.
pub(crate) fn confirmation(
    mail: &ConfirmationMail,
    from: &Mailbox,
    now: Timestamp,
) -> Result<OutgoingMail, String> {
    let lang = match mail.language {
        Language::En => Lang::En,
        Language::Ar => Lang::Ar,
    };
    let (service_account, account) = (one_line(&mail.service_account), one_line(&mail.account));
    let names: [(&str, Arg<'_>); 2] = [
        ("service_account", Arg::Str(&service_account)),
        ("account", Arg::Str(&account)),
    ];
    let own = |part: &str| {
        let variant = if mail.reminder { "-reminder" } else { "" };
        message(lang, &format!("mail-confirm{variant}-{part}"), &names)
    };
    let shared = |part: &str| message(lang, &format!("mail-confirm-{part}"), &[]);

    let (heading, intro, footer) = (own("heading"), own("intro"), own("footer"));
    let (action, unexpected, about) = (shared("action"), shared("unexpected"), shared("about"));
    let expires = date(lang, mail.expires_at.as_micros());
    let expiry = message(
        lang,
        "mail-confirm-expiry",
        &[("expires", Arg::Str(&expires))],
    );

    let text = Text {
        heading: &heading,
        intro: &intro,
        action: &action,
        link: &mail.link,
        expiry: &expiry,
        unexpected: &unexpected,
        about: &about,
        footer: &footer,
    };
    let html = Html {
        lang: lang.as_str(),
        dir: lang.dir(),
        heading: &heading,
        intro: &intro,
        action: &action,
        button: &shared("button"),
        link_hint: &shared("link-hint"),
        link: &mail.link,
        expiry: &expiry,
        unexpected: &unexpected,
        about: &about,
        footer: &footer,
    };
    let unrendered = |_| "the mail's template cannot be rendered".to_owned();
    let body = MultiPart::alternative()
        .boundary(boundary(&mail.message_id))
        .singlepart(SinglePart::plain(text.render().map_err(unrendered)?))
        .singlepart(SinglePart::html(html.render().map_err(unrendered)?));

    let to = mail
        .to
        .as_str()
        .parse()
        .map_err(|_| "the contact's address is none that a mail can carry".to_owned())?;
    let sent_at = Duration::from_micros(u64::try_from(now.as_micros()).unwrap_or_default());
    let message = Message::builder()
        .from(from.clone())
        .to(Mailbox::new(None, to))
        .subject(one_line(&own("subject")))
        .date(SystemTime::UNIX_EPOCH + sent_at)
        .message_id(Some(format!("<{}>", one_line(&mail.message_id))))
        .raw_header(header("Auto-Submitted", "auto-generated"))
        .raw_header(header("X-Auto-Response-Suppress", "All"))
        .raw_header(header("Content-Language", lang.as_str()))
        .multipart(body)
        .map_err(|_| "the mail cannot be put together".to_owned())?;
    Ok(OutgoingMail {
        to: mail.to.clone(),
        message_id: mail.message_id.clone(),
        raw: message.formatted(),
    })
}

fn header(name: &'static str, value: &str) -> HeaderValue {
    HeaderValue::new(HeaderName::new_from_ascii_str(name), value.to_owned())
}

/// Names are stored without control characters; a header must not depend on that.
fn one_line(text: &str) -> String {
    text.replace(
        |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}'),
        " ",
    )
}

fn boundary(message_id: &str) -> String {
    let mut hash = DefaultHasher::new();
    message_id.hash(&mut hash);
    // `=_` cannot occur in quoted-printable or base64 (RFC 2045 §6.7).
    format!("=_{:016x}", hash.finish())
}

#[cfg(test)]
mod tests;
