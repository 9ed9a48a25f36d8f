//! What is asked of the device and answered with data.

use super::desk::{Desk, SOON};
use grok_speaker::panel::errand::{Doing, Errand};
use grok_speaker::panel::event::name;
use grok_speaker::panel::trust::Role;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::Semaphore;

#[tokio::test]
async fn an_errand_is_answered_with_data() {
    let desk = Desk::start();
    let mut panel = desk.panel(Role::Admin).await;
    let answer = panel.ask(name::CLIENTS, json!({})).await;
    assert_eq!((&answer["ok"], answer["seq"].is_u64()), (&json!(true), true), "{answer}");
    let me = desk.trust.sessions()[0].token;
    assert_eq!(
        (&answer["data"]["me"], &answer["data"]["what"]),
        (&json!(me.to_string()), &json!("Clients"))
    );
    assert_eq!(answer["data"]["secure"], true, "loopback leaves no machine");
    // Whoever may not, does not get that far (A08).
    let mut controller = desk.panel(Role::Controller).await;
    let answer = controller.ask(name::CLIENTS, json!({})).await;
    assert_eq!((&answer["code"], &answer["data"]), (&json!("forbidden"), &Value::Null));
}

#[tokio::test]
async fn a_client_has_four_errands_under_way_and_others_have_theirs() {
    let gate = Arc::new(Semaphore::new(0));
    let held = Arc::clone(&gate);
    let wait = move |_, _: Errand| -> Doing {
        let gate = Arc::clone(&held);
        Box::pin(async move {
            gate.acquire().await.unwrap().forget();
            Ok(json!({}))
        })
    };
    let desk = Desk::served(Desk::folder(), |_| {}, Arc::new(wait));
    let mut panel = desk.panel(Role::Admin).await;
    let mut sent = Vec::new();
    for _ in 0..4 {
        sent.push(panel.send(name::CLIENTS, json!({})).await);
    }
    let fifth = panel.ask(name::CLIENTS, json!({})).await;
    assert_eq!(fifth["code"], "busy", "{fifth}");
    let mut other = desk.panel(Role::Admin).await;
    let theirs = other.send(name::CLIENTS, json!({})).await;
    gate.add_permits(5);
    for id in sent {
        assert_eq!(panel.answer(id).await["ok"], true);
    }
    assert_eq!(other.answer(theirs).await["ok"], true);
    gate.add_permits(1);
    assert_eq!(panel.ask(name::CLIENTS, json!({})).await["ok"], true, "its place is free again");
}

/// A40: it costs the errand, and the panel counts it.
#[tokio::test]
async fn an_errand_that_panics_is_refused_and_counted() {
    let count = Arc::new(AtomicUsize::new(0));
    let calls = Arc::clone(&count);
    let work = move |_, _: Errand| -> Doing {
        let first = calls.fetch_add(1, Ordering::Relaxed) == 0;
        Box::pin(async move {
            assert!(!first, "on purpose");
            Ok(json!({"well": true}))
        })
    };
    let desk = Desk::served(Desk::folder(), |_| {}, Arc::new(work));
    let mut panel = desk.panel(Role::Admin).await;
    assert_eq!(panel.ask(name::CLIENTS, json!({})).await["code"], "failed");
    assert_eq!(desk.trust.panics(), 1);
    assert_eq!(panel.ask(name::CLIENTS, json!({})).await["data"]["well"], true);
}

#[tokio::test]
async fn an_errand_of_a_panel_that_has_left_is_nobodys() {
    let (tell, told) = std::sync::mpsc::sync_channel(4);
    let work = move |_, _: Errand| -> Doing {
        let tell = tell.clone();
        Box::pin(async move {
            tokio::time::sleep(Duration::from_millis(100)).await;
            let _ = tell.try_send(());
            Ok(json!({}))
        })
    };
    let desk = Desk::served(Desk::folder(), |_| {}, Arc::new(work));
    let mut panel = desk.panel(Role::Admin).await;
    panel.send(name::CLIENTS, json!({})).await;
    tokio::time::sleep(Duration::from_millis(20)).await;
    drop(panel);
    let done = tokio::task::spawn_blocking(move || told.recv_timeout(SOON));
    done.await.unwrap().expect("carried out to its end");
    let mut other = desk.panel(Role::Admin).await;
    assert_eq!(other.ask(name::CLIENTS, json!({})).await["ok"], true);
    assert_eq!(desk.trust.panics(), 0);
}
