//! Gain control: brings whoever speaks, near or far, to about the same level.
//!
//! Only speech moves the gain, and only while the speaker is silent: a pause, the noise in it and
//! what is left of the echo are never lifted by themselves. It moves so slowly that nobody hears it
//! move, and a limiter catches what is suddenly loud.

use super::{Level, power};
use crate::base::pcm::{BLOCK, BLOCK_RATE, Block};
use crate::base::unit::{Db, Gain};
use crate::dsp::gain::{Limiter, Ramp};

/// Level of speech that is aimed at: what recognisers are made for, with 20 dB of room for peaks.
/// Gaps between words left out, as here, it is 2 to 3 dB above the level of a whole sentence.
const AIM: f32 = -21.0;
/// Deviation from the aim that is left alone: talkers vary by as much from word to word.
const CLOSE: f32 = 1.5;
/// Largest gains of the levels, in decibels; speech at -50 dBFS needs all of it.
const MOST_LOW: f32 = 10.0;
const MOST_MEDIUM: f32 = 20.0;
const MOST_HIGH: f32 = 30.0;
/// Least gain: speech at -8 dBFS needs as much.
const LEAST: f32 = -12.0;
/// Steps in decibels a block: 3 dB a second up, which nobody hears, 10 down; and 20 up the
/// first time, so that whoever speaks first need not finish to be heard well.
const UP: f32 = 0.03;
const UP_FIRST: f32 = 0.2;
const DOWN: f32 = -0.1;
/// Level that noise in pauses is not lifted above.
const REST_MOST: f32 = -50.0;
/// Blocks of speech over which its level is averaged: 1 s. So many pass before it is believed the
/// first time: 200 ms.
const SPOKEN: u32 = 100;
const SPOKEN_MIN: u32 = 20;
/// Share of the level below which a block of speech is a gap between words: -15 dB.
const GAP: f32 = 0.03;
/// Rate at which the level of pauses falls: 200 ms.
const REST_FOLLOW: f32 = 0.05;
/// Largest rise of it in a block, 4 dB a second: neither a door that slams is rest nor the word
/// before somebody is heard to speak. From digital silence it rises from -100 dBFS.
const REST_RISE: f32 = 1.01;
const REST_LEAST: f32 = 1e-10;
/// Blocks of pauses before their level is believed, and nothing is lifted before: 200 ms. What never
/// pauses is a crowd or a television, and no quieter behind it for being lifted.
const REST_MIN: u32 = 20;

/// What the detectors say of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heard {
    /// Somebody speaks, and the speaker is silent.
    Speech,
    /// Nobody does, and the speaker is silent.
    Rest,
    /// The speaker plays, or nobody can tell.
    Other,
}

/// The gain control.
#[derive(Debug)]
pub struct GainControl {
    /// Largest gain; none without gain control.
    most: Option<f32>,
    /// In decibels, and whether it is on its way.
    gain: f32,
    moving: bool,
    /// It was close to its aim before.
    settled: bool,
    /// Mean power of speech, from so many blocks.
    level: f32,
    spoken: u32,
    /// Mean power of pauses, from so many blocks.
    rest: f32,
    rested: u32,
    ramp: Ramp,
    limiter: Limiter,
}

impl GainControl {
    /// A gain of 0 dB.
    pub fn new(level: Level) -> Self {
        Self {
            most: match level {
                Level::Off => None,
                Level::Low => Some(MOST_LOW),
                Level::Medium => Some(MOST_MEDIUM),
                Level::Auto | Level::High => Some(MOST_HIGH),
            },
            gain: 0.0,
            moving: false,
            settled: false,
            level: 0.0,
            spoken: 0,
            rest: 0.0,
            rested: 0,
            ramp: Ramp::new(Gain::UNITY),
            limiter: Limiter::new(BLOCK_RATE),
        }
    }

    /// Brings `block`, of which the detectors say `heard`, to its level. Allocates nothing.
    pub fn process(&mut self, block: &mut Block, heard: Heard) {
        let Some(most) = self.most else { return };
        let power = power(block);
        match heard {
            Heard::Speech if self.spoken == 0 || power > GAP * self.level => {
                self.spoken = (self.spoken + 1).min(SPOKEN);
                self.level += (power - self.level) / self.spoken as f32;
                self.aim(most);
            }
            Heard::Rest => self.rest(power),
            Heard::Speech | Heard::Other => {}
        }
        for x in &mut block.0 {
            *x = self.limiter.step(*x * self.ramp.step());
        }
    }

    /// Forgets who spoke.
    pub fn reset(&mut self) {
        *self = Self { most: self.most, ..Self::new(Level::Off) };
    }

    fn rest(&mut self, power: f32) {
        if self.rested < REST_MIN {
            self.rested += 1;
            self.rest += (power - self.rest) / self.rested as f32;
        } else {
            let most = REST_RISE * self.rest + REST_LEAST;
            self.rest = (self.rest + REST_FOLLOW * (power - self.rest)).min(most);
        }
    }

    fn aim(&mut self, most: f32) {
        if self.spoken < SPOKEN_MIN {
            return;
        }
        let quiet = if self.rested < REST_MIN {
            0.0
        } else {
            (REST_MOST - Db::from_power(self.rest).0).max(0.0)
        };
        let aim = (AIM - Db::from_power(self.level).0).clamp(LEAST, most).min(quiet);
        let way = aim - self.gain;
        self.moving = way.abs() > if self.moving { UP } else { CLOSE };
        self.settled |= !self.moving && self.spoken == SPOKEN;
        if self.moving {
            self.gain += way.clamp(DOWN, if self.settled { UP } else { UP_FIRST });
            self.ramp.aim(Gain::from_db(Db(self.gain)), BLOCK as u32);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dsp::gain::CEILING;
    use assert_no_alloc::assert_no_alloc;

    /// Words of 300 ms and gaps of 100 ms between them, in noise; pauses of 600 ms.
    struct Talker {
        seed: u32,
        block: usize,
    }

    impl Talker {
        fn new() -> Self {
            Self { seed: 1, block: 0 }
        }

        /// The next block with words at `level` and noise at `noise`, in dBFS.
        fn next(&mut self, level: f32, noise: f32) -> (Block, Heard) {
            let (speech, word) = (self.block % 200 < 140, self.block % 40 < 30);
            self.block += 1;
            let level = if speech && word { level } else { noise };
            // Uniform noise is 4.8 dB below its peak.
            let size = Gain::from_db(Db(level)).0 * 3f32.sqrt();
            let block = Block(std::array::from_fn(|_| {
                self.seed = self.seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                size * ((self.seed >> 8) as f32 / 8_388_608.0 - 1.0)
            }));
            (block, if speech { Heard::Speech } else { Heard::Rest })
        }
    }

    fn db(block: &Block) -> f32 {
        Db::from_power(power(block)).0
    }

    #[test]
    fn speech_comes_out_at_its_level() {
        for level in [-50.0, -45.0, -40.0, -30.0, -20.0, -12.0] {
            let (mut control, mut talker) = (GainControl::new(Level::Auto), Talker::new());
            let mut last = 0.0;
            for _ in 0..2000 {
                let (mut block, heard) = talker.next(level, -90.0);
                let before = db(&block);
                control.process(&mut block, heard);
                let after = db(&block);
                if before > level - 1.0 {
                    last = after;
                }
            }
            assert!((-23.5..=-18.5).contains(&last), "{level} comes out at {last}");
        }
    }

    #[test]
    fn it_moves_slowly_and_rests_where_it_is_close() {
        let (mut control, mut talker) = (GainControl::new(Level::High), Talker::new());
        let mut gains = Vec::new();
        for i in 0..4000 {
            // The talker comes nearer after 20 s, and goes away after 30.
            let level = [-45.0, -45.0, -35.0, -42.0][i / 1000];
            let (mut block, heard) = talker.next(level, -80.0);
            let (before, most) = (control.gain, if i < 1000 { UP_FIRST } else { UP });
            control.process(&mut block, heard);
            let step = control.gain - before;
            assert!((DOWN - 1e-4..=most + 1e-4).contains(&step), "{step} dB in a block");
            assert!(heard == Heard::Speech || step == 0.0, "it moves in a pause");
            gains.push(control.gain);
        }
        for rest in [&gains[1800..2000], &gains[2800..3000], &gains[3800..]] {
            let (low, high) = rest.iter().fold((99f32, -99f32), |(l, h), g| (l.min(*g), h.max(*g)));
            assert!(high - low < 0.5, "it pumps: {low} to {high}");
        }
    }

    #[test]
    fn nothing_but_speech_lifts_anything() {
        let mut control = GainControl::new(Level::Auto);
        let mut talker = Talker::new();
        for heard in [Heard::Rest, Heard::Other] {
            for _ in 0..1000 {
                let (mut block, _) = talker.next(-60.0, -60.0);
                let before = block;
                control.process(&mut block, heard);
                assert_eq!(block, before);
            }
        }
        let mut silence = Block::SILENCE;
        control.process(&mut silence, Heard::Speech);
        assert_eq!(silence, Block::SILENCE);
    }

    #[test]
    fn noise_is_not_lifted_above_what_nobody_minds() {
        let (mut control, mut talker) = (GainControl::new(Level::Auto), Talker::new());
        let mut loudest = f32::MIN;
        for i in 0..3000 {
            let (mut block, heard) = talker.next(-45.0, -60.0);
            control.process(&mut block, heard);
            if i > 500 && heard == Heard::Rest {
                loudest = loudest.max(db(&block));
            }
        }
        assert!((-52.0..REST_MOST + 2.5).contains(&loudest), "pauses at {loudest}");
    }

    #[test]
    fn a_crowd_that_never_pauses_is_not_lifted_and_who_speaks_in_it_neither() {
        let (mut control, mut talker) = (GainControl::new(Level::Auto), Talker::new());
        for i in 0..3000 {
            // A moment of silence first, before a microphone delivers.
            let level = if i < 10 { -140.0 } else { -42.0 };
            let (mut block, _) = talker.next(if i < 2000 { level } else { -36.0 }, level);
            control.process(&mut block, if i < 10 { Heard::Rest } else { Heard::Speech });
            assert_eq!(control.gain, 0.0, "block {i}");
        }
        // It goes, and the next to speak is as loud as ever.
        for _ in 0..2000 {
            let (mut block, heard) = talker.next(-36.0, -80.0);
            control.process(&mut block, heard);
        }
        assert!(control.gain > 12.0, "{}", control.gain);
    }

    #[test]
    fn a_shout_after_whispers_does_not_clip_and_a_slam_is_forgotten() {
        let (mut control, mut talker) = (GainControl::new(Level::Auto), Talker::new());
        for i in 0..3000 {
            let (mut block, heard) = talker.next(if i < 2000 { -48.0 } else { -5.0 }, -90.0);
            control.process(&mut block, heard);
            assert!(block.0.iter().all(|x| x.abs() <= CEILING), "block {i}");
        }
        let mut control = GainControl::new(Level::Auto);
        for i in 0..2000 {
            let (mut block, heard) = talker.next(-48.0, -90.0);
            if i % 200 == 170 {
                block.0.fill(0.5);
            }
            control.process(&mut block, heard);
        }
        assert!(control.gain > 20.0, "{}", control.gain);
    }

    #[test]
    fn off_changes_nothing_levels_bound_it_and_nothing_allocates() {
        for (level, most) in
            [(Level::Off, 0.0), (Level::Low, MOST_LOW), (Level::Medium, MOST_MEDIUM)]
        {
            let (mut control, mut talker) = (GainControl::new(level), Talker::new());
            assert_no_alloc(|| {
                for _ in 0..2000 {
                    let (mut block, heard) = talker.next(-55.0, -100.0);
                    let before = block;
                    control.process(&mut block, heard);
                    assert!(level != Level::Off || block == before);
                }
            });
            assert!((control.gain - most).abs() < CLOSE, "{level:?}: {}", control.gain);
            control.reset();
            assert_eq!((control.gain, control.spoken), (0.0, 0));
        }
    }
}
