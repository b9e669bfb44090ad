use super::*;

const HOSTILE: &str = "<script>alert(1)</script>\"'><img src=x onerror=y>&amp;{{ t }}";
const NOTICES: &[(&str, Tone)] = &[
    ("confirmed", Tone::Good),
    ("disowned", Tone::Good),
    ("link-unknown", Tone::Plain),
    ("link-used", Tone::Plain),
    ("link-expired", Tone::Plain),
    ("setup-done", Tone::Good),
    ("setup-used", Tone::Plain),
    ("setup-expired", Tone::Plain),
    ("bad-form", Tone::Bad),
    ("too-large", Tone::Bad),
    ("cross-site", Tone::Bad),
    ("method", Tone::Bad),
    ("rate-limited", Tone::Plain),
    ("unavailable", Tone::Bad),
    ("internal", Tone::Bad),
];

fn facts(name: &str) -> Vec<Fact> {
    [
        "page-confirm-service-account",
        "page-confirm-account",
        "page-confirm-email",
    ]
    .map(|label| Fact {
        label,
        value: name.into(),
    })
    .into()
}

/// Every page there is, with `name` wherever a page shows what others have written.
fn pages(lang: Lang, name: &str) -> Vec<(String, String)> {
    let t = Text(lang);
    let mut pages = vec![
        (
            "confirm".to_owned(),
            Confirm::new(lang, facts(name), 1_795_325_460_000_000).render(),
        ),
        (
            "home".to_owned(),
            Home {
                t,
                version: "0.1.0",
            }
            .render(),
        ),
    ];
    for (file, password_errors, mismatch) in [
        ("setup", vec![], false),
        ("setup-short", vec![name.to_owned()], false),
        ("setup-mismatch", vec![], true),
    ] {
        let setup = Setup {
            t,
            email: name.into(),
            min: "12".into(),
            password_errors,
            mismatch,
        };
        pages.push((file.to_owned(), setup.render()));
    }
    for (notice, tone) in NOTICES {
        let mut page = Notice::new(lang, notice, *tone);
        if matches!(*notice, "confirmed" | "disowned") {
            page.facts = facts(name);
        }
        if *notice == "internal" {
            page.request_id = Some(name.into());
        }
        pages.push(((*notice).to_owned(), page.render()));
    }
    pages
        .into_iter()
        .map(|(file, page)| (file, page.expect("pages render")))
        .collect()
}

#[test]
fn every_page_speaks_its_language_in_its_direction() {
    for (lang, html) in [
        (Lang::En, "<html lang=\"en\" dir=\"ltr\">"),
        (Lang::Ar, "<html lang=\"ar\" dir=\"rtl\">"),
    ] {
        for (file, page) in pages(lang, "billing-bot") {
            assert!(page.contains(html), "{file}");
            assert!(!page.contains("page-"), "{file} shows an id: {page}");
            assert_eq!(page.matches("<h1>").count(), 1, "{file}");
            let title = &page[page.find("<h1>").expect("a heading") + 4..];
            let title = &title[..title.find("</h1>").expect("its end")];
            assert!(
                page.contains(&format!("<title>{title} · Symbolon</title>")),
                "{file}"
            );
        }
    }
    for ((file, english), (_, arabic)) in pages(Lang::En, "x").iter().zip(pages(Lang::Ar, "x")) {
        let heading = |page: &str| page.split("h1>").nth(1).map(str::to_owned);
        assert_ne!(heading(english), heading(&arabic), "{file}");
    }
}

#[test]
fn hostile_names_stay_text() {
    for lang in Lang::ALL {
        let plain = pages(lang, "x");
        for ((file, page), (_, harmless)) in pages(lang, HOSTILE).into_iter().zip(plain) {
            for mark in ["<script", "<img", "onerror=y>"] {
                assert!(!page.contains(mark), "{file}: {mark}");
            }
            // The same tags and the same quotes as with a harmless name: none came from the name.
            for mark in ['<', '>', '"', '\''] {
                assert_eq!(
                    page.matches(mark).count(),
                    harmless.matches(mark).count(),
                    "{file}: {mark}"
                );
            }
        }
        let confirm = &pages(lang, HOSTILE)[0].1;
        assert!(confirm.contains("&#60;script&#62;alert(1)"), "{confirm}");
        assert!(confirm.contains("&#38;amp;{{ t }}"), "{confirm}");
    }
}

#[test]
fn names_are_isolated_from_the_direction_around_them() {
    for lang in Lang::ALL {
        let confirm = &pages(lang, "bot (prod)")[0].1;
        assert_eq!(confirm.matches("<dd><bdi>bot (prod)</bdi></dd>").count(), 3);
    }
}

#[test]
fn pages_load_nothing_but_the_stylesheet_and_run_nothing() {
    for lang in Lang::ALL {
        for (file, page) in pages(lang, "x") {
            assert!(!page.contains("<script"), "{file}");
            assert!(
                !page.contains("style=") && !page.contains("<style"),
                "{file}"
            );
            assert!(
                !page.contains("http:") && !page.contains("https:"),
                "{file}"
            );
            assert_eq!(page.matches("<link").count(), 1, "{file}");
            assert!(
                page.contains(&format!("href=\"{}\"", crate::assets::stylesheet_href())),
                "{file}"
            );
        }
    }
}

#[test]
fn the_forms_say_what_is_wrong_where_it_is_wrong() {
    let setup = |password_errors: Vec<String>, mismatch| {
        Setup {
            t: Text(Lang::En),
            email: "owner@example.org".into(),
            min: "12".into(),
            password_errors,
            mismatch,
        }
        .render()
        .expect("renders")
    };
    let clean = setup(vec![], false);
    assert!(!clean.contains("aria-invalid") && !clean.contains("role=\"alert\""));
    assert!(clean.contains("At least 12 characters."));
    let short = setup(vec!["Too short.".into()], false);
    assert!(short.contains("role=\"alert\""));
    assert!(
        short.contains("aria-describedby=\"password-hint password-error\" aria-invalid=\"true\"")
    );
    assert!(short.contains("<p class=\"error\">Too short.</p>"));
    let mismatch = setup(vec![], true);
    assert!(mismatch.contains("id=\"repeat-error\">The two passwords are not the same.</p>"));
    assert!(mismatch.contains("aria-invalid=\"true\" aria-describedby=\"repeat-error\""));
}
