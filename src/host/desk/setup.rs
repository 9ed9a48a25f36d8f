//! How far the first set-up has come: kept by the speaker, so that another browser, a restart or a
//! power cut goes on where it was.

use super::Desk;
use crate::host::{key, lan};
use crate::panel::ask::refusal;
use crate::panel::errand::{News, Outcome};
use serde::{Deserialize, Serialize};
use serde_json::json;

/// The file, in the state directory.
const FILE: &str = "setup.json";

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Progress {
    /// The step that is open; the page knows them.
    step: String,
    /// Somebody came to the end, or does not want it.
    over: bool,
}

/// Says how far it has come, or notes it; and where another device finds the panel.
pub(super) fn run(desk: &Desk, news: Option<News>) -> Outcome {
    let known = desk.store.load::<Progress>(FILE).value;
    let progress = match (news, known) {
        (Some(News { step, over }), _) => {
            let progress = Progress { step, over };
            let failed = |e| refusal("failed", format!("this cannot be remembered: {e}"));
            desk.store.save(FILE, &progress).map_err(failed)?;
            progress
        }
        (None, Some(progress)) => progress,
        // Whoever has a key was here before there was a set-up, or came without one.
        (None, None) => {
            let over = key(&desk.config).is_ok_and(|found| found.is_some());
            Progress { step: String::new(), over }
        }
    };
    let listens = desk.config.panel.listen.or(desk.config.panel.listen_tls);
    let alias = desk.trust.alias();
    let hosts = listens.map_or_else(Vec::new, |at| lan::hosts(at.ip(), alias.as_deref()));
    Ok(json!({"step": progress.step, "over": progress.over, "hosts": hosts}))
}
