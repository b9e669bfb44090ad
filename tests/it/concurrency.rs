//! Many at once, and answers that get lost: through two processes of the API on PostgreSQL, and through
//! one on SQLite.

use std::collections::BTreeSet;
use std::io::Read;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Barrier;
use std::time::Duration;

use serde_json::{Value, json};
use symbolon_tests::eventually;
use symbolon_tests::http::{Answer, Client};

use crate::instance::{Api, Instance, Node, list, token};

const RACERS: usize = 50;

/// The doors through which all come at once.
fn doors(instance: &Instance) -> Vec<Node> {
    match instance.is_sqlite() {
        true => vec![instance.serve()],
        false => vec![instance.start("api", &[]), instance.start("api", &[])],
    }
}

/// Does the same thing fifty times at the same moment, the doors in turn; the answers in no order.
fn race(apis: &[Api], act: impl Fn(&Api, usize) -> Answer + Sync) -> Vec<Answer> {
    let barrier = Barrier::new(RACERS);
    std::thread::scope(|scope| {
        let racers: Vec<_> = (0..RACERS)
            .map(|number| {
                let (api, act, barrier) = (&apis[number % apis.len()], &act, &barrier);
                scope.spawn(move || {
                    barrier.wait();
                    act(api, number)
                })
            })
            .collect();
        let answers = racers.into_iter().map(|racer| racer.join().unwrap());
        answers.collect()
    })
}

fn in_both(test: impl Fn(&Instance, &[Node], &[Api])) {
    let run = |instance: Instance| {
        let nodes = doors(&instance);
        let apis: Vec<_> = nodes.iter().map(|node| instance.admin(node)).collect();
        test(&instance, &nodes, &apis);
    };
    run(Instance::sqlite(&[]));
    if let Some(instance) = Instance::postgres(&[]) {
        run(instance);
    }
}

/// What one process has revoked is refused by the others within 1.5 s; the rest is for a busy machine.
const PROMISED: Duration = Duration::from_secs(5);

/// Waits until a process answers this token so.
fn hears(api: &Api, token: &str, status: u16) {
    eventually("the other process hears of it", PROMISED, || {
        (api.whoami(token) == status).then_some(())
    });
}

/// The tokens that the service account has, revoked ones too.
fn tokens(api: &Api, of: &Value) -> Vec<Value> {
    let path = api.of(of, "/tokens?include_revoked=true&limit=200");
    list(api.client.get(&path, &[]).expect(200).json())
}

#[test]
fn racing_rotates_leave_one_live_primary() {
    in_both(|_, _, apis| {
        let it = apis[0].create("ci", "ops@acme.test");
        let path = apis[0].of(&it, "/rotate");
        let answers = race(apis, |api, _| api.client.post(&path, None, &[]));
        let mut made = vec![token(&it)];
        for answer in answers {
            made.push(token(&answer.expect(200).json()));
        }
        let distinct: BTreeSet<_> = made.iter().collect();
        assert_eq!(distinct.len(), RACERS + 1);
        // Each process agrees, soon after the last answer.
        for api in apis {
            let live = eventually("one is left", PROMISED, || {
                let live: Vec<_> = made
                    .iter()
                    .filter(|token| api.whoami(token) == 200)
                    .collect();
                (live.len() == 1).then_some(live)
            });
            let shown = api.read(&it);
            assert!(live[0].contains(shown["token_public_id"].as_str().unwrap()));
        }
        let all = tokens(&apis[0], &it);
        assert_eq!(all.len(), RACERS + 1);
        let primary = |it: &&Value| it["primary"] == true && it["status"] == "active";
        assert_eq!(all.iter().filter(primary).count(), 1);
        let revoked = |it: &&Value| it["status"] == "revoked";
        assert_eq!(all.iter().filter(revoked).count(), RACERS);
        let id = it["id"].as_str().unwrap();
        let query = format!("kind=token.rotated&service_account_id={id}");
        assert_eq!(apis[0].events(&query).len(), RACERS);
    });
}

#[test]
fn equal_keys_make_one_account_and_equal_answers() {
    in_both(|instance, _, apis| {
        let body = json!({"name": "ci", "contact_email": "ops@acme.test"});
        let key = [("Idempotency-Key", "the-same-for-all")];
        let answers = race(apis, |api, _| api.try_create(body.clone(), &key));
        let (mut bodies, mut replayed) = (BTreeSet::new(), 0);
        for answer in answers {
            let answer = answer.expect(201);
            replayed += usize::from(answer.header("idempotency-replayed") == Some("true"));
            let it = answer.json();
            bodies.insert((it["id"].as_str().unwrap().to_owned(), token(&it)));
        }
        assert_eq!(bodies.len(), 1, "equal answers");
        assert_eq!(replayed, RACERS - 1);
        let (_, token) = bodies.first().unwrap();
        for api in apis {
            assert_eq!(api.whoami(token), 200);
            let all = api.client.get(&api.service_accounts(), &[]).expect(200);
            assert_eq!(list(all.json()).len(), 1);
        }
        assert_eq!(apis[0].events("kind=service_account.created").len(), 1);
        let jobs = instance.jobs("all");
        let mails = jobs.iter().filter(|it| it["name"] == "confirm_email");
        assert_eq!(mails.count(), 1);
        // Another body under the same key is a mistake of the client's.
        let other = json!({"name": "other"});
        let answer = apis[0].try_create(other, &key).expect(422);
        assert_eq!(answer.json()["code"], "idempotency_key_reused");
        // The key belongs to its actor: somebody else's is another.
        let stranger = json!({"name": "keeper", "scopes": ["symbolon:service-accounts:write"]});
        let stranger = apis[0].try_create(stranger, &[]).expect(201).json();
        let mut theirs = apis[0].clone();
        theirs.client = theirs.open.bearer(&crate::instance::token(&stranger));
        let made = theirs.try_create(body.clone(), &key).expect(201).json();
        assert_ne!(made["id"], bodies.first().unwrap().0.as_str());
    });
}

#[test]
fn limits_hold() {
    in_both(|_, _, apis| {
        const LIMIT: usize = 7;
        let policy = json!({"policy": {"tokens_per_service_account": LIMIT}});
        let account = &apis[0].account;
        apis[0].client.patch(account, Some(policy), &[]).expect(200);
        let it = apis[0].create("ci", "ops@acme.test");
        let path = apis[0].of(&it, "/tokens");
        let answers = race(apis, |api, _| api.client.post(&path, None, &[]));
        let made: Vec<_> = answers.iter().filter(|it| it.status == 201).collect();
        // The primary token is one of them.
        assert_eq!(made.len(), LIMIT - 1);
        for refused in answers.iter().filter(|it| it.status != 201) {
            assert_eq!(refused.status, 409, "{}", refused.text());
        }
        assert_eq!(tokens(&apis[0], &it).len(), LIMIT);
        for answer in made {
            assert_eq!(apis[0].whoami(&token(&answer.json())), 200);
        }
        // Racing for the one place that a revocation frees.
        let victim = tokens(&apis[0], &it)
            .into_iter()
            .find(|it| it["primary"] == false)
            .unwrap();
        let victim = format!("{path}/{}", victim["id"].as_str().unwrap());
        apis[0].client.delete(&victim, None, &[]).expect(204);
        let answers = race(apis, |api, _| api.client.post(&path, None, &[]));
        assert_eq!(answers.iter().filter(|it| it.status == 201).count(), 1);
    });
}

#[test]
fn rotations_with_grace_follow_one_another() {
    in_both(|_, _, apis| {
        let it = apis[0].create("ci", "ops@acme.test");
        let path = apis[0].of(&it, "/rotate");
        let grace = json!({"grace": "1h"});
        let answers = race(apis, |api, _| {
            api.client.post(&path, Some(grace.clone()), &[])
        });
        let won: Vec<_> = answers.iter().filter(|it| it.status == 200).collect();
        assert_eq!(won.len(), 1);
        for lost in answers.iter().filter(|it| it.status != 200) {
            assert_eq!(lost.status, 409);
            assert_eq!(lost.json()["code"], "rotation_in_progress");
        }
        // Both live until the grace ends, or until a rotation without one ends it.
        let new = token(&won[0].json());
        let alive = |token: &str| apis.iter().map(|api| api.whoami(token)).collect::<Vec<_>>();
        assert!(alive(&token(&it)).iter().all(|status| *status == 200));
        assert!(alive(&new).iter().all(|status| *status == 200));
        let last = token(&apis[0].rotate(&it));
        for dead in [&token(&it), &new] {
            apis.iter().for_each(|api| hears(api, dead, 401));
        }
        assert!(alive(&last).iter().all(|status| *status == 200));
    });
}

/// Passes one request on, waits for its answer's first byte (so the commit is done), and cuts the
/// client off without a byte of it.
fn lose_the_answer(node: &Node) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let upstream = node.base.strip_prefix("http://").unwrap().to_owned();
    std::thread::spawn(move || {
        let (client, _) = listener.accept().unwrap();
        let server = TcpStream::connect(upstream).unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| std::io::copy(&mut &client, &mut &server));
            let mut first = [0; 12];
            (&server).read_exact(&mut first).unwrap();
            client.shutdown(Shutdown::Both).unwrap();
            assert!(first.starts_with(b"HTTP/1.1 20"), "{first:?}");
        });
    });
    format!("http://{address}")
}

#[test]
fn a_lost_answer_costs_nobody_the_token() {
    in_both(|instance, nodes, apis| {
        // The repeat goes through another process where there is one.
        let other = apis.last().unwrap();
        let cut_off = |token: &str, path: &str, body: Option<Value>, key: &str| {
            let lost = lose_the_answer(&nodes[0]);
            let client = Client::new(&lost).bearer(token);
            let body = body.map(|it| it.to_string().into_bytes());
            let headers = [
                ("Idempotency-Key", key),
                ("Content-Type", "application/json"),
            ];
            let headers = if body.is_some() {
                &headers[..]
            } else {
                &headers[..1]
            };
            let answer = client.send("POST", path, body, headers);
            assert!(answer.is_err(), "the answer was to be lost");
        };
        let create = json!({"name": "ci", "contact_email": "ops@acme.test"});
        let path = other.service_accounts();
        cut_off(&instance.token, &path, Some(create.clone()), "create");
        // It was done, before anybody repeats it.
        let made = list(other.client.get(&path, &[]).expect(200).json());
        assert_eq!(made.len(), 1);
        let again = || other.try_create(create.clone(), &[("Idempotency-Key", "create")]);
        let it = again().expect(201).json();
        assert_eq!(it["id"], made[0]["id"]);
        assert_eq!(other.whoami(&token(&it)), 200);
        assert_eq!(token(&again().expect(201).json()), token(&it));

        let path = other.of(&it, "/rotate");
        cut_off(&instance.token, &path, None, "rotate");
        hears(other, &token(&it), 401);
        let again = || {
            other
                .client
                .post(&path, None, &[("Idempotency-Key", "rotate")])
        };
        let rotated = token(&again().expect(200).json());
        assert_eq!(other.whoami(&rotated), 200);
        assert_eq!(token(&again().expect(200).json()), rotated);
        assert_eq!(other.events("kind=token.rotated").len(), 1);

        // With itself: the old token is over, and yet good for the identical request.
        let path = "/v1/public/self/rotate";
        cut_off(&rotated, path, None, "self");
        hears(other, &rotated, 401);
        let old = other.open.bearer(&rotated);
        let again = || old.post(path, None, &[("Idempotency-Key", "self")]);
        let last = token(&again().expect(200).json());
        assert_eq!(other.whoami(&last), 200);
        assert_eq!(token(&again().expect(200).json()), last);
        // For nothing else.
        old.post(path, None, &[("Idempotency-Key", "another")])
            .expect(401);
        old.post(path, None, &[]).expect(401);
        let wider = json!({"grace": "1h"});
        old.post(path, Some(wider), &[("Idempotency-Key", "self")])
            .expect(401);
        old.post(
            "/v1/public/self/revoke",
            None,
            &[("Idempotency-Key", "self")],
        )
        .expect(401);
        assert_eq!(other.whoami(&last), 200);
        assert_eq!(other.events("kind=token.rotated").len(), 2);
    });
}
