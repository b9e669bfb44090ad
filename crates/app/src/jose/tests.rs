//! The published vectors, and what must be refused.

use super::*;
use proptest::prelude::*;
use ring::signature::KeyPair;

fn b64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn key() -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap()
}

/// A text under HS256 with this header and these claims as they stand.
fn hs256(header: &str, claims: &str, secret: &[u8]) -> String {
    let input = format!("{}.{}", b64(header), b64(claims));
    let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(secret).unwrap();
    mac.update(input.as_bytes());
    format!("{input}.{}", b64(mac.finalize().into_bytes()))
}

/// RFC 8037 appendix A.4.
#[test]
fn the_ed25519_example_verifies() {
    let public = URL_SAFE_NO_PAD
        .decode("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo")
        .unwrap();
    let seed = URL_SAFE_NO_PAD
        .decode("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A")
        .unwrap();
    // Its payload is plain text, which we would not read: so the parts are put together by hand.
    let input = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc";
    let signature =
        "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";
    let example = Parsed {
        typ: None,
        kid: None,
        alg: "EdDSA".into(),
        claims: Map::new(),
        signing_input: input.as_bytes(),
        signature: URL_SAFE_NO_PAD.decode(signature).unwrap(),
    };
    assert!(example.verify_eddsa(&public));
    assert!(!example.verify_eddsa(key().public_key().as_ref()));
    let pair = Ed25519KeyPair::from_seed_and_public_key(&seed, &public).unwrap();
    assert_eq!(b64(pair.sign(input.as_bytes())), signature);
    assert!(Parsed::read(&format!("{input}.{signature}")).is_none());
}

/// RFC 7515 appendix A.1.
#[test]
fn the_hs256_example_verifies() {
    let text = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    let secret = URL_SAFE_NO_PAD
        .decode("AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow")
        .unwrap();
    let it = Parsed::read(text).unwrap();
    assert_eq!((it.typ.as_deref(), it.kid.as_deref()), (Some("JWT"), None));
    assert!(it.verify_hs256(&secret));
    assert!(!it.verify_hs256(&secret[1..]));
    assert!(!it.verify_eddsa(&secret));
    assert_eq!(it.text("iss"), Ok(Some("joe")));
    assert_eq!(it.text("exp"), Err(BadClaim));
    assert_eq!(
        it.instant("exp"),
        Ok(Some(Timestamp::from_micros(1_300_819_380_000_000)))
    );
    assert_eq!(it.instant("nbf"), Ok(None));
    assert_eq!(it.instant("iss"), Err(BadClaim));
}

#[test]
fn what_is_signed_verifies_with_its_key_only() {
    let claims = serde_json::json!({ "sub": "s", "aud": ["a", "b"], "iat": 1.5 });
    let text = sign("at+jwt", "k1", &key(), &claims);
    let it = Parsed::read(text.reveal()).unwrap();
    assert!(it.verify_eddsa(key().public_key().as_ref()));
    let other = Ed25519KeyPair::from_seed_unchecked(&[8; 32]).unwrap();
    assert!(!it.verify_eddsa(other.public_key().as_ref()));
    assert!(!it.verify_eddsa(&[]));
    assert_eq!(
        (it.typ.as_deref(), it.kid.as_deref()),
        (Some("at+jwt"), Some("k1"))
    );
    assert_eq!(it.audiences(), Ok(vec!["a", "b"]));
    assert_eq!(
        it.instant("iat"),
        Ok(Some(Timestamp::from_micros(1_500_000)))
    );
}

#[test]
fn no_algorithm_but_the_one_that_was_asked_for() {
    let pair = key();
    let public = pair.public_key().as_ref();
    // The public key is no secret: taken for one, it would let everybody sign.
    let confused = hs256(r#"{"alg":"HS256"}"#, "{}", public);
    let it = Parsed::read(&confused).unwrap();
    assert!(!it.verify_eddsa(public));
    for alg in [
        "none", "None", "NONE", "nOnE", "HS512", "hs256", "", "EdDSA",
    ] {
        let header = format!(r#"{{"alg":"{alg}"}}"#);
        let with_tag = hs256(&header, "{}", b"secret");
        let it = Parsed::read(&with_tag).unwrap();
        assert!(
            !it.verify_hs256(b"secret") && !it.verify_eddsa(public),
            "{alg}"
        );
        let bare = format!("{}.{}.", b64(&header), b64("{}"));
        let it = Parsed::read(&bare).unwrap();
        assert!(!it.verify_hs256(b"") && !it.verify_eddsa(public), "{alg}");
    }
    for alg in ["eddsa", "Ed25519", "none", "HS256"] {
        let input = format!("{}.{}", b64(format!(r#"{{"alg":"{alg}"}}"#)), b64("{}"));
        let text = format!("{input}.{}", b64(pair.sign(input.as_bytes())));
        assert!(!Parsed::read(&text).unwrap().verify_eddsa(public), "{alg}");
    }
}

#[test]
fn texts_that_are_not_to_the_letter_are_not_read() {
    let header = r#"{"alg":"HS256"}"#;
    let good = hs256(header, "{}", b"s");
    assert!(Parsed::read(&good).is_some());
    let (input, tag) = good.rsplit_once('.').unwrap();
    for bad in [
        String::new(),
        ".".into(),
        "..".into(),
        input.into(),
        format!("{good}."),
        format!("{good}.{tag}"),
        format!(" {good}"),
        format!("{good}\n"),
        format!("{good}="),
        // 32 bytes take 43 characters, of which the last has two bits to spare.
        format!("{input}.{}B", &tag[..tag.len() - 1]),
        good.replacen('.', "..", 1),
        format!("{input}.{}+", &tag[..tag.len() - 1]),
        format!("é{good}"),
    ] {
        assert!(Parsed::read(&bad).is_none(), "{bad}");
    }
    for bad in [
        "[]",
        "1",
        r#""x""#,
        "null",
        "",
        "{}",
        "{} {}",
        r#"{"alg":1}"#,
        r#"{"alg":null}"#,
        r#"{"alg":["HS256"]}"#,
        r#"{"alg":"HS256","alg":"HS256"}"#,
        r#"{"alg":"HS256","\u0061lg":"none"}"#,
        r#"{"alg":"HS256","kid":1}"#,
        r#"{"alg":"HS256","typ":{}}"#,
        r#"{"alg":"HS256","x":{"a":1,"a":2}}"#,
        r#"{"alg":"HS256","x":[{"a":1,"a":2}]}"#,
        r#"{"alg":"HS256","crit":[]}"#,
        r#"{"alg":"HS256","crit":["b64"],"b64":false}"#,
        r#"{"alg":"HS256","b64":true}"#,
        r#"{"alg":"HS256","jwk":{}}"#,
        r#"{"alg":"HS256","jku":"https://example.com"}"#,
        r#"{"alg":"HS256","x5u":"https://example.com"}"#,
        r#"{"alg":"HS256","x5c":[]}"#,
    ] {
        assert!(Parsed::read(&hs256(bad, "{}", b"s")).is_none(), "{bad}");
    }
    for bad in [
        "[]",
        "",
        "x",
        r#"{"a":1,"a":1}"#,
        r#"{"a":{"b":[{"c":1,"c":1}]}}"#,
    ] {
        assert!(Parsed::read(&hs256(header, bad, b"s")).is_none(), "{bad}");
    }
    let deep = format!(r#"{{"a":{}{}}}"#, "[".repeat(200), "]".repeat(200));
    assert!(Parsed::read(&hs256(header, &deep, b"s")).is_none());
}

#[test]
fn texts_end_at_their_limit() {
    let of = |length: usize| {
        let padding = "x".repeat(length);
        hs256(
            r#"{"alg":"HS256"}"#,
            &format!(r#"{{"a":"{padding}"}}"#),
            b"s",
        )
    };
    let fits = (5000..JWS_MAX)
        .rev()
        .find(|it| of(*it).len() <= JWS_MAX)
        .unwrap();
    assert!(Parsed::read(&of(fits)).unwrap().verify_hs256(b"s"));
    assert!(Parsed::read(&of(fits + 3)).is_none());
}

#[test]
fn instants_are_numbers_of_this_calendar() {
    let read = |claim: &str| {
        let text = hs256(r#"{"alg":"HS256"}"#, &format!(r#"{{"exp":{claim}}}"#), b"s");
        Parsed::read(&text).map(|it| it.instant("exp"))
    };
    let at = |micros| Some(Ok(Some(Timestamp::from_micros(micros))));
    assert_eq!(read("0"), at(0));
    assert_eq!(read("1795305600"), at(1_795_305_600_000_000));
    assert_eq!(read("1795305600.25"), at(1_795_305_600_250_000));
    assert_eq!(read("1.7953056e9"), at(1_795_305_600_000_000));
    for bad in [
        "-1",
        "1e300",
        "99999999999999999999",
        "253402300800",
        "\"1\"",
        "null",
        "[1]",
        "true",
    ] {
        assert_eq!(read(bad), Some(Err(BadClaim)), "{bad}");
    }
    assert_eq!(read("1e400"), None);
    assert_eq!(read("NaN"), None);
}

proptest! {
    #[test]
    fn every_flipped_bit_breaks_it(at in 0usize..400, bit in 0u8..7) {
        let claims = serde_json::json!({ "sub": "s", "scope": "a:b" });
        let signed = sign("at+jwt", "k1", &key(), &claims);
        let tagged = hs256(r#"{"alg":"HS256","kid":"k"}"#, r#"{"sub":"s"}"#, b"secret");
        for text in [signed.reveal(), &tagged] {
            let mut bytes = text.as_bytes().to_vec();
            let at = at % bytes.len();
            bytes[at] ^= 1 << bit;
            let changed = String::from_utf8(bytes).unwrap();
            let accepted = Parsed::read(&changed)
                .is_some_and(|it| it.verify_eddsa(key().public_key().as_ref()) || it.verify_hs256(b"secret"));
            prop_assert!(!accepted);
        }
    }

    #[test]
    fn junk_is_never_taken(text in "[A-Za-z0-9_.=-]{0,200}", any in "\\PC{0,80}", header in "\\PC{0,40}", claims in "\\PC{0,40}") {
        for text in [text.as_str(), &any, &format!("{}.{}.{}", b64(&header), b64(&claims), b64(&any))] {
            let accepted = Parsed::read(text)
                .is_some_and(|it| it.verify_eddsa(key().public_key().as_ref()) || it.verify_hs256(b"secret"));
            prop_assert!(!accepted);
        }
    }
}
