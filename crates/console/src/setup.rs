//! The page behind the link that a first start prints: the owner chooses a password, once.

use crate::failure::{self, Purpose};
use crate::form;
use crate::page::{Notice, Setup, Text, Tone};
use crate::response::{self, reader};
use actix_web::http::StatusCode;
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use symbolon_app::{App, SetupPage};
use symbolon_domain::{Presented, Refusal};
use symbolon_text::{Arg, Lang, message};

/// What the hint says; the use case holds the rule.
const PASSWORD_MIN: &str = "12";

pub async fn show(request: HttpRequest, app: Data<App>) -> HttpResponse {
    match app.look_at_setup(link(&request)).await {
        Ok(it) => {
            let lang = reader(&request, Some(it.language));
            form_page(StatusCode::OK, lang, it, Vec::new(), false)
        }
        Err(error) => failure::page(&request, Purpose::Setup, &error),
    }
}

pub async fn set(request: HttpRequest, payload: Payload, app: Data<App>) -> HttpResponse {
    let mut form = match form::read(&request, payload, &app).await {
        Ok(form) => form,
        Err(page) => return page,
    };
    let password = Presented::new(form.take("password"));
    let repeat = Presented::new(form.take("repeat"));
    let it = match app.look_at_setup(link(&request)).await {
        Ok(it) => it,
        Err(error) => return failure::page(&request, Purpose::Setup, &error),
    };
    let lang = reader(&request, Some(it.language));
    if password.as_str() != repeat.as_str() {
        return form_page(StatusCode::UNPROCESSABLE_ENTITY, lang, it, Vec::new(), true);
    }
    let origin = symbolon_web::origin(&request);
    match app
        .set_first_password(link(&request), password, origin)
        .await
    {
        Ok(_) => {
            let notice = Notice::new(lang, "setup-done", Tone::Good);
            response::page(StatusCode::OK, lang, &notice)
        }
        Err(error) => match error.refusal().filter(|it| !it.fields.is_empty()) {
            Some(refusal) => {
                let errors = prose(lang, refusal);
                form_page(StatusCode::UNPROCESSABLE_ENTITY, lang, it, errors, false)
            }
            None => failure::page(&request, Purpose::Setup, &error),
        },
    }
}

fn link(request: &HttpRequest) -> &str {
    request.match_info().query("link")
}

fn form_page(
    status: StatusCode,
    lang: Lang,
    it: SetupPage,
    password_errors: Vec<String>,
    mismatch: bool,
) -> HttpResponse {
    let page = Setup {
        t: Text(lang),
        email: it.email,
        min: PASSWORD_MIN.into(),
        password_errors,
        mismatch,
    };
    response::page(status, lang, &page)
}

/// What is wrong with the fields, in words.
fn prose(lang: Lang, refusal: &Refusal) -> Vec<String> {
    let say = |code: &symbolon_domain::FieldCode| {
        let args = code.args();
        let args: Vec<_> = args
            .iter()
            .map(|(name, value)| (*name, Arg::Str(value)))
            .collect();
        let id = format!("field-{}", code.as_str().replace('_', "-"));
        message(lang, &id, &args)
    };
    refusal
        .fields
        .iter()
        .map(|field| say(&field.code))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use symbolon_domain::FieldCode;

    #[test]
    fn policy_errors_are_words_in_the_reader_s_language() {
        let refusal = Refusal::field("/password", FieldCode::TooShort { min: 12 });
        assert_eq!(prose(Lang::En, &refusal), ["Give at least 12 characters."]);
        assert_eq!(prose(Lang::Ar, &refusal), ["أدخل 12 حرفًا على الأقل."]);
    }
}
