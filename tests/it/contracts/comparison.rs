//! One primary text's field table against one OpenAPI document. Names of path parameters are free;
//! references, compositions and the ways of saying "or null" are seen through.

use serde_json::{Map, Value, json};

/// What the document says otherwise than the text, or does not say.
pub fn differences(text: &Value, document: &Value) -> Vec<String> {
    let document = Document(document);
    let operations = text["operations"].as_array().unwrap();
    let each = operations.iter().flat_map(|it| {
        let name = format!(
            "{} {}",
            it["method"].as_str().unwrap(),
            it["path"].as_str().unwrap()
        );
        let faults = document.operation(it);
        faults
            .into_iter()
            .map(move |fault| format!("{name}: {fault}"))
    });
    each.collect()
}

#[derive(Clone, Copy)]
struct Document<'a>(&'a Value);

/// Who reads the fields: for a request, `optional` is a promise too.
#[derive(Clone, Copy, PartialEq)]
enum Side {
    Request,
    Response,
}

impl Document<'_> {
    fn operation(self, text: &Value) -> Vec<String> {
        let path = text["path"].as_str().unwrap();
        let paths = self.0["paths"].as_object().unwrap();
        let found = paths.iter().find(|(own, _)| shape(own) == shape(path));
        let method = text["method"].as_str().unwrap().to_ascii_lowercase();
        let Some((template, item, operation)) =
            found.and_then(|(own, item)| Some((own, item, item.get(&method)?)))
        else {
            return vec!["no such operation".into()];
        };
        let mut faults = self.parameters(text, template, item, operation);
        faults.extend(self.authorization(text, operation));
        if let Some(request) = text.get("request") {
            let faults_of_it = self.request(request, self.resolved(&operation["requestBody"]));
            faults.extend(faults_of_it.into_iter().map(|it| format!("request: {it}")));
        }
        for (key, response) in text["responses"].as_object().unwrap() {
            let faults_of_it = self.response(key, response, &operation["responses"]);
            faults.extend(faults_of_it.into_iter().map(|it| format!("{key}: {it}")));
        }
        faults
    }

    fn parameters(
        self,
        text: &Value,
        template: &str,
        item: &Value,
        operation: &Value,
    ) -> Vec<String> {
        let all = [&item["parameters"], &operation["parameters"]];
        let all = all.into_iter().filter_map(Value::as_array).flatten();
        let all: Vec<&Value> = all.map(|it| self.resolved(it)).collect();
        let named = |place: &str, name: &str| {
            let found = all
                .iter()
                .find(|it| it["in"] == place && it["name"] == name);
            found.copied()
        };
        let table = |key: &str| text[key].as_object().into_iter().flatten();
        let mut faults = Vec::new();
        let mut check = |name: &str, fact: &Value, parameter: Option<&Value>| {
            let Some(parameter) = parameter else {
                faults.push(format!("`{name}` is no parameter"));
                return;
            };
            let fact = Fact::read(fact);
            let is_required = parameter["required"] == true;
            faults.extend(fact.presence(name, Side::Request, is_required));
            faults.extend(fact.values(name, self.variants(&parameter["schema"])));
        };
        // In the order of the path, whatever they are called.
        let names = text["path"].as_str().unwrap().split('/').map(parameter);
        let own = template.split('/').map(parameter);
        for (name, own) in names.flatten().zip(own.flatten()) {
            check(name, &text["path_parameters"][name], named("path", own));
        }
        for (name, fact) in table("query_parameters") {
            check(name, fact, named("query", name));
        }
        faults
    }

    /// Whether one may show oneself where the text says.
    fn authorization(self, text: &Value, operation: &Value) -> Option<String> {
        let wanted = text["authorization"].as_str()?;
        let requirements = operation.get("security").unwrap_or(&self.0["security"]);
        let schemes = requirements.as_array().into_iter().flatten();
        let schemes = schemes.filter_map(Value::as_object).flatten();
        let mut places = schemes.map(|(name, _)| {
            let scheme = self.resolved(&self.0["components"]["securitySchemes"][name]);
            match scheme["type"].as_str() {
                Some("http") => "header Authorization".to_owned(),
                _ => format!("{} {}", scheme["in"], scheme["name"]).replace('"', ""),
            }
        });
        let found = places.any(|place| place.eq_ignore_ascii_case(wanted));
        (!found).then(|| format!("no authorization by {wanted}"))
    }

    fn request(self, text: &Value, request: &Value) -> Vec<String> {
        let mut faults = Vec::new();
        if let Some(required) = text["required"].as_bool()
            && request["required"].as_bool().unwrap_or(false) != required
        {
            faults.push(format!("`required` is not {required}"));
        }
        let schema = match content(text, request) {
            Ok(schema) => schema,
            Err(fault) => return [faults, vec![fault]].concat(),
        };
        faults.extend(self.table(text, schema, Side::Request));
        faults
    }

    fn response(self, key: &str, text: &Value, responses: &Value) -> Vec<String> {
        let responses = responses.as_object().unwrap();
        let (status, alternative) = key.split_once(',').unwrap_or((key, ""));
        let is_it = |own: &str| match status {
            "success" => own.starts_with('2'),
            "default" => own == "default" || own.starts_with(['4', '5']),
            _ => own == status,
        };
        let found: Vec<&Value> = responses
            .iter()
            .filter(|(own, _)| is_it(own))
            .map(|(_, it)| self.resolved(it))
            .collect();
        if found.is_empty() || (status == "success" && found.len() > 1) {
            return vec![format!("{} such responses", found.len())];
        }
        let mut faults = found.into_iter().map(|it| self.one_response(text, it));
        if alternative.is_empty() {
            let mut all: Vec<String> = faults.flatten().collect();
            all.dedup();
            return all;
        }
        let fewest = faults.by_ref().min_by_key(Vec::len);
        fewest.unwrap_or_default()
    }

    fn one_response(self, text: &Value, response: &Value) -> Vec<String> {
        let has_headers = response["headers"]
            .as_object()
            .is_some_and(|it| !it.is_empty());
        if text["has_headers"] == true && !has_headers {
            return vec!["no headers".into()];
        }
        if text["no_content"] == true {
            let content = response
                .get("content")
                .map(|_| "there is content".to_owned());
            return content.into_iter().collect();
        }
        match content(text, response) {
            Ok(schema) => self.table(text, schema, Side::Response),
            Err(fault) => vec![fault],
        }
    }

    /// A table of fields, and its example, against the alternative that agrees best.
    fn table(self, text: &Value, schema: &Value, side: Side) -> Vec<String> {
        let mut objects = self.variants(schema);
        if let Some(wrapper) = text["wrapper"].as_str() {
            let inside = |it: &Map<String, Value>| it["properties"].get(wrapper).cloned();
            let inside = objects.iter().filter_map(inside).collect::<Vec<_>>();
            objects.extend(inside.iter().flat_map(|it| self.variants(it)));
        }
        let fields = text["fields"].as_object().unwrap();
        let against = |object: &Map<String, Value>| -> Vec<String> {
            let checks = fields.iter();
            let faults = checks.flat_map(|(path, fact)| self.field(path, fact, object, side));
            faults.collect()
        };
        let fewest = objects.iter().map(against).min_by_key(Vec::len);
        let mut faults = fewest.unwrap_or_else(|| vec!["no object".into()]);
        let example = &text["example"];
        let wrapped = text["wrapper"].as_str().map(|it| json!({ it: example }));
        if ![Some(example), wrapped.as_ref()]
            .into_iter()
            .flatten()
            .any(|it| self.accepts(schema, it, side))
        {
            faults.push(format!("the text's example does not fit: {example}"));
        }
        faults
    }

    /// Whether a value fits. Identifiers in examples are made up, so formats do not count; and an answer
    /// may have more fields than the text knows.
    fn accepts(self, schema: &Value, value: &Value, side: Side) -> bool {
        let mut whole = json!({"allOf": [schema], "components": self.0["components"]});
        if side == Side::Response {
            drop_required(&mut whole);
        }
        let validator = jsonschema::options().build(&whole);
        validator.expect("a schema").is_valid(value)
    }

    /// `details.keys[].created`: a field of the items of a field of a field.
    fn field(
        self,
        path: &str,
        fact: &Value,
        object: &Map<String, Value>,
        side: Side,
    ) -> Vec<String> {
        let (name, rest) = match path.split_once('.') {
            Some((name, rest)) => (name, Some(rest)),
            None => (path, None),
        };
        let (name, is_list) = match name.strip_suffix("[]") {
            Some(name) => (name, true),
            None => (name, false),
        };
        let Some(schema) = object["properties"].get(name) else {
            return vec![format!("there is no `{path}`")];
        };
        let mut variants = self.variants(schema);
        if is_list {
            let items = variants.iter().filter_map(|it| it.get("items"));
            variants = items.flat_map(|it| self.variants(it)).collect();
        }
        let Some(rest) = rest else {
            let fact = Fact::read(fact);
            let required = object["required"].as_array().into_iter().flatten();
            let is_required = required.into_iter().any(|it| it == name);
            let faults = fact.presence(name, side, is_required).into_iter();
            return faults.chain(fact.values(name, variants)).collect();
        };
        let objects = variants.iter().filter(|it| types(it) == ["object"]);
        let inside = objects.map(|it| self.field(rest, fact, it, side));
        let fewest = inside.min_by_key(Vec::len);
        fewest.unwrap_or_else(|| vec![format!("`{name}` has no fields")])
    }

    fn resolved<'a>(self, mut value: &'a Value) -> &'a Value
    where
        Self: 'a,
    {
        let Self(document) = self;
        // Only references of this document.
        while let Some(reference) = value["$ref"].as_str() {
            let pointer = reference.strip_prefix('#').expect("a local reference");
            value = document
                .pointer(pointer)
                .expect("a reference that leads somewhere");
        }
        value
    }

    /// The alternatives of a schema, each without references and compositions.
    fn variants(self, schema: &Value) -> Vec<Map<String, Value>> {
        let mut own = schema.as_object().cloned().unwrap_or_default();
        own.entry("properties").or_insert_with(|| json!({}));
        own.entry("required").or_insert_with(|| json!([]));
        let mut parts = Vec::new();
        if own.remove("$ref").is_some() {
            parts.push(self.variants(self.resolved(schema)));
        }
        for part in list(own.remove("allOf")) {
            parts.push(self.variants(&part));
        }
        for of in ["oneOf", "anyOf"] {
            let alternatives = list(own.remove(of));
            if !alternatives.is_empty() {
                parts.push(
                    alternatives
                        .iter()
                        .flat_map(|it| self.variants(it))
                        .collect(),
                );
            }
        }
        parts.into_iter().fold(vec![own], |variants, part| {
            let with = |one: &Map<String, Value>| {
                part.iter()
                    .map(|other| merged(one, other))
                    .collect::<Vec<_>>()
            };
            variants.iter().flat_map(with).collect()
        })
    }
}

/// Nothing is required any more; so alternatives may fit together.
pub fn drop_required(value: &mut Value) {
    match value {
        Value::Object(object) => {
            object.remove("required");
            if let Some(alternatives) = object.remove("oneOf") {
                object.insert("anyOf".into(), alternatives);
            }
            object.values_mut().for_each(drop_required);
        }
        Value::Array(items) => items.iter_mut().for_each(drop_required),
        _ => {}
    }
}

/// Both at once.
fn merged(one: &Map<String, Value>, other: &Map<String, Value>) -> Map<String, Value> {
    let mut both = one.clone();
    for (key, value) in other {
        match (both.get_mut(key), value) {
            (Some(Value::Object(one)), Value::Object(other)) => one.extend(other.clone()),
            (Some(Value::Array(one)), Value::Array(other)) if key == "required" => {
                one.extend(other.iter().cloned());
            }
            _ => drop(both.insert(key.clone(), value.clone())),
        }
    }
    both
}

fn list(value: Option<Value>) -> Vec<Value> {
    value
        .as_ref()
        .and_then(Value::as_array)
        .cloned()
        .unwrap_or_default()
}

/// The schema of the text's content type, or of JSON where the text names none.
fn content<'a>(text: &Value, of: &'a Value) -> Result<&'a Value, String> {
    let media = text["content_type"].as_str().unwrap_or("application/json");
    let is_json = |(own, _): &(&String, &Value)| *own == media || own.ends_with("+json");
    let content = of["content"].as_object().into_iter().flatten();
    let found = content.filter(is_json).map(|(_, it)| &it["schema"]).next();
    found.ok_or_else(|| format!("no {media}"))
}

/// A path without the names of its parameters.
fn shape(path: &str) -> String {
    let literal = |it: &str| parameter(it).map_or_else(|| it.to_owned(), |_| "{}".to_owned());
    path.split('/').map(literal).collect::<Vec<_>>().join("/")
}

/// `:id` and `{id}` are parameters.
fn parameter(segment: &str) -> Option<&str> {
    let braced = segment
        .strip_prefix('{')
        .and_then(|it| it.strip_suffix('}'));
    braced.or_else(|| segment.strip_prefix(':'))
}

fn types(variant: &Map<String, Value>) -> Vec<&str> {
    let of = |value: &Value| match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    match (
        variant.get("type"),
        variant.get("enum"),
        variant.get("const"),
    ) {
        (Some(Value::Array(all)), ..) => all.iter().filter_map(Value::as_str).collect(),
        (Some(one), ..) => one.as_str().into_iter().collect(),
        (None, Some(Value::Array(all)), _) => all.iter().map(of).collect(),
        (None, _, Some(one)) => vec![of(one)],
        _ => Vec::new(),
    }
}

/// What a text says of a field: `string<uuid> required nullable length=1..120 min=1`.
struct Fact {
    /// `any` where the text says nothing.
    kind: String,
    format: Option<String>,
    required: Option<bool>,
    nullable: bool,
    /// Keywords of JSON Schema with their values.
    limits: Vec<(&'static str, u64)>,
}

impl Fact {
    fn read(fact: &Value) -> Self {
        let mut words = fact.as_str().expect("a fact").split_whitespace();
        let kind = words.next().expect("a type").trim_end_matches('>');
        let (kind, format) = match kind.split_once('<') {
            Some((kind, format)) => (kind, Some(format.to_owned())),
            None => (kind, None),
        };
        let mut fact = Self {
            kind: kind.to_owned(),
            format,
            required: None,
            nullable: false,
            limits: Vec::new(),
        };
        for word in words {
            let number = |text: &str| text.parse().expect("a number");
            match word.split_once('=') {
                None if word == "nullable" => fact.nullable = true,
                None if word == "required" => fact.required = Some(true),
                None if word == "optional" => fact.required = Some(false),
                Some(("min", least)) => fact.limits.push(("minimum", number(least))),
                Some(("length", range)) => {
                    let (least, most) = range.split_once("..").expect("a range");
                    fact.limits.push(("minLength", number(least)));
                    fact.limits.push(("maxLength", number(most)));
                }
                _ => panic!("what is `{word}`?"),
            }
        }
        fact
    }

    fn presence(&self, name: &str, side: Side, is_required: bool) -> Option<String> {
        match self.required {
            Some(true) if !is_required => Some(format!("`{name}` is not required")),
            Some(false) if is_required && side == Side::Request => {
                Some(format!("`{name}` is required"))
            }
            _ => None,
        }
    }

    /// The first thing that is otherwise; a field has one fault at a time.
    fn values(&self, name: &str, variants: Vec<Map<String, Value>>) -> Option<String> {
        if self.kind == "any" {
            return None;
        }
        let may_be: Vec<&str> = variants.iter().flat_map(types).collect();
        let (null, other): (Vec<&str>, Vec<&str>) = may_be.iter().partition(|it| **it == "null");
        if other.is_empty() || other.iter().any(|it| *it != self.kind) {
            return Some(format!("`{name}` is {may_be:?}, not {}", self.kind));
        }
        if null.is_empty() == self.nullable {
            return Some(format!(
                "`{name}` is {may_be:?}; nullable: {}",
                self.nullable
            ));
        }
        let solid = variants.iter().filter(|it| types(it) != ["null"]);
        for variant in solid {
            let format = variant.get("format").and_then(Value::as_str);
            if self.format.is_some() && self.format.as_deref() != format {
                return Some(format!("`{name}` has the format {format:?}"));
            }
            for (limit, value) in &self.limits {
                if variant.get(*limit).and_then(Value::as_u64) != Some(*value) {
                    return Some(format!("`{name}` has another {limit} than {value}"));
                }
            }
        }
        None
    }
}
