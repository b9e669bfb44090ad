//! Which of our languages the client asks for.

use actix_web::HttpRequest;
use actix_web::http::header::ACCEPT_LANGUAGE;
use symbolon_text::Lang;

/// The best of our languages that `Accept-Language` names; `None` when it names none of ours.
pub fn language(request: &HttpRequest) -> Option<Lang> {
    let values = request.headers().get_all(ACCEPT_LANGUAGE);
    let ranges: Vec<_> = values.filter_map(|value| value.to_str().ok()).collect();
    Lang::preferred(&ranges.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::test::TestRequest;

    #[test]
    fn all_header_lines_count_and_none_of_ours_is_none() {
        let ask = |headers: &[&str]| {
            let mut request = TestRequest::default();
            for header in headers {
                request = request.append_header((ACCEPT_LANGUAGE, *header));
            }
            language(&request.to_http_request())
        };
        assert_eq!(ask(&["de", "en;q=0.2, ar;q=0.3"]), Some(Lang::Ar));
        assert_eq!(ask(&["de", "fr;q=0.3"]), None);
        assert_eq!(ask(&[]), None);
    }
}
