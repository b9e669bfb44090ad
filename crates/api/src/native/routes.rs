//! The table of the native door's routes. Mounting one documents it.

use super::{accounts, environments, error, events, own, service_accounts, tokens};
use actix_web::dev::HttpServiceFactory;
use actix_web::middleware::from_fn;
use actix_web::web;
use utoipa_actix_web::OpenApiFactory;
use utoipa_actix_web::service_config::ServiceConfig;

/// Everything below `/v1`. Answers for unknown paths there too, in its own envelope.
pub fn scope() -> impl HttpServiceFactory + OpenApiFactory + 'static {
    utoipa_actix_web::scope("/v1")
        .wrap(from_fn(error::envelope))
        .configure(routes)
        .default_service(web::to(crate::routing::no_route))
}

fn routes(cfg: &mut ServiceConfig<'_>) {
    cfg.service(accounts::list_accounts)
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
        .service(tokens::rotate_token)
        .service(tokens::suspend_token)
        .service(tokens::activate_token)
        .service(tokens::revoke_token)
        .service(tokens::list_direct_tokens)
        .service(tokens::revoke_direct_token)
        .service(events::list_events)
        .service(own::whoami)
        .service(own::rotate_self)
        .service(own::revoke_self);
}
