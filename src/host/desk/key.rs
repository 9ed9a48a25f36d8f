//! The API key: write only. A page sees where it is and its last characters.

use super::{Desk, Order};
use crate::base::secret::Secret;
use crate::config::key::{self, Place};
use crate::grok::socket::Socket;
use crate::host::{self, probe, redact, socket_options};
use crate::panel::ask::refusal;
use crate::panel::errand::{Asker, Outcome};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// When the key that is stored was tried, in the state directory.
const FILE: &str = "key.json";
/// Last characters that are shown, of a key that is at least [`LONG`] characters long: enough to
/// tell two keys apart, nothing to guess from.
const SHOWN: usize = 4;
/// As above.
const LONG: usize = 20;

#[derive(Debug, Serialize, Deserialize)]
struct Tested {
    /// Seconds since 1970.
    at: u64,
}

/// Where the key is, how it ends, and when it was tried.
pub(super) fn status(desk: &Desk) -> Value {
    match host::key(&desk.config) {
        Ok(Some(found)) => {
            let key = found.key.expose();
            let ends = key.len().checked_sub(SHOWN).filter(|_| key.len() >= LONG);
            let tested = match found.place {
                Place::Stored(_) => desk.store.load::<Tested>(FILE).value.map(|t| t.at),
                Place::Credential(_) | Place::KeyFile(_) | Place::Variable => None,
            };
            let (place, fixed) = match found.place {
                Place::Stored(_) => ("stored", false),
                Place::Variable => ("variable", false),
                Place::Credential(_) => ("credential", true),
                Place::KeyFile(_) => ("key_file", true),
            };
            json!({
                "set": true,
                "place": place,
                "fixed": fixed,
                "ends": ends.and_then(|at| key.get(at..)),
                "tested": tested,
                "words": found.place.to_string(),
            })
        }
        Ok(None) => json!({"set": false, "fixed": desk.config.socket.key_file.is_some()}),
        Err(error) => json!({"set": false, "fixed": true, "words": error.to_string()}),
    }
}

/// Takes a key after the service has accepted it.
pub(super) async fn set(desk: &Desk, asker: Asker, secret: Secret, accept: bool) -> Outcome {
    // Before anything else can go wrong with it in its hands.
    redact::hide(&secret);
    desk.presence(asker)?;
    if !asker.secure && !accept {
        let words = "the key would cross the network in the clear; say that you accept it, or use \
                     a connection that is encrypted";
        return Err(refusal("insecure", words));
    }
    let first = status(desk);
    if first["fixed"] == true {
        let words = format!("the key comes from elsewhere: {}", first["words"]);
        return Err(refusal("fixed", words));
    }
    let failed = |words: String| refusal("failed", redact::redact(words));
    let mut socket =
        Socket::new(socket_options(&desk.config)).map_err(|e| failed(e.to_string()))?;
    match probe::call(&mut socket, &desk.config, Some(secret.clone())).await {
        (Ok(_), Some(Ok(_))) => {}
        (_, Some(Err(words))) => {
            return Err(refusal("key_refused", redact::redact(words)));
        }
        (Err(words), _) => return Err(refusal("no_service", redact::redact(words))),
        (Ok(_), None) => return Err(refusal("no_service", "the service did not answer")),
    }
    key::store(&desk.config.state, &secret).map_err(|e| failed(e.to_string()))?;
    // Without it the page does not say when; nothing else hangs on it.
    let _ = desk.store.save(FILE, &Tested { at: host::unix() });
    log::info!("another API key was stored by a panel; the service accepts it");
    desk.order(Order::KeyChanged)?;
    Ok(status(desk))
}
