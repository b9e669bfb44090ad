use super::*;
use std::collections::{BTreeMap, BTreeSet};

/// Each message's own source text, by its id.
fn messages(sources: &[&'static str]) -> BTreeMap<&'static str, String> {
    let mut found: BTreeMap<&str, String> = BTreeMap::new();
    for source in sources {
        let mut id = None;
        for line in source.lines().filter(|line| !line.starts_with('#')) {
            if line.starts_with(|c: char| c.is_ascii_alphabetic()) {
                let (name, _) = line.split_once(" = ").expect("id = text");
                assert!(found.insert(name, String::new()).is_none(), "{name} twice");
                id = Some(name);
            }
            if let Some(id) = id {
                let text = found.get_mut(id).expect("just inserted");
                text.push_str(line);
                text.push('\n');
            }
        }
    }
    found
}

fn variables(source: &str) -> BTreeSet<&str> {
    source
        .split('$')
        .skip(1)
        .map(|rest| {
            let end = rest
                .find(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '-')
                .unwrap_or(rest.len());
            &rest[..end]
        })
        .collect()
}

fn attributes(source: &str) -> Vec<&str> {
    source
        .lines()
        .filter_map(|line| line.trim().strip_prefix('.')?.split_once(" = "))
        .map(|(name, _)| name)
        .collect()
}

#[test]
fn both_catalogues_have_the_same_ids_attributes_and_variables() {
    let (english, arabic) = (messages(&ENGLISH), messages(&ARABIC));
    assert!(english.len() > 100, "only {} messages", english.len());
    assert_eq!(
        english.keys().collect::<Vec<_>>(),
        arabic.keys().collect::<Vec<_>>()
    );
    for (id, source) in &english {
        assert_eq!(variables(source), variables(&arabic[id]), "{id}");
        assert_eq!(attributes(source), attributes(&arabic[id]), "{id}");
    }
}

#[test]
fn every_source_parses() {
    for source in ENGLISH.iter().chain(&ARABIC) {
        let parsed = FluentResource::try_new((*source).to_owned());
        assert!(parsed.is_ok(), "{:?}", parsed.err());
    }
}

#[test]
fn every_message_is_formatted_in_its_own_language_for_every_plural() {
    for (bundle, sources) in [(&ENGLISH_BUNDLE, &ENGLISH), (&ARABIC_BUNDLE, &ARABIC)] {
        for (id, source) in messages(sources) {
            let ids = attributes(&source)
                .into_iter()
                .map(|attribute| format!("{id}.{attribute}"))
                .chain([id.to_owned()]);
            for id in ids {
                for number in [0, 1, 2, 3, 11, 100] {
                    let args: Vec<_> = variables(&source)
                        .into_iter()
                        .map(|name| (name, Arg::Num(number)))
                        .collect();
                    let text = format(bundle, &id, &args).unwrap_or_else(|| panic!("{id}"));
                    assert!(
                        !text.trim().is_empty() && !text.contains(['{', '}']),
                        "{id}: {text}"
                    );
                    assert!(!text.contains('!'), "{id} shouts: {text}");
                }
            }
        }
    }
}

#[test]
fn arabic_plurals_have_their_six_forms_and_use_them() {
    let mut plurals = 0;
    let english = messages(&ENGLISH);
    for (id, source) in messages(&ARABIC) {
        let selects = english[id].contains("->");
        assert_eq!(source.contains("->"), selects, "{id}");
        if !selects {
            continue;
        }
        plurals += 1;
        for form in ["[zero]", "[one]", "[two]", "[few]", "[many]", "*[other]"] {
            assert_eq!(source.matches(form).count(), 1, "{id}: {form}");
        }
        let forms: BTreeSet<String> = [0, 1, 2, 3, 11, 100]
            .into_iter()
            .map(|number| {
                let args: Vec<_> = variables(&source)
                    .into_iter()
                    .map(|name| (name, Arg::Num(number)))
                    .collect();
                message(Lang::Ar, id, &args).replace(&number.to_string(), "#")
            })
            .collect();
        assert_eq!(forms.len(), 6, "{id}");
    }
    assert!(plurals >= 5);
}

#[test]
fn plural_forms_follow_the_number_whether_it_comes_as_number_or_text() {
    for (number, wanted) in [
        ("1", "أدخل حرفًا واحدًا على الأقل."),
        ("2", "أدخل حرفين على الأقل."),
        ("3", "أدخل 3 أحرف على الأقل."),
        ("12", "أدخل 12 حرفًا على الأقل."),
        ("100", "أدخل 100 حرف على الأقل."),
    ] {
        assert_eq!(
            message(Lang::Ar, "field-too-short", &[("min", number.into())]),
            wanted
        );
        let number: i64 = number.parse().expect("a number");
        assert_eq!(
            message(Lang::Ar, "field-too-short", &[("min", number.into())]),
            wanted
        );
    }
}

#[test]
fn texts_that_look_like_numbers_are_shown_as_they_came() {
    for text in [
        "007",
        "1e3",
        "+5",
        "-3",
        "9007199254740993",
        "1.50",
        "90d",
        "",
    ] {
        assert_eq!(
            message(Lang::En, "field-beyond-policy", &[("max", text.into())]),
            format!("The account’s policy allows at most {text}.")
        );
    }
    assert_eq!(
        message(
            Lang::En,
            "field-out-of-range",
            &[("min", i64::MIN.into()), ("max", i64::MAX.into())]
        ),
        format!("Choose a number from {} to {}.", i64::MIN, i64::MAX)
    );
}

#[test]
fn what_is_missing_falls_back_to_the_id() {
    assert_eq!(message(Lang::Ar, "no-such-message", &[]), "no-such-message");
    assert_eq!(
        message(Lang::Ar, "page-product.title", &[]),
        "page-product.title"
    );
    assert_eq!(message(Lang::Ar, "", &[]), "");
    // Named in both languages, given in neither.
    assert_eq!(
        message(Lang::Ar, "field-beyond-policy", &[]),
        "field-beyond-policy"
    );
}

#[test]
fn what_arabic_lacks_is_taken_from_english() {
    let empty = bundle(langid!("ar"), &[]);
    assert_eq!(format(&empty, "page-product", &[]), None);
    assert_eq!(
        format(&empty, "page-product", &[]).or_else(|| format(
            &ENGLISH_BUNDLE,
            "page-product",
            &[]
        )),
        Some("Symbolon".into())
    );
}

#[test]
fn arguments_are_never_read_as_messages() {
    let hostile = "{ $account } { page-product } <script>";
    let text = message(
        Lang::En,
        "mail-confirm-subject",
        &[("service_account", hostile.into()), ("account", "A".into())],
    );
    assert_eq!(text, format!("Please confirm: {hostile} (A)"));
}

#[test]
fn latin_names_are_isolated_in_arabic_mail() {
    let text = message(
        Lang::Ar,
        "mail-confirm-subject",
        &[
            ("service_account", "bot (prod)".into()),
            ("account", "A".into()),
        ],
    );
    assert!(text.contains("\u{2068}bot (prod)\u{2069}"), "{text}");
}
