//! The table of the Neowit door's routes. Mounting one documents it; collections answer with a slash at
//! the end, too, which is not documented.

use super::{keys, service_accounts};
use actix_web::web;
use utoipa_actix_web::service_config::ServiceConfig;

pub fn routes(cfg: &mut ServiceConfig<'_>) {
    cfg.service(service_accounts::list_service_accounts)
        .service(service_accounts::create_service_account)
        .service(service_accounts::get_service_account)
        .service(service_accounts::update_service_account)
        .service(service_accounts::put_service_account)
        .service(service_accounts::delete_service_account)
        .service(keys::list_keys)
        .service(keys::create_key)
        .service(keys::delete_key);
    cfg.route("/service-account/", web::get().to(service_accounts::list))
        .route(
            "/service-account/",
            web::post().to(service_accounts::create),
        )
        .route("/service-account/{id}/key/", web::get().to(keys::list))
        .route("/service-account/{id}/key/", web::post().to(keys::create));
}
