//! The OpenAPI documents that a running server serves, to hold its answers to.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::conformance::{Document, Exchange};
use crate::http::Client;

/// The documents that a server serves, one for each of its doors.
pub struct Documents(Vec<Arc<Document>>);

/// Where they are served.
const SERVED: [&str; 6] = [
    "/openapi.json",
    "/openapi/native.json",
    "/openapi/unleash.json",
    "/openapi/prefactor.json",
    "/openapi/neowit.json",
    "/openapi/oauth.json",
];

/// Servers of one process serve the same texts: each is read, and its schemas are compiled, once.
static READ: Mutex<BTreeMap<String, Arc<Document>>> = Mutex::new(BTreeMap::new());

impl Documents {
    /// What the server serves now; doors that are switched off have none.
    ///
    /// # Panics
    /// If there is no `/openapi.json`, or what is served is no document.
    pub fn of(server: &Client) -> Self {
        let read = |path: &&str| {
            let answer = server.get(path, &[]);
            if answer.status == 404 && *path != SERVED[0] {
                return None;
            }
            let mut document = answer.expect(200).json();
            // The address of the server is all that differs.
            document["servers"].take();
            let mut read = READ.lock().unwrap_or_else(PoisonError::into_inner);
            let known = read.entry(document.to_string());
            let new = || Arc::new(Document::new(document));
            Some(known.or_insert_with(new).clone())
        };
        let mut documents: Vec<Arc<Document>> = SERVED.iter().filter_map(read).collect();
        documents.dedup_by(|a, b| Arc::ptr_eq(a, b));
        Self(documents)
    }

    /// Whether one of them has the path.
    pub fn names(&self, path: &str) -> bool {
        self.0.iter().any(|it| it.names(path))
    }

    /// `Err` if a document names the path and the answer is not what it says, or if the path lies
    /// below what documents name and the answer is in the envelope of none of them.
    pub fn check(&self, exchange: &Exchange<'_>) -> Result<(), String> {
        let mut naming = self
            .0
            .iter()
            .filter(|it| it.names(exchange.path))
            .peekable();
        if naming.peek().is_some() {
            return naming.try_for_each(|it| it.check(exchange));
        }
        let mut outcome = Ok(());
        for document in self.0.iter().filter(|it| it.covers(exchange.path)) {
            outcome = document.check(exchange);
            if outcome.is_ok() {
                break;
            }
        }
        outcome
    }
}
