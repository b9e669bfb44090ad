//! Which mails are sent, and how often.

use crate::harness::*;
use symbolon_app::Prepared;
use symbolon_domain::Job;

on_both!(
    the_same_mail_keeps_its_link_and_its_id,
    one_reminder_after_three_days,
    an_older_mail_gives_way_to_a_newer_one,
    a_recipient_gets_twenty_a_day_over_all_accounts,
    schedules_run_and_pages_end,
);

async fn the_same_mail_keeps_its_link_and_its_id(world: World) {
    let app = world.app();
    world.make(with_contact("billing", "ops@example.com")).await;
    let (job, first) = world.due_mail().await.remove(0);
    let Job::ConfirmEmail {
        confirmation_id,
        generation,
    } = job
    else {
        panic!("{job:?}")
    };
    let Prepared::Send(first) = first else {
        panic!("{first:?}")
    };
    assert!(!format!("{first:?}").contains(link_of(&first.link)));
    app.notice_deferred(first.notice_id, "451 later")
        .await
        .unwrap();
    world.advance(HOUR);
    let again = app
        .prepare_confirmation(confirmation_id, generation, false)
        .await
        .unwrap();
    let Prepared::Send(again) = again else {
        panic!("{again:?}")
    };
    assert_eq!(
        (again.link, again.message_id, again.notice_id),
        (first.link, first.message_id, first.notice_id)
    );
    app.notice_accepted(again.notice_id, "250 ok")
        .await
        .unwrap();
    let over = app
        .prepare_confirmation(confirmation_id, generation, false)
        .await
        .unwrap();
    assert!(matches!(over, Prepared::Skip(_)), "{over:?}");
}

async fn one_reminder_after_three_days(world: World) {
    let app = world.app();
    world
        .make(with_contact("answered", "yes@example.com"))
        .await;
    world.make(with_contact("silent", "no@example.com")).await;
    let mails = world.mail().await;
    let link = &mails.iter().find(|it| it.0 == "yes@example.com").unwrap().1;
    app.confirm_contact(link_of(link), Default::default())
        .await
        .unwrap();
    world.advance(3 * DAY - TICK);
    assert!(world.mail().await.is_empty());
    world.advance(TICK);
    let reminders = world.mail().await;
    assert_eq!(reminders.len(), 1);
    assert_eq!(reminders[0].0, "no@example.com");
    assert!(
        mails.iter().all(|it| it.2 != reminders[0].2),
        "a mail of its own"
    );
    world.advance(30 * DAY);
    assert!(world.mail().await.is_empty());
    assert_eq!(world.open_jobs("confirmation_reminder").await, 0);
}

async fn an_older_mail_gives_way_to_a_newer_one(world: World) {
    let admin = world.admin().await;
    let made = world.make(with_contact("billing", "ops@example.com")).await;
    world
        .app()
        .resend_confirmation(&call(&admin), world.account, made.id)
        .await
        .unwrap();
    let due = world.due_mail().await;
    let sent = due
        .iter()
        .filter(|it| matches!(it.1, Prepared::Send(_)))
        .count();
    let skipped = due
        .iter()
        .filter(|it| matches!(it.1, Prepared::Skip(_)))
        .count();
    assert_eq!((sent, skipped), (1, 1));
}

async fn a_recipient_gets_twenty_a_day_over_all_accounts(world: World) {
    let app = world.app();
    let admin = world.admin().await;
    let other = app
        .create_account(&call(&admin), name("Other"), Default::default())
        .await
        .unwrap()
        .record
        .id;
    let begun = app.now();
    for at in 0..21 {
        let account = if at % 2 == 0 { world.account } else { other };
        world
            .make_in(
                account,
                with_contact(&format!("s{at}"), "Victim@example.com"),
            )
            .await;
    }
    world.make(with_contact("else", "other@example.com")).await;
    let due = world.due_mail().await;
    let sent = due
        .iter()
        .filter(|it| matches!(it.1, Prepared::Send(_)))
        .count();
    assert_eq!(sent, 21, "twenty, and the other one's");
    let later: Vec<_> = due
        .iter()
        .filter_map(|it| match it.1 {
            Prepared::Later(at) => Some(at),
            _ => None,
        })
        .collect();
    assert_eq!(later, [begun.plus(DAY)]);
}

async fn schedules_run_and_pages_end(world: World) {
    let app = world.app();
    let schedules = [
        symbolon_app::Schedule {
            name: "expire_tokens",
            every: MINUTE,
            job: Job::ExpireTokens {},
        },
        symbolon_app::Schedule {
            name: "purge",
            every: HOUR,
            job: Job::Purge {},
        },
    ];
    assert_eq!(app.tick_schedules(&schedules).await.unwrap(), 2);
    assert_eq!(app.tick_schedules(&schedules).await.unwrap(), 0);
    let leases = app.lease_jobs(10, MINUTE).await.unwrap();
    assert_eq!(
        (leases.len(), app.outstanding_jobs().await.unwrap()),
        (2, 2)
    );
    for lease in leases {
        app.start_job(lease, MINUTE).await.unwrap().unwrap();
        assert!(
            app.finish_job(lease, symbolon_app::JobOutcome::Done)
                .await
                .unwrap()
        );
    }
    world.advance(MINUTE);
    assert_eq!(app.tick_schedules(&schedules).await.unwrap(), 1);
    // More than one page of ends.
    let new = || {
        let mut new = service_account("short", "");
        new.expiry = symbolon_domain::account::ExpiryRequest::At(app.now().plus(SECOND));
        new
    };
    for _ in 0..5 {
        world.make(new()).await;
    }
    world.advance(SECOND);
    let mut recorded = 0;
    while let count @ 1.. = app.expire_tokens_page().await.unwrap() {
        recorded += count;
    }
    assert_eq!(recorded, 5);
    let waiting = app.wait_for_jobs(10 * SECOND);
    let enqueue = app.enqueue(Job::Purge {});
    let begun = std::time::Instant::now();
    let (id, ()) = tokio::join!(enqueue, waiting);
    id.unwrap();
    assert!(begun.elapsed() < 5 * SECOND, "whoever waits is woken");
}
