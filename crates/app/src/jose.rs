//! Compact JWS (RFC 7515) as far as the product needs it: EdDSA (RFC 8037) for what it signs itself,
//! HS256 for assertions. Strict in what it reads; whoever verifies names the algorithm, never the text.
// Ours, since the well-known library brings RSA and the P-curves (or aws-lc), is passively maintained, and
// takes duplicate members.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use ring::signature::{ED25519, Ed25519KeyPair, UnparsedPublicKey};
use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde::ser::Serialize;
use serde_json::{Map, Value};
use sha2::Sha256;
use symbolon_domain::{Minted, Timestamp};

/// The longest text that is read or may be handed out, in bytes: what fits a request's header.
pub(crate) const JWS_MAX: usize = 8 * 1024;

/// Header parameters that change what a signature covers, or bring the key along (RFC 7515 §4.1, RFC 7797).
const REFUSED: [&str; 6] = ["crit", "b64", "jwk", "jku", "x5u", "x5c"];

/// A well-formed text. Nothing in it is proven before one of the `verify` methods said so.
pub(crate) struct Parsed<'a> {
    pub typ: Option<String>,
    pub kid: Option<String>,
    alg: String,
    claims: Map<String, Value>,
    signing_input: &'a [u8],
    signature: Vec<u8>,
}

/// A claim that is there but not of its kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BadClaim;

/// Signs `claims` with EdDSA.
pub(crate) fn sign(typ: &str, kid: &str, key: &Ed25519KeyPair, claims: &impl Serialize) -> Minted {
    let header = serde_json::json!({ "alg": "EdDSA", "kid": kid, "typ": typ });
    let encode =
        |it: &Value| URL_SAFE_NO_PAD.encode(serde_json::to_vec(it).expect("a value is JSON"));
    let claims = serde_json::to_value(claims).expect("claims are plain fields");
    let mut text = format!("{}.{}", encode(&header), encode(&claims));
    let signature = key.sign(text.as_bytes());
    text.push('.');
    URL_SAFE_NO_PAD.encode_string(signature.as_ref(), &mut text);
    Minted::new(text)
}

impl<'a> Parsed<'a> {
    /// Whether it looks like one from afar.
    pub fn may_be(text: &str) -> bool {
        let dots = text.bytes().filter(|it| *it == b'.').count();
        text.len() <= JWS_MAX && text.starts_with("ey") && dots == 2
    }

    /// `None` unless the text is three parts of canonical base64url without padding, at most [`JWS_MAX`]
    /// bytes, with JSON objects in the first two that name no member twice, and a header that says which
    /// algorithm and none of what changes the meaning of a signature.
    pub fn read(text: &'a str) -> Option<Self> {
        if text.len() > JWS_MAX {
            return None;
        }
        let (signing_input, signature) = text.rsplit_once('.')?;
        let (header, payload) = signing_input.split_once('.')?;
        let header = object(header)?;
        if REFUSED.iter().any(|name| header.contains_key(*name)) {
            return None;
        }
        let optional = |name: &str| match header.get(name) {
            None => Some(None),
            Some(Value::String(text)) => Some(Some(text.clone())),
            Some(_) => None,
        };
        Some(Self {
            alg: optional("alg")??,
            typ: optional("typ")?,
            kid: optional("kid")?,
            claims: object(payload)?,
            signing_input: signing_input.as_bytes(),
            signature: URL_SAFE_NO_PAD.decode(signature).ok()?,
        })
    }

    /// Whether the header says EdDSA, and the signature is that public key's.
    #[must_use]
    pub fn verify_eddsa(&self, public_key: &[u8]) -> bool {
        self.alg == "EdDSA"
            && UnparsedPublicKey::new(&ED25519, public_key)
                .verify(self.signing_input, &self.signature)
                .is_ok()
    }

    /// Whether the header says HS256, and the tag is that secret's. Compared in constant time.
    #[must_use]
    pub fn verify_hs256(&self, secret: &[u8]) -> bool {
        let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(secret)
            .expect("HMAC takes keys of any length");
        mac.update(self.signing_input);
        let proven = mac.verify_slice(&self.signature).is_ok();
        proven && self.alg == "HS256"
    }

    pub fn has_alg(&self, alg: &str) -> bool {
        self.alg == alg
    }

    /// A claim that is text.
    pub fn text(&self, name: &str) -> Result<Option<&str>, BadClaim> {
        match self.claims.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(BadClaim),
        }
    }

    /// A claim that is a NumericDate (RFC 7519 §2), fractions included.
    pub fn instant(&self, name: &str) -> Result<Option<Timestamp>, BadClaim> {
        // The year 9999, beyond which nothing here can tell the time.
        const LAST: f64 = 253_402_300_799.0;
        let Some(value) = self.claims.get(name) else {
            return Ok(None);
        };
        let seconds = value
            .as_f64()
            .filter(|it| (0.0..=LAST).contains(it))
            .ok_or(BadClaim)?;
        let micros = match value.as_i64() {
            Some(whole) => whole * 1_000_000,
            None => (seconds * 1e6) as i64,
        };
        Ok(Some(Timestamp::from_micros(micros)))
    }

    /// `aud`: one text, or an array of texts.
    pub fn audiences(&self) -> Result<Vec<&str>, BadClaim> {
        match self.claims.get("aud") {
            None => Ok(Vec::new()),
            Some(Value::String(one)) => Ok(vec![one]),
            Some(Value::Array(many)) => many.iter().map(|it| it.as_str().ok_or(BadClaim)).collect(),
            Some(_) => Err(BadClaim),
        }
    }
}

fn object(part: &str) -> Option<Map<String, Value>> {
    let bytes = URL_SAFE_NO_PAD.decode(part).ok()?;
    match serde_json::from_slice(&bytes).ok()? {
        Unambiguous(Value::Object(members)) => Some(members),
        Unambiguous(_) => None,
    }
}

/// JSON in which no object names a member twice, at any depth.
struct Unambiguous(Value);

impl<'de> Deserialize<'de> for Unambiguous {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Strict).map(Self)
    }
}

struct Strict;

impl<'de> Visitor<'de> for Strict {
    type Value = Value;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("JSON without duplicate members")
    }

    fn visit_bool<E>(self, it: bool) -> Result<Value, E> {
        Ok(it.into())
    }

    fn visit_i64<E>(self, it: i64) -> Result<Value, E> {
        Ok(it.into())
    }

    fn visit_u64<E>(self, it: u64) -> Result<Value, E> {
        Ok(it.into())
    }

    fn visit_f64<E>(self, it: f64) -> Result<Value, E> {
        Ok(it.into())
    }

    fn visit_str<E>(self, it: &str) -> Result<Value, E> {
        Ok(it.into())
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut all = Vec::new();
        while let Some(Unambiguous(it)) = items.next_element()? {
            all.push(it);
        }
        Ok(Value::Array(all))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut all = Map::new();
        while let Some((name, Unambiguous(it))) = members.next_entry::<String, Unambiguous>()? {
            if all.insert(name, it).is_some() {
                return Err(A::Error::custom("a member is named twice"));
            }
        }
        Ok(Value::Object(all))
    }
}

#[cfg(test)]
mod tests;
