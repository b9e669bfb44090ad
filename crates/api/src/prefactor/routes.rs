//! The table of the Prefactor door's routes. Mounting one documents it.

use super::api_tokens;
use utoipa_actix_web::service_config::ServiceConfig;

pub fn routes(cfg: &mut ServiceConfig<'_>) {
    cfg.service(api_tokens::query_api_tokens)
        .service(api_tokens::create_api_token)
        .service(api_tokens::get_api_token)
        .service(api_tokens::suspend_api_token)
        .service(api_tokens::activate_api_token)
        .service(api_tokens::revoke_api_token)
        .service(api_tokens::delete_api_token)
        .service(api_tokens::ping);
}
