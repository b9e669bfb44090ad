//! A fresh PostgreSQL database with an account, somebody who may verify, and as many tokens as are asked
//! for. The first token is made by the use case; the others are copies of its rows with secrets of their
//! own, sealed by the same key.

use crate::AnyError;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use symbolon_app::{
    Actor, App, AppSettings, Call, KeyFile, Keyring, Origin, Start, SystemClock, SystemDice,
};
use symbolon_domain::change::{Asking, View};
use symbolon_domain::issue::{self, Limits, Mint, NewServiceAccount, NewToken};
use symbolon_domain::rate::RateLimit;
use symbolon_domain::{
    Account, AccountId, AllowedNetworks, Clock, Credential, CredentialId, CredentialKind,
    EmailAddress, Minted, Name, ScopeSet, ServiceAccountId,
};
use symbolon_store::testing::Twin;
use symbolon_store::{Location, Store, StoreSettings};

pub const PUBLIC_URL: &str = "http://symbolon.test";
/// Of every token.
pub const SCOPES: &str = "invoices:read invoices:write reports:read";
/// From where every token may be used: the loopback, so that `authorize` finds it there too.
const NETWORK: &str = "127.0.0.0/8";

pub struct Instance {
    pub url: String,
    pub directory: PathBuf,
    pub key_file: PathBuf,
    pub app: App,
    pub account: Account,
    /// The text of a token that may verify.
    pub verifier: String,
    /// The text of a token that may do everything.
    pub admin: String,
    template: Credential,
    keyring: Keyring,
}

/// A token with the ids that it is managed by.
#[derive(Debug, Clone, Copy)]
pub struct Ids {
    pub id: CredentialId,
    pub service_account: ServiceAccountId,
}

impl Drop for Instance {
    fn drop(&mut self) {
        // What is left lies in the temporary directory.
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

pub fn name(text: &str) -> Result<Name, AnyError> {
    Name::parse(text).map_err(|code| code.as_str().into())
}

pub fn email(text: &str) -> Result<EmailAddress, AnyError> {
    EmailAddress::parse(text).map_err(|code| code.as_str().into())
}

impl Instance {
    pub async fn new(settings: AppSettings) -> Result<Self, AnyError> {
        let Some(StoreSettings {
            location: Location::Postgres(url),
            ..
        }) = symbolon_store::testing::empty_postgres().await
        else {
            return Err("run this through `cargo xtask bench`, which starts a PostgreSQL".into());
        };
        let database = url.rsplit('/').next().unwrap_or_default();
        let directory = std::env::temp_dir().join(format!("{database}_bench"));
        // A process with the same id may have died here before.
        let _ = std::fs::remove_dir_all(&directory);
        std::fs::create_dir_all(&directory)?;
        let key_file = directory.join("keys");
        let keys = KeyFile::generate(&mut SystemDice);
        keys.create(&key_file, SystemClock.now())?;
        let store = Store::open(&StoreSettings::new(Location::Postgres(url.clone())))?;
        store.migrate().await?;
        let keyring = Keyring::new(&keys);
        let checks = keyring.check_values();
        store.add_key_checks(&checks, SystemClock.now()).await?;
        let app = App::new(
            store,
            Keyring::new(&keys),
            Arc::new(SystemClock),
            Box::new(|| Box::new(SystemDice)),
            AppSettings {
                public_url: PUBLIC_URL.into(),
                ..settings
            },
        );
        let owner = email("ops@example.com")?;
        app.bootstrap(name("operator")?, Start::Owned { owner })
            .await?;
        app.maintain_signing_keys().await?;

        let operator = Actor::operator_cli();
        let call = Call::new(&operator, Origin::default());
        let account = app
            .create_account(&call, name("bench")?, Default::default())
            .await?
            .record;
        let make = async |called: &str, scopes: &str, limits: Limits| {
            let new = NewServiceAccount {
                scopes: ScopeSet::parse(scopes)?,
                limits,
                ..NewServiceAccount::named(name(called)?)
            };
            let made = app.create_service_account(&call, account.id, new).await?;
            let token = made.record.primary.ok_or("no primary token")?;
            let secret = made.secret.ok_or("no secret")?;
            Ok::<_, AnyError>((token, secret.reveal().to_owned()))
        };
        let verifier = make("gateway", "symbolon:tokens:verify", Limits::default()).await?;
        let admin = make("admin", "symbolon:admin", Limits::default()).await?;
        let (template, _) = make("template", SCOPES, limits()?).await?;
        Ok(Self {
            url,
            directory,
            key_file,
            account,
            verifier: verifier.1,
            admin: admin.1,
            template,
            app,
            keyring,
        })
    }

    /// So many tokens, a number of them for each service account.
    pub async fn tokens(
        &self,
        count: usize,
        for_each: usize,
    ) -> Result<(Vec<String>, Vec<Ids>), AnyError> {
        // Both cores make them, and the database writes them in the end.
        let halves = [count / 2, count - count / 2];
        let made: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = halves
                .iter()
                .map(|count| scope.spawn(|| self.make(*count)))
                .collect();
            threads
                .into_iter()
                .map(|it| it.join().map_err(|_| "making tokens panicked")?)
                .collect::<Result<_, String>>()
        })?;
        let (mut texts, mut ids, mut twins) = (Vec::new(), Vec::new(), Vec::new());
        let mut owner = None;
        for (at, (secret, service_account, credential)) in made.into_iter().flatten().enumerate() {
            let is_primary = at % for_each == 0;
            let service_account = if is_primary {
                *owner.insert(service_account)
            } else {
                owner.unwrap_or(service_account)
            };
            texts.push(secret.reveal().to_owned());
            ids.push(Ids {
                id: credential.id,
                service_account,
            });
            twins.push(Twin {
                id: credential.id,
                service_account,
                is_primary,
                public_id: credential.public_id,
                last4: credential.last4,
                sealed: credential.sealed.bytes,
            });
        }
        symbolon_store::testing::multiply(&self.url, self.template.id, &twins).await;
        Ok((texts, ids))
    }

    fn make(&self, count: usize) -> Result<Vec<(Minted, ServiceAccountId, Credential)>, String> {
        let operator = Actor::operator_cli();
        let view = View {
            account: Some(self.account.clone()),
            ..View::default()
        };
        let new = name("template").map_err(|error| error.to_string())?;
        let mut made = Vec::with_capacity(count);
        for _ in 0..count {
            let asking = Asking {
                now: SystemClock.now(),
                by: operator.by(),
                authority: operator.authority(),
                request: None,
                client_ip: None,
            };
            let mut dice = SystemDice;
            let mut mint = Mint {
                dice: &mut dice,
                sealer: &self.keyring,
                signer: None,
                link_key_version: 1,
            };
            let new = NewServiceAccount::named(new.clone());
            let (owner, issued, _) = issue::create_service_account(&view, &asking, new, &mut mint)
                .map_err(|refusal| refusal.code.as_str().to_owned())?;
            let issued = issued.ok_or("no token")?;
            made.push((issued.secret, owner.id, issued.credential));
        }
        Ok(made)
    }

    /// A key of the template's service account, with the template's scopes and limits: id and secret.
    pub async fn key(&self) -> Result<(String, String), AnyError> {
        let operator = Actor::operator_cli();
        let call = Call::new(&operator, Origin::default());
        let owner = self.template.owner.service_account();
        let owner = owner.ok_or("the template has no service account")?;
        let new = NewToken {
            kind: CredentialKind::Key,
            grant: issue::Grant::Only(ScopeSet::parse(SCOPES)?),
            limits: limits()?,
            ..NewToken::default()
        };
        let made = self
            .app
            .issue_token(&call, self.account.id, owner, new)
            .await?;
        let secret = made.secret.ok_or("no secret")?.reveal().to_owned();
        Ok((made.record.it.public_id, secret))
    }

    pub fn account_id(&self) -> AccountId {
        self.account.id
    }

    pub fn start(&self, settings: &[(&str, &str)]) -> Result<crate::process::Process, AnyError> {
        let url = format!("{}?sslmode=disable", self.url);
        crate::process::Process::start(&url, &self.key_file, &self.directory, settings)
    }

    /// As [`Self::start`], with the database behind an address that stands in for its server's.
    pub fn start_behind(
        &self,
        proxy: SocketAddr,
        settings: &[(&str, &str)],
    ) -> Result<crate::process::Process, AnyError> {
        let url = with_server(&self.url, proxy)?;
        crate::process::Process::start(&url, &self.key_file, &self.directory, settings)
    }

    /// Where the database's server listens.
    pub fn server(&self) -> Result<SocketAddr, AnyError> {
        let host = self
            .url
            .split('@')
            .nth(1)
            .and_then(|it| it.split('/').next());
        Ok(host.ok_or("the URL names no server")?.parse()?)
    }
}

fn with_server(url: &str, server: SocketAddr) -> Result<String, AnyError> {
    let (user, rest) = url.split_once('@').ok_or("the URL names no user")?;
    let (_, database) = rest.split_once('/').ok_or("the URL names no database")?;
    Ok(format!("{user}@{server}/{database}?sslmode=disable"))
}

/// One network, and a rate that nothing here reaches.
fn limits() -> Result<Limits, AnyError> {
    let networks = AllowedNetworks::parse(NETWORK).ok_or("not a network")?;
    let rate = RateLimit::new(1_000_000, std::time::Duration::from_secs(1));
    Ok(Limits {
        allowed_networks: networks,
        rate_limit: Some(rate.map_err(|(field, _)| field)?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_takes_the_servers_place() {
        let url = with_server(
            "postgres://postgres@127.0.0.1:5432/one",
            "127.0.0.1:7".parse().unwrap(),
        );
        assert_eq!(
            url.unwrap(),
            "postgres://postgres@127.0.0.1:7/one?sslmode=disable"
        );
    }
}
