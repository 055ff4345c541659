//! A create never makes two images, whatever is answered.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tidegate::digitalocean::{CreateError, Created, Filter, Kind, Settling};

use crate::server::{Reply, Request, Server};
use crate::support::*;

fn settling() -> Settling {
    Settling { settle: Duration::from_millis(300), patience: patience(), ..Settling::default() }
}

/// A server that makes an image, or does not, and then answers a create with `fault`. Lists show what was
/// made from the `lag`th look on.
struct Account {
    server: Server,
    made: Arc<Mutex<Vec<Value>>>,
}

impl Account {
    fn new(
        makes: bool,
        lag: usize,
        fault: impl Fn(&Value) -> Reply + Send + Sync + 'static,
    ) -> Account {
        let made = Arc::<Mutex<Vec<Value>>>::default();
        let images = Arc::clone(&made);
        let server = Server::new(move |request: &Request| {
            let mut images = images.lock().unwrap();
            if request.method == "POST" {
                let image = crate::support::made(images.len() as u64 + 100, &request.body);
                if makes {
                    images.push(image.clone());
                }
                return fault(&image);
            }
            if request.before < lag {
                return list(&[image(1, "available")]);
            }
            let mut all = vec![image(1, "available")];
            all.extend(images.iter().cloned());
            list(&all)
        });
        Account { server, made }
    }

    fn create(&self, how: &Settling) -> Result<Created, CreateError> {
        let client = client(&self.server);
        client.wait(client.images().create_settled(&request(), how))
    }

    fn posts(&self) -> usize {
        self.server.requests().iter().filter(|request| request.method == "POST").count()
    }
}

type Fault = fn(&Value) -> Reply;

/// Answers that say neither yes nor no.
const AMBIGUOUS: [(&str, Fault); 11] = [
    ("500", |_| Reply::status(500, fixture("error-500.json"))),
    ("502 HTML", |_| Reply::status(502, b"<html>Bad Gateway</html>".to_vec())),
    ("503 retry-after", |_| Reply::status(503, Vec::new()).with("retry-after", "1")),
    ("504 HTML", |_| Reply::status(504, b"<html>Gateway Time-out</html>".to_vec())),
    ("408", |_| Reply::status(408, Vec::new())),
    ("cut before the answer", |_| Reply { silent: true, ..Reply::status(202, Vec::new()) }),
    ("cut in the body", |image| Reply { cut: Some(9), ..reply(202, &json!({"image": image})) }),
    ("202 without id", |_| reply(202, &json!({"image": {"name": "disk", "status": "NEW"}}))),
    ("202 with 0 as id", |_| reply(202, &json!({"image": {"id": 0, "name": "disk"}}))),
    ("202 of nothing", |_| Reply::status(202, Vec::new())),
    ("202 HTML", |_| Reply::status(202, b"<html>Accepted</html>".to_vec())),
];

#[test]
fn an_answer_is_taken() {
    let account = Account::new(true, 0, |image| reply(202, &json!({"image": image})));
    let how = settling();
    let created = account.create(&how).unwrap();
    assert!(created.adopted.is_none() && created.image.id == 100);
    assert_eq!(account.server.requests().len(), 1);
    let body: Value = serde_json::from_slice(&account.server.requests()[0].body).unwrap();
    assert_eq!(body["tags"], json!([how.push.tag()]));
    assert_eq!(body["description"], how.push.note());
    assert!(body.get("distribution").is_none());
}

#[test]
fn no_ambiguous_answer_makes_two() {
    // It ends when the image is seen.
    let how = Settling { settle: Duration::from_secs(30), ..settling() };
    for (fault, answer) in AMBIGUOUS {
        for lag in [0, 5] {
            let account = Account::new(true, lag, answer);
            let created = account.create(&how).unwrap_or_else(|e| panic!("{fault}: {e}"));
            assert_eq!(created.image.id, 100, "{fault}");
            assert!(created.adopted.is_some() && created.others.is_empty(), "{fault}");
            assert_eq!(account.posts(), 1, "{fault}");
            assert_eq!(account.made.lock().unwrap().len(), 1, "{fault}");
        }
    }
}

#[test]
fn what_is_not_found_is_unknown() {
    for (fault, answer) in AMBIGUOUS {
        let account = Account::new(false, 0, answer);
        let error = account.create(&settling()).unwrap_err();
        assert!(matches!(error, CreateError::Unknown { .. }), "{fault}: {error:?}");
        assert_eq!(account.posts(), 1, "{fault}");
    }
    // A list that never shows it proves nothing either.
    let account = Account::new(true, usize::MAX, AMBIGUOUS[0].1);
    let error = account.create(&settling()).unwrap_err();
    assert!(matches!(error, CreateError::Unknown { .. }), "{error:?}");
    assert_eq!((account.posts(), account.made.lock().unwrap().len()), (1, 1));
}

#[test]
fn only_who_asks_for_it_posts_again() {
    let account = Account::new(false, 0, AMBIGUOUS[0].1);
    let how = Settling { post_again: true, ..settling() };
    assert!(matches!(account.create(&how).unwrap_err(), CreateError::Unknown { .. }));
    assert_eq!(account.posts(), 2);
    let account = Account::new(true, 0, AMBIGUOUS[0].1);
    let created = account.create(&how).unwrap();
    assert_eq!((created.image.id, created.posts, account.posts()), (100, 1, 1));
}

#[test]
fn a_second_post_that_is_refused_tells_nothing_of_the_first() {
    let server = Server::new(|request: &Request| match (request.method.as_str(), request.before) {
        ("POST", 0) => Reply::status(504, Vec::new()),
        ("POST", _) => Reply::status(422, fixture("error-422.json")),
        _ => list(&[]),
    });
    let client = client(&server);
    let how = Settling { post_again: true, ..settling() };
    let error = client.wait(client.images().create_settled(&request(), &how)).unwrap_err();
    let CreateError::Unknown { because, posts: 2, .. } = &error else { panic!("{error:?}") };
    assert_eq!(because.status, Some(422));
    assert!(error.to_string().ends_with("so there may be two"), "{error}");
}

#[test]
fn a_post_on_a_connection_that_was_left_is_one_post() {
    // The connection is kept after a get, and closed by the server when the post arrives.
    for _ in 0..20 {
        let account =
            Account::new(true, 0, |_| Reply { silent: true, ..Reply::status(202, Vec::new()) });
        let client = client(&account.server);
        client.wait(client.images().list(&Filter::default()).all()).unwrap();
        let created = client.wait(client.images().create_settled(&request(), &settling())).unwrap();
        assert_eq!((created.image.id, account.posts()), (100, 1));
    }
}

#[test]
fn what_a_second_post_doubled_is_told() {
    // No list shows the image of the first post before that of the second.
    let kept = Mutex::new(Vec::new());
    let server = Server::new(move |request: &Request| {
        let mut kept = kept.lock().unwrap();
        if request.method == "GET" {
            return list(if kept.len() == 2 { &kept } else { &[] });
        }
        let id = 100 + kept.len() as u64;
        kept.push(made(id, &request.body));
        match kept.len() {
            1 => Reply::status(504, Vec::new()),
            _ => reply(202, &json!({"image": kept[1]})),
        }
    });
    let client = client(&server);
    let how = Settling { post_again: true, ..settling() };
    let created = client.wait(client.images().create_settled(&request(), &how)).unwrap();
    assert_eq!((created.image.id, created.others), (101, vec![100]));
}

#[test]
fn without_a_tag_the_description_tells() {
    let account = Account::new(true, 2, AMBIGUOUS[3].1);
    let created = account.create(&Settling { tag: false, ..settling() }).unwrap();
    assert_eq!(created.image.tags, Vec::<String>::new());
    assert!(created.adopted.is_some());
}

#[test]
fn a_look_up_survives_failures() {
    let server = Server::new(|request: &Request| match (request.method.as_str(), request.before) {
        ("POST", _) => Reply::status(504, Vec::new()),
        (_, 0..4) => Reply::status(500, Vec::new()),
        _ => list(&[]),
    });
    let client = client(&server);
    let how = Settling { settle: Duration::from_secs(3), ..settling() };
    let error = client.wait(client.images().create_settled(&request(), &how)).unwrap_err();
    assert!(matches!(error, CreateError::Unknown { .. }), "{error:?}");
}

#[test]
fn refusals_are_refusals() {
    for status in [400, 401, 403, 404, 409, 422] {
        let account = Account::new(false, 0, move |_| {
            Reply::status(status, fixture(&format!("error-{status}.json"))).with("retry-after", "0")
        });
        let how = Settling { post_again: true, ..settling() };
        let error = account.create(&how).unwrap_err();
        assert!(matches!(&error, CreateError::Refused(_)), "{status}: {error:?}");
        assert_eq!(account.server.requests().len(), 1, "{status}");
    }
}

#[test]
fn too_many_calls_are_waited_for_and_the_image_is_posted_again() {
    // How often it is refused, whether one is made all the same, posts, and what comes of it.
    for (refusals, makes, posts, created) in
        [(1, false, 2, true), (2, false, 3, true), (1, true, 1, true), (3, false, 3, false)]
    {
        let refused = std::sync::atomic::AtomicUsize::new(0);
        let account = Account::new(makes, 0, move |image| {
            match refused.fetch_add(1, std::sync::atomic::Ordering::SeqCst) < refusals {
                true => Reply::status(429, fixture("error-429.json")).with("retry-after", "0"),
                false => reply(202, &json!({"image": image})),
            }
        });
        match account.create(&settling()) {
            Ok(made) => {
                assert!(created, "{refusals}");
                assert_eq!((made.adopted.is_some(), made.posts), (makes, 1), "{refusals}");
            }
            Err(error) => {
                assert!(!created && matches!(error, CreateError::Refused(_)), "{error:?}")
            }
        }
        assert_eq!(account.posts(), posts, "{refusals}");
    }
    // Longer than it is waited for: nothing is asked again.
    let account = Account::new(false, 0, |_| {
        Reply::status(429, fixture("error-429.json")).with("retry-after", "60")
    });
    let error = account.create(&settling()).unwrap_err();
    assert!(matches!(&error, CreateError::Refused(_)), "{error:?}");
    assert!(error.to_string().contains("the next is taken in 60 s"), "{error}");
    assert_eq!(account.server.requests().len(), 1);
}

#[test]
fn who_cannot_look_after_too_many_calls_does_not_post_again() {
    let server = Server::new(|request: &Request| match request.method.as_str() {
        "POST" => Reply::status(429, fixture("error-429.json")).with("retry-after", "0"),
        _ => Reply::status(403, fixture("error-403.json")),
    });
    let client = client(&server);
    let error = client.wait(client.images().create_settled(&request(), &settling())).unwrap_err();
    assert!(matches!(&error, CreateError::Refused(_)), "{error:?}");
    let posts = server.requests().iter().filter(|request| request.method == "POST").count();
    assert_eq!(posts, 1);
}

#[test]
fn an_image_that_bears_the_mark_and_cannot_be_read_is_not_taken_for_none() {
    let made = Mutex::<Vec<Value>>::default();
    let server = Server::new(move |request: &Request| {
        let mut made = made.lock().unwrap();
        if request.method == "POST" {
            let mut image = crate::support::made(7, &request.body);
            image["id"] = json!("seven");
            made.push(image);
            return Reply::status(504, Vec::new());
        }
        list(&made)
    });
    let client = client(&server);
    let how = Settling { post_again: true, ..settling() };
    let error = client.wait(client.images().create_settled(&request(), &how)).unwrap_err();
    let CreateError::Unknown { unseen: Some(unseen), posts: 1, .. } = error else {
        panic!("{error:?}")
    };
    assert!(unseen.to_string().contains("bears the mark cannot be read"), "{unseen}");
}

#[test]
fn a_second_document_names_the_stray_image() {
    let account = Account::new(true, 0, |_| Reply::status(400, fixture("two-documents.txt")));
    let error = account.create(&settling()).unwrap_err();
    let CreateError::Refused(error) = error else { panic!("{error:?}") };
    let Kind::Invalid { stray: Some(stray) } = &error.kind else { panic!("{error:?}") };
    assert_eq!((stray.id, stray.name.as_str()), (95_739_054, "boringtun.img"));
    assert_eq!(error.message, "Your source URL is unreachable");
    assert_eq!(account.posts(), 1);
}
