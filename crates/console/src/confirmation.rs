//! The page behind a confirmation mail's link. Looking changes nothing; only the buttons decide.

use crate::failure::{self, Purpose};
use crate::form;
use crate::page::{Confirm, Fact, Notice, Tone};
use crate::response::{self, reader};
use actix_web::http::StatusCode;
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use symbolon_app::{App, ConfirmationPage};

pub async fn show(request: HttpRequest, app: Data<App>) -> HttpResponse {
    match app.look_at_confirmation(link(&request)).await {
        Ok(it) => {
            let lang = reader(&request, Some(it.language));
            let expires_at = it.expires_at.as_micros();
            let page = Confirm::new(lang, facts(it), expires_at);
            response::page(StatusCode::OK, lang, &page)
        }
        Err(error) => failure::page(&request, Purpose::Confirmation, &error),
    }
}

pub async fn decide(request: HttpRequest, payload: Payload, app: Data<App>) -> HttpResponse {
    let form = match form::read(&request, payload, &app).await {
        Ok(form) => form,
        Err(page) => return page,
    };
    let origin = symbolon_web::origin(&request);
    let (outcome, name) = match form.get("action") {
        Some("confirm") => (
            app.confirm_contact(link(&request), origin).await,
            "confirmed",
        ),
        Some("disown") => (app.disown_contact(link(&request), origin).await, "disowned"),
        _ => return failure::refused(&request, StatusCode::BAD_REQUEST, "bad-form"),
    };
    match outcome {
        Ok(it) => {
            let lang = reader(&request, Some(it.language));
            let notice = Notice {
                facts: facts(it),
                ..Notice::new(lang, name, Tone::Good)
            };
            response::page(StatusCode::OK, lang, &notice)
        }
        Err(error) => failure::page(&request, Purpose::Confirmation, &error),
    }
}

fn link(request: &HttpRequest) -> &str {
    request.match_info().query("link")
}

fn facts(it: ConfirmationPage) -> Vec<Fact> {
    [
        ("page-confirm-service-account", it.service_account),
        ("page-confirm-account", it.account),
        ("page-confirm-email", it.email),
    ]
    .map(|(label, value)| Fact { label, value })
    .into()
}
