//! Client authentication (RFC 6749 §2.3.1): a key's id and secret, in the header or in the form. Beside an
//! assertion nobody has to, since it proves the key; whoever does has to be right. The endpoints that answer
//! questions about tokens take a token as Bearer as well (RFC 7662 §2.1).

use super::error::{Fault, Way};
use super::form::{Form, decode};
use crate::caller;
use crate::door::Door;
use actix_web::HttpRequest;
use actix_web::http::header::{AUTHORIZATION, ORIGIN};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use symbolon_app::Credentials;
use symbolon_domain::Presented;

/// As whom a client presents itself.
pub enum Client {
    Unnamed,
    /// By its id alone, which proves nothing.
    Named(String),
    Proving(Credentials),
}

/// Who asks about a token: a key as a client, or a token as Bearer.
pub fn caller(request: &HttpRequest, form: &Form) -> Result<(Credentials, Way), Fault> {
    let bearer = caller::credentials(request, Door::of(request));
    if let Some(bearer @ Credentials::Bearer(_)) = bearer {
        if form.all("client_secret").next().is_some() {
            return Err(TWO_WAYS);
        }
        return Ok((bearer, Way::Bearer));
    }
    match Client::of(request, form)? {
        Client::Proving(key) => Ok((key, Way::Client)),
        Client::Unnamed | Client::Named(_) => Err(Fault::Unauthenticated),
    }
}

const TWO_WAYS: Fault = Fault::InvalidRequest("A client authenticates in one way only.");

impl Client {
    pub fn of(request: &HttpRequest, form: &Form) -> Result<Self, Fault> {
        let id = form.one("client_id", "client_id was sent twice.")?;
        let secret = form.one("client_secret", "client_secret was sent twice.")?;
        let mut headers = request.headers().get_all(AUTHORIZATION);
        // Browsers add Basic credentials to any page's request by themselves.
        if request.headers().contains_key(AUTHORIZATION) && request.headers().contains_key(ORIGIN) {
            return Err(Fault::InvalidRequest(
                "Credentials in a header are not taken from a web page.",
            ));
        }
        match (headers.next(), headers.next(), id, secret) {
            (None, _, None, None) => Ok(Self::Unnamed),
            (None, _, Some(id), None) => Ok(Self::Named(id.to_owned())),
            (None, _, Some(id), Some(secret)) => Ok(Self::Proving(Credentials::Basic {
                key_id: id.to_owned(),
                secret: Presented::new(secret),
            })),
            (None, _, None, Some(_)) => Err(Fault::InvalidRequest("client_id is missing.")),
            // A name beside it is no second way to authenticate; many clients send both.
            (Some(header), None, name, None) => {
                let basic = header.to_str().ok().and_then(basic);
                match basic.ok_or(Fault::InvalidClient)? {
                    Credentials::Basic { key_id, .. } if name.is_some_and(|it| it != key_id) => {
                        Err(Fault::InvalidClient)
                    }
                    proving => Ok(Self::Proving(proving)),
                }
            }
            (Some(_), ..) => Err(TWO_WAYS),
        }
    }

    /// Whether it may be the one whose key an assertion names. What it proves is not looked at here.
    pub fn may_hold(&self, assertion: &str) -> bool {
        match self {
            Self::Named(id) => key_id(assertion).as_deref() == Some(id),
            Self::Unnamed | Self::Proving(_) => true,
        }
    }
}

/// Id and secret, each encoded as in a form before they were joined.
fn basic(header: &str) -> Option<Credentials> {
    let (scheme, encoded) = header.trim().split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    match caller::basic(encoded.trim())? {
        Credentials::Basic { key_id, secret } => Some(Credentials::Basic {
            key_id: decode(&key_id)?,
            secret: Presented::new(decode(secret.as_str())?),
        }),
        Credentials::Bearer(_) => None,
    }
}

/// What an assertion's header calls its key. Nothing is proven yet.
fn key_id(assertion: &str) -> Option<String> {
    let (header, _) = assertion.split_once('.')?;
    let header = BASE64_URL_SAFE_NO_PAD.decode(header).ok()?;
    let header: serde_json::Value = serde_json::from_slice(&header).ok()?;
    Some(header.get("kid")?.as_str()?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::test::TestRequest;

    fn read(headers: &[&str], form: &str) -> String {
        let mut request = TestRequest::default();
        for header in headers {
            request = request.append_header((AUTHORIZATION, *header));
        }
        let form = Form::parse(form.as_bytes()).unwrap();
        match Client::of(&request.to_http_request(), &form) {
            Ok(Client::Unnamed) => "nobody".to_owned(),
            Ok(Client::Named(id)) => id,
            Ok(Client::Proving(Credentials::Basic { key_id, secret })) => {
                format!("{key_id} / {}", secret.as_str())
            }
            Ok(Client::Proving(Credentials::Bearer(_))) => "bearer".to_owned(),
            Err(Fault::InvalidRequest(_)) => "invalid_request".to_owned(),
            Err(Fault::InvalidClient) => "invalid_client".to_owned(),
            Err(_) => "something else".to_owned(),
        }
    }

    #[test]
    fn a_client_authenticates_in_one_way_or_not_at_all() {
        // k:s, and k:user%3As.
        let (plain, encoded) = ("Basic azpz", "bAsIc azp1c2VyJTNBcw==");
        for (headers, form, wanted) in [
            (&[][..], "", "nobody"),
            (&[], "client_id=k", "k"),
            (&[], "client_id=k&client_secret=s%2Bt", "k / s+t"),
            (&[], "client_secret=s", "invalid_request"),
            (&[], "client_id=k&client_id=k", "invalid_request"),
            (&[plain], "", "k / s"),
            (&[encoded], "", "k / user:s"),
            (&[plain], "client_id=k", "k / s"),
            (&[plain], "client_id=l", "invalid_client"),
            (&[plain], "client_secret=s", "invalid_request"),
            (&[plain, plain], "", "invalid_request"),
            (&["Bearer abc"], "", "invalid_client"),
            (&["Basic"], "", "invalid_client"),
            (&["Basic k:s"], "", "invalid_client"),
        ] {
            assert_eq!(read(headers, form), wanted, "{headers:?} {form}");
        }
    }

    #[test]
    fn a_name_has_to_be_the_signing_keys() {
        let header = BASE64_URL_SAFE_NO_PAD.encode(r#"{"alg":"HS256","kid":"k"}"#);
        let assertion = format!("{header}.e30.AA");
        let holds = |name: &str| Client::Named(name.to_owned()).may_hold(&assertion);
        assert!(holds("k") && !holds("K") && !holds(""));
        assert!(Client::Unnamed.may_hold("junk"));
        assert!(!Client::Named("k".to_owned()).may_hold("junk"));
    }
}
