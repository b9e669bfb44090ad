//! A request for an access token, as tests put it together.

use crate::harness::*;
use serde_json::{Value, json};
use std::net::IpAddr;
use symbolon_app::{AssertionGrant, Credentials, IssuedAccessToken, OAuthFault, Wanted};
use symbolon_domain::{Presented, ScopeSet};

/// A request under construction: what is not said is right.
pub struct Asked {
    pub header: Value,
    pub claims: Value,
    pub secret: String,
    pub scopes: Option<ScopeSet>,
    pub resources: Vec<String>,
    pub client_ip: Option<IpAddr>,
    pub client: Option<Credentials>,
}

impl Asked {
    pub fn by(world: &World, key: &Key) -> Self {
        let now = world.app().now().as_seconds();
        Self {
            header: json!({ "alg": "HS256", "typ": "JWT", "kid": key.key_id }),
            claims: json!({
                "iss": key.owner, "sub": key.owner,
                "aud": format!("{}{TOKEN_PATH}", world.app().public_url()),
                "iat": now, "exp": now + 3600,
            }),
            secret: key.secret.clone(),
            scopes: None,
            resources: Vec::new(),
            client_ip: None,
            client: None,
        }
    }

    pub fn with(mut self, claim: &str, value: Value) -> Self {
        match value {
            Value::Null => self.claims.as_object_mut().unwrap().remove(claim),
            value => self
                .claims
                .as_object_mut()
                .unwrap()
                .insert(claim.into(), value),
        };
        self
    }

    pub fn header(mut self, name: &str, value: Value) -> Self {
        self.header[name] = value;
        self
    }

    pub fn text(&self) -> String {
        hs256(&self.header, &self.claims, &self.secret)
    }

    pub async fn send(self, world: &World) -> Result<IssuedAccessToken, OAuthFault> {
        let text = self.text();
        self.send_text(world, &text).await
    }

    pub async fn send_text(
        self,
        world: &World,
        text: &str,
    ) -> Result<IssuedAccessToken, OAuthFault> {
        let grant = AssertionGrant {
            assertion: &Presented::new(text),
            endpoint_path: TOKEN_PATH,
            client: self.client,
            wanted: Wanted {
                scopes: self.scopes,
                resources: self.resources,
                client_ip: self.client_ip,
            },
        };
        world.app().exchange_assertion(grant).await
    }
}
