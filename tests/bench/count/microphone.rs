//! Capture to wire, the front end off: the bytes of a card, 48 kHz mono 16 bit in periods of 20 ms.

use crate::counted;
use crate::main_thread::{DOWN, MainThread};
use grok_speaker::audio::Stamp;
use grok_speaker::audio::capture::Capture;
use grok_speaker::audio::playout::{PlayoutOptions, playout};
use grok_speaker::audio::sample::{Layout, read};
use grok_speaker::base::pulse::Pulse;
use grok_speaker::base::ring::{Silent, Wait, periods};
use grok_speaker::base::unit::{Gain, Rate};
use grok_speaker::speech::thread::{Counts, Fresh};
use grok_speaker::speech::{self, Level};
use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

const RATE: Rate = Rate(48_000);
const PERIOD: usize = 960;
const SPAN: Duration = Duration::from_millis(20);

/// What happens while the speech thread waits: a period comes, and main takes the blocks.
struct Rest<'a>(RefCell<Others<'a>>);

struct Others<'a> {
    capture: Capture,
    blocks: rtrb::Consumer<Fresh>,
    main: MainThread,
    card: Vec<u8>,
    samples: Vec<f32>,
    left: u32,
    pulse: &'a Pulse,
}

impl Wait for Rest<'_> {
    fn wait(&self, _limit: Duration) -> bool {
        self.0.borrow_mut().turn();
        true
    }
}

impl Others<'_> {
    fn turn(&mut self) {
        while let Ok(near) = self.blocks.pop() {
            self.main.near(near);
        }
        if self.left == 0 {
            self.pulse.stop();
            return;
        }
        self.left -= 1;
        self.main.pass(SPAN);
        assert_eq!(read(Layout::S16, &self.card, &mut self.samples), PERIOD);
        let stamp = Stamp { at: self.main.now(), delay: 0, xrun: false };
        self.capture.period(&self.samples, stamp);
    }
}

pub(crate) fn to_the_wire(seconds: u32) {
    let (near_in, near) = periods(512, 131_072);
    let (reference, far) = periods(512, 131_072);
    let (blocks_in, blocks) = rtrb::RingBuffer::new(200);
    let options = PlayoutOptions { rate: DOWN, gain: Gain::UNITY };
    let (_playout, feed) = playout(options, reference, Arc::new(Silent), Arc::new(Silent));
    let mut capture = Capture::new(near_in, Arc::new(Silent));
    capture.shape(RATE, 1);
    let pulse = Pulse::default();
    // The noise of a quiet room: the detector works and finds nothing.
    let mut seed = 1u32;
    let card = std::iter::repeat_with(|| {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        i16::from_le_bytes([(seed >> 24) as u8, 0]) - 128
    });
    let rest = Rest(RefCell::new(Others {
        capture,
        blocks,
        main: MainThread::new(feed),
        card: card.take(PERIOD).flat_map(i16::to_le_bytes).collect(),
        samples: vec![0.0; PERIOD],
        left: seconds * 50,
        pulse: &pulse,
    }));
    let speech = speech::Options {
        echo_cancellation: Level::Off,
        noise_suppression: Level::Off,
        gain_control: Level::Off,
        ..speech::Options::default()
    };
    let counts = Counts::default();
    let mut ends = Some((near, far, blocks_in));
    counted(&mut || {
        let (near, far, blocks) = ends.take().unwrap();
        let lore = speech::lore::lore().0;
        let deck = speech::tape::tape().0;
        let speech = &speech;
        speech::thread::run(speech, near, far, blocks, lore, deck, &rest, &Silent, &pulse, &counts);
    });
    let appends = rest.0.borrow().main.appends as u32;
    assert!(appends.abs_diff(seconds * 50) <= 2, "{appends} messages in {seconds} s");
}
