//! The API behind a certificate of a private authority.

use crate::authority::secure;
use crate::commands::run;
use crate::common::*;
use crate::support::*;

#[test]
fn a_private_authority_is_trusted_when_it_is_named() {
    let scratch = Scratch::new();
    let (server, ca) = secure(&scratch, "127.0.0.1", |_| list(&[image(7, "available")]));
    let ca = ca.to_str().unwrap();
    // The token goes to nobody whose certificate is not trusted.
    let output = run(&server, &["list"]);
    assert_eq!((exit_code(&output), server.requests().len()), (4, 0), "{output:?}");
    assert!(stderr(&output).contains("certificate"), "{output:?}");
    let output = run(&server, &["list", "--cacert", ca]);
    assert_eq!(exit_code(&output), 0, "{output:?}");
    assert!(stdout(&output).contains("\n7  "), "{output:?}");
    let authorization = &server.requests()[0].headers["authorization"];
    assert_eq!(*authorization, format!("Bearer {TOKEN}"));
}

#[test]
fn a_certificate_for_another_name_is_refused() {
    let scratch = Scratch::new();
    let (server, ca) = secure(&scratch, "other.example", |_| list(&[]));
    let output = run(&server, &["list", "--cacert", ca.to_str().unwrap()]);
    assert_eq!((exit_code(&output), server.requests().len()), (4, 0), "{output:?}");
    let output = run(&server, &["list", "--cacert", scratch.path("none").to_str().unwrap()]);
    assert_eq!(exit_code(&output), 2, "{output:?}");
}
