//! What the templates are given. Every value is escaped by the templates; nothing here is markup.

use askama::Template;
use symbolon_text::{Arg, Lang, date, message};

/// The reader's language, as templates ask for it.
#[derive(Clone, Copy)]
pub struct Text(pub Lang);

impl Text {
    fn lang(self) -> &'static str {
        self.0.as_str()
    }

    fn dir(self) -> &'static str {
        self.0.dir()
    }

    fn say(self, id: &str) -> String {
        message(self.0, id, &[])
    }

    fn with(self, id: &str, name: &str, value: &str) -> String {
        message(self.0, id, &[(name, Arg::Str(value))])
    }
}

/// A line of a list: the id of its label, and what it is.
pub struct Fact {
    pub label: &'static str,
    pub value: String,
}

/// What is to be confirmed, with the two buttons.
#[derive(Template)]
#[template(path = "confirm.html")]
pub struct Confirm {
    pub t: Text,
    pub facts: Vec<Fact>,
    expires: String,
}

impl Confirm {
    /// `expires_at` in microseconds since 1970.
    pub fn new(lang: Lang, facts: Vec<Fact>, expires_at: i64) -> Self {
        Self {
            t: Text(lang),
            facts,
            expires: date(lang, expires_at),
        }
    }
}

/// The form for a first password; never shows what was typed.
#[derive(Template)]
#[template(path = "setup.html")]
pub struct Setup {
    pub t: Text,
    pub email: String,
    pub min: String,
    pub password_errors: Vec<String>,
    pub mismatch: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    Good,
    Plain,
    Bad,
}

/// A page that says one thing. `name` is the messages' common part: `page-<name>-title`, `page-<name>-text`.
#[derive(Template)]
#[template(path = "notice.html")]
pub struct Notice {
    pub t: Text,
    pub name: &'static str,
    pub tone: Tone,
    pub facts: Vec<Fact>,
    pub request_id: Option<String>,
}

impl Notice {
    pub fn new(lang: Lang, name: &'static str, tone: Tone) -> Self {
        Self {
            t: Text(lang),
            name,
            tone,
            facts: Vec::new(),
            request_id: None,
        }
    }

    fn title(&self) -> String {
        self.t.say(&format!("page-{}-title", self.name))
    }

    fn text(&self) -> String {
        self.t.say(&format!("page-{}-text", self.name))
    }
}

/// What a browser finds at the root.
#[derive(Template)]
#[template(path = "home.html")]
pub struct Home {
    pub t: Text,
    pub version: &'static str,
}

#[cfg(test)]
mod tests;
