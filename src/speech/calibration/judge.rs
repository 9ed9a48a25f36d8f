//! What a measurement means for interrupting the speaker, in words.

use super::{Measured, State};
use crate::base::event::Duplex;
use crate::base::unit::Db;
use std::fmt::Write;

/// Below this the sweep was not heard: noise alone stays within a few dB of 0.
const HEARD: f64 = 10.0;
/// The best a canceller reaches, and by how much it removes more than what the speaker bends: its
/// suppressor works on that too. Both by the simulated rooms: 42 dB with a clean speaker, 27 with a small one
/// whose harmonics are 18 dB down, 17 with one that clips, where they are 8 dB down.
const BEST: f64 = 40.0;
const SUPPRESSED: f64 = 9.0;
/// What is left where the microphone clips: as with a speaker that does, and not enough to be trusted.
const SOME: f64 = 14.0;
/// Latest echo the canceller finds, in ms.
const LATEST: f64 = 350.0;
/// Earliest: the reference is read 3 ms early.
const EARLIEST: f64 = -3.0;
/// A few clipped samples are a click in the room.
const CLIPS: u64 = 10;
/// An echo that comes so close to full scale, when a reply is as loud as it may be, leaves no room for a
/// person.
const ROOM: f64 = -3.0;

/// What follows from a measurement.
#[derive(Debug, Clone, PartialEq)]
pub struct Verdict {
    /// What may interrupt the speaker. `None` where nothing could be measured.
    pub duplex: Option<Duplex>,
    /// The figures and what follows, in one line.
    pub words: String,
    /// What a person should mend, in words; empty when all is well.
    pub wrong: Vec<String>,
}

/// Judges a measurement; `volume` is the gain at which replies are played.
pub fn judge(measured: &Measured, volume: Db) -> Verdict {
    let mut wrong = silent_channels(measured);
    if measured.channels.iter().all(|state| *state == State::Dead) {
        wrong = vec!["the microphone is dead: not even noise comes out of it".into()];
    } else if measured.clear_db < HEARD {
        wrong.push(
            "the speaker was not heard: is it on, is the microphone on, are these the right cards?"
                .into(),
        );
    }
    let heard = measured.clear_db >= HEARD;
    let mut limits = vec![(BEST, "")];
    limits.push((SUPPRESSED - measured.bent_db, "the speaker distorts"));
    if measured.clipped >= CLIPS {
        wrong.push(format!(
            "the microphone clips ({} samples): lower its gain or the volume",
            measured.clipped
        ));
        limits.push((SOME, "the microphone clips"));
    } else if measured.echo_db + f64::from(volume.0) > ROOM {
        limits.push((SOME, "a loud reply would make the microphone clip"));
    }
    if !(EARLIEST..=LATEST).contains(&measured.delay_ms) {
        limits.push((0.0, "the echo comes when the canceller does not expect it"));
    }
    let worst = limits.into_iter().min_by(|a, b| a.0.total_cmp(&b.0));
    let (expected, why) = worst.unwrap_or((0.0, ""));
    let duplex = Duplex::of(Db(expected as f32));
    let mut words = String::new();
    if heard {
        // A String takes everything.
        let _ = write!(
            words,
            "delay {:.1} ms, echo {:+.0} dB, noise {:.0} dBFS, harmonics {:.0} dB; {} dB of echo \
             attenuation to be expected: {}",
            measured.delay_ms,
            // Not -0.
            measured.echo_db.round() + 0.0,
            measured.noise_dbfs,
            measured.bent_db,
            expected.round(),
            meaning(duplex)
        );
        if duplex != Duplex::Full {
            let _ = write!(words, ", because {why}");
        }
        let dead = measured.channels.iter().enumerate().filter(|(_, s)| **s == State::Dead);
        for (channel, _) in dead {
            let _ = write!(words, "; channel {channel} of the microphone is silent");
        }
    }
    Verdict { duplex: heard.then_some(duplex), words, wrong }
}

/// What a person is told it means.
pub const fn meaning(duplex: Duplex) -> &'static str {
    match duplex {
        Duplex::Full => "full duplex, speech may interrupt a reply",
        Duplex::Wake => "only the wake word or a button interrupts a reply",
        Duplex::Half => "half duplex, only a button interrupts a reply",
    }
}

/// Microphones of several that hear much less than the best one. A slot that is empty by design is no
/// fault, and nobody can tell it from a broken microphone: it is only said.
fn silent_channels(measured: &Measured) -> Vec<String> {
    let weak = measured.channels.iter().enumerate().filter(|(_, s)| **s == State::Weak);
    weak.map(|(channel, _)| {
        format!("microphone {channel} hears 20 dB less than the best one: is its hole covered?")
    })
    .collect()
}
