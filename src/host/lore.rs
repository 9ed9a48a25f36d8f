//! What is kept of the sound of a pair of cards: how it was measured, and the echo path the front end
//! has learned. A file each in the state directory, named after both cards, so that what was measured
//! with others never counts.

use super::store::{Keeper, Store};
use crate::audio::{Device, Options, drive};
use crate::base::event::{Duplex, Fault, Side};
use crate::base::unit::Db;
use crate::speech::Known;
use crate::speech::calibration::{Measured, judge, meaning};
use crate::speech::echo::{EchoPath, checksum};
use crate::speech::lore::Keep;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;

/// A microphone and a speaker by names that stay.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pair {
    /// The microphone.
    pub input: String,
    /// The speaker.
    pub output: String,
}

/// A measurement and whose it is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    /// Of these cards.
    pub pair: Pair,
    /// At this gain of the replies.
    pub volume: Db,
    /// What came out.
    pub measured: Measured,
}

impl Calibration {
    /// What it allows.
    pub fn duplex(&self) -> Option<Duplex> {
        judge(&self.measured, self.volume).duplex
    }
}

impl Pair {
    /// The configured cards; `None` where one side is a file or nothing.
    pub fn of(options: &Options) -> Option<Self> {
        let card = |device: &Device, side| match device {
            Device::Default | Device::Named(_) => Some(drive::stable_name(options, device, side)),
            Device::File(_) | Device::Null => None,
        };
        let input = card(&options.input, Side::Capture)?;
        Some(Self { input, output: card(&options.output, Side::Playout)? })
    }

    /// `sound-1a2b3c4d.json`: names of cards have characters that file names have not.
    fn file(&self, kind: &str, ending: &str) -> String {
        let names = format!("{}\n{}", self.input, self.output);
        format!("{kind}-{:08x}.{ending}", checksum(names.as_bytes()))
    }

    /// Keeps a measurement and the echo path that came of it.
    ///
    /// # Errors
    /// In words, when the file system says no.
    pub fn save(
        &self,
        store: &Store,
        calibration: &Calibration,
        path: &EchoPath,
    ) -> Result<(), super::store::Error> {
        store.save(&self.file("sound", "json"), calibration)?;
        store.save_as(&self.file("echo", "path"), path, bytes)
    }

    fn load(
        &self,
        store: &Store,
        faults: &mut Vec<Fault>,
    ) -> (Option<Calibration>, Option<EchoPath>) {
        let measured = store.load::<Calibration>(&self.file("sound", "json"));
        let path = store.load_as(&self.file("echo", "path"), EchoPath::from_bytes);
        faults.extend(measured.fault.into_iter().chain(path.fault));
        (measured.value.filter(|c| c.pair == *self), path.value)
    }
}

fn bytes(path: &EchoPath) -> serde_json::Result<Vec<u8>> {
    Ok(path.to_bytes())
}

/// Hands the front end what is known and keeps what it learns.
#[derive(Debug)]
pub struct Archive {
    keep: Keep,
    keeper: Option<Keeper<EchoPath>>,
}

impl Archive {
    /// Tells the front end what is kept of the configured cards. Beside itself it returns what their
    /// measurement allows, and which files had to be set aside.
    pub fn open(
        options: &Options,
        store: &Arc<Store>,
        mut keep: Keep,
    ) -> (Self, Option<Duplex>, Vec<Fault>) {
        let Some(pair) = Pair::of(options) else {
            return (Self { keep, keeper: None }, None, Vec::new());
        };
        let mut faults = Vec::new();
        let (calibration, path) = pair.load(store, &mut faults);
        let delay = calibration.as_ref().map(|c| c.measured.delay_ms / 1e3);
        // One that cannot be is no delay.
        let delay = delay.and_then(|s| Duration::try_from_secs_f64(s).ok());
        keep.tell(Known { delay, path });
        let duplex = calibration.as_ref().and_then(Calibration::duplex);
        if let Some(duplex) = duplex {
            log::info!(microphone = pair.input, speaker = pair.output;
                "the sound of these cards was measured: {}", meaning(duplex));
        }
        let keeper = Keeper::of_form(Arc::clone(store), &pair.file("echo", "path"), bytes);
        (Self { keep, keeper: Some(keeper) }, duplex, faults)
    }

    /// Once in a while, and when the front end has ended: keeps what it gave away. What an end gave is
    /// written when this is dropped.
    pub fn look(&mut self) {
        if let Some(path) = self.keep.fetch()
            && let Some(keeper) = &mut self.keeper
        {
            keeper.keep(path);
        }
    }
}
