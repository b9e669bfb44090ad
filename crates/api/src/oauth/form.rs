//! The parameters of a request (RFC 6749 §3.2, appendix B): each at most once, empty ones as if they were
//! not there, unknown ones ignored.

use super::error::Fault;
use crate::body::{media_type, receive};
use actix_web::HttpRequest;
use actix_web::web::{Payload, Query};

pub struct Form(Vec<(String, String)>);

impl Form {
    /// The form that a request brought.
    pub async fn read(request: &HttpRequest, payload: Payload) -> Result<Self, Fault> {
        let is_form = media_type(request).as_deref() == Some("application/x-www-form-urlencoded");
        Self::parse(&receive(request, payload.into_inner(), is_form).await?)
    }

    pub fn parse(body: &[u8]) -> Result<Self, Fault> {
        let unreadable = || Fault::InvalidRequest("The form cannot be read.");
        let text = std::str::from_utf8(body).map_err(|_| unreadable())?;
        let pairs = Query::<Vec<(String, String)>>::from_query(text).map_err(|_| unreadable())?;
        let mut pairs = pairs.into_inner();
        pairs.retain(|(_, value)| !value.is_empty());
        Ok(Self(pairs))
    }

    /// All values of a parameter that may be repeated.
    pub fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        let mine = self.0.iter().filter(move |(key, _)| key == name);
        mine.map(|(_, value)| value.as_str())
    }

    /// # Errors
    /// With `twice` where it is repeated.
    pub fn one(&self, name: &str, twice: &'static str) -> Result<Option<&str>, Fault> {
        let mut values = self.all(name);
        match (values.next(), values.next()) {
            (value, None) => Ok(value),
            _ => Err(Fault::InvalidRequest(twice)),
        }
    }
}

/// A text as RFC 6749 appendix B writes it.
pub fn decode(text: &str) -> Option<String> {
    let pairs = Query::<Vec<(String, String)>>::from_query(&format!("={text}")).ok()?;
    match <[_; 1]>::try_from(pairs.into_inner()) {
        Ok([(_, value)]) => Some(value),
        Err(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_come_once_and_not_empty() {
        let form = Form::parse(b"a=1&b=&c=x+y%2Bz&d=1&d=2&b=&e&c%20=no").unwrap();
        let one = |name| form.one(name, "twice").ok().flatten();
        assert_eq!(one("a"), Some("1"));
        assert_eq!(one("b"), None);
        assert_eq!(one("c"), Some("x y+z"));
        assert_eq!(one("e"), None);
        assert!(matches!(
            form.one("d", "twice"),
            Err(Fault::InvalidRequest("twice"))
        ));
        assert_eq!(form.all("d").collect::<Vec<_>>(), ["1", "2"]);
        assert!(Form::parse(b"").unwrap().0.is_empty());
        assert!(Form::parse(b"a=\xff").is_err());
    }

    #[test]
    fn client_credentials_are_decoded() {
        assert_eq!(decode("user%3Aab+c").as_deref(), Some("user:ab c"));
        assert_eq!(decode("a=b").as_deref(), Some("a=b"));
        assert_eq!(decode("").as_deref(), Some(""));
        assert_eq!(decode("a&b=c"), None);
    }
}
