//! The table of the Unleash door's routes. Mounting one documents it; collections answer with a slash at
//! the end too, as Unleash's do, which nothing documents.

use super::{service_accounts, tokens};
use actix_web::web::{get, post};
use utoipa_actix_web::service_config::ServiceConfig;

pub fn routes(cfg: &mut ServiceConfig<'_>) {
    cfg.service(service_accounts::get_service_accounts)
        .service(service_accounts::create_service_account)
        .service(service_accounts::update_service_account)
        .service(service_accounts::delete_service_account)
        .service(service_accounts::get_service_account_permissions)
        .service(tokens::get_service_account_tokens)
        .service(tokens::create_service_account_token)
        .service(tokens::delete_service_account_token)
        .route("/", get().to(service_accounts::list))
        .route("/", post().to(service_accounts::create))
        .route("/{id}/token/", get().to(tokens::list))
        .route("/{id}/token/", post().to(tokens::create));
}
