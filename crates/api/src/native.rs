//! The native door: a superset of the Hybridbox contract. See `native/README.md`.

mod accounts;
mod answer;
mod environments;
pub(crate) mod error;
mod events;
mod own;
mod requests;
pub(crate) mod routes;
mod service_accounts;
mod tokens;
pub(crate) mod wire;

/// Compares the fields that `read` asks a body for with those that its schema names, and the required.
#[cfg(test)]
fn described<T: utoipa::PartialSchema>(read: impl Fn(&mut crate::fields::Fields)) {
    use crate::{body::Json, fields::Fields};
    use utoipa::openapi::{RefOr, Schema};

    let mut empty = Fields::of(Json::Object(Vec::new())).expect("an object");
    read(&mut empty);
    let mut asked = empty.asked().to_vec();
    asked.sort_unstable();
    let failure = empty.finish(Some(())).err();
    let mut required: Vec<_> = failure
        .iter()
        .flat_map(|failure| &failure.error.refusal().expect("a refusal").fields)
        .map(|error| error.pointer.trim_start_matches('/').to_owned())
        .collect();
    required.sort_unstable();

    let RefOr::T(Schema::Object(object)) = T::schema() else {
        panic!("an object's schema")
    };
    let mut names: Vec<_> = object.properties.keys().map(String::as_str).collect();
    names.sort_unstable();
    let mut demanded = object.required.clone();
    demanded.sort_unstable();
    assert_eq!((asked, required), (names, demanded));
}
