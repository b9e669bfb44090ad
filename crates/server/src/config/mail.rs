//! `[mail]`: how mail leaves, and in whose name.

use std::path::Path;
use std::time::Duration;

use super::reader::{Parsed, Reader};
use symbolon_worker::MailUrl;

#[derive(Debug, Clone, PartialEq)]
pub struct Mail {
    pub delivery: MailUrl,
    /// An address, or a name with the address in angle brackets.
    pub from: String,
    /// For each step of a delivery.
    pub timeout: Duration,
    /// Mails under way at the same time.
    pub concurrency: usize,
}

impl Mail {
    pub(super) fn read(reader: &mut Reader, data_dir: &Path) -> Self {
        let delivery = reader.optional("mail.url", delivery);
        Self {
            delivery: delivery.unwrap_or_else(|| {
                let path = data_dir.join("mail");
                reader.derived("mail.url", format!("dir:{}", path.display()), "data.dir");
                MailUrl::Directory(path)
            }),
            from: reader.text("mail.from", sender),
            timeout: reader.duration("mail.timeout", "100ms", "10m"),
            concurrency: reader.integer("mail.concurrency", 1..=256),
        }
    }
}

fn delivery(url: &str) -> Parsed<MailUrl> {
    match MailUrl::parse(url)? {
        MailUrl::Memory => Err("mail kept in memory is for tests".to_owned()),
        delivery => Ok(delivery),
    }
}

fn sender(text: &str) -> Parsed<String> {
    let address = match text.strip_suffix('>') {
        Some(text) => text.rsplit_once('<').map(|(_, address)| address),
        None => Some(text),
    };
    let is_address = |address: &str| {
        let odd = |c: char| c.is_whitespace() || "<>,;".contains(c);
        address.split_once('@').is_some_and(|(local, domain)| {
            !local.is_empty() && !domain.is_empty() && !domain.contains('@')
        }) && !address.contains(odd)
    };
    if !text.contains(char::is_control) && address.is_some_and(is_address) {
        Ok(text.to_owned())
    } else {
        Err("an address, or a name and <address>".to_owned())
    }
}
