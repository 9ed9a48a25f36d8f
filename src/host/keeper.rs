//! A value that is written from a thread of its own.

use super::store::{Form, Store, to_json};
use super::thread::{Priority, Worker};
use crate::base::ring::Silent;
use serde::Serialize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Keeps one value in its file from a thread of its own: a card may take seconds for a write, and
/// nobody waits for it. The newest value wins; one that was overtaken is never written. The thread
/// is there only while something is to be written.
#[derive(Debug)]
pub struct Keeper<T: Send + 'static> {
    store: Arc<Store>,
    name: Arc<str>,
    form: Form<T>,
    slot: Arc<Mutex<Slot<T>>>,
    worker: Option<Worker>,
}

#[derive(Debug)]
struct Slot<T> {
    /// Handed over and not yet written.
    newest: Option<T>,
    /// A thread writes, and looks here again before it ends.
    writing: bool,
}

impl<T: Serialize + Send + 'static> Keeper<T> {
    /// Keeps values in the file of this name.
    pub fn new(store: Arc<Store>, name: &str) -> Self {
        Self::of_form(store, name, to_json)
    }
}

impl<T: Send + 'static> Keeper<T> {
    /// Keeps values of another form.
    pub fn of_form(store: Arc<Store>, name: &str, form: Form<T>) -> Self {
        let slot = Arc::new(Mutex::new(Slot { newest: None, writing: false }));
        Self { store, name: name.into(), form, slot, worker: None }
    }

    /// Hands over a value; never waits for the medium.
    pub fn keep(&mut self, value: T) {
        let over = self.worker.as_ref().is_none_or(Worker::is_over);
        let mut slot = lock(&self.slot);
        slot.newest = Some(value);
        // A writer that is over without having said so has panicked.
        if slot.writing && !over {
            return;
        }
        slot.writing = true;
        drop(slot);
        self.join();
        let (store, name) = (Arc::clone(&self.store), Arc::clone(&self.name));
        let (form, slot) = (self.form, Arc::clone(&self.slot));
        let body = move || write(&store, &name, form, &slot);
        match Worker::spawn("store", Priority::Normal, Arc::new(Silent), body) {
            Ok(worker) => self.worker = Some(worker),
            Err(error) => {
                lock(&self.slot).writing = false;
                log::warn!(error:%; "no thread to keep the settings; they are kept later");
            }
        }
    }

    fn join(&mut self) {
        if let Some(Err(panicked)) = self.worker.take().map(Worker::join) {
            log::error!(error:% = panicked; "the settings were not kept");
        }
    }
}

fn lock<T>(slot: &Mutex<Slot<T>>) -> MutexGuard<'_, Slot<T>> {
    slot.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Writes until nothing is left.
fn write<T>(store: &Store, name: &str, form: Form<T>, slot: &Mutex<Slot<T>>) {
    loop {
        let value = {
            let mut slot = lock(slot);
            slot.writing = slot.newest.is_some();
            slot.newest.take()
        };
        let Some(value) = value else { return };
        if let Err(error) = store.save_as(name, &value, form) {
            log::warn!(error:%; "settings are lost at the next start");
        }
    }
}

impl<T: Send + 'static> Drop for Keeper<T> {
    /// Waits until the newest value is written.
    fn drop(&mut self) {
        self.join();
        // What no thread could be had for.
        write(&self.store, &self.name, self.form, &self.slot);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::store::tests::{Scratch, content, load};
    use std::time::Duration;

    #[test]
    fn a_keeper_writes_the_newest_before_it_ends() {
        let scratch = Scratch::new("keeper");
        let store = Arc::new(Store::open(&scratch.0));
        let mut keeper = Keeper::new(Arc::clone(&store), "settings.json");
        for index in 0..50 {
            keeper.keep(content(&index.to_string()));
        }
        drop(keeper);
        assert_eq!(load(&store), (Some(content("49")), None));
    }

    #[test]
    fn a_keeper_has_a_thread_only_while_it_writes() {
        let scratch = Scratch::new("rest");
        let store = Arc::new(Store::open(&scratch.0));
        let mut keeper = Keeper::new(Arc::clone(&store), "settings.json");
        assert!(keeper.worker.is_none());
        for text in ["first", "second"] {
            keeper.keep(content(text));
            let begun = crate::host::clock::now();
            while !keeper.worker.as_ref().unwrap().is_over() {
                let waited = crate::host::clock::now().since(begun);
                assert!(waited < Duration::from_secs(20), "the thread stays");
                std::thread::park_timeout(Duration::from_millis(1));
            }
            assert_eq!(load(&store), (Some(content(text)), None));
        }
    }

    /// Its written form waits for a gate, as a slow card would, and may be a bug.
    struct Slow(u32, Arc<Mutex<()>>);

    impl Serialize for Slow {
        fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
            drop(self.1.lock());
            assert_ne!(self.0, 13, "a bug");
            vec![self.0.to_string()].serialize(to)
        }
    }

    #[test]
    fn a_value_that_was_overtaken_is_never_written() {
        let scratch = Scratch::new("overtaken");
        let store = Arc::new(Store::open(&scratch.0));
        let gate = Arc::new(Mutex::new(()));
        let mut keeper = Keeper::new(Arc::clone(&store), "settings.json");
        let shut = gate.lock().unwrap();
        keeper.keep(Slow(1, Arc::clone(&gate)));
        while lock(&keeper.slot).newest.is_some() {
            std::thread::park_timeout(Duration::from_millis(1));
        }
        (2..9).for_each(|index| keeper.keep(Slow(index, Arc::clone(&gate))));
        drop(shut);
        drop(keeper);
        assert_eq!(load(&store), (Some(content("8")), None));
        let before = std::fs::read_to_string(store.path("settings.json.previous")).unwrap();
        assert!(before.contains("\"1\""), "{before}");
    }

    #[test]
    fn a_keeper_survives_a_bug_in_its_thread() {
        let scratch = Scratch::new("bug");
        let store = Arc::new(Store::open(&scratch.0));
        let gate = Arc::new(Mutex::new(()));
        let mut keeper = Keeper::new(Arc::clone(&store), "settings.json");
        keeper.keep(Slow(13, Arc::clone(&gate)));
        while !keeper.worker.as_ref().unwrap().is_over() {
            std::thread::park_timeout(Duration::from_millis(1));
        }
        keeper.keep(Slow(14, gate));
        drop(keeper);
        assert_eq!(load(&store), (Some(content("14")), None));
    }
}
