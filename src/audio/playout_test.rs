//! Playout against a simulated card: periods of 5 ms, a fixed delay, a clock that is exact.

use super::feed::{Feed, RING_S};
use super::playout::{FADE, Playout, PlayoutOptions, START_THRESHOLD, playout};
use super::{Stamp, earcon::Chime};
use crate::base::event::{Earcon, PlayoutFact as Fact, Tag};
use crate::base::ring::{Bell, Epoch, PeriodReader, periods};
use crate::base::unit::{Db, Gain, Moment, Rate};
use crate::dsp::meter;
use assert_no_alloc::assert_no_alloc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

const SERVICE: Rate = Rate(24_000);
const E0: Epoch = Epoch(0);
const E1: Epoch = Epoch(1);

/// Counts its rings.
#[derive(Default)]
struct Count(AtomicU32);

impl Bell for Count {
    fn ring(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// A card that keeps `queue` frames and takes 5 ms at a time.
struct Room {
    playout: Playout,
    feed: Feed,
    wakes: Arc<Count>,
    rings: Arc<Count>,
    reference: PeriodReader,
    rate: Rate,
    channels: usize,
    queue: u32,
    period: usize,
    /// All that was written, first channel.
    sound: Vec<f32>,
    facts: Vec<Fact>,
}

impl Room {
    fn new(rate: u32, channels: u16) -> Self {
        let (writer, reference) = periods(4096, 1 << 20);
        let (wakes, rings) = (Arc::new(Count::default()), Arc::new(Count::default()));
        let options = PlayoutOptions { rate: SERVICE, gain: Gain::UNITY };
        let (mut playout, feed) = playout(options, writer, rings.clone(), wakes.clone());
        playout.shape(Rate(rate), channels);
        Self {
            playout,
            feed,
            wakes,
            rings,
            reference,
            rate: Rate(rate),
            channels: usize::from(channels),
            queue: rate / 100,
            period: rate as usize / 200,
            sound: Vec::new(),
            facts: Vec::new(),
        }
    }

    fn stamp(&self) -> Stamp {
        let at = Moment::ZERO + self.rate.span(self.sound.len() as u64);
        // Nothing can be queued that was not written.
        Stamp { at, delay: self.queue.min(self.sound.len() as u32), xrun: false }
    }

    fn run(&mut self, periods: usize) {
        let mut out = vec![9.0; self.period * self.channels];
        for _ in 0..periods {
            let stamp = self.stamp();
            assert_no_alloc(|| self.playout.fill(&mut out, stamp));
            self.sound.extend(out.iter().step_by(self.channels));
            self.facts.extend(std::iter::from_fn(|| self.feed.fact()));
        }
    }

    fn heard(&self, tag: u32) -> u64 {
        let last = self.facts.iter().rev().find_map(|f| match f {
            Fact::Heard { tag: t, samples } if *t == Tag(tag) => Some(*samples),
            Fact::Heard { .. }
            | Fact::Started { .. }
            | Fact::Drained { .. }
            | Fact::Starved { .. }
            | Fact::Flushed { .. } => None,
        });
        last.unwrap_or(0)
    }

    fn index(&self, fact: Fact) -> usize {
        self.facts.iter().position(|f| *f == fact).unwrap_or_else(|| panic!("no {fact:?}"))
    }
}

fn tone(samples: usize) -> Vec<i16> {
    (0..samples).map(|i| (8000.0 * (i as f32 * 0.26).sin()) as i16).collect()
}

#[test]
fn a_reply_starts_at_once_sounds_whole_and_drains_to_the_sample() {
    for (rate, channels) in [(48_000, 2), (24_000, 1), (16_000, 1), (44_100, 2), (96_000, 8)] {
        let mut room = Room::new(rate, channels);
        room.run(10);
        let said = tone(24_013);
        assert_eq!(room.feed.play(E0, Tag(7), &said), said.len());
        assert!(room.feed.end(E0, Tag(7)));
        room.run(1);
        assert!(matches!(room.facts[0], Fact::Started { tag: Tag(7), .. }), "{rate}");
        room.run(230);
        assert_eq!(room.heard(7), 24_013, "{rate}");
        assert_eq!(room.facts.last(), Some(&Fact::Drained { tag: Tag(7) }), "{rate}");
        assert!(!room.facts.contains(&Fact::Starved { tag: Tag(7) }));
        let level = meter::rms(&room.sound[rate as usize / 4..rate as usize / 2]);
        let expected = 20.0 * (8000.0f32 / 32_768.0).log10() - 3.01;
        assert!((level.0 - expected).abs() < 0.1, "{rate}: {level}");
    }
}

#[test]
fn long_silence_goes_past_the_resampler_and_nobody_hears_it() {
    for rate in [48_000, 24_000, 16_000, 96_000] {
        let [short, long] = [4, 60].map(|quiet| {
            let mut room = Room::new(rate, 2);
            room.run(quiet);
            room.feed.play(E0, Tag(3), &tone(4801));
            room.feed.end(E0, Tag(3));
            room.run(50);
            assert_eq!(room.heard(3), 4801, "{rate}");
            let Some(Fact::Started { at, .. }) = room.facts.first() else { panic!("{rate}") };
            let begun = room.rate.span((quiet * room.period) as u64);
            (room.sound.split_off(quiet * room.period), at.since(Moment::ZERO + begun))
        });
        assert!(short == long, "{rate}");
    }
}

#[test]
fn heard_is_written_less_the_delay_to_the_sample() {
    let mut room = Room::new(48_000, 2);
    room.run(4);
    room.feed.play(E0, Tag(1), &tone(24_000));
    room.run(21);
    // 25 periods written; the card held 480 frames before the last one; the resampler delays by 32.
    let sounding = (24 * 240 - 480) - (4 * 240 + 32);
    let told = room.heard(1);
    let passed = sounding as u64 / 2;
    assert!(told <= passed && passed - told <= 480, "{told} of {passed}");
    // With every period told the figure is exact.
    let mut exact = Vec::new();
    for _ in 0..8 {
        room.run(1);
        let written = room.sound.len() as u64 - 240;
        if let Some(Fact::Heard { samples, .. }) = room.facts.last().copied()
            && samples != told
            && !exact.contains(&samples)
        {
            assert_eq!(samples, (written - 480 - 960 - 32) / 2);
            exact.push(samples);
        }
    }
    assert!(exact.len() >= 2, "{exact:?}");
}

#[test]
fn started_says_when_it_is_audible() {
    let mut room = Room::new(48_000, 2);
    room.run(10);
    room.feed.play(E0, Tag(1), &tone(2400));
    room.run(1);
    // Written at 50 ms behind 10 ms of queue, and the resampler's 32 frames.
    assert_eq!(room.facts, [Fact::Started { tag: Tag(1), at: Moment::from_micros(60_666) }]);
}

#[test]
fn a_flush_is_silent_within_3_ms_and_tells_the_truth() {
    for rate in [48_000, 24_000, 44_100] {
        let mut room = Room::new(rate, 2);
        let said = tone(48_000);
        room.feed.play(E0, Tag(1), &said);
        room.feed.end(E0, Tag(1));
        room.run(60);
        let at = room.sound.len();
        room.feed.flush(E1);
        room.run(1);
        let fade = room.rate.frames(FADE) as usize;
        assert!(meter::peak(&room.sound[at..at + fade / 2]) > 0.1, "it fades, it does not click");
        room.run(20);
        assert_eq!(meter::peak(&room.sound[at + fade..]), 0.0, "{rate}: nothing after the fade");
        let flushed = room.index(Fact::Flushed { epoch: E1 });
        assert_eq!(flushed, room.facts.len() - 1);
        assert!(!room.facts.contains(&Fact::Drained { tag: Tag(1) }), "a cut tag does not drain");
        // What was written of it up to the end of the fade.
        let delay = crate::dsp::resample::Resampler::new(SERVICE, room.rate, 480).delay_samples();
        let truth = (at + fade - delay) as u64 * 24_000 / u64::from(rate);
        assert_eq!(room.heard(1), truth, "{rate}");
    }
}

#[test]
fn a_flush_is_told_only_when_the_speaker_is_silent() {
    let mut room = Room::new(48_000, 1);
    room.queue = 48_000 / 5;
    room.feed.play(E0, Tag(1), &tone(48_000));
    room.run(100);
    let before = room.sound.len();
    room.feed.flush(E1);
    while !room.facts.contains(&Fact::Flushed { epoch: E1 }) {
        room.run(1);
    }
    let passed = room.sound.len() - before;
    assert!((9600..=9600 + 3 * 240).contains(&passed), "{passed}");
}

#[test]
fn after_a_flush_the_new_epoch_speaks_and_the_old_one_never_does() {
    let mut room = Room::new(48_000, 1);
    room.feed.play(E0, Tag(1), &tone(24_000));
    room.run(20);
    room.feed.flush(E1);
    assert_eq!(room.feed.play(E0, Tag(1), &[30_000; 500]), 500, "late speech is taken and dropped");
    let loud = vec![16_000i16; 12_000];
    room.feed.play(E1, Tag(2), &loud);
    room.feed.end(E1, Tag(2));
    let at = room.sound.len();
    room.run(150);
    let new = &room.sound[at + 300..at + 300 + 20_000];
    assert!(new.iter().all(|s| (s - 16_000.0 / 32_768.0).abs() < 0.02), "only the new epoch");
    assert_eq!(room.heard(2), 12_000);
    assert!(room.index(Fact::Flushed { epoch: E1 }) < room.index(Fact::Drained { tag: Tag(2) }));
    assert!(!room.facts.contains(&Fact::Drained { tag: Tag(1) }));
}

#[test]
fn a_flush_of_silence_is_told_at_once() {
    let mut room = Room::new(48_000, 2);
    room.queue = 0;
    room.run(4);
    room.feed.flush(Epoch(5));
    room.run(1);
    assert_eq!(room.facts, [Fact::Flushed { epoch: Epoch(5) }]);
}

#[test]
fn a_gap_is_told_and_then_held_until_the_threshold() {
    let mut room = Room::new(48_000, 1);
    let threshold = SERVICE.frames(START_THRESHOLD) as usize;
    room.feed.play(E0, Tag(1), &tone(480));
    room.run(6);
    assert!(room.facts.contains(&Fact::Starved { tag: Tag(1) }));
    room.feed.play(E0, Tag(1), &vec![8000; threshold - 1]);
    let at = room.sound.len();
    room.run(20);
    assert_eq!(meter::peak(&room.sound[at..]), 0.0, "one sample short of the threshold");
    room.feed.play(E0, Tag(1), &[8000; 1]);
    let at = room.sound.len();
    room.run(2);
    assert!(meter::peak(&room.sound[at..at + 240]) > 0.2, "now it goes on");
    room.feed.end(E0, Tag(1));
    room.run(60);
    assert_eq!(room.heard(1), 480 + threshold as u64);
    let starts = room.facts.iter().filter(|f| matches!(f, Fact::Started { .. })).count();
    assert_eq!(starts, 1);
    assert_eq!(room.facts.last(), Some(&Fact::Drained { tag: Tag(1) }));
}

#[test]
fn a_short_rest_does_not_wait_for_the_threshold_for_ever() {
    let mut room = Room::new(48_000, 1);
    room.feed.play(E0, Tag(1), &tone(480));
    room.run(6);
    room.feed.play(E0, Tag(1), &[8000; 240]);
    room.run(49);
    assert_eq!(room.heard(1), 480);
    room.run(8);
    assert_eq!(room.heard(1), 720, "after 250 ms it is played");
    room.feed.play(E0, Tag(1), &[8000; 240]);
    room.feed.end(E0, Tag(1));
    room.run(8);
    assert_eq!(room.heard(1), 960, "with its end mark it is played at once");
}

#[test]
fn tags_follow_each_other_without_a_gap() {
    let mut room = Room::new(24_000, 1);
    for tag in 1..=3 {
        room.feed.play(E0, Tag(tag), &[8000; 1000]);
        room.feed.end(E0, Tag(tag));
    }
    room.feed.end(E0, Tag(4));
    room.run(40);
    assert!(room.sound[..3000].iter().all(|s| *s > 0.2) && room.sound[3000] == 0.0);
    let order: Vec<_> =
        room.facts.iter().filter(|f| matches!(f, Fact::Drained { .. })).copied().collect();
    assert_eq!(order, [1, 2, 3, 4].map(|t| Fact::Drained { tag: Tag(t) }), "an empty tag too");
}

#[test]
fn the_reference_is_what_was_written() {
    let mut room = Room::new(48_000, 2);
    room.feed.gain(Gain(0.5));
    room.run(3);
    room.feed.play(E0, Tag(1), &tone(2400));
    room.feed.end(E0, Tag(1));
    room.feed.earcon(Earcon::Woke);
    room.run(40);
    let mut tapped = Vec::new();
    let mut position = 0;
    while let Some(head) = room.reference.pop(&mut tapped) {
        assert_eq!((head.position, head.gap, head.channels), (position, 0, 1));
        // Ten ms of queue, once there is one.
        if position > 480 {
            assert_eq!(head.at, Moment::ZERO + room.rate.span(position + 480));
        }
        position += u64::from(head.frames);
    }
    assert_eq!(tapped, room.sound);
    assert!(meter::peak(&tapped) > 0.1);
}

#[test]
fn an_underrun_becomes_a_gap_in_the_reference() {
    let mut room = Room::new(48_000, 1);
    let mut out = [0.0; 240];
    room.playout.fill(&mut out, Stamp { at: Moment::from_millis(0), delay: 0, xrun: false });
    room.playout.fill(&mut out, Stamp { at: Moment::from_millis(25), delay: 0, xrun: true });
    let mut samples = Vec::new();
    room.reference.pop(&mut samples);
    let head = room.reference.pop(&mut samples).unwrap();
    assert_eq!((head.gap, head.position), (960, 240 + 960));
}

#[test]
fn ducking_lowers_speech_but_not_the_earcon() {
    let mut room = Room::new(48_000, 1);
    room.feed.play(E0, Tag(1), &vec![8192; 48_000]);
    room.run(20);
    room.feed.duck(true);
    room.run(20);
    let low = *room.sound.last().unwrap();
    assert!((20.0 * (low / 0.25).log10() + 14.0).abs() < 0.1);
    room.feed.duck(false);
    room.run(60);
    assert!((room.sound.last().unwrap() - 0.25).abs() < 1e-3);

    let mut room = Room::new(48_000, 1);
    room.feed.duck(true);
    room.feed.earcon(Earcon::Volume);
    room.run(40);
    assert!(meter::peak(&room.sound) > 0.2);
    assert_eq!(meter::peak(&room.sound[Chime::length(Earcon::Volume, Rate(48_000))..]), 0.0);
}

#[test]
fn volume_is_ramped_and_the_level_follows() {
    let mut room = Room::new(48_000, 1);
    room.feed.play(E0, Tag(1), &vec![16_384; 48_000]);
    room.run(100);
    assert!((room.feed.level().0 + 6.02).abs() < 0.1);
    room.feed.gain(Gain::ZERO);
    let at = room.sound.len();
    room.run(10);
    let jump = room.sound[at..].windows(2).fold(0.0f32, |t, w| t.max((w[1] - w[0]).abs()));
    assert!(jump < 0.001, "{jump}");
    assert_eq!(*room.sound.last().unwrap(), 0.0);
    room.run(300);
    assert!(room.feed.level() < Db(-60.0));
}

#[test]
fn a_full_ring_takes_what_fits() {
    let mut room = Room::new(24_000, 1);
    let full = 24_000 * RING_S;
    assert_eq!(room.feed.play(E0, Tag(1), &vec![0; full + 1]), full);
    assert_eq!((room.feed.room(), room.feed.play(E0, Tag(1), &[1])), (0, 0));
    room.run(1);
    assert_eq!(room.feed.room(), 120);
    room.feed.flush(E1);
    room.run(3);
    assert_eq!(room.feed.room(), full, "a flush empties the ring");
}

#[test]
fn many_tiny_slices_leave_room_for_end_marks() {
    let mut room = Room::new(24_000, 1);
    let taken = (0..2000).map(|_| room.feed.play(E0, Tag(1), &[100])).sum::<usize>();
    assert!(taken > 900 && taken < 2000);
    assert!(room.feed.end(E0, Tag(1)));
    room.run(80);
    assert_eq!(room.heard(1), taken as u64);
}

#[test]
fn without_a_card_a_flush_is_answered_and_speech_waits() {
    let mut room = Room::new(48_000, 2);
    room.feed.play(E0, Tag(1), &tone(24_000));
    room.run(40);
    room.playout.absent();
    room.facts.extend(std::iter::from_fn(|| room.feed.fact()));
    let heard = room.heard(1);
    assert_eq!(heard, (39 * 240 - 480 - 32) / 2);
    room.playout.shape(Rate(16_000), 1);
    (room.rate, room.channels, room.period, room.queue) = (Rate(16_000), 1, 80, 160);
    room.sound.clear();
    room.run(20);
    assert!(meter::peak(&room.sound) > 0.1, "it goes on with the new card");
    room.feed.flush(E1);
    room.playout.absent();
    assert_eq!(std::iter::from_fn(|| room.feed.fact()).last(), Some(Fact::Flushed { epoch: E1 }));
}

#[test]
fn long_periods_and_odd_sizes_are_served() {
    let mut room = Room::new(48_000, 2);
    room.queue = 0;
    room.feed.play(E0, Tag(1), &tone(24_000));
    room.feed.end(E0, Tag(1));
    for size in [2048, 1, 7, 4096, 479] {
        room.period = size;
        room.run(1);
    }
    room.period = 2048;
    room.run(30);
    assert_eq!(room.heard(1), 24_000);
}

#[test]
fn after_two_seconds_of_silence_the_card_may_rest_and_speech_wakes_it() {
    let mut room = Room::new(48_000, 2);
    room.feed.play(E0, Tag(1), &tone(2400));
    room.feed.end(E0, Tag(1));
    room.run(420);
    assert!(!room.playout.may_rest(), "2 s of silence since the end, not since the beginning");
    room.run(20);
    assert!(room.playout.may_rest());
    room.playout.rest();
    assert_eq!(room.wakes.0.load(Ordering::Relaxed), 0, "only who rests is woken");
    assert!(!room.playout.stirs());
    room.feed.flush(E1);
    assert!(!room.playout.stirs(), "there is nothing to play");
    assert_eq!(std::iter::from_fn(|| room.feed.fact()).last(), Some(Fact::Flushed { epoch: E1 }));
    room.feed.play(E1, Tag(2), &tone(2400));
    assert_eq!(room.wakes.0.load(Ordering::Relaxed), 2);
    assert!(room.playout.stirs() && !room.playout.may_rest());
    room.queue = 0;
    room.run(1);
    assert!(meter::peak(&room.sound[room.sound.len() - 240..]) > 0.1, "it speaks at once");
    room.feed.play(E1, Tag(2), &tone(2400));
    assert_eq!(room.wakes.0.load(Ordering::Relaxed), 2, "who plays is not woken");
    room.run(60);
    assert_eq!(room.heard(2), 4800);
}

#[test]
fn what_was_put_down_before_the_rest_is_seen() {
    let mut room = Room::new(48_000, 2);
    room.run(440);
    room.feed.earcon(Earcon::Volume);
    room.playout.rest();
    assert!(room.playout.stirs());
}

#[test]
fn a_reply_that_starves_lets_nobody_rest() {
    let mut room = Room::new(48_000, 2);
    room.feed.play(E0, Tag(1), &tone(240));
    room.run(800);
    assert!(!room.playout.may_rest());
}

#[test]
fn progress_is_told_and_wakes_nobody() {
    let mut room = Room::new(48_000, 2);
    room.feed.play(E0, Tag(1), &[9000; 24_000]);
    room.feed.end(E0, Tag(1));
    room.run(300);
    let told = room.facts.iter().filter(|f| matches!(f, Fact::Heard { .. })).count();
    assert!((40..60).contains(&told), "{told}");
    // Started and drained.
    assert_eq!(room.rings.0.load(Ordering::Relaxed), 2);
}
