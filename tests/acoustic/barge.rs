//! Who interrupts the reply, and who does not: conversations in simulated rooms, timed.

use grok_speaker::base::pcm::from_i16;
use grok_speaker_sim::burst::Burst;
use grok_speaker_sim::duplex::{Change, Duplex};
use grok_speaker_sim::room::{Scene, music};
use grok_speaker_sim::seed::Seed;
use std::path::Path;

/// The speaker's voice and what people say to it.
pub(crate) struct Sayings {
    reply: Vec<f32>,
    said: Vec<Vec<f32>>,
}

impl Sayings {
    /// From `tests/speech`.
    pub(crate) fn read() -> Self {
        let said = pieces("speech/interruptions.wav");
        Self { reply: pieces("speech/replies.wav").concat(), said }
    }
}

/// What stands between the pauses of a recording at 16 kHz.
fn pieces(name: &str) -> Vec<Vec<f32>> {
    const PAUSE: usize = 6_400;
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(name);
    let mut wav = hound::WavReader::open(path).expect("a recording");
    let (mut pieces, mut piece, mut quiet) = (Vec::new(), Vec::new(), 0);
    for sample in wav.samples::<i16>() {
        let sample = from_i16(sample.expect("a sample"));
        quiet = if sample.abs() < 0.003 { quiet + 1 } else { 0 };
        if !piece.is_empty() || quiet == 0 {
            piece.push(sample);
        }
        if quiet == PAUSE && !piece.is_empty() {
            piece.truncate(piece.len() - PAUSE);
            pieces.push(std::mem::take(&mut piece));
        }
    }
    pieces
}

/// What happens while the reply is said.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Act {
    /// Somebody talks, so much above the echo.
    Say(f64),
    /// A sound that is no speech.
    Disturb(Burst, f64),
    /// The device is put elsewhere.
    Shift,
    /// Nothing, for so many seconds.
    Listen(f64),
}

/// How it ended: seconds after the first sound.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Trial {
    pub(crate) ducked: Option<f64>,
    pub(crate) stopped: Option<f64>,
    /// How much of what left was from before the first sound.
    pub(crate) lead: Option<f64>,
}

/// What became of a conversation.
#[derive(Debug, Default)]
pub(crate) struct Session {
    /// Of each act that makes a sound.
    pub(crate) trials: Vec<Trial>,
    /// Seconds in which the speaker alone was heard.
    pub(crate) alone: f64,
    /// How often it was lowered and stopped in them.
    pub(crate) ducks: usize,
    pub(crate) stops: usize,
}

/// Seconds after the first sound in which what happens is its doing.
const WINDOW: f64 = 2.5;

/// A conversation in which `acts` happen one after another, the first of them `settle` seconds
/// after the first word of the speaker.
pub(crate) fn converse(
    scene: &Scene,
    seed: u64,
    sayings: &Sayings,
    settle: f64,
    acts: &[Act],
) -> Session {
    let mut dice = Seed::new(seed ^ 0x5EED);
    let mut at = dice.between(0, sayings.reply.len() as u64) as usize;
    let tune = scene.music.then(|| music(&mut dice, 40 * 16_000));
    let voice = tune.as_ref().unwrap_or(&sayings.reply);
    let level = 0.7 / voice.iter().fold(1e-9f32, |top, x| top.max(x.abs()));
    let voice: Vec<f32> = voice.iter().map(|x| x * level).collect();
    let mut room = Duplex::new(scene, seed, &voice, true);
    let mut session = Session::default();
    room.run(0.3);
    let mut wait = settle;
    for act in acts {
        let mut until = room.now() + wait;
        wait = 1.0 + 2.0 * dice.unit();
        let mut from = (room.now(), room.changes.len());
        loop {
            if !room.speaks() && room.left() == 0.0 {
                session.note(&room, from);
                room.commit();
                room.run(0.4);
                let reply: Vec<f32> = voice
                    .iter()
                    .cycle()
                    .skip(at % voice.len())
                    .take(25 * 16_000)
                    .copied()
                    .collect();
                at += 7 * 16_000 + 1234;
                room.reply(&reply);
                until = until.max(room.now() + wait);
                from = (room.now(), room.changes.len());
            }
            if room.now() >= until && room.left() > 4.0 {
                break;
            }
            room.run(0.05);
        }
        let before = room.changes.len();
        let (begin, end) = match *act {
            Act::Listen(seconds) => {
                wait = seconds;
                session.note(&room, from);
                continue;
            }
            Act::Shift => {
                room.shift();
                session.note(&room, from);
                continue;
            }
            Act::Say(level) => {
                let which = dice.between(0, sayings.said.len() as u64) as usize;
                session.note(&room, from);
                room.say(&sayings.said[which], level)
            }
            Act::Disturb(burst, level) => {
                session.note(&room, from);
                room.disturb(burst, level);
                (room.now(), room.now())
            }
        };
        let mut lead = None;
        while room.now() < (begin + WINDOW).max(end + 0.5) {
            room.run(0.01);
            if !room.speaks() && room.sent() > 0.0 {
                lead = lead.or(Some(room.sent() - (room.now() - begin)));
            }
        }
        let of = |pick: fn(&Change) -> Option<f64>| {
            room.changes[before..].iter().find_map(pick).map(|t| t - begin)
        };
        session.trials.push(Trial {
            ducked: of(|c| match c {
                Change::Ducked(t) => Some(*t),
                Change::Stopped(_) | Change::Restored(_) => None,
            }),
            stopped: of(|c| match c {
                Change::Stopped(t) => Some(*t),
                Change::Ducked(_) | Change::Restored(_) => None,
            }),
            lead,
        });
    }
    session
}

impl Session {
    /// The speaker alone, from then on until now.
    fn note(&mut self, room: &Duplex, (since, count): (f64, usize)) {
        self.alone += room.now() - since;
        for change in &room.changes[count..] {
            match change {
                Change::Ducked(_) => self.ducks += 1,
                Change::Stopped(_) => self.stops += 1,
                Change::Restored(_) => {}
            }
        }
    }
}

/// How such conversations went: shares of the acts, and numbers a minute of the speaker alone.
#[derive(Debug)]
pub(crate) struct Sum {
    /// Lowered within 0.3 s, stopped within 0.5 s, stopped at all.
    pub(crate) lowered: f64,
    pub(crate) decided: f64,
    pub(crate) stopped: f64,
    /// Whose first sound did not leave, of those that stopped it.
    pub(crate) clipped: f64,
    /// Lowered and stopped a minute by nobody.
    pub(crate) ducks: f64,
    pub(crate) stops: f64,
}

impl Sum {
    /// Of some.
    pub(crate) fn of(sessions: &[Session]) -> Self {
        let trials: Vec<&Trial> = sessions.iter().flat_map(|s| &s.trials).collect();
        let part = |holds: &dyn Fn(&Trial) -> bool| {
            trials.iter().filter(|t| holds(t)).count() as f64 / trials.len().max(1) as f64
        };
        let by = |at: Option<f64>, limit: f64| at.is_some_and(|at| at <= limit);
        let minutes = sessions.iter().map(|s| s.alone).sum::<f64>().max(1.0) / 60.0;
        let count = |of: fn(&Session) -> usize| sessions.iter().map(of).sum::<usize>() as f64;
        Self {
            lowered: part(&|t| by(t.ducked, 0.3) || by(t.stopped, 0.3)),
            decided: part(&|t| by(t.stopped, 0.5)),
            stopped: part(&|t| t.stopped.is_some()),
            clipped: part(&|t| t.stopped.is_some() && t.lead.is_none_or(|lead| lead < 0.0)),
            ducks: count(|s| s.ducks) / minutes,
            stops: count(|s| s.stops) / minutes,
        }
    }
}
