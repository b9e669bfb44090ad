//! The field tables of the four primary texts (`fixtures/contracts`) against the OpenAPI documents
//! that the server serves: paths, fields with type, format and limits, required, null, statuses.

mod comparison;

use serde_json::Value;
use symbolon_tests::documents::Documents;

use crate::dialects::{NEOWIT, PREFACTOR, TOKEN_ENDPOINT, UNLEASH};
use crate::instance::Instance;
use comparison::{differences, drop_required};

const TEXTS: [&str; 4] = [
    include_str!("../fixtures/contracts/hybridbox.json"),
    include_str!("../fixtures/contracts/unleash.json"),
    include_str!("../fixtures/contracts/prefactor.json"),
    include_str!("../fixtures/contracts/neowit.json"),
];

/// Each text with the document that must agree with it.
fn served() -> Vec<(Value, Value)> {
    let instance = Instance::sqlite(&[]);
    let node = instance.serve();
    let read = |text: &str| {
        let text: Value = serde_json::from_str(text).unwrap();
        let path = text["document"].as_str().unwrap();
        let document = node.client().get(path, &[]).expect(200).json();
        (text, document)
    };
    TEXTS.into_iter().map(read).collect()
}

#[test]
fn the_documents_say_what_the_primary_texts_say() {
    let mut faults = Vec::new();
    for (text, document) in served() {
        faults.extend(differences(&text, &document));
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// All clients of this suite hold servers to these documents, so they must speak of every door.
#[test]
fn every_door_has_a_document() {
    let instance = Instance::sqlite(&[]);
    let node = instance.serve();
    let documents = Documents::of(&node.client());
    let native = instance.admin(&node).service_accounts();
    for path in [
        &native,
        UNLEASH,
        PREFACTOR,
        NEOWIT,
        TOKEN_ENDPOINT,
        "/oauth2/token",
        "/oauth2/introspect",
        "/oauth2/revoke",
        "/.well-known/jwks.json",
        "/.well-known/oauth-authorization-server",
    ] {
        assert!(documents.names(path), "{path}");
    }
    assert!(!documents.names("/healthz"));
}

/// Every fact of the fixtures counts: whichever is changed, and nothing else, is reported.
#[test]
fn a_changed_fact_is_found() {
    let mut changes = 0;
    for (text, document) in served() {
        assert_eq!(differences(&text, &document), [""; 0]);
        for (what, changed) in changed_texts(&text) {
            let faults = differences(&changed, &document);
            assert_eq!(faults.len(), 1, "{what}: {faults:?}");
            changes += 1;
        }
        // Nothing is required any more of those who read and write such a document.
        let mut lax = document.clone();
        drop_required(&mut lax);
        let faults = differences(&text, &lax).join("\n");
        for (pointer, fact) in facts(&text) {
            let name = pointer.rsplit('/').next().unwrap();
            let missed = format!("`{name}` is not required");
            assert!(
                !fact.contains("required") || faults.contains(&missed),
                "{missed}"
            );
        }
    }
    assert!(changes > 100, "{changes}");
}

/// The pointers and words of all facts about fields and parameters.
fn facts(text: &Value) -> Vec<(String, String)> {
    fn walk(value: &Value, at: &str, found: &mut Vec<(String, String)>) {
        let Some(object) = value.as_object() else {
            let items = value.as_array().into_iter().flatten().enumerate();
            items.for_each(|(i, it)| walk(it, &format!("{at}/{i}"), found));
            return;
        };
        for (key, value) in object {
            let at = format!("{at}/{key}");
            match key.as_str() {
                "example" => {}
                "fields" | "path_parameters" | "query_parameters" => {
                    let fields = value.as_object().unwrap();
                    found.extend(fields.iter().map(|(name, fact)| {
                        (format!("{at}/{name}"), fact.as_str().unwrap().to_owned())
                    }));
                }
                _ => walk(value, &at, found),
            }
        }
    }
    let mut found = Vec::new();
    walk(text, "", &mut found);
    found
}

fn changed_texts(text: &Value) -> Vec<(String, Value)> {
    let mut changed = Vec::new();
    for (pointer, fact) in facts(text) {
        let mut change = |to: &str| {
            let mut text = text.clone();
            *text.pointer_mut(&pointer).unwrap() = to.into();
            changed.push((format!("{pointer}: {fact} → {to}"), text));
        };
        let (kind, rest) = fact.split_once(' ').unwrap_or((&fact, ""));
        if kind == "any" {
            continue;
        }
        let (kind, format) = kind.split_once('<').unwrap_or((kind, ""));
        let other = if kind == "boolean" {
            "string"
        } else {
            "boolean"
        };
        // A format belongs to its type.
        change(format!("{other} {rest}").trim_end());
        match rest.contains("nullable") {
            true => change(&fact.replace("nullable", "").replace("  ", " ")),
            false => change(&format!("{fact} nullable")),
        }
        if !format.is_empty() {
            change(&fact.replace(format, "ipv6>"));
        }
        if rest.contains("optional") {
            change(&fact.replace("optional", "required"));
        }
        if rest.contains("..") {
            change(&fact.replace("..", "..9"));
        }
        if rest.contains("min=") {
            change(&fact.replace("min=", "min=9"));
        }
        // A path parameter's name is ours to choose.
        if !pointer.contains("/path_parameters/") {
            let (parent, name) = pointer.rsplit_once('/').unwrap();
            let mut text = text.clone();
            let parent = text.pointer_mut(parent).unwrap().as_object_mut().unwrap();
            // What lies below a field goes with it.
            let below = |key: &String| *key == name || key.starts_with(&format!("{name}["));
            let below = |key: &String| below(key) || key.starts_with(&format!("{name}."));
            parent.retain(|key, _| !below(key));
            parent.insert(format!("{name}X"), fact.as_str().into());
            changed.push((format!("{pointer} is called {name}X"), text));
        }
    }
    for (i, operation) in text["operations"].as_array().unwrap().iter().enumerate() {
        let mut change = |pointer: &str, to: Value| {
            let mut text = text.clone();
            *text["operations"][i].pointer_mut(pointer).unwrap() = to.clone();
            changed.push((format!("{}: {pointer} → {to}", operation["heading"]), text));
        };
        change("/path", "/api/elsewhere".into());
        change("/method", "TRACE".into());
        change("/authorization", "query key".into());
        for key in operation["responses"].as_object().unwrap().keys() {
            if key.parse::<u16>().is_ok() {
                let mut responses = operation["responses"].clone();
                let response = responses.as_object_mut().unwrap().remove(key).unwrap();
                responses["418"] = response;
                change("/responses", responses);
            }
        }
    }
    changed
}
