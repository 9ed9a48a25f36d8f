//! Wire to card: deltas of half a second of speech, and a card of 48 kHz stereo 16 bit that is given
//! 10 ms at a time, 5 while nothing is said. The reference is counted too, until the front end has it.

use crate::counted;
use crate::main_thread::{DOWN, MainThread};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use grok_speaker::audio::Stamp;
use grok_speaker::audio::playout::{Playout, PlayoutOptions, playout};
use grok_speaker::audio::sample::{Layout, write};
use grok_speaker::base::ring::{Bell, PeriodReader, Silent, periods};
use grok_speaker::base::unit::{Gain, Rate};
use grok_speaker::speech::{self, chain::Chain};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

const RATE: Rate = Rate(48_000);
const CHANNELS: usize = 2;
/// Frames that are written at a time.
const SPEAKING: usize = 480;
const SILENT: usize = 240;
/// Frames in half a second.
const HALF: usize = 24_000;

/// Whether main was rung for.
#[derive(Default)]
struct Rung(AtomicBool);

impl Bell for Rung {
    fn ring(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// The playout thread, the card, and the reference's way through the speech thread.
struct Speaker {
    playout: Playout,
    bell: Arc<Rung>,
    reference: PeriodReader,
    chain: Chain,
    samples: Vec<f32>,
    far: Vec<f32>,
    card: Vec<u8>,
    loud: usize,
}

impl Speaker {
    /// That is given so many frames at a time.
    fn new(period: usize) -> (Self, MainThread) {
        let (writer, reference) = periods(512, 131_072);
        let bell = Arc::<Rung>::default();
        let options = PlayoutOptions { rate: DOWN, gain: Gain::UNITY };
        let (mut playout, feed) = playout(options, writer, bell.clone(), Arc::new(Silent));
        playout.shape(RATE, CHANNELS as u16);
        let main = MainThread::new(feed);
        let speaker = Self {
            playout,
            bell,
            reference,
            chain: Chain::new(&speech::Options::default()),
            samples: vec![0.0; period * CHANNELS],
            far: Vec::with_capacity(65_536),
            card: vec![0; period * CHANNELS * 2],
            loud: 0,
        };
        (speaker, main)
    }

    fn half_a_second(&mut self, main: &mut MainThread) {
        let period = self.samples.len() / CHANNELS;
        for _ in 0..HALF / period {
            main.pass(RATE.span(period as u64));
            let stamp = Stamp { at: main.now(), delay: 480, xrun: false };
            self.playout.fill(&mut self.samples, stamp);
            write(Layout::S16, &self.samples, &mut self.card);
            self.loud += usize::from(!self.card.ends_with(&[0; 16]));
            while let Some(head) = self.reference.pop(&mut self.far) {
                self.chain.far(&head, &self.far);
                self.far.clear();
            }
            if self.bell.0.swap(false, Ordering::Relaxed) {
                main.facts();
            }
        }
    }
}

/// A delta of half a second, with the fields that the service sends.
pub(crate) fn delta(number: u32) -> Value {
    let w = std::f32::consts::TAU * 440.0 / DOWN.0 as f32;
    let first = number * DOWN.0 / 2;
    let sound: Vec<u8> = (first..first + DOWN.0 / 2)
        .map(|i| (8000.0 * (w * i as f32).sin()) as i16)
        .flat_map(i16::to_le_bytes)
        .collect();
    json!({
        "type": "response.output_audio.delta",
        "event_id": format!("e{number:07}-0000-4000-8000-000000000000"),
        "item_id": "9f2d6b40-71c3-4e8a-b5d9-0c8e3f7a1b62",
        "response_id": "c4e1a7d2-3b58-4c96-8f0d-2e7b9a5c1d30",
        "delta": STANDARD.encode(sound),
        "content_index": 0,
        "output_index": 0,
        "rid": "8d41d6f9-0961-48a0-9f61-7a61466ef644",
        "audio_duration_ms": 500,
        "ts": 1_790_700_663_022_u64 + u64::from(number) * 100,
        "previous_item_id": null,
    })
}

pub(crate) fn from_the_wire(seconds: u32) {
    let (mut speaker, mut main) = Speaker::new(SPEAKING);
    let response = "c4e1a7d2-3b58-4c96-8f0d-2e7b9a5c1d30";
    main.say(&json!({"type": "response.created", "response": {"id": response}}));
    let messages: Vec<Vec<u8>> = (0..seconds * 2).map(|i| main.encrypt(&delta(i))).collect();
    counted(&mut || {
        for message in &messages {
            main.receive(message);
            speaker.half_a_second(&mut main);
        }
    });
    assert_eq!(main.played, (seconds * DOWN.0) as usize);
    assert!(
        speaker.loud >= messages.len() * HALF / SPEAKING - 2,
        "{} periods were loud",
        speaker.loud
    );
}

pub(crate) fn of_nothing(seconds: u32) {
    let (mut speaker, mut main) = Speaker::new(SILENT);
    counted(&mut || {
        for _ in 0..seconds * 2 {
            speaker.half_a_second(&mut main);
        }
    });
    assert_eq!(speaker.loud, 0);
}
