//! What happens to requests that no route takes: 405 with `Allow` where the path exists, else 404.
//! The one table of paths and methods is the OpenAPI document.

use crate::docs::openapi;
use crate::failure::Failure;
use actix_web::{HttpRequest, HttpResponse};
use std::sync::LazyLock;
use symbolon_domain::Code;
use utoipa::openapi::PathItem;
use utoipa::openapi::path::Operation;

/// A path template and the methods that it takes.
type Entry = (String, Vec<&'static str>);

static TABLE: LazyLock<Vec<Entry>> = LazyLock::new(|| {
    let paths = openapi().paths.paths.into_iter();
    paths
        .map(|(path, mut item)| {
            let methods = operations(&mut item).into_iter().map(|(method, _)| method);
            (path, methods.collect())
        })
        .collect()
});

/// The operations of a path, by method.
pub fn operations(item: &mut PathItem) -> Vec<(&'static str, &mut Operation)> {
    [
        ("GET", &mut item.get),
        ("POST", &mut item.post),
        ("PUT", &mut item.put),
        ("PATCH", &mut item.patch),
        ("DELETE", &mut item.delete),
    ]
    .into_iter()
    .filter_map(|(method, operation)| Some((method, operation.as_mut()?)))
    .collect()
}

/// The methods that `path` takes, for `Allow`; `None` where there is no such path.
fn allowed(path: &str) -> Option<String> {
    let (_, methods) = TABLE.iter().find(|(template, _)| matches(template, path))?;
    Some(methods.join(", "))
}

fn matches(template: &str, path: &str) -> bool {
    let (mut wanted, mut got) = (template.split('/'), path.split('/'));
    loop {
        match (wanted.next(), got.next()) {
            (None, None) => return true,
            (Some(wanted), Some(got)) if wanted.starts_with('{') && !got.is_empty() => {}
            (Some(wanted), Some(got)) if wanted == got => {}
            _ => return false,
        }
    }
}

/// The handler of everything that no route takes.
pub async fn no_route(request: HttpRequest) -> Result<HttpResponse, Failure> {
    Err(match allowed(request.path()) {
        Some(allow) => Failure {
            allow: Some(allow),
            ..Code::MethodNotAllowed.into()
        },
        None => Code::NotFound.into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_know_their_methods() {
        assert_eq!(allowed("/v1/public/accounts").as_deref(), Some("GET, POST"));
        assert_eq!(
            allowed("/v1/public/accounts/x/auth/service-accounts/y").as_deref(),
            Some("GET, PATCH, DELETE")
        );
        assert_eq!(allowed("/v1/public/accounts//auth/service-accounts"), None);
        assert_eq!(allowed("/v1/public/accounts/"), None);
        assert_eq!(allowed("/v1"), None);
    }
}
