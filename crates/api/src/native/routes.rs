//! The table of the native door's routes. Mounting one documents it.

use super::{
    accounts, authorize, environments, events, keys, own, service_accounts, tokens, verify,
};
use utoipa_actix_web::service_config::ServiceConfig;

pub fn routes(cfg: &mut ServiceConfig<'_>) {
    #[cfg(feature = "bare")]
    cfg.map(super::bare::mount);
    // Routes are tried in order: what is asked most comes first.
    cfg.service(verify::verify_token)
        .service(authorize::authorize_get)
        .service(authorize::authorize_post)
        .service(accounts::list_accounts)
        .service(accounts::create_account)
        .service(accounts::get_account)
        .service(accounts::update_account)
        .service(environments::list_environments)
        .service(environments::create_environment)
        .service(service_accounts::list_service_accounts)
        .service(service_accounts::create_service_account)
        .service(service_accounts::get_service_account)
        .service(service_accounts::update_service_account)
        .service(service_accounts::revoke_service_account)
        .service(service_accounts::rotate_service_account)
        .service(service_accounts::suspend_service_account)
        .service(service_accounts::activate_service_account)
        .service(service_accounts::resend_confirmation)
        .service(service_accounts::report_undeliverable)
        .service(tokens::list_tokens)
        .service(tokens::create_token)
        .service(tokens::get_token)
        .service(tokens::update_token)
        .service(tokens::get_token_uses)
        .service(tokens::rotate_token)
        .service(tokens::suspend_token)
        .service(tokens::activate_token)
        .service(tokens::revoke_token)
        .service(tokens::list_direct_tokens)
        .service(tokens::revoke_direct_token)
        .service(keys::list_keys)
        .service(keys::create_key)
        .service(keys::get_key)
        .service(keys::update_key)
        .service(keys::get_key_uses)
        .service(keys::revoke_key)
        .service(events::list_events)
        .service(own::whoami)
        .service(own::rotate_self)
        .service(own::revoke_self);
}
