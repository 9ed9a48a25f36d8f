//! Errands as an admin sends them, against real files and a real stand-in.

use super::*;
use crate::base::secret::Secret;
use crate::base::unit::Moment;
use crate::config::{Sources, read};
use crate::host::cards::Wanted;
use crate::host::counters::Counters;
use crate::host::health::Health;
use crate::host::redact;
use crate::panel::errand::{Deed, News};
use crate::panel::trust::Role;
use crate::speech::thread::Counts;
use crate::standin;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

const RIGHT: &str = "xai-desk-right-000000-4711";
const WRONG: &str = "xai-desk-wrong-000000-0815";

struct Room {
    desk: Desk,
    orders: mpsc::Receiver<Order>,
    seconds: Arc<AtomicU64>,
    folder: PathBuf,
}

impl Room {
    fn new(name: &str, sets: &[String]) -> Self {
        let folder =
            std::env::temp_dir().join(format!("grok-speaker-desk-{}-{name}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        let mut all = vec![format!("state.directory={}", folder.display())];
        all.extend(sets.iter().cloned());
        let (_, config) = read(&Sources { sets: all, ..Sources::default() }).unwrap();
        let seconds = Arc::new(AtomicU64::new(10));
        let time = Arc::clone(&seconds);
        let (orders, ordered) = mpsc::channel(ORDERS);
        let clock: Clock =
            Arc::new(move || Moment::from_millis(time.load(Ordering::Relaxed) * 1000));
        let records = Records::new(
            &config,
            Arc::new(Health::new(Arc::clone(&clock))),
            Arc::new(Counters::default()),
            Arc::default(),
            Arc::default(),
            Vec::new(),
            Arc::new(Counts::default()),
        );
        let desk = Desk {
            trust: Trust::open(&folder, Arc::new(|| 1_800_000_000)),
            clock,
            records,
            cards: Arc::new(Wanted::new(config.audio.clone())),
            config,
            store: Arc::new(Store::open(&folder)),
            orders,
            booth: Booth::new(crate::speech::tape::tape().1),
        };
        Self { desk, orders: ordered, seconds, folder }
    }

    /// Pairs one more client.
    fn pair(&self, role: Role) -> Asker {
        let code = self.desk.trust.open_window(role, (self.desk.clock)());
        let session = self.desk.trust.enter(&code.to_string(), "test", (self.desk.clock)());
        // Whoever paired a moment ago still counts as present.
        self.seconds.fetch_add(300, Ordering::Relaxed);
        Asker { session: session.unwrap(), role, secure: true }
    }

    /// Proves that somebody is at the device.
    async fn step_up(&self, asker: Asker) {
        let code = self.desk.trust.open_window(Role::Admin, (self.desk.clock)()).to_string();
        let done = self.desk.run(asker, Errand::StepUp { code }).await.unwrap();
        assert_eq!(done["stepped_s"], 300);
    }

    fn id(&self, asker: Asker) -> String {
        let sessions = self.desk.trust.sessions();
        sessions.into_iter().find(|s| s.token == asker.session).unwrap().id
    }

    async fn refused(&self, asker: Asker, errand: Errand) -> String {
        let refusal = self.desk.run(asker, errand).await.unwrap_err();
        for key in [RIGHT, WRONG] {
            assert!(!refusal.message.contains(key), "{}", refusal.message);
        }
        refusal.code
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn key(key: &str, accept: bool) -> Errand {
    Errand::Key { key: Secret::new(key), accept }
}

#[tokio::test]
async fn clients_are_listed_and_changed() {
    let room = Room::new("clients", &[]);
    let owner = room.pair(Role::Admin);
    let guest = room.pair(Role::Viewer);
    let list = room.desk.run(owner, Errand::Clients).await.unwrap();
    let rows = list["clients"].as_array().unwrap();
    assert_eq!((rows.len(), &rows[0]["me"], &rows[1]["me"]), (2, &json!(true), &json!(false)));
    assert_eq!((&list["stepped_s"], &rows[1]["role"]), (&json!(0), &json!("viewer")));
    let guest_id = room.id(guest);
    let client = |deed| Errand::Client { id: guest_id.clone(), deed };
    let list = room.desk.run(owner, client(Deed::Rename("Kitchen".into()))).await.unwrap();
    assert_eq!(list["clients"][1]["name"], "Kitchen");
    // A role needs somebody at the device, and for five minutes only.
    let raise = client(Deed::Role(Role::Admin));
    assert_eq!(room.refused(owner, raise.clone()).await, "step_up");
    room.step_up(owner).await;
    assert_eq!(room.refused(guest, raise.clone()).await, "step_up", "nobody else is present");
    room.seconds.fetch_add(301, Ordering::Relaxed);
    assert_eq!(room.refused(owner, raise.clone()).await, "step_up");
    room.step_up(owner).await;
    let list = room.desk.run(owner, raise).await.unwrap();
    assert_eq!(list["clients"][1]["role"], "admin");
    let list = room.desk.run(owner, client(Deed::Revoke)).await.unwrap();
    assert_eq!(list["clients"].as_array().unwrap().len(), 1);
    assert_eq!(room.refused(owner, client(Deed::Revoke)).await, "unknown_client");
    let mine = Errand::Client { id: room.id(owner), deed: Deed::Revoke };
    assert_eq!(room.refused(owner, mine).await, "last_admin");
}

#[tokio::test]
async fn a_panel_opens_a_window_for_a_role_of_its_choice() {
    let room = Room::new("invite", &[]);
    let owner = room.pair(Role::Admin);
    let open = room.desk.run(owner, Errand::Invite { role: Role::Controller }).await.unwrap();
    assert_eq!((&open["seconds"], &open["role"]), (&json!(120), &json!("controller")));
    let code = open["code"].as_str().unwrap().to_owned();
    // What the panel shows is no proof that somebody is at the device.
    assert_eq!(room.refused(owner, Errand::StepUp { code: code.clone() }).await, "closed");
    let now = (room.desk.clock)();
    assert!(room.desk.trust.enter(&code, "guest", now).is_ok());
    assert_eq!(room.desk.trust.sessions()[1].role, Role::Controller);
    assert_eq!(room.refused(owner, Errand::Invite { role: Role::Admin }).await, "step_up");
    room.step_up(owner).await;
    assert!(room.desk.run(owner, Errand::Invite { role: Role::Admin }).await.is_ok());
}

/// A27, A37: a key is tried before it is taken, is kept for us only, and never comes back.
#[tokio::test]
async fn a_key_is_tried_taken_and_never_shown() {
    let options = standin::Options { key: Secret::new(RIGHT), ..standin::Options::default() };
    let service = standin::start(options).await.unwrap();
    let mut room = Room::new("key", &[format!("grok.url={}", service.url())]);
    let owner = room.pair(Role::Admin);
    assert_eq!(room.refused(owner, key(RIGHT, false)).await, "step_up");
    room.step_up(owner).await;
    let open = Asker { secure: false, ..owner };
    assert_eq!(room.refused(open, key(RIGHT, false)).await, "insecure");
    assert_eq!(room.refused(open, key(WRONG, true)).await, "key_refused");
    let path = room.folder.join("api_key");
    assert!(!path.exists() && room.orders.try_recv().is_err(), "nothing was changed");
    let status = room.desk.run(open, key(RIGHT, true)).await.unwrap();
    assert_eq!((&status["set"], &status["place"]), (&json!(true), &json!("stored")));
    assert_eq!((&status["ends"], status["tested"].is_u64()), (&json!("4711"), true));
    assert!(matches!(room.orders.try_recv(), Ok(Order::KeyChanged)));
    let kept = std::fs::read_to_string(&path).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::mode(&path.metadata().unwrap().permissions());
    assert_eq!((kept.trim(), mode & 0o777), (RIGHT, 0o600));
    let again = room.desk.run(owner, Errand::Key { key: None, accept: false }).await.unwrap();
    assert_eq!(again, status);
    assert!(!status.to_string().contains(RIGHT));
    for key in [RIGHT, WRONG] {
        assert!(!redact::redact(format!("a line with {key}")).contains(key));
    }
    service.stop().await;
    // Without the service no key is taken, and the one that was there stays.
    assert_eq!(room.refused(owner, key(WRONG, false)).await, "no_service");
    assert_eq!(std::fs::read_to_string(&path).unwrap().trim(), RIGHT);
}

#[tokio::test]
async fn a_key_of_the_system_is_not_covered() {
    let file = std::env::temp_dir().join(format!("grok-speaker-desk-key-{}", std::process::id()));
    std::fs::write(&file, "xai-of-the-system-9999").unwrap();
    let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(&file, private).unwrap();
    let room = Room::new("fixed", &[format!("grok.key_file={}", file.display())]);
    let owner = room.pair(Role::Admin);
    room.step_up(owner).await;
    let status = room.desk.run(owner, Errand::Key { key: None, accept: false }).await.unwrap();
    assert_eq!((&status["fixed"], &status["place"]), (&json!(true), &json!("key_file")));
    assert_eq!((&status["ends"], &status["tested"]), (&json!("9999"), &Value::Null));
    assert_eq!(room.refused(owner, key(RIGHT, false)).await, "fixed");
    let _ = std::fs::remove_file(file);
}

#[tokio::test]
async fn the_set_up_goes_on_where_it_was() {
    let room = Room::new("setup", &[]);
    let owner = room.pair(Role::Admin);
    let ask = |news| room.desk.run(owner, Errand::Setup { news });
    let at = |step: &str, over| Some(News { step: step.to_owned(), over });
    let said = |mut answer: Value| {
        let hosts = answer.as_object_mut().unwrap().remove("hosts").unwrap();
        assert!(hosts[0].as_str().unwrap().ends_with(".local"), "{hosts}");
        answer
    };
    let first = said(ask(None).await.unwrap());
    let keyless = host_has_no_key();
    assert_eq!(first, json!({"step": "", "over": !keyless}));
    ask(at("voice", false)).await.unwrap();
    assert_eq!(said(ask(None).await.unwrap()), json!({"step": "voice", "over": false}));
    ask(at("done", true)).await.unwrap();
    assert_eq!(said(ask(None).await.unwrap()), json!({"step": "done", "over": true}));
}

fn host_has_no_key() -> bool {
    std::env::var_os("XAI_API_KEY").is_none()
}

#[tokio::test]
async fn settings_are_decided_by_the_main_thread() {
    let mut room = Room::new("settings", &[]);
    let owner = room.pair(Role::Admin);
    let changes = Changes::from([("grok.voice".to_owned(), json!("ara"))]);
    let errand = Errand::Settings { changes: changes.clone() };
    let main = async {
        let Some(Order::Settings(asked, reply)) = room.orders.recv().await else {
            panic!("another order")
        };
        assert_eq!(asked, changes);
        reply.send(Ok(json!({"heard": true}))).unwrap();
    };
    let (outcome, ()) = tokio::join!(room.desk.run(owner, errand), main);
    assert_eq!(outcome.unwrap()["heard"], true);
    for _ in 0..ORDERS {
        room.desk.order(Order::KeyChanged).unwrap();
    }
    assert_eq!(room.desk.order(Order::KeyChanged).unwrap_err().code, "busy");
}
