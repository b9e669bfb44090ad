//! What happens to requests that no route takes: 405 with `Allow` where the path exists, else 404.
//! The one table of paths and methods is the door's OpenAPI document.

use crate::door::Door;
use crate::failure::Failure;
use actix_web::{HttpRequest, HttpResponse};
use symbolon_domain::Code;
use utoipa::openapi::path::Operation;
use utoipa::openapi::{OpenApi, PathItem};

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
fn allowed(document: &OpenApi, path: &str) -> Option<String> {
    let mut methods = Vec::new();
    for (template, item) in &document.paths.paths {
        if matches(template, path) {
            let mut item = item.clone();
            let taken = operations(&mut item).into_iter();
            methods.extend(taken.map(|(method, _)| method));
        }
    }
    (!methods.is_empty()).then(|| methods.join(", "))
}

/// Whether a path fits a template, whose `{…}` stand for one segment that is not empty.
pub fn matches(template: &str, path: &str) -> bool {
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
    let document = &Door::of(&request).document;
    Err(match allowed(document, request.path()) {
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
        let allowed = |path| allowed(&crate::native::DOOR.document, path);
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
