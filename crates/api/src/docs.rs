//! The OpenAPI documents, one a door, each made from the routes as they are mounted.

mod page;

pub use page::{get_openapi, mount};

use crate::door::Door;
use crate::routing::operations;
use utoipa::ToSchema;
use utoipa::openapi::path::{Operation, Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::security::{
    ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme,
};
use utoipa::openapi::{
    Components, Content, InfoBuilder, ObjectBuilder, OpenApi, Ref, RefOr, Required, Response,
    ResponseBuilder, Schema, SchemaFormat, Type,
};
use utoipa_actix_web::OpenApiFactory;

/// What a document says of one of its routes.
#[derive(Debug, Clone)]
pub struct Route {
    /// The template, prefix included.
    pub path: String,
    /// In capitals.
    pub method: &'static str,
}

impl Route {
    pub fn any(&self) -> bool {
        true
    }

    /// Names something by its id.
    pub fn names(&self) -> bool {
        self.path.contains('{')
    }

    pub fn writes(&self) -> bool {
        self.method != "GET"
    }

    pub fn reads_body(&self) -> bool {
        matches!(self.method, "POST" | "PUT" | "PATCH")
    }
}

/// An error that many routes answer with.
pub struct ErrorAnswer {
    /// Of the component that routes refer to.
    pub name: &'static str,
    /// `404`, say, or `default`.
    pub status: &'static str,
    pub description: &'static str,
    /// Whether a route may answer so.
    pub at: fn(&Route) -> bool,
}

/// A door's document in the making.
pub struct Draft {
    door: &'static Door,
    api: OpenApi,
    schemas: Vec<(String, RefOr<Schema>)>,
    ids: Schema,
}

impl Draft {
    /// Begins with the door's routes. Ids in paths are texts until [`Self::ids`] says more.
    pub fn of(door: &'static Door, title: &str, about: &str) -> Self {
        let info = InfoBuilder::new()
            .title(title)
            .version(env!("CARGO_PKG_VERSION"))
            .description(Some(about))
            .build();
        let draft = Self {
            door,
            api: OpenApi::new(info, utoipa::openapi::Paths::new()),
            schemas: Vec::new(),
            ids: text(None),
        };
        draft.service(&door.scope())
    }

    /// Adds what is mounted outside the door's prefix.
    pub fn service(mut self, factory: &impl OpenApiFactory) -> Self {
        factory.schemas(&mut self.schemas);
        self.api.paths.merge(factory.paths());
        self
    }

    /// What the ids in paths look like.
    pub fn ids(mut self, schema: Schema) -> Self {
        self.ids = schema;
        self
    }

    /// Ends the document. Every route that demands a credential gets the errors that fit it, their bodies
    /// being `E` in `content_type`, unless its handler describes that status itself; its path's ids; the
    /// header `Idempotency-Key`; and the door's ways to authenticate beside `bearer`. `complete` adds what
    /// only this dialect has.
    pub fn finish<E: ToSchema>(
        mut self,
        content_type: &str,
        errors: &[ErrorAnswer],
        complete: impl Fn(&Route, &mut Operation),
    ) -> OpenApi {
        self.schemas.push((E::name().into_owned(), E::schema()));
        E::schemas(&mut self.schemas);
        let mut components = Components::new();
        components.schemas.extend(self.schemas);
        for (name, scheme) in schemes(self.door) {
            components.add_security_scheme(name, scheme);
        }
        for error in errors {
            let body = Content::new(Some(Ref::from_schema_name(E::name())));
            let response: RefOr<Response> = ResponseBuilder::new()
                .description(error.description)
                .content(content_type, body)
                .build()
                .into();
            components.responses.insert(error.name.to_owned(), response);
        }
        self.api.components = Some(components);
        for (path, item) in &mut self.api.paths.paths {
            for (method, operation) in operations(item) {
                describe(operation);
                if operation.security.is_none() {
                    continue;
                }
                let route = Route {
                    path: path.clone(),
                    method,
                };
                add_security(self.door, operation);
                for error in errors.iter().filter(|error| (error.at)(&route)) {
                    let responses = &mut operation.responses.responses;
                    responses
                        .entry(error.status.to_owned())
                        .or_insert_with(|| RefOr::Ref(Ref::from_response_name(error.name)));
                }
                add_parameters(&route, &self.ids, operation);
                complete(&route, operation);
            }
        }
        self.api
    }
}

/// The ways in: tokens everywhere, and what else the door takes.
fn schemes(door: &Door) -> Vec<(&'static str, SecurityScheme)> {
    let http = |scheme, description: &str| {
        let scheme = HttpBuilder::new()
            .scheme(scheme)
            .description(Some(description));
        SecurityScheme::Http(scheme.build())
    };
    let mut schemes = vec![(
        "bearer",
        http(
            HttpAuthScheme::Bearer,
            "A token of this service. The scopes name what a route demands.",
        ),
    )];
    if door.takes_basic {
        let about = "A key's id and secret, while its service account has `basic_auth_enabled`. Requests that \
            change something must not carry the header Origin.";
        schemes.push(("basic", http(HttpAuthScheme::Basic, about)));
    }
    if door.takes_raw {
        let about = "The token alone, without a scheme before it.";
        let value = ApiKeyValue::with_description("Authorization", about);
        schemes.push(("apiKey", SecurityScheme::ApiKey(ApiKey::Header(value))));
    }
    schemes
}

/// Each of the door's schemes will do, with the scopes that the handler names for `bearer`.
fn add_security(door: &Door, operation: &mut Operation) {
    let named = serde_json::to_value(&operation.security).unwrap_or_default();
    let scopes = named.pointer("/0/bearer").and_then(|it| it.as_array());
    let scopes: Vec<_> = scopes
        .into_iter()
        .flatten()
        .filter_map(|scope| scope.as_str())
        .collect();
    let alternatives = schemes(door)
        .into_iter()
        .map(|(name, _)| SecurityRequirement::new(name, scopes.iter().copied()));
    operation.security = Some(alternatives.collect());
}

/// The first paragraph of a handler's comment as one line, and words for answers that need none.
fn describe(operation: &mut Operation) {
    operation.summary = operation.summary.take().map(|text| text.replace('\n', " "));
    for (status, response) in &mut operation.responses.responses {
        if let RefOr::T(response) = response
            && response.description.is_empty()
        {
            response.description = match status.as_str() {
                "201" => "Made.",
                "202" => "Noted; it happens soon.",
                _ => "As it is now.",
            }
            .to_owned();
        }
    }
}

fn add_parameters(route: &Route, ids: &Schema, operation: &mut Operation) {
    let parameters = operation.parameters.get_or_insert_default();
    let named = route
        .path
        .split('/')
        .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    for (at, name) in named.enumerate() {
        parameters.retain(|it| !matches!(it, RefOr::T(it) if it.name == name));
        parameters.insert(
            at,
            parameter(name, ParameterIn::Path, "", ids.clone()).into(),
        );
    }
    if route.method == "POST" {
        parameters.push(
            parameter(
                "Idempotency-Key",
                ParameterIn::Header,
                "1 to 200 visible ASCII characters. A repeat with the same key and body is not done again; its \
                 answer carries Idempotency-Replayed: true.",
                text(None),
            )
            .into(),
        );
    }
}

/// A text, in one of JSON Schema's formats.
pub fn text(format: Option<&str>) -> Schema {
    let format = format.map(|name| SchemaFormat::Custom(name.to_owned()));
    Schema::Object(
        ObjectBuilder::new()
            .schema_type(Type::String)
            .format(format)
            .build(),
    )
}

/// A parameter, which is required only in a path.
pub fn parameter(name: &str, place: ParameterIn, description: &str, schema: Schema) -> Parameter {
    let required = if matches!(place, ParameterIn::Path) {
        Required::True
    } else {
        Required::False
    };
    ParameterBuilder::new()
        .name(name)
        .parameter_in(place)
        .required(required)
        .description((!description.is_empty()).then_some(description))
        .schema(Some(schema))
        .build()
}

#[cfg(test)]
mod tests {
    use crate::door::DOORS;

    #[test]
    fn documents() {
        for door in DOORS {
            let document = door.document.to_pretty_json().unwrap();
            insta::assert_snapshot!(door.name, document);
        }
    }

    #[test]
    fn every_path_lies_below_its_doors_prefix() {
        const OUTSIDE: [&str; 7] = [
            "/openapi.json",
            "/oauth2/token",
            "/oauth2/introspect",
            "/oauth2/revoke",
            "/.well-known/oauth-authorization-server",
            "/.well-known/jwks.json",
            "/api/auth/oauth/token",
        ];
        for door in DOORS {
            for path in door.document.paths.paths.keys() {
                let below = path.strip_prefix(door.prefix);
                let below = below.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
                assert!(below || OUTSIDE.contains(&&**path), "{}: {path}", door.name);
            }
        }
    }
}
