//! What is kept of the sound of a pair of cards: how it was measured, and the echo path the front end
//! has learned. A file each in the state directory, named after both cards, so that what was measured
//! with others never counts.

use super::store::{Error, Keeper, Store};
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

/// No measurement says a longer one.
const DELAY_MAX: Duration = Duration::from_secs(1);

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
    ) -> Result<(), Error> {
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

/// Where the canceller may begin to look; `None` where no echo can be.
pub fn delay(calibration: &Calibration) -> Option<Duration> {
    let delay = Duration::try_from_secs_f64(calibration.measured.delay_ms / 1e3).ok()?;
    (delay <= DELAY_MAX).then_some(delay)
}

/// Hands the front end what is known and keeps what it learns.
#[derive(Debug)]
pub struct Archive {
    keep: Keep,
    keeper: Option<Keeper<EchoPath>>,
    store: Arc<Store>,
}

impl Archive {
    /// Knows of no cards yet.
    pub fn new(store: &Arc<Store>, keep: Keep) -> Self {
        Self { keep, keeper: None, store: Arc::clone(store) }
    }

    /// Turns to these cards: what comes from now on is theirs. Tells the front end what is kept of
    /// them; returns what their measurement allows, and which files had to be set aside.
    pub fn turn_to(&mut self, options: &Options) -> (Option<Duplex>, Vec<Fault>) {
        self.look();
        self.keeper = None;
        let Some(pair) = Pair::of(options) else { return (None, Vec::new()) };
        let mut faults = Vec::new();
        let (calibration, path) = pair.load(&self.store, &mut faults);
        let delay = calibration.as_ref().and_then(delay);
        self.keep.tell(Known { delay, path });
        let duplex = calibration.as_ref().and_then(Calibration::duplex);
        if let Some(duplex) = duplex {
            log::info!(microphone = pair.input, speaker = pair.output;
                "the sound of these cards was measured: {}", meaning(duplex));
        }
        let keeper = Keeper::of_form(Arc::clone(&self.store), &pair.file("echo", "path"), bytes);
        self.keeper = Some(keeper);
        (duplex, faults)
    }

    /// Hands the front end what a measurement found.
    pub fn tell(&mut self, known: Known) {
        self.keep.tell(known);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::store::tests::Scratch;
    use crate::speech::calibration::State;

    fn pair(input: &str) -> Pair {
        Pair { input: input.into(), output: "a speaker".into() }
    }

    fn calibration(pair: &Pair, delay_ms: f64) -> Calibration {
        let measured = Measured {
            delay_ms,
            echo_db: -20.0,
            played_dbfs: -29.0,
            noise_dbfs: -60.0,
            clear_db: 40.0,
            bent_db: -40.0,
            clipped: 0,
            channels: vec![State::Alive],
        };
        Calibration { pair: pair.clone(), volume: Db(-20.0), measured }
    }

    #[test]
    fn each_pair_of_cards_has_files_of_its_own() {
        let scratch = Scratch::new("lore");
        let store = Store::open(&scratch.0);
        let [one, other] = ["one", "other"].map(pair);
        let mut path = EchoPath { first: 3, ..EchoPath::SILENT };
        path.taps[7] = 0.5;
        one.save(&store, &calibration(&one, 40.0), &path).unwrap();
        let mut faults = Vec::new();
        let (found, kept) = one.load(&store, &mut faults);
        assert_eq!(found.unwrap().duplex(), Some(Duplex::Full));
        assert_eq!(kept, Some(path));
        assert_eq!(other.load(&store, &mut faults), (None, None));
        // A file that was copied from another pair says so itself.
        let copied = calibration(&one, 40.0);
        other.save(&store, &copied, &path).unwrap();
        assert_eq!(other.load(&store, &mut faults).0, None);
        assert!(faults.is_empty(), "{faults:?}");
    }

    #[test]
    fn a_delay_that_cannot_be_is_none() {
        let scratch = Scratch::new("lore-delay");
        let store = Store::open(&scratch.0);
        for delay_ms in [-5.0, 1e4, 1e300] {
            let one = pair("one");
            one.save(&store, &calibration(&one, delay_ms), &EchoPath::SILENT).unwrap();
            let (found, _) = one.load(&store, &mut Vec::new());
            assert_eq!(delay(&found.unwrap()), None);
        }
    }

    #[test]
    fn files_are_no_pair_of_cards() {
        let options = Options { output: Device::File("x.wav".into()), ..Options::default() };
        assert_eq!(Pair::of(&options), None);
        assert_eq!(Pair::of(&Options { input: Device::Null, ..Options::default() }), None);
    }
}
