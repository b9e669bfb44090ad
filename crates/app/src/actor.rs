//! Who asks. Actors are made here and nowhere else; every use case demands one.

use crate::error::{Error, Result};
use std::net::IpAddr;
use std::sync::Arc;
use symbolon_domain::change::{Asking, RevokedAccessToken};
use symbolon_domain::verdict::{AccessToken, Facts};
use symbolon_domain::{
    AccountId, ActorRef, Authority, Code, CredentialId, Digest, Owner, Permission, Reach,
    RequestId, ScopeSet, Timestamp,
};

/// Whence a request came.
#[derive(Debug, Clone, Copy, Default)]
pub struct Origin {
    pub request: Option<RequestId>,
    pub client_ip: Option<IpAddr>,
}

/// Who asks, with what they may. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Actor(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    by: ActorRef,
    authority: Authority,
    account: Option<AccountId>,
    credential: Option<CredentialId>,
    owner: Option<Owner>,
    access_token: Option<RevokedAccessToken>,
    replay_only: bool,
}

impl Actor {
    /// The holder of a credential that was found good.
    pub(crate) fn holder(facts: Facts<'_>) -> Self {
        Self::of_credential(facts, None, false)
    }

    /// The holder of a key's access token; `facts` are the key's.
    pub(crate) fn bearer(facts: Facts<'_>, token: &AccessToken) -> Self {
        Self::of_credential(facts, Some(token), false)
    }

    /// The holder of a credential that has just rotated itself: may repeat that request, and nothing else.
    pub(crate) fn replaying(facts: Facts<'_>) -> Self {
        Self::of_credential(facts, None, true)
    }

    fn of_credential(
        facts: Facts<'_>,
        access_token: Option<&AccessToken>,
        replay_only: bool,
    ) -> Self {
        let credential = facts.credential;
        let scopes: ScopeSet = match access_token {
            Some(token) => token
                .scopes
                .iter()
                .filter(|it| facts.covers(it))
                .cloned()
                .collect(),
            None => facts.scopes().cloned().collect(),
        };
        let reach = if scopes.allows(Permission::Instance) {
            Reach::Instance
        } else {
            facts.place()
        };
        Self(Arc::new(Inner {
            by: ActorRef::Credential {
                id: credential.id,
                service_account: credential.owner.service_account(),
            },
            authority: Authority { reach, scopes },
            account: Some(facts.account.id),
            credential: Some(credential.id),
            owner: Some(credential.owner),
            access_token: access_token.map(crate::authenticate::end_of),
            replay_only,
        }))
    }

    fn of_instance(by: ActorRef) -> Self {
        let authority = Authority::instance();
        Self(Arc::new(Inner {
            by,
            authority,
            account: None,
            credential: None,
            owner: None,
            access_token: None,
            replay_only: false,
        }))
    }

    /// Whoever can run `symbolon` commands on the machine.
    pub fn operator_cli() -> Self {
        Self::of_instance(ActorRef::Operator)
    }

    /// The product itself.
    pub fn schedule() -> Self {
        Self::of_instance(ActorRef::Schedule)
    }

    /// Whoever holds a link that was mailed. It may do what the link says and holds no permission.
    pub(crate) fn link_holder() -> Self {
        let authority = Authority {
            reach: Reach::Instance,
            scopes: Default::default(),
        };
        Self(Arc::new(Inner {
            by: ActorRef::LinkHolder,
            authority,
            account: None,
            credential: None,
            owner: None,
            access_token: None,
            replay_only: false,
        }))
    }

    pub fn by(&self) -> ActorRef {
        self.0.by
    }

    pub fn authority(&self) -> &Authority {
        &self.0.authority
    }

    /// The account that the credential belongs to.
    pub fn account_id(&self) -> Option<AccountId> {
        self.0.account
    }

    pub fn credential_id(&self) -> Option<CredentialId> {
        self.0.credential
    }

    /// What the credential belongs to.
    pub fn owner(&self) -> Option<Owner> {
        self.0.owner
    }

    /// Whether an access token speaks, and not its key.
    pub fn is_access_token(&self) -> bool {
        self.0.access_token.is_some()
    }

    /// What ends the access token that stands for the credential here.
    pub(crate) fn access_token(&self) -> Option<RevokedAccessToken> {
        self.0.access_token
    }

    /// Whether it may do nothing but repeat the request that replaced its credential.
    pub fn is_replay_only(&self) -> bool {
        self.0.replay_only
    }

    /// # Errors
    /// [`Code::PermissionMissing`]. One who may only repeat a request passes: the repeat is checked instead.
    pub fn demand(&self, permission: Permission) -> Result<()> {
        if self.0.replay_only {
            return Ok(());
        }
        Ok(self.0.authority.demand(permission)?)
    }

    /// The permission, in an account within reach. What lies outside looks like nothing there.
    pub(crate) fn enter(&self, account: AccountId, permission: Permission) -> Result<()> {
        self.demand(permission)?;
        self.see(account)
    }

    pub(crate) fn see(&self, account: AccountId) -> Result<()> {
        match self.0.authority.reach.account() {
            Some(mine) if mine != account => Err(Code::NotFound.into()),
            _ => Ok(()),
        }
    }

    /// As [`Self::enter_to_read`], for what several permissions need to find: any of them will do.
    pub(crate) fn enter_with_any(&self, account: AccountId, any: &[Permission]) -> Result<()> {
        self.ensure_live()?;
        if let [first, rest @ ..] = any
            && !rest.iter().any(|it| self.0.authority.allows(*it))
        {
            self.demand(*first)?;
        }
        self.see(account)
    }

    /// As [`Self::enter`], for reading: nothing is read by one who may only repeat a request.
    pub(crate) fn enter_to_read(&self, account: AccountId, permission: Permission) -> Result<()> {
        self.ensure_live()?;
        self.enter(account, permission)
    }

    pub(crate) fn ensure_live(&self) -> Result<()> {
        if self.0.replay_only {
            Err(Error::from(Code::Unauthenticated))
        } else {
            Ok(())
        }
    }

    pub(crate) fn asking(&self, now: Timestamp, origin: Origin) -> Asking<'_> {
        Asking {
            now,
            by: self.0.by,
            authority: &self.0.authority,
            request: origin.request,
            client_ip: origin.client_ip,
        }
    }
}

/// A request's `Idempotency-Key` and what it came with.
#[derive(Debug, Clone)]
pub struct Idempotency {
    pub door: &'static str,
    pub operation: &'static str,
    pub key: String,
    /// SHA-256 over method, path, query and body.
    pub fingerprint: Digest,
}

/// One call of a use case that changes something.
#[derive(Debug, Clone)]
pub struct Call<'a> {
    pub actor: &'a Actor,
    pub origin: Origin,
    pub idempotency: Option<Idempotency>,
}

impl<'a> Call<'a> {
    pub fn new(actor: &'a Actor, origin: Origin) -> Self {
        Self {
            actor,
            origin,
            idempotency: None,
        }
    }
}
