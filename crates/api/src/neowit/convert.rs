//! Between the wire and the domain, without asking anybody.

use super::wire::{Key, KeyWithSecret, ServiceAccount};
use crate::fields::{self, Fields};
use crate::secret::Secret;
use symbolon_app::{CredentialRecord, Revealed};
use symbolon_domain::issue::{Grant, NewServiceAccount, NewToken, ServiceAccountPatch};
use symbolon_domain::{self as domain, Authority, CredentialKind, Permission, ScopeSet};

/// A service account as this door shows it; of `credentials`, which are its own, only the keys.
pub fn service_account(
    it: &domain::ServiceAccount,
    credentials: &[CredentialRecord],
) -> ServiceAccount {
    let keys = credentials.iter();
    ServiceAccount {
        created: it.created_at.as_seconds(),
        enable_basic_auth: it.basic_auth_enabled,
        id: it.id.to_string(),
        keys: keys
            .filter(|key| key.it.kind == CredentialKind::Key)
            .map(|record| key(&record.it))
            .collect(),
        name: it.name.as_str().to_owned(),
    }
}

pub fn key(it: &domain::Credential) -> Key {
    Key {
        created: it.created_at.as_seconds(),
        key_id: it.public_id.clone(),
    }
}

pub fn key_with_secret(made: &Revealed<CredentialRecord>) -> KeyWithSecret {
    let Key { created, key_id } = key(&made.record.it);
    KeyWithSecret {
        created,
        key_id,
        secret: made.secret.as_ref().map(Secret::from),
    }
}

/// Service accounts of this product are admins of their organisation; here only where the one who asks is.
pub fn scopes_of_new(authority: &Authority) -> ScopeSet {
    let admin = authority.allows(Permission::Admin);
    let scopes = admin.then(|| Permission::Admin.scope());
    scopes.into_iter().collect()
}

pub fn new_service_account(
    fields: &mut Fields,
    authority: &Authority,
) -> Option<NewServiceAccount> {
    let name = fields.required("name", fields::name);
    let basic = fields.optional("enableBasicAuth", fields::boolean);
    let email = fields.nullable("email", fields::email).flatten();
    Some(NewServiceAccount {
        name_is_exclusive: true,
        first_token: false,
        contact_email: email,
        environment_id: authority.reach.environment(),
        scopes: scopes_of_new(authority),
        basic_auth_enabled: basic.unwrap_or(false),
        ..NewServiceAccount::named(name?)
    })
}

pub fn service_account_patch(fields: &mut Fields) -> ServiceAccountPatch {
    ServiceAccountPatch {
        name: fields.optional("name", fields::name),
        basic_auth_enabled: fields.optional("enableBasicAuth", fields::boolean),
        ..ServiceAccountPatch::default()
    }
}

/// Keys have what their service account has at the time.
pub fn new_key() -> NewToken {
    NewToken {
        kind: CredentialKind::Key,
        grant: Grant::Inherit,
        ..NewToken::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::body::Json;
    use symbolon_domain::{AccountId, EnvironmentId, Reach};
    use uuid::Uuid;

    fn fields(text: &str) -> Fields {
        let json: Json = serde_json::from_str(text).unwrap();
        Fields::of(json).unwrap()
    }

    fn authority(scopes: &str) -> Authority {
        let (account, environment) = (Uuid::from_u128(1), Uuid::from_u128(2));
        Authority {
            reach: Reach::Environment(AccountId(account), EnvironmentId(environment)),
            scopes: ScopeSet::parse(scopes).unwrap(),
        }
    }

    #[test]
    fn only_admins_make_admins() {
        for (held, given) in [
            ("symbolon:admin invoices:read", "symbolon:admin"),
            ("symbolon:instance:*", "symbolon:admin"),
            ("symbolon:service-accounts:write", ""),
            ("", ""),
        ] {
            assert_eq!(scopes_of_new(&authority(held)).to_string(), given, "{held}");
        }
    }

    #[test]
    fn what_is_made_has_no_token_a_name_of_its_own_and_its_makers_environment() {
        let mut body = fields(r#"{"enableBasicAuth": true, "name": " John Doe ", "email": null}"#);
        let authority = authority("symbolon:admin");
        let new = new_service_account(&mut body, &authority).unwrap();
        assert!(new.basic_auth_enabled && new.name_is_exclusive && !new.first_token);
        assert_eq!(new.name.as_str(), "John Doe");
        assert_eq!(new.contact_email, None);
        assert_eq!(new.environment_id, authority.reach.environment());
    }

    #[test]
    fn what_is_read_is_what_is_described() {
        use crate::neowit::wire::requests;
        let authority = authority("symbolon:admin");
        crate::fields::described::<requests::NewServiceAccount>(|fields| {
            drop(new_service_account(fields, &authority));
        });
        crate::fields::described::<requests::ServiceAccountChange>(|fields| {
            drop(service_account_patch(fields));
        });
    }
}
