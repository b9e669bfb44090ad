//! The routes that one thread has seen, each with its metrics at hand: what every request looks up is made
//! once. There are only as many as the server has templates.

use crate::request_id::OfRequest;
use actix_web::dev::ServiceRequest;
use actix_web::http::StatusCode;
use actix_web::{HttpMessage, HttpRequest};
use metrics::{Counter, Histogram, counter, histogram};
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

const UNMATCHED: &str = "(unmatched)";

thread_local! {
    static ROUTES: RefCell<HashMap<Box<str>, Rc<Route>>> = RefCell::default();
}

/// Marks a route whose requests are too many for a line each: they are logged at `debug`, unless they end
/// with a 5xx other than 503. As application data of the route's resource or scope, or put into a request by
/// [`HotPath::mark`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HotPath;

impl HotPath {
    /// For handlers whose route takes no application data of its own, behind [`crate::edge`].
    pub fn mark(request: &HttpRequest) {
        if let Some(known) = request.extensions_mut().get_mut::<OfRequest>() {
            known.is_hot = true;
        }
    }

    pub(crate) fn marks(request: &HttpRequest) -> bool {
        let extensions = request.extensions();
        request.app_data::<Self>().is_some()
            || extensions.get::<OfRequest>().is_some_and(|it| it.is_hot)
    }
}

/// One route template.
pub(crate) struct Route {
    pattern: Box<str>,
    is_hot: Cell<bool>,
    by_method: RefCell<Vec<(&'static str, OfMethod)>>,
}

struct OfMethod {
    duration: Histogram,
    by_status: Vec<(StatusCode, Counter)>,
}

impl Route {
    /// The route that the request's path leads to.
    pub fn of(request: &ServiceRequest) -> Rc<Self> {
        // A path that reads like a template is the path of that template: most of ours have no parameters.
        let known = ROUTES.with_borrow(|routes| routes.get(request.path()).cloned());
        known.unwrap_or_else(|| {
            let pattern = request.match_pattern();
            let pattern = pattern.as_deref().unwrap_or(UNMATCHED);
            ROUTES.with_borrow_mut(|routes| match routes.get(pattern) {
                Some(route) => route.clone(),
                None => {
                    let route = Rc::new(Self::new(pattern));
                    routes.insert(pattern.into(), route.clone());
                    route
                }
            })
        })
    }

    fn new(pattern: &str) -> Self {
        Self {
            pattern: pattern.into(),
            is_hot: Cell::new(false),
            by_method: RefCell::default(),
        }
    }

    pub fn pattern(&self) -> &str {
        &self.pattern
    }

    pub fn set_hot(&self) {
        self.is_hot.set(true);
    }

    pub fn is_hot(&self) -> bool {
        self.is_hot.get()
    }

    pub fn count(&self, method: &'static str, status: StatusCode, seconds: f64) {
        let mut by_method = self.by_method.borrow_mut();
        let at = by_method.iter().position(|(it, _)| *it == method);
        let at = at.unwrap_or_else(|| {
            by_method.push((method, OfMethod::new(&self.pattern, method)));
            by_method.len() - 1
        });
        let of_method = &mut by_method[at].1;
        of_method.duration.record(seconds);
        let by_status = &mut of_method.by_status;
        match by_status.iter().find(|(it, _)| *it == status) {
            Some((_, counter)) => counter.increment(1),
            None => {
                let counter = counter!(
                    "symbolon_http_requests_total",
                    "method" => method,
                    "route" => self.pattern.to_string(),
                    "status" => status.as_str().to_owned()
                );
                counter.increment(1);
                by_status.push((status, counter));
            }
        }
    }
}

impl OfMethod {
    fn new(pattern: &str, method: &'static str) -> Self {
        Self {
            duration: histogram!(
                "symbolon_http_request_duration_seconds",
                "method" => method,
                "route" => pattern.to_owned()
            ),
            by_status: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::test::TestRequest;

    #[test]
    fn unknown_paths_share_one_route_and_are_not_kept() {
        let of = |path: &str| Route::of(&TestRequest::with_uri(path).to_srv_request());
        let one = of("/one");
        assert_eq!(one.pattern(), UNMATCHED);
        for at in 0..100 {
            assert!(Rc::ptr_eq(&one, &of(&format!("/other/{at}"))));
        }
        assert_eq!(ROUTES.with_borrow(HashMap::len), 1);
    }
}
