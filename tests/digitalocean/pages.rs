//! Lists, updates, deletes and actions.

use serde_json::{Value, json};
use tidegate::digitalocean::{
    ActionStatus, Filter, ImageKey, ImageUpdate, Kind, MOST_PAGES, QueryType, RegionSlug,
};

use crate::server::{Reply, Server};
use crate::support::*;

fn page(request: &crate::server::Request) -> u64 {
    let query = request.path.split_once('?').unwrap().1;
    query.split('&').find_map(|pair| pair.strip_prefix("page=")).unwrap().parse().unwrap()
}

#[test]
fn a_list_comes_page_by_page() {
    let server = Server::new(|request| {
        let page = page(request);
        let images: Vec<Value> = (0..2).map(|i| image(page * 10 + i, "available")).collect();
        // Another host in a link gets neither the token nor a call.
        let next = format!("http://evil.example/v2/images?page={}", page + 1);
        let links = if page < 3 { json!({"pages": {"next": next}}) } else { json!({}) };
        reply(200, &json!({"images": images, "links": links, "meta": {"total": 6}}))
    });
    let client = client(&server);
    let filter =
        Filter { private: true, kind: Some(QueryType::Distribution), tag: Some("a b&c".into()) };
    let mut pages = client.images().list(&filter);
    let first = client.wait(pages.next()).unwrap().unwrap();
    assert_eq!((first.id, pages.total(), server.requests().len()), (10, Some(6), 1));
    let rest: Vec<u64> = client.wait(pages.all()).unwrap().iter().map(|image| image.id).collect();
    assert_eq!(rest, [11, 20, 21, 30, 31]);
    assert_eq!(
        server.requests()[0].path,
        "/v2/images?private=true&type=distribution&tag_name=a%20b%26c&page=1&per_page=200"
    );
}

#[test]
fn a_list_that_never_ends_is_ended() {
    // New pages without end, the same page without end, a link that leads in a circle.
    type Next = fn(u64) -> (u64, u64);
    let endless: [(Next, u32, &str); 3] = [
        (|page| (page, page + 1), MOST_PAGES, "more than 250 pages"),
        (|page| (1, page + 1), 2, "page 2 of the list is page 1 once more"),
        (|page| (page, page % 2), 3, "page 3 of the list leads to a page that was there before"),
    ];
    for (next, asked, said) in endless {
        let server = Server::new(move |request| {
            let (id, next) = next(page(request));
            let next = format!("https://api.example/v2/images?page={next}");
            let links = json!({"pages": {"next": next}});
            reply(200, &json!({"images": [image(id, "available")], "links": links}))
        });
        let client = client(&server);
        let error = client.wait(client.images().list(&Filter::default()).all()).unwrap_err();
        assert!(matches!(error.kind, Kind::Incomplete), "{error:?}");
        assert!(error.to_string().contains(said), "{error}");
        assert_eq!(server.requests().len(), asked as usize);
    }
}

#[test]
fn what_is_changed_is_asked_for_once() {
    for status in [500, 502, 504] {
        let server = Server::new(move |_| Reply::status(status, b"<html>".to_vec()));
        let client = client(&server);
        let images = client.images();
        client.wait(images.update(1, &ImageUpdate::default())).unwrap_err();
        client.wait(images.delete(1)).unwrap_err();
        client.wait(images.actions(1).convert()).unwrap_err();
        let methods: Vec<String> = server.requests().into_iter().map(|r| r.method).collect();
        assert_eq!(methods, ["PUT", "DELETE", "POST"]);
    }
}

#[test]
fn too_many_calls_had_no_effect_and_are_made_again() {
    let server = Server::new(|request| match request.before {
        0 => Reply::status(429, fixture("error-429.json")).with("retry-after", "0"),
        _ => Reply::status(201, fixture("action.json")),
    });
    let client = client(&server);
    client.wait(client.images().actions(1).transfer(RegionSlug::Fra1)).unwrap();
    assert_eq!(server.requests().len(), 2);
}

#[test]
fn updates_and_deletes_are_written_as_published() {
    let server = Server::new(|request| match request.method.as_str() {
        "PUT" => reply(200, &json!({"image": image(7, "available")})),
        "DELETE" if request.before == 0 => Reply::status(204, Vec::new()),
        _ => reply(
            422,
            &json!({"id": "unprocessable_entity",
                "message": "Image Can not delete an already deleted image."}),
        ),
    });
    let client = client(&server);
    let update = ImageUpdate { name: Some("new".into()), ..ImageUpdate::default() };
    assert_eq!(client.wait(client.images().update(7, &update)).unwrap().id, 7);
    client.wait(client.images().delete(7)).unwrap();
    client.wait(client.images().delete(7)).unwrap();
    let put = &server.requests()[0];
    assert_eq!(put.path, "/v2/images/7");
    assert_eq!(put.headers["content-type"], "application/json");
    assert_eq!(serde_json::from_slice::<Value>(&put.body).unwrap(), json!({"name": "new"}));
}

#[test]
fn actions_are_read_in_both_shapes() {
    for wrapped in [true, false] {
        let server = Server::new(move |request| {
            let mut body: Value = serde_json::from_slice(&fixture("action.json")).unwrap();
            if !wrapped {
                body = body["action"].take();
            }
            reply(if request.method == "POST" { 201 } else { 200 }, &body)
        });
        let client = client(&server);
        let actions = client.images().actions(7_938_269);
        let started = client.wait(actions.transfer(RegionSlug::Nyc3)).unwrap();
        assert_eq!(started.id, Some(36_805_527));
        assert_eq!(started.status, ActionStatus::InProgress);
        assert_eq!(client.wait(actions.get(36_805_527)).unwrap(), started);
        assert_eq!(client.wait(client.actions().get(36_805_527)).unwrap(), started);
        assert_eq!(client.wait(actions.convert()).unwrap(), started);
        let requests = server.requests();
        assert_eq!(requests[0].path, "/v2/images/7938269/actions");
        assert_eq!(requests[2].path, "/v2/actions/36805527");
        let body: Value = serde_json::from_slice(&requests[0].body).unwrap();
        assert_eq!(body, json!({"type": "transfer", "region": "nyc3"}));
    }
}

#[test]
fn a_slug_is_a_part_of_the_path() {
    let server = Server::new(|_| reply(200, &json!({"image": image(7, "available")})));
    let client = client(&server);
    let key = ImageKey::parse("ubuntu-24-04-x64").unwrap();
    client.wait(client.images().get(&key)).unwrap();
    assert_eq!(server.requests()[0].path, "/v2/images/ubuntu-24-04-x64");
}
