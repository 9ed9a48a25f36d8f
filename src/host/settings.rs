//! What people changed while it ran: kept in the state directory, laid over the configuration.

use crate::base::event::Fault;
use crate::config::{Changes, Config, ConfigError, Layers};
use crate::conversation::Settings;
use crate::host::store::{Keeper, Store};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The file, in the state directory.
const FILE: &str = "settings.json";

/// The file's content.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Kept {
    #[serde(flatten)]
    settings: Settings,
    /// By `section.key`.
    #[serde(default, skip_serializing_if = "Changes::is_empty")]
    changes: Changes,
}

/// What was changed, and where that is kept.
#[derive(Debug)]
pub struct Choices {
    layers: Layers,
    kept: Kept,
    keeper: Keeper<Kept>,
}

/// What an earlier run kept of what a person changes while it runs.
pub fn stored(store: &Store) -> Option<Settings> {
    store.load::<Kept>(FILE).value.map(|kept| kept.settings)
}

/// The configuration with what an earlier run kept, where that makes sense. Nothing is written.
pub fn in_force(layers: &Layers, base: Config) -> Config {
    if !base.state.is_dir() {
        return base;
    }
    let kept = Store::open(&base.state).load::<Kept>(FILE).value;
    kept.and_then(|kept| layers.config(&kept.changes).ok()).unwrap_or(base)
}

impl Choices {
    /// What an earlier run kept, with the configuration that gives, and what had to be left out.
    pub fn open(layers: Layers, base: Config, store: &Arc<Store>) -> (Self, Config, Vec<Fault>) {
        let loaded = store.load::<Kept>(FILE);
        let mut faults: Vec<_> = loaded.fault.into_iter().collect();
        let fresh = || Kept { settings: base.settings.clone(), changes: Changes::new() };
        let mut kept = loaded.value.unwrap_or_else(fresh);
        let config = if kept.changes.is_empty() {
            base
        } else {
            layers.config(&kept.changes).unwrap_or_else(|_| {
                let (good, wrong) = layers.salvage(&kept.changes);
                kept.changes = good;
                faults.extend(wrong.into_iter().map(|words| Fault::StateSetAside {
                    words: format!("{words}; the choice is left out"),
                }));
                layers.config(&kept.changes).unwrap_or(base)
            })
        };
        let keeper = Keeper::new(Arc::clone(store), FILE);
        (Self { layers, kept, keeper }, config, faults)
    }

    /// What the conversation keeps.
    pub fn settings(&self) -> &Settings {
        &self.kept.settings
    }

    /// Keeps what the conversation wants kept.
    pub fn keep(&mut self, settings: Settings) {
        self.kept.settings = settings;
        self.keeper.keep(self.kept.clone());
    }

    /// Takes changes in, all or none; the configuration they give, `None` when all is as it was.
    ///
    /// # Errors
    /// Every mistake, with its key.
    pub fn change(&mut self, changes: &Changes) -> Result<Option<Config>, ConfigError> {
        let (changes, config) = self.layers.change(&self.kept.changes, changes)?;
        if changes == self.kept.changes {
            return Ok(None);
        }
        self.kept.changes = changes;
        self.keeper.keep(self.kept.clone());
        Ok(Some(config))
    }

    /// For a page: what may be changed and what it is now.
    pub fn sheet(&self) -> serde_json::Value {
        self.layers.sheet(&self.kept.changes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::unit::Volume;
    use crate::config::{Sources, read};
    use crate::conversation::Spent;
    use serde_json::json;
    use std::path::PathBuf;

    struct Scratch(PathBuf);

    impl Scratch {
        fn new(name: &str, file: Option<&str>) -> Self {
            let path = std::env::temp_dir()
                .join(format!("grok-speaker-choices-{}-{name}", std::process::id()));
            let _ = std::fs::remove_dir_all(&path);
            std::fs::create_dir_all(&path).unwrap();
            if let Some(text) = file {
                std::fs::write(path.join(FILE), text).unwrap();
            }
            Self(path)
        }

        fn open(&self) -> (Choices, Config, Vec<Fault>) {
            let (layers, base) = read(&Sources::default()).unwrap();
            Choices::open(layers, base, &Arc::new(Store::open(&self.0)))
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn what_was_chosen_is_there_in_the_next_run() {
        let scratch = Scratch::new("next", None);
        let (mut choices, config, faults) = scratch.open();
        assert_eq!((config.policy.session.voice.as_str(), faults.len()), ("eve", 0));
        let changes = Changes::from([("grok.voice".to_owned(), json!("ara"))]);
        let config = choices.change(&changes).unwrap().expect("something changed");
        assert_eq!(config.policy.session.voice, "ara");
        assert!(choices.change(&changes).unwrap().is_none(), "nothing changed");
        let volume = Volume::new(17).unwrap();
        choices.keep(Settings { volume, muted: true, spent: Spent::default() });
        let wrong = Changes::from([("turn.mode".to_owned(), json!("shout"))]);
        assert!(choices.change(&wrong).is_err());
        drop(choices);
        let (choices, config, faults) = scratch.open();
        assert_eq!((config.policy.session.voice.as_str(), faults.len()), ("ara", 0));
        assert_eq!(choices.settings(), &Settings { volume, muted: true, spent: Spent::default() });
        assert_eq!(choices.sheet()["grok.voice"]["chosen"], true);
    }

    #[test]
    fn a_file_from_before_there_were_choices_is_read_and_senseless_ones_are_left_out() {
        let old = r#"{"version": 1, "content": {"volume": 33, "muted": false}}"#;
        let (choices, config, faults) = Scratch::new("old", Some(old)).open();
        assert_eq!((choices.settings().volume.percent(), faults.len()), (33, 0));
        assert_eq!(config.policy.session.voice, "eve");
        let odd = r#"{"version": 1, "content": {"volume": 33, "muted": false,
            "changes": {"grok.voice": "rex", "turn.gone": 1, "turn.linger_s": "long"}}}"#;
        let (_choices, config, faults) = Scratch::new("odd", Some(odd)).open();
        assert_eq!(config.policy.session.voice, "rex");
        let said: Vec<_> = faults.iter().map(|fault| format!("{fault:?}")).collect();
        assert_eq!(said.len(), 2, "{said:?}");
        assert!(said.iter().all(|words| words.contains("the choice is left out")));
    }
}
