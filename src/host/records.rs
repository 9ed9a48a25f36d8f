//! What errands about health, log and support are answered from; shared by the main thread and the
//! panel's.

use super::counters::Counters;
use super::device::Device;
use super::health::Health;
use super::logbook::Logbook;
use super::vitals::Vitals;
use crate::board::profile::Profile;
use crate::config::Config;
use crate::speech::thread::Counts;
use std::sync::{Arc, Mutex};

/// Where to look.
#[derive(Debug)]
pub struct Records {
    /// Whether the speaker is alive and hears.
    pub health: Arc<Health>,
    /// What is counted.
    pub counters: Arc<Counters>,
    /// What the main thread notes.
    pub vitals: Arc<Vitals>,
    /// What the speech thread counts.
    pub counts: Arc<Counts>,
    /// The last lines of the log.
    pub book: Arc<Logbook>,
    /// The board.
    pub device: Mutex<Device>,
    /// Threads that run with less than they should, in words.
    pub threads: Vec<String>,
    /// `board.profile`.
    pub board: String,
    /// What it says about pins.
    pub profile: Profile,
}

impl Records {
    /// Of a speaker that is about to run.
    pub fn new(
        config: &Config,
        health: Arc<Health>,
        counters: Arc<Counters>,
        vitals: Arc<Vitals>,
        book: Arc<Logbook>,
        threads: Vec<String>,
        counts: Arc<Counts>,
    ) -> Self {
        vitals.configured(config.in_force.0.clone());
        Self {
            counts,
            health,
            counters,
            vitals,
            book,
            device: Mutex::new(Device::new(&config.state)),
            threads,
            board: config.board.clone(),
            profile: config.profile.clone(),
        }
    }
}
