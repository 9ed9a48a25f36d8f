//! Paired clients as an admin changes them, and what that does to live panels.

use super::desk::{Desk, SOON};
use grok_speaker::panel::event::name;
use grok_speaker::panel::trust::{Role, Unable};
use serde_json::{Value, json};
use std::time::Duration;

/// A15: whoever is turned away is gone within a second, with every live panel.
#[tokio::test]
async fn a_revoked_client_is_gone_at_once() {
    let desk = Desk::start();
    let mut owner = desk.panel(Role::Admin).await;
    let session = desk.pair(Role::Controller).await;
    let mut first = desk.connect(&session, Value::Null).await;
    let mut second = desk.connect(&session, Value::Null).await;
    desk.live(3, SOON).await;
    let id = desk.trust.sessions()[1].id.clone();
    desk.trust.revoke(&id).unwrap();
    desk.live(1, Duration::from_secs(1)).await;
    assert!(first.closes().await && second.closes().await);
    let reply = desk.http("GET /api/session", &[&session.line()], "").await;
    assert_eq!(reply.status, 401);
    assert_eq!(owner.ask(name::CLIENTS, json!({})).await["ok"], true, "others stay");
    assert_eq!(desk.trust.revoke(&id), Err(Unable::Unknown));
}

/// A15, A38: another role is another token, and what the old role received stops.
#[tokio::test]
async fn another_role_counts_at_once_and_brings_another_token() {
    let desk = Desk::start();
    let _owner = desk.panel(Role::Admin).await;
    let session = desk.pair(Role::Admin).await;
    let mut panel = desk.connect(&session, Value::Null).await;
    assert_eq!(panel.ask(name::LISTEN, json!({"on": true})).await["ok"], true);
    let id = desk.trust.sessions()[1].id.clone();
    desk.trust.set_role(&id, Role::Viewer).unwrap();
    assert!(panel.closes().await, "it is to come back as what it is now");

    let renewed = desk.http("GET /api/session", &[&session.line()], "").await;
    let body: Value = serde_json::from_str(&renewed.body).unwrap();
    assert_eq!((renewed.status, &body["role"]), (200, &json!("viewer")));
    let set = renewed.header("set-cookie").unwrap();
    let cookie = set.split(';').next().unwrap();
    assert_ne!(cookie, session.cookie);
    assert!(set.contains("HttpOnly") && set.contains("SameSite=Strict"), "{set}");
    // A tab that asked with the old one meanwhile is not shut out, and does not bring it back.
    let late = desk.http("GET /api/session", &[&session.line()], "").await;
    assert_eq!((late.status, late.header("set-cookie")), (200, None));
    let fresh = super::desk::Session {
        cookie: cookie.to_owned(),
        csrf: body["csrf"].as_str().unwrap().to_owned(),
    };
    let mut panel = desk.connect(&fresh, Value::Null).await;
    let hello = panel.wait(name::HELLO).await;
    assert_eq!(hello.body["role"], "viewer");
    assert_eq!(panel.ask(name::LISTEN, json!({"on": true})).await["code"], "forbidden");
    let again = desk.http("GET /api/session", &[&fresh.line()], "").await;
    assert!(again.header("set-cookie").unwrap().starts_with(cookie), "once");
}

/// A12: neither a change nor a new token leaves more than hashes behind.
#[tokio::test]
async fn only_hashes_are_kept() {
    let desk = Desk::start();
    let session = desk.pair(Role::Admin).await;
    let other = desk.pair(Role::Viewer).await;
    let id = desk.trust.sessions()[1].id.clone();
    desk.trust.set_role(&id, Role::Controller).unwrap();
    desk.trust.rename(&id, "Kitchen").unwrap();
    let renewed = desk.http("GET /api/session", &[&other.line()], "").await;
    let token = renewed.header("set-cookie").unwrap().split(['=', ';']).nth(1).unwrap().to_owned();
    let stored = std::fs::read_to_string(desk.dir.join("sessions.json")).unwrap();
    assert!(stored.contains("Kitchen"));
    for cookie in [session.cookie, other.cookie, format!("x={token}")] {
        let token = cookie.split('=').nth(1).unwrap().to_owned();
        assert!(token.len() == 64 && !stored.contains(&token));
    }
}
