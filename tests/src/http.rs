//! A thin HTTP client: every status is an answer, redirects are not followed, bytes stay bytes; what
//! a server answers is held to the documents that it serves, where the client was given them.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use ureq::Agent;
use ureq::http::{HeaderMap, Request};

use crate::conformance::Exchange;
use crate::documents::Documents;

/// One base URL, one set of default headers. A clone shares the connections.
#[derive(Clone)]
pub struct Client {
    agent: Agent,
    base: String,
    headers: Vec<(String, String)>,
    documents: Option<Arc<Documents>>,
}

pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Client {
    pub fn new(base: &str) -> Self {
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .allow_non_standard_methods(true)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .timeout_global(Some(Duration::from_secs(30)))
            .build()
            .new_agent();
        Self {
            agent,
            base: base.trim_end_matches('/').to_owned(),
            headers: Vec::new(),
            documents: None,
        }
    }

    /// A client that panics at any answer that these do not allow.
    pub fn held_to(&self, documents: &Arc<Documents>) -> Self {
        let mut client = self.clone();
        client.documents = Some(documents.clone());
        client
    }

    /// A client that also sends this header with every request.
    pub fn header(&self, name: &str, value: &str) -> Self {
        let mut client = self.clone();
        client.headers.push((name.to_owned(), value.to_owned()));
        client
    }

    pub fn bearer(&self, token: &str) -> Self {
        self.header("Authorization", &format!("Bearer {token}"))
    }

    #[track_caller]
    pub fn get(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        self.request("GET", path, None, headers)
    }

    #[track_caller]
    pub fn post(&self, path: &str, body: Option<Value>, headers: &[(&str, &str)]) -> Answer {
        self.request("POST", path, body, headers)
    }

    #[track_caller]
    pub fn put(&self, path: &str, body: Option<Value>, headers: &[(&str, &str)]) -> Answer {
        self.request("PUT", path, body, headers)
    }

    #[track_caller]
    pub fn patch(&self, path: &str, body: Option<Value>, headers: &[(&str, &str)]) -> Answer {
        self.request("PATCH", path, body, headers)
    }

    #[track_caller]
    pub fn delete(&self, path: &str, body: Option<Value>, headers: &[(&str, &str)]) -> Answer {
        self.request("DELETE", path, body, headers)
    }

    #[track_caller]
    fn request(
        &self,
        method: &str,
        path: &str,
        body: Option<Value>,
        headers: &[(&str, &str)],
    ) -> Answer {
        let body = body.map(|value| value.to_string().into_bytes());
        let mut headers = headers.to_vec();
        let has_type = |(name, _): &(&str, &str)| name.eq_ignore_ascii_case("content-type");
        if body.is_some() && !headers.iter().any(has_type) {
            headers.push(("Content-Type", "application/json"));
        }
        self.send(method, path, body, &headers)
            .unwrap_or_else(|e| panic!("{method} {}{path}: {e}", self.base))
    }

    /// Any method and any bytes; an error only where no HTTP answer came.
    ///
    /// # Panics
    /// If the answer is not what a document of the server says.
    #[track_caller]
    pub fn send(
        &self,
        method: &str,
        path: &str,
        body: Option<Vec<u8>>,
        headers: &[(&str, &str)],
    ) -> Result<Answer, ureq::Error> {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.base));
        let defaults = self.headers.iter().map(|(n, v)| (n.as_str(), v.as_str()));
        for (name, value) in defaults.chain(headers.iter().copied()) {
            request = request.header(name, value);
        }
        let mut response = match body {
            Some(body) => self.agent.run(request.body(body)?)?,
            None => self.agent.run(request.body(())?)?,
        };
        let answer = Answer {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            body: response.body_mut().read_to_vec()?,
        };
        if let Some(documents) = &self.documents {
            let exchange = Exchange {
                method,
                path,
                status: answer.status,
                content_type: answer.header("content-type"),
                body: &answer.body,
            };
            documents.check(&exchange).unwrap_or_else(|e| panic!("{e}"));
        }
        Ok(answer)
    }

    /// `None` where nobody answers.
    pub fn try_get(&self, path: &str) -> Option<Answer> {
        self.send("GET", path, None, &[]).ok()
    }
}

impl Answer {
    /// # Panics
    /// With the body's text, if it is no JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|e| panic!("{}: no JSON ({e}): {}", self.status, self.text()))
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The first header of this name, if it is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// # Panics
    /// With the body, if the status is another.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "the body: {}", self.text());
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::net::TcpListener;

    /// Answers each of `answers` to one connection, and returns what was asked.
    fn serve(answers: &'static [&'static str]) -> (String, std::thread::JoinHandle<Vec<String>>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let base = format!("http://{}/", listener.local_addr().unwrap());
        let asked = std::thread::spawn(move || {
            let serve_one = |answer: &&str| {
                let (mut stream, _) = listener.accept().unwrap();
                let mut asked = String::new();
                let mut buffer = [0; 4096];
                while !asked.contains("\r\n\r\n") {
                    let n = stream.read(&mut buffer).unwrap();
                    asked += std::str::from_utf8(&buffer[..n]).unwrap();
                }
                write!(stream, "HTTP/1.1 {answer}").unwrap();
                asked
            };
            answers.iter().map(serve_one).collect()
        });
        (base, asked)
    }

    #[test]
    fn refusals_and_redirects_are_answers() {
        let (base, asked) = serve(&[
            "404 Not Found\r\nConnection: close\r\nContent-Length: 9\r\n\r\n{\"a\":[1]}",
            "303 See Other\r\nConnection: close\r\nLocation: /there\r\nContent-Length: 0\r\n\r\n",
            "503 Service Unavailable\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
        ]);
        let client = Client::new(&base).bearer("sym_x");
        let answer = client.get("/a", &[("X-One", "1")]).expect(404);
        assert_eq!(answer.json()["a"][0], 1);
        let answer = client.delete("/b", None, &[]).expect(303);
        assert_eq!(answer.header("location"), Some("/there"));
        client.patch("/c", Some(Value::Null), &[]).expect(503);
        let asked = asked.join().unwrap();
        assert!(asked[0].starts_with("GET /a HTTP/1.1\r\n"));
        for part in ["authorization: bearer sym_x\r\n", "x-one: 1\r\n"] {
            assert!(asked[0].to_lowercase().contains(part), "{}", asked[0]);
        }
        assert!(asked[1].starts_with("DELETE /b "));
        assert!(
            asked[2]
                .to_lowercase()
                .contains("content-type: application/json")
        );
    }

    /// A document of which the given answer is no part.
    #[test]
    #[should_panic(expected = "GET /a answered 418")]
    fn answers_that_the_servers_document_lacks_are_found() {
        let (base, _) = serve(&[
            "200 OK\r\nConnection: close\r\nContent-Length: 59\r\n\r\n\
             {\"openapi\":\"3.1.0\",\"paths\":{\"/a\":{\"get\":{\"responses\":{}}}}}",
            "404 Not Found\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
            "404 Not Found\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
            "404 Not Found\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
            "404 Not Found\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
            "404 Not Found\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
            "404 Not Found\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
            "418 I'm a teapot\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
        ]);
        let client = Client::new(&base);
        let client = client.held_to(&Documents::of(&client).into());
        // Nothing is said of this one.
        client.get("/b", &[]).expect(404);
        client.get("/a", &[]);
    }

    #[test]
    fn nobody_there_is_no_answer() {
        let port = crate::process::free_port();
        let client = Client::new(&format!("http://127.0.0.1:{port}"));
        assert!(client.try_get("/").is_none());
    }
}
