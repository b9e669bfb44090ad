//! Whether answers are what an OpenAPI 3.1 document promises: operation, status, content type, body.
//! Stricter than JSON Schema by one rule: a field that the document does not name is a fault too.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use jsonschema::{Draft, Validator};
use serde_json::{Map, Value, json};

/// An answer, with the question that it belongs to.
#[derive(Clone, Copy)]
pub struct Exchange<'a> {
    pub method: &'a str,
    /// As requested; a query is ignored.
    pub path: &'a str,
    pub status: u16,
    pub content_type: Option<&'a str>,
    pub body: &'a [u8],
}

/// A document, with the validators that it has been asked for so far.
pub struct Document {
    /// With all objects closed to fields that they do not name.
    value: Value,
    templates: Vec<Template>,
    validators: Mutex<HashMap<String, Arc<Validator>>>,
}

struct Template {
    path: String,
    /// `None` for a parameter.
    segments: Vec<Option<String>>,
}

impl Document {
    /// # Panics
    /// If it is no OpenAPI 3.1 document with paths.
    pub fn new(mut value: Value) -> Self {
        let version = value["openapi"].as_str().unwrap_or_default();
        assert!(version.starts_with("3.1"), "OpenAPI {version:?}");
        let paths = value["paths"].as_object().expect("it has paths");
        let templates = paths.keys().map(|path| Template::new(path)).collect();
        let names = value.clone();
        close_inner(&mut value, &names);
        Self {
            value,
            templates,
            validators: Mutex::default(),
        }
    }

    /// Whether the path is one of the document's, or below what its paths begin with.
    pub fn covers(&self, path: &str) -> bool {
        let asked = segments(path);
        self.templates.iter().any(|it| it.leads_to(&asked))
    }

    /// Whether the path is one of the document's.
    pub fn names(&self, path: &str) -> bool {
        let asked = segments(path);
        self.templates.iter().any(|it| it.fits(&asked))
    }

    /// `Err` says in what the answer differs from the document.
    pub fn check(&self, exchange: &Exchange<'_>) -> Result<(), String> {
        self.differences(exchange).map_err(|what| {
            let Exchange {
                method,
                path,
                status,
                content_type,
                body,
            } = exchange;
            let body: String = String::from_utf8_lossy(body).chars().take(2000).collect();
            format!(
                "{method} {path} answered {status} ({}), which the document does not say: {what}; the body: {body}",
                content_type.unwrap_or("no content type"),
            )
        })
    }

    fn differences(&self, exchange: &Exchange<'_>) -> Result<(), String> {
        let asked = segments(exchange.path);
        let template = self.template(&asked).or_else(|| match asked.as_slice() {
            // A door may be lenient with a slash at the end.
            [path @ .., ""] if exchange.status != 404 => self.template(path),
            _ => None,
        });
        let Some(template) = template else {
            return self.unrouted(exchange, 404, "no such path");
        };
        let item = &self.value["paths"][&template.path];
        let method = exchange.method.to_ascii_lowercase();
        let Some(operation) = item.get(&method) else {
            return self.unrouted(exchange, 405, "no such method");
        };
        let responses = operation["responses"].as_object();
        let responses = responses.ok_or("the operation has no responses")?;
        let (key, response) = response(responses, exchange.status)
            .ok_or_else(|| format!("of {method} {}", template.path))?;
        let response = self.resolve(response)?;
        let Some(content) = response.get("content").and_then(Value::as_object) else {
            let empty = exchange.body.is_empty();
            return empty.then_some(()).ok_or("no body is expected".into());
        };
        let media = media_type(exchange.content_type);
        let schema = content
            .get(&media)
            .ok_or_else(|| format!("the content type is not among {:?}", content.keys()))?;
        let Some(schema) = schema.get("schema").filter(|_| is_json(&media)) else {
            return Ok(());
        };
        let name = format!("{method} {} {key} {media}", template.path);
        self.validate(name, schema, exchange.body)
    }

    /// The one that names the path: `/a/b` comes before `/a/{id}`.
    fn template(&self, asked: &[&str]) -> Option<&Template> {
        let parameters = |it: &&Template| it.segments.iter().filter(|s| s.is_none()).count();
        let fitting = self.templates.iter().filter(|it| it.fits(asked));
        fitting.min_by_key(parameters)
    }

    /// Requests that reach no operation get this status, in an envelope that the document knows.
    fn unrouted(&self, exchange: &Exchange<'_>, status: u16, why: &str) -> Result<(), String> {
        if exchange.status != status {
            return Err(format!("{why}, so {status} is due"));
        }
        if exchange.method == "HEAD" {
            return Ok(());
        }
        let media = media_type(exchange.content_type);
        let envelopes = self.error_schemas(&media);
        let mut fault = format!("no refusal has the content type {media:?}");
        for (text, schema) in envelopes {
            match self.validate(format!("error {text}"), &schema, exchange.body) {
                Ok(()) => return Ok(()),
                Err(why) => fault = why,
            }
        }
        Err(fault)
    }

    /// The different schemas of refusals with this content type, by their text.
    fn error_schemas(&self, media: &str) -> BTreeMap<String, Value> {
        let items = self.value["paths"].as_object().into_iter().flatten();
        let operations = items.flat_map(|(_, item)| item.as_object().into_iter().flatten());
        let responses =
            operations.flat_map(|(_, it)| it["responses"].as_object().into_iter().flatten());
        responses
            .filter(|(key, _)| key.starts_with(['4', '5', 'd']))
            .filter_map(|(_, it)| self.resolve(it).ok())
            .filter_map(|it| it["content"][media].get("schema"))
            .map(|schema| (schema.to_string(), schema.clone()))
            .collect()
    }

    fn resolve<'a>(&'a self, value: &'a Value) -> Result<&'a Value, String> {
        resolved(&self.value, value).ok_or_else(|| format!("{value} leads nowhere"))
    }

    fn validate(&self, name: String, schema: &Value, body: &[u8]) -> Result<(), String> {
        let body: Value = serde_json::from_slice(body).map_err(|e| format!("no JSON ({e})"))?;
        let faults: Vec<String> = self
            .validator(name, schema)?
            .iter_errors(&body)
            .map(|fault| format!("{} at {:?}", fault, fault.instance_path().to_string()))
            .collect();
        if faults.is_empty() {
            return Ok(());
        }
        Err(faults.join("; "))
    }

    fn validator(&self, name: String, schema: &Value) -> Result<Arc<Validator>, String> {
        let mut validators = self
            .validators
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(validator) = validators.get(&name) {
            return Ok(validator.clone());
        }
        // References count from the root, so the components come along.
        let mut schema = schema.clone();
        close(&mut schema, &self.value);
        let whole = json!({"allOf": [schema], "components": self.value["components"]});
        let validator = jsonschema::options()
            .with_draft(Draft::Draft202012)
            .should_validate_formats(true)
            .build(&whole)
            .map_err(|e| format!("the schema of {name} is none: {e}"))?;
        let validator = Arc::new(validator);
        validators.insert(name, validator.clone());
        Ok(validator)
    }
}

impl Template {
    fn new(path: &str) -> Self {
        let literal = |segment: &str| (!segment.starts_with('{')).then(|| segment.to_owned());
        Self {
            path: path.to_owned(),
            segments: segments(path).into_iter().map(literal).collect(),
        }
    }

    fn fits(&self, asked: &[&str]) -> bool {
        let fits = |(own, asked): (&Option<String>, &&str)| match own {
            Some(own) => own == asked,
            None => !asked.is_empty(),
        };
        self.segments.len() == asked.len() && self.segments.iter().zip(asked).all(fits)
    }

    /// Whether the path begins as this one does up to its first parameter.
    fn leads_to(&self, asked: &[&str]) -> bool {
        let fixed = self.segments.iter().map_while(Option::as_deref);
        let fixed: Vec<&str> = fixed.collect();
        asked.starts_with(&fixed)
    }
}

fn segments(path: &str) -> Vec<&str> {
    let path = path.split(['?', '#']).next().unwrap_or_default();
    path.trim_start_matches('/').split('/').collect()
}

/// The exact status, else its class, else (for refusals) the default.
fn response(responses: &Map<String, Value>, status: u16) -> Option<(String, &Value)> {
    let class = format!("{}XX", status / 100);
    let default = (status >= 400).then(|| "default".to_owned());
    [Some(status.to_string()), Some(class), default]
        .into_iter()
        .flatten()
        .find_map(|key| Some((responses.get(&key)?, key)).map(|(it, key)| (key, it)))
}

fn media_type(content_type: Option<&str>) -> String {
    let media = content_type.unwrap_or_default().split(';').next();
    media.unwrap_or_default().trim().to_ascii_lowercase()
}

fn is_json(media: &str) -> bool {
    media == "application/json" || media.ends_with("+json")
}

/// Follows `$ref`s to what they name.
fn resolved<'a>(document: &'a Value, mut value: &'a Value) -> Option<&'a Value> {
    while let Some(reference) = value.get("$ref") {
        value = document.pointer(reference.as_str()?.strip_prefix('#')?)?;
    }
    Some(value)
}

/// Closes a schema that describes a value, unless it leaves its fields open itself.
fn close(schema: &mut Value, document: &Value) {
    if names_fields(schema, document) == Some(true)
        && let Some(schema) = schema.as_object_mut()
    {
        schema.insert("unevaluatedProperties".into(), json!(false));
    }
}

/// Closes all that is described inside: fields and items, wherever they stand.
fn close_inner(value: &mut Value, document: &Value) {
    match value {
        Value::Object(object) => {
            for (key, value) in object.iter_mut() {
                close_inner(value, document);
                match key.as_str() {
                    "properties" => {
                        let fields = value.as_object_mut().into_iter().flatten();
                        fields.for_each(|(_, field)| close(field, document));
                    }
                    "items" | "additionalProperties" => close(value, document),
                    _ => {}
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|it| close_inner(it, document)),
        _ => {}
    }
}

/// Whether it names fields; `None` where it allows others beside them.
fn names_fields(schema: &Value, document: &Value) -> Option<bool> {
    if schema
        .get("additionalProperties")
        .is_some_and(|it| *it != json!(false))
    {
        return None;
    }
    let mut names = schema.get("properties").is_some();
    if let Some(reference) = schema.get("$ref").and_then(Value::as_str) {
        let pointer = reference.strip_prefix('#').unwrap_or(reference);
        names |= names_fields(document.pointer(pointer)?, document)?;
    }
    for of in ["allOf", "oneOf", "anyOf"] {
        for part in schema
            .get(of)
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
        {
            names |= names_fields(part, document)?;
        }
    }
    Some(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document() -> Document {
        Document::new(json!({
            "openapi": "3.1.0",
            "paths": {
                "/things": {"post": {"responses": {
                    "201": {"description": "", "content": {
                        "application/json": {"schema": {"$ref": "#/components/schemas/Shown"}}
                    }},
                    "4XX": {"$ref": "#/components/responses/Refused"}
                }}},
                "/things/{id}": {"delete": {"responses": {
                    "204": {"description": ""},
                    "default": {"$ref": "#/components/responses/Refused"}
                }}},
                "/things/all": {"delete": {"responses": {"202": {"description": ""}}}}
            },
            "components": {
                "responses": {"Refused": {"description": "", "content": {
                    "application/problem+json": {"schema": {
                        "type": "object", "required": ["code"],
                        "properties": {"code": {"type": "string"}}
                    }}
                }}},
                "schemas": {
                    "Thing": {
                        "type": "object",
                        "required": ["id", "parent", "notes"],
                        "properties": {
                            "id": {"type": "string", "format": "uuid"},
                            "parent": {"oneOf": [
                                {"type": "null"}, {"$ref": "#/components/schemas/Parent"}
                            ]},
                            "at": {"type": ["string", "null"], "format": "date-time"},
                            "notes": {"type": "object"}
                        }
                    },
                    "Parent": {"type": "object", "properties": {"name": {"type": "string"}}},
                    "Shown": {"allOf": [
                        {"$ref": "#/components/schemas/Thing"},
                        {"type": "object", "required": ["token"],
                         "properties": {"token": {"type": "string"}}}
                    ]}
                }
            }
        }))
    }

    fn made(change: impl FnOnce(&mut Value)) -> Result<(), String> {
        let mut body = json!({
            "id": "3c90c3cc-0d44-4b50-8888-8dd25736052a",
            "parent": {"name": "x"},
            "at": null,
            "notes": {"any": 1},
            "token": "t"
        });
        change(&mut body);
        answered(
            "POST",
            "/things?x=1",
            201,
            "application/json; charset=utf-8",
            &body.to_string(),
        )
    }

    fn answered(
        method: &str,
        path: &str,
        status: u16,
        content_type: &str,
        body: &str,
    ) -> Result<(), String> {
        document().check(&Exchange {
            method,
            path,
            status,
            content_type: (!content_type.is_empty()).then_some(content_type),
            body: body.as_bytes(),
        })
    }

    #[test]
    fn bodies_are_held_to_their_schemas() {
        made(|_| ()).unwrap();
        made(|body| body["parent"] = Value::Null).unwrap();
        made(|body| body["at"] = json!("2026-01-01T00:00:00Z")).unwrap();
        let faults: [fn(&mut Value); 6] = [
            |body| body["id"] = json!("no uuid"),
            |body| body["at"] = json!("yesterday"),
            |body| body["token"] = Value::Null,
            |body| body["undocumented"] = json!(1),
            |body| body["parent"]["undocumented"] = json!(1),
            |body| drop(body.as_object_mut().unwrap().remove("parent")),
        ];
        for (which, fault) in faults.into_iter().enumerate() {
            assert!(made(fault).is_err(), "{which}");
        }
        assert!(answered("POST", "/things", 201, "application/json", "{").is_err());
    }

    #[test]
    fn statuses_and_content_types_are_documented_ones() {
        let refusal = r#"{"code": "x"}"#;
        let problem = "application/problem+json";
        for (method, path, status, content_type, body, good) in [
            ("POST", "/things", 422, problem, refusal, true),
            ("POST", "/things", 422, "application/json", refusal, false),
            ("POST", "/things", 422, "", refusal, false),
            ("POST", "/things", 500, problem, refusal, false),
            ("POST", "/things", 200, "application/json", "{}", false),
            ("DELETE", "/things/1", 204, "", "", true),
            ("DELETE", "/things/1", 204, "", "x", false),
            ("DELETE", "/things/1", 500, problem, refusal, true),
            ("DELETE", "/things/1", 200, problem, refusal, false),
            ("DELETE", "/things/all", 202, "", "", true),
            // What reaches no operation.
            ("DELETE", "/things", 405, problem, refusal, true),
            (
                "DELETE",
                "/things",
                405,
                problem,
                r#"{"error": "x"}"#,
                false,
            ),
            ("DELETE", "/things", 405, "text/plain", "no", false),
            ("DELETE", "/things", 404, problem, refusal, false),
            ("GET", "/things/1/2", 404, problem, refusal, true),
            ("GET", "/things/1/2", 200, problem, refusal, false),
            ("GET", "/things/", 404, problem, refusal, true),
            ("DELETE", "/things/1/", 204, "", "", true),
            ("DELETE", "/things/1/", 200, problem, refusal, false),
        ] {
            let found = answered(method, path, status, content_type, body);
            assert_eq!(found.is_ok(), good, "{method} {path} {status}: {found:?}");
        }
        assert!(document().covers("/things/1/2?q=1"));
        assert!(!document().covers("/thing"));
        assert!(document().names("/things/1?q=1"));
        assert!(!document().names("/things/1/2"));
    }
}
