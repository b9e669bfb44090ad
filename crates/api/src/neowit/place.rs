//! Where a request acts: the organisation that it pins, and what its path names.

use crate::caller::{Allowed, Demand};
use crate::failure::Failure;
use crate::query::{self, Query};
use symbolon_app::ServiceAccountRecord;
use symbolon_domain::{AccountId, Code, FieldCode, Refusal, ServiceAccountId, token_text};

/// The query parameter that pins an organisation.
pub const ORG_ID: &str = "orgId";

/// The organisation of a request: `orgId`, else the caller's own.
pub fn organisation<P: Demand>(caller: &Allowed<P>) -> Result<AccountId, Failure> {
    let mut query = Query::of(&caller.request)?;
    let pinned = query.optional(ORG_ID, query::id);
    query.finish_leniently()?;
    pinned.map_or_else(|| caller.own_account(), Ok)
}

/// The service account that the path names, which may be any text.
pub fn service_account_id<P: Demand>(caller: &Allowed<P>) -> Result<ServiceAccountId, Failure> {
    let id = caller.id("id");
    id.map_err(|_| Refusal::field("?id", FieldCode::NotAnId).into())
}

/// The key that the path names.
pub fn key_id<P: Demand>(caller: &Allowed<P>) -> Result<String, Failure> {
    let id: String = caller.id("key_id")?;
    // As the texts of keys have them.
    let legal =
        id.len() == token_text::PUBLIC_ID_LEN && id.bytes().all(|it| it.is_ascii_alphanumeric());
    if legal {
        Ok(id)
    } else {
        Err(Refusal::field("?key-id", FieldCode::NotAnId).into())
    }
}

/// The service account that the path names, in the organisation of the request; here what is revoked is
/// gone.
pub async fn named<P: Demand>(
    caller: &Allowed<P>,
) -> Result<(AccountId, ServiceAccountRecord), Failure> {
    let (account, id) = (organisation(caller)?, service_account_id(caller)?);
    let found = caller
        .app
        .service_account_in_force(&caller.actor, account, id)
        .await?;
    Ok((account, found))
}

/// Any 404 of this door says the same, whatever it was that is not there.
pub fn gone(failure: impl Into<Failure>) -> Failure {
    let failure = failure.into();
    match failure.code() {
        Code::ServiceAccountRevoked | Code::TokenRevoked => Code::NotFound.into(),
        _ => failure,
    }
}
