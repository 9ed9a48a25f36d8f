//! A conversation in a room: what is decided is played, what is played is heard, and what is heard
//! decides. The front end and the conversation are the real ones; the service says what it is told.

use crate::burst::{Burst, loudest};
use crate::event;
use crate::room::{self, RATE, Scene, active, at, response, speak, through};
use crate::seed::Seed;
use crate::stage::{Stage, policy};
use grok_speaker::base::event::{Scene as Shown, Wire};
use grok_speaker::base::pcm::{BLOCK, BLOCK_MS, to_i16};
use grok_speaker::base::ring::PeriodHead;
use grok_speaker::base::unit::{Moment, Rate};
use grok_speaker::conversation::{Input, Mode, Output};
use grok_speaker::dsp::gain::Duck;
use grok_speaker::speech::Options;
use grok_speaker::speech::chain::Chain;
use std::collections::VecDeque;
use std::time::Duration;

/// What became of the reply, and when: seconds from the beginning.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Change {
    /// It was lowered.
    Ducked(f64),
    /// It was restored.
    Restored(f64),
    /// It was stopped.
    Stopped(f64),
}

/// Before its start a device has no time.
const BEGIN: Moment = Moment::from_millis(10_000);
/// Sound is handed to the card so long before it is audible.
const AHEAD_MS: u64 = 30;

/// The room with everything in it.
pub struct Duplex {
    /// The conversation.
    pub stage: Stage,
    /// What happened to the replies.
    pub changes: Vec<Change>,
    chain: Chain,
    scene: Scene,
    dice: Seed,
    path: Vec<f32>,
    gain: f32,
    delay: f64,
    hiss: (f32, f32),
    duck: Duck,
    waiting: VecDeque<f32>,
    /// Behind the loudspeaker, from the beginning.
    loud: Vec<f32>,
    /// At the microphone, from the beginning and further than now.
    echo: Vec<f32>,
    others: Vec<f32>,
    blocks: usize,
    replies: usize,
    /// Samples that left since the last time the reply was stopped.
    sent: usize,
}

impl Duplex {
    /// A room whose speaker will say such things as `voice`. `told`: the driver knows the delay.
    pub fn new(scene: &Scene, seed: u64, voice: &[f32], told: bool) -> Self {
        let mut dice = Seed::new(seed);
        let mut numbers = policy(Mode::Open);
        numbers.session.output_rate = Rate(RATE as u32);
        numbers.hang_up_after = None;
        let mut stage = Stage::new(numbers, seed);
        (stage.keep, stage.deaf, stage.now) = (false, true, BEGIN);
        let path = response(&mut dice, scene.decay_s, scene.direct_db);
        let excerpt: Vec<f32> =
            voice.iter().take(at(4.0)).map(|&x| speak(x, scene.speaker)).collect();
        let power = active(&through(&excerpt, &path));
        let hint = if told { (scene.delay_ms - 10.0).max(0.0) } else { 0.0 };
        let delay = AHEAD_MS as f64 + scene.delay_ms - hint + dice.unit() * 10.0 - 5.0;
        let noise = scene.echo_db + scene.person_db - scene.noise_db;
        Self {
            chain: Chain::new(&Options::default()),
            gain: gain(scene.echo_db, power),
            // A one-pole low-pass leaves so much of the power of noise between -1 and 1.
            hiss: (0.0, gain(noise, 0.3 / 1.7 / 3.0)),
            delay: delay * RATE as f64 / 1000.0,
            duck: Duck::new(Rate(RATE as u32)),
            scene: scene.clone(),
            changes: Vec::new(),
            waiting: VecDeque::new(),
            loud: Vec::new(),
            echo: Vec::new(),
            others: Vec::new(),
            blocks: 0,
            replies: 0,
            sent: 0,
            stage,
            path,
            dice,
        }
    }

    /// Seconds since the beginning.
    pub fn now(&self) -> f64 {
        self.blocks as f64 * BLOCK_MS as f64 / 1000.0
    }

    /// Seconds of the reply that are still to be played.
    pub fn left(&self) -> f64 {
        self.waiting.len() as f64 / RATE as f64
    }

    /// Whether the reply is being said.
    pub fn speaks(&self) -> bool {
        self.stage.checks.scene() == Shown::Speaking
    }

    /// Seconds of the microphone that have left since the reply was stopped.
    pub fn sent(&self) -> f64 {
        self.sent as f64 / RATE as f64
    }

    /// The service says this.
    pub fn reply(&mut self, sound: &[f32]) {
        self.replies += 1;
        let (response, item) = (format!("r{}", self.replies), format!("i{}", self.replies));
        let samples: Vec<i16> = sound.iter().map(|&x| to_i16(x)).collect();
        self.stage.checks.received(&item, samples.len() as u64 * 1000 / RATE as u64 + 1);
        self.stage.service(event::created(&response));
        self.stage.service(event::sound(&response, &item, &samples));
        self.stage.service(event::sound_done(&response, &item));
        self.stage.service(event::done(&response, "completed"));
        self.heed();
    }

    /// The service has heard a turn, if one was sent.
    pub fn commit(&mut self) {
        if self.stage.checks.scene() == Shown::Listening {
            let item = format!("u{}", self.replies);
            for kind in ["speech_started", "speech_stopped", "committed"] {
                self.stage.service(event::buffer(kind, &item));
            }
            self.heed();
        }
    }

    /// Somebody begins to say this, so much louder than the echo. When its first sound is heard and
    /// when its last.
    pub fn say(&mut self, sound: &[f32], over_db: f64) -> (f64, f64) {
        let path = response(&mut self.dice, self.scene.decay_s, 2.0);
        let sound = through(&[sound, &[0.0; RATE / 10]].concat(), &path);
        let power = active(&sound);
        let floor = power / 1000.0;
        let loud =
            |c: &[f32]| c.iter().map(|x| f64::from(x * x)).sum::<f64>() > floor * BLOCK as f64;
        let first = sound.chunks(BLOCK).position(loud).unwrap_or(0);
        let last = sound.chunks(BLOCK).rposition(loud).unwrap_or(0);
        let from = self.now();
        self.put(&sound, gain(self.scene.echo_db + over_db, power));
        (from + first as f64 / 100.0, from + last as f64 / 100.0)
    }

    /// Something happens, so much louder than the echo in its loudest 20 ms.
    pub fn disturb(&mut self, burst: Burst, over_db: f64) {
        let sound = burst.sound(&mut self.dice);
        let path = response(&mut self.dice, self.scene.decay_s, 2.0);
        let sound = through(&sound, &path);
        self.put(&sound, gain(self.scene.echo_db + over_db, loudest(&sound)));
    }

    fn put(&mut self, sound: &[f32], gain: f32) {
        let from = self.blocks * BLOCK;
        let end = self.others.len().max(from + sound.len());
        self.others.resize(end, 0.0);
        for (x, s) in self.others[from..].iter_mut().zip(sound) {
            *x += gain * s;
        }
    }

    /// The device is put elsewhere.
    pub fn shift(&mut self) {
        self.path = response(&mut self.dice, self.scene.decay_s, self.scene.direct_db);
    }

    /// Time passes.
    pub fn run(&mut self, seconds: f64) {
        let end = self.now() + seconds;
        while self.now() < end {
            self.step();
        }
    }

    fn step(&mut self) {
        let begin = BEGIN + Duration::from_millis(self.blocks as u64 * BLOCK_MS);
        let played = self.play();
        self.chain.far(&head(begin + Duration::from_millis(AHEAD_MS)), &played);
        let heard = self.hear();
        self.blocks += 1;
        self.stage.go(begin + Duration::from_millis(BLOCK_MS));
        let stage = &mut self.stage;
        self.chain.near(&head(begin), &heard, &mut |near| {
            stage.feed(Input::Near(near));
        });
        self.heed();
    }

    fn play(&mut self) -> [f32; BLOCK] {
        let played: [f32; BLOCK] =
            std::array::from_fn(|_| self.duck.step() * self.waiting.pop_front().unwrap_or(0.0));
        self.loud.extend(played.iter().map(|&x| speak(x, self.scene.speaker)));
        let from = self.blocks * BLOCK;
        self.echo.resize(from + BLOCK + self.path.len(), 0.0);
        for i in from..from + BLOCK {
            let place = i as f64 * (1.0 - self.scene.drift_ppm * 1e-6) - self.delay;
            let x = if self.scene.drift_ppm == 0.0 {
                // A part of a sample is of no matter where it stays.
                let whole = (place.round() >= 0.0).then_some(place.round() as usize);
                whole.map_or(0.0, |i| self.loud[i])
            } else {
                room::between(&self.loud, place)
            };
            if x.abs() > 1e-7 {
                for (y, h) in self.echo[i..].iter_mut().zip(&self.path) {
                    *y += x * h;
                }
            }
        }
        played
    }

    fn hear(&mut self) -> [f32; BLOCK] {
        std::array::from_fn(|k| {
            let i = self.blocks * BLOCK + k;
            let (low, level) = &mut self.hiss;
            *low += 0.3 * (room::noise(&mut self.dice) - *low);
            let other = self.others.get(i).copied().unwrap_or(0.0);
            (self.gain * self.echo[i] + other + *level * *low).clamp(-1.0, 1.0)
        })
    }

    fn heed(&mut self) {
        let now = self.now();
        for output in self.stage.fresh() {
            match output {
                Output::Dial(_) => self.stage.connect(),
                Output::Play { samples, .. } => {
                    self.waiting.extend(samples.iter().map(|&s| f32::from(s) / 32_768.0));
                }
                Output::Flush(_) => {
                    self.waiting.clear();
                    self.sent = 0;
                    self.changes.push(Change::Stopped(now));
                }
                Output::Duck(on) => {
                    self.duck.aim(on);
                    self.changes.push(if on { Change::Ducked(now) } else { Change::Restored(now) });
                }
                Output::Transmit(Wire::Text(text)) => {
                    if let Some((_, sound)) = text.split_once("\"audio\":\"")
                        && text.contains("input_audio_buffer.append")
                    {
                        self.sent += sound.trim_end_matches(['"', '}', '=']).len() * 3 / 8;
                    }
                }
                _ => {}
            }
        }
    }
}

fn head(at: Moment) -> PeriodHead {
    PeriodHead {
        at,
        moved: at,
        position: 0,
        gap: 0,
        frames: BLOCK as u32,
        rate: Rate(RATE as u32),
        channels: 1,
        stream: 0,
    }
}

/// What takes sound of this mean power to a level.
fn gain(level_db: f64, power: f64) -> f32 {
    (10f64.powf(level_db / 10.0) / power.max(1e-20)).sqrt() as f32
}
