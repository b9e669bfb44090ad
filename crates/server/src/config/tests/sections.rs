//! What single sections accept and refuse, and which settings contradict each other.

use super::*;

#[test]
fn cleartext_beyond_loopback_needs_a_proxy() {
    let found = mistakes(from_environment(&[("SYMBOLON__HTTP__BIND", "0.0.0.0:80")]));
    assert!(
        found[0].contains("http.behind_tls_proxy = true"),
        "{found:?}"
    );
    let proxied = [
        ("SYMBOLON__HTTP__BIND", "[::]:80"),
        ("SYMBOLON__HTTP__BEHIND_TLS_PROXY", "true"),
    ];
    let http = from_environment(&proxied).unwrap().settings.http;
    assert_eq!(http.public_url_at(http.bind), "http://[::1]:80");
}

#[test]
fn doors_are_shut_one_by_one() {
    let shut = [
        ("SYMBOLON__DOORS__UNLEASH", "false"),
        ("SYMBOLON__DOORS__NEOWIT", "false"),
    ];
    let doors = from_environment(&shut).unwrap().settings.doors;
    let left = symbolon_api::Doors {
        unleash: false,
        prefactor: true,
        neowit: false,
    };
    assert_eq!(doors, left);
    let found = mistakes(from_environment(&[("SYMBOLON__DOORS__PREFACTOR", "no")]));
    assert!(found[0].contains("doors.prefactor"), "{found:?}");
}

#[test]
fn settings_that_contradict_each_other_are_refused() {
    for contradiction in [
        [
            ("SYMBOLON__CACHE__MAX_AGE", "1s"),
            ("SYMBOLON__CACHE__FEED_POLL", "1s"),
        ],
        [
            ("SYMBOLON__CACHE__MAX_AGE", "1h"),
            ("SYMBOLON__RETENTION__FEED", "1h"),
        ],
        [
            ("SYMBOLON__HTTP__BIND", "127.0.0.1:9"),
            ("SYMBOLON__HTTP__ADMIN_BIND", "127.0.0.1:9"),
        ],
    ] {
        assert_eq!(
            mistakes(from_environment(&contradiction)).len(),
            1,
            "{contradiction:?}"
        );
    }
}

#[test]
fn databases_are_sqlite_files_or_postgresql() {
    let location = |url| {
        let loaded = from_environment(&[("SYMBOLON__DATABASE__URL", url)]);
        loaded.ok().map(|loaded| loaded.settings.database.location)
    };
    assert_eq!(
        location("sqlite:a/b.db"),
        Some(DatabaseLocation::Sqlite("a/b.db".into()))
    );
    assert_eq!(
        location("sqlite:/b.db"),
        Some(DatabaseLocation::Sqlite("/b.db".into()))
    );
    for url in [
        "postgresql://h/n",
        "postgres://u:p@h:5432/n?sslmode=verify-full",
        "postgres:///n?host=/run/postgresql",
    ] {
        assert!(
            matches!(location(url), Some(DatabaseLocation::Postgres(_))),
            "{url}"
        );
    }
    for url in [
        "sqlite:",
        "sqlite://b.db",
        "mysql://h/n",
        "host=h password=p",
        "postgres:///n",
    ] {
        assert_eq!(location(url), None, "{url}");
    }
}

#[test]
fn mail_goes_out_encrypted_unless_told_otherwise() {
    use symbolon_worker::{MailUrl, SmtpCredentials, SmtpServer, SmtpTls};

    let delivery = |url| {
        let loaded = from_environment(&[("SYMBOLON__MAIL__URL", url)]);
        loaded.ok().map(|loaded| loaded.settings.mail.delivery)
    };
    let smtp = |host: &str, port, tls, credentials: Option<(&str, &str)>| {
        Some(MailUrl::Smtp(SmtpServer {
            host: host.into(),
            port,
            tls,
            credentials: credentials.map(|(user, password)| SmtpCredentials {
                user: user.into(),
                password: password.into(),
            }),
        }))
    };
    assert_eq!(
        delivery("dir:/var/mail"),
        Some(MailUrl::Directory("/var/mail".into()))
    );
    assert_eq!(
        delivery("smtp://m"),
        smtp("m", 587, SmtpTls::Required, None)
    );
    assert_eq!(
        delivery("smtps://u:p%40%3A@m/"),
        smtp("m", 465, SmtpTls::Implicit, Some(("u", "p@:")))
    );
    assert_eq!(
        delivery("smtp://m?tls=none"),
        smtp("m", 25, SmtpTls::None, None)
    );
    assert_eq!(
        delivery("smtp://u:p@[::1]:2525?tls=none"),
        smtp("::1", 2525, SmtpTls::None, Some(("u", "p")))
    );
    for url in [
        "smtp://u:p@m?tls=none",
        "smtps://m?tls=none",
        "smtp://m?tls=off",
        "smtp://u@m",
        "smtp://",
        "dir:",
        "m:25",
        "smtp://m/x",
        "memory:",
    ] {
        assert_eq!(delivery(url), None, "{url}");
    }
}

#[test]
fn senders_and_levels_are_checked() {
    for (variable, good, bad) in [
        (
            "SYMBOLON__MAIL__FROM",
            vec!["a@b", "A B <a@b>"],
            vec!["", "a", "<a@b", "A <a>", "a@b c@d", "a\n@b", "A <a@b@c>"],
        ),
        (
            "SYMBOLON__LOG__LEVEL",
            vec!["off", "warn,symbolon_app::cache=trace", "info, a=debug"],
            vec!["", "infoo", "info,a=loud", "a=", "=info", "info,"],
        ),
        (
            "SYMBOLON__LOG__FORMAT",
            vec!["auto", "json", "text"],
            vec!["", "JSON"],
        ),
        (
            "SYMBOLON__REDIS__QUEUE",
            vec!["a-b.C_1"],
            vec!["", "a b", "a:{b}"],
        ),
        (
            "SYMBOLON__REDIS__URL",
            vec!["redis://h", "rediss://u:p@h:1/2"],
            vec!["h:6379", "redis://", "unix:/x"],
        ),
        (
            "SYMBOLON__HTTP__TRUSTED_PROXIES",
            vec!["", "10.0.0.1,fd00::/8"],
            vec!["proxy", "10.0.0.1,", "10.0.0.1/8"],
        ),
        (
            "SYMBOLON__HTTP__CLIENT_ADDRESS",
            vec!["x-forwarded-for", "forwarded"],
            vec!["", "X-Real-IP", "x-forwarded-for, forwarded"],
        ),
        (
            "SYMBOLON__HTTP__PUBLIC_URL",
            vec!["https://h/x/", "http://[::1]:8"],
            vec![
                "h",
                "/x",
                "ftp://h",
                "https://h?x",
                "https://h#x",
                "https://",
            ],
        ),
    ] {
        for value in good {
            assert!(
                from_environment(&[(variable, value)]).is_ok(),
                "{variable}={value}"
            );
        }
        for value in bad {
            assert_eq!(
                mistakes(from_environment(&[(variable, value)])).len(),
                1,
                "{variable}={value}"
            );
        }
    }
}
