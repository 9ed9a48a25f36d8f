//! Which of the microphone's channels is heard.
//!
//! An I2S microphone fills one slot of two, and the other is 0 or a constant: a slot is dead by its
//! power after the high-pass. Of those that live the one with the best speech-to-noise ratio is
//! taken. A change of channel changes the echo's path and is heard, so it needs a clear and lasting
//! advantage and waits for a pause; away from a dead slot it is quick. While the speaker plays,
//! nothing is compared: the microphone beside it would win.

use super::Channel;
use crate::base::unit::Rate;
use crate::dsp::meter::power;

/// Channels looked at; a card with more is read up to here. Boards have up to 8.
pub(super) const CHANNELS: usize = 8;
/// Length of one comparison: 100 ms hold several periods of any voice.
const WINDOWS_A_SECOND: u32 = 10;
/// Ratio of a better channel: 3 dB, above the spread of equal microphones.
const BETTER: f64 = 2.0;
/// Power ratio to the loudest at which a channel counts as dead: 30 dB.
const DEAD: f64 = 1000.0;
/// Windows a better channel must lead before it is taken: 5 s.
const WINDOWS_BETTER: u32 = 50;
/// Windows until a dead channel is left: 200 ms.
const WINDOWS_DEAD: u32 = 2;
/// Mean power below which a window says nothing: -100 dBFS, the floor of good microphones.
const FLOOR: f64 = 1e-10;
/// How fast the noise of a channel may rise, a window: 1 dB a second. It falls at once.
const NOISE_RISE: f64 = 1.023;
/// Power above the noise from which a window is speech: 9 dB.
const SPEECH: f64 = 8.0;
/// Rate at which the level of speech follows, a window of it: 1 s.
const SPEECH_FOLLOW: f64 = 0.1;
/// Windows of speech needed before channels are compared: 1 s.
const SPEECH_MIN: u32 = 10;

/// What is known of a channel.
#[derive(Debug, Clone, Copy, Default)]
struct Ear {
    /// Energy in the present window.
    sum: f64,
    /// Mean power of the window before.
    power: f64,
    noise: f64,
    speech: f64,
    /// Windows in a row in which it was dead.
    dead: u32,
}

impl Ear {
    fn lives(&self) -> bool {
        self.dead < WINDOWS_DEAD
    }

    fn quality(&self) -> f64 {
        self.speech / self.noise.max(FLOOR)
    }
}

/// Chooses a channel.
#[derive(Debug, Clone)]
pub(super) struct Picker {
    rule: Channel,
    channels: usize,
    window: u32,
    /// Frames in the present window.
    frames: u32,
    ears: [Ear; CHANNELS],
    current: usize,
    /// Windows in a row in which another channel led.
    led: u32,
    /// Windows of speech, up to what is needed.
    spoken: u32,
    /// Nothing was heard yet: the first window that says something decides at once.
    fresh: bool,
    held: bool,
    moved: bool,
}

impl Picker {
    /// A picker for frames of `channels` at `rate`.
    pub(super) fn new(rule: Channel, channels: u16, rate: Rate) -> Self {
        let channels = usize::from(channels).clamp(1, CHANNELS);
        let current = match rule {
            Channel::Number(n) => usize::from(n).min(channels - 1),
            Channel::Auto | Channel::Mix => 0,
        };
        Self {
            rule,
            channels,
            window: (rate.0 / WINDOWS_A_SECOND).max(1),
            frames: 0,
            ears: [Ear::default(); CHANNELS],
            current,
            led: 0,
            spoken: 0,
            fresh: true,
            held: false,
            moved: false,
        }
    }

    /// Whether the speaker plays.
    pub(super) fn hold(&mut self, held: bool) {
        self.held = held;
    }

    /// Whether other channels are heard than when this was last asked.
    pub(super) fn moved(&mut self) -> bool {
        std::mem::take(&mut self.moved)
    }

    /// Mono sound from high-passed channels of one length. A window that ends is decided first.
    pub(super) fn pick(&mut self, lanes: &[Vec<f32>], mono: &mut Vec<f32>) {
        let compares = self.channels > 1 && !matches!(self.rule, Channel::Number(_));
        let frames = lanes.first().map_or(0, Vec::len);
        let mut at = 0;
        while at < frames {
            let count = (frames - at).min((self.window - self.frames) as usize);
            let run = at..at + count;
            at += count;
            if compares {
                for (ear, lane) in self.ears.iter_mut().zip(lanes) {
                    ear.sum += f64::from(power(&lane[run.clone()])) * count as f64;
                }
                self.frames += count as u32;
                if self.frames == self.window {
                    self.decide();
                }
            }
            if self.rule == Channel::Mix {
                let ears = lanes.iter().zip(&self.ears).filter(|(_, ear)| ear.lives());
                mix(ears.map(|(lane, _)| &lane[run.clone()]), mono);
            } else if let Some(lane) = lanes.get(self.current) {
                mono.extend_from_slice(&lane[run]);
            }
        }
    }

    /// At the end of a window.
    fn decide(&mut self) {
        let frames = f64::from(std::mem::take(&mut self.frames));
        let ears = &mut self.ears[..self.channels];
        for ear in ears.iter_mut() {
            ear.power = std::mem::take(&mut ear.sum) / frames;
        }
        let top = ears.iter().fold(0.0f64, |top, ear| top.max(ear.power));
        if top <= FLOOR {
            return;
        }
        let mut changed = false;
        for ear in ears.iter_mut() {
            let lived = ear.lives();
            ear.dead = match ear.power * DEAD < top {
                true if self.fresh => WINDOWS_DEAD,
                true => ear.dead.saturating_add(1),
                false => 0,
            };
            changed |= lived != ear.lives();
        }
        if self.rule == Channel::Mix {
            self.moved |= changed;
        } else if self.fresh {
            self.take(|ear| ear.power);
        } else if !self.ears[self.current].lives() {
            self.take(Ear::quality);
        } else if !self.held {
            self.compare();
        }
        self.fresh = false;
    }

    /// Learns what speech and noise are in each channel, and takes a clearly better one.
    fn compare(&mut self) {
        let ears = &mut self.ears[..self.channels];
        for ear in ears.iter_mut() {
            let risen = if ear.noise > 0.0 { ear.noise * NOISE_RISE } else { ear.power };
            ear.noise = ear.power.min(risen);
        }
        let loud = ears.iter().any(|ear| ear.power > SPEECH * ear.noise.max(FLOOR));
        if loud {
            self.spoken = (self.spoken + 1).min(SPEECH_MIN);
            let follow = SPEECH_FOLLOW.max(1.0 / f64::from(self.spoken));
            for ear in ears.iter_mut() {
                ear.speech += follow * (ear.power - ear.speech);
            }
        }
        let now = self.ears[self.current].quality();
        let best = self.best(Ear::quality);
        let better = self.spoken >= SPEECH_MIN && self.ears[best].quality() > BETTER * now;
        self.led = if better { self.led + 1 } else { 0 };
        if self.led >= WINDOWS_BETTER && !loud {
            self.take(Ear::quality);
        }
    }

    /// Takes the channel that is the best by `rank`.
    fn take(&mut self, rank: impl Fn(&Ear) -> f64) {
        let best = self.best(rank);
        self.moved |= best != self.current;
        self.current = best;
        self.led = 0;
    }

    /// The best of those that live; the present one among equals.
    fn best(&self, rank: impl Fn(&Ear) -> f64) -> usize {
        let mut best = self.current;
        for (i, ear) in self.ears[..self.channels].iter().enumerate() {
            let there = &self.ears[best];
            if ear.lives() && (!there.lives() || rank(ear) > rank(there)) {
                best = i;
            }
        }
        best
    }
}

/// Appends the mean of channels of one length.
pub(super) fn mix<'a>(lanes: impl Iterator<Item = &'a [f32]>, mono: &mut Vec<f32>) {
    let from = mono.len();
    let mut count = 0.0f32;
    for lane in lanes {
        if count == 0.0 {
            mono.extend_from_slice(lane);
        } else {
            mono[from..].iter_mut().zip(lane).for_each(|(sum, x)| *sum += x);
        }
        count += 1.0;
    }
    if count > 1.0 {
        mono[from..].iter_mut().for_each(|sum| *sum /= count);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Rate = Rate(16_000);

    /// Speech (200 ms in 500) and noise of these amplitudes per channel for `seconds`; the size of
    /// the last mono sample, which is one of speech.
    fn run(picker: &mut Picker, speech: &[f32], noise: &[f32], seconds: f64) -> f32 {
        let mut last = 0.0;
        for i in 0..(f64::from(RATE.0) * seconds) as u32 {
            let sign = if i % 2 == 0 { 1.0 } else { -1.0 };
            let sound = if i % 8000 >= 4800 { speech } else { noise };
            let frame: Vec<f32> = sound.iter().map(|a| a * sign).collect();
            last = pick(picker, &frame).abs();
        }
        last
    }

    fn pick(picker: &mut Picker, frame: &[f32]) -> f32 {
        let lanes: Vec<Vec<f32>> = frame.iter().map(|x| vec![*x]).collect();
        let mut mono = Vec::new();
        picker.pick(&lanes, &mut mono);
        assert_eq!(mono.len(), 1);
        mono[0]
    }

    fn auto(channels: u16) -> Picker {
        Picker::new(Channel::Auto, channels, RATE)
    }

    #[test]
    fn an_empty_slot_is_left_at_once() {
        for slots in [[0.0, 0.1], [0.1, 0.0]] {
            let mut picker = auto(2);
            assert_eq!(run(&mut picker, &slots, &slots, 0.15), 0.1, "{slots:?}");
        }
    }

    #[test]
    fn a_better_channel_must_lead_for_five_seconds() {
        let mut picker = auto(2);
        let noise = [0.002, 0.002];
        assert_eq!(run(&mut picker, &[0.1, 0.05], &noise, 5.0), 0.1);
        assert!(picker.current == 0);
        assert_eq!(run(&mut picker, &[0.1, 0.3], &noise, 4.0), 0.1);
        assert_eq!(run(&mut picker, &[0.1, 0.3], &noise, 4.0), 0.3);
        assert!(picker.moved() && !picker.moved());
        assert_eq!(run(&mut picker, &[0.36, 0.3], &noise, 20.0), 0.3, "1.6 dB are not enough");
    }

    #[test]
    fn louder_is_not_better() {
        // Both have 34 dB of speech over noise.
        let mut picker = auto(2);
        run(&mut picker, &[0.3, 0.1], &[0.006, 0.002], 20.0);
        assert_eq!(picker.current, 0);
        // The louder one is beside a fan.
        let mut picker = auto(2);
        run(&mut picker, &[0.1, 0.05], &[0.02, 0.001], 3.0);
        assert_eq!(picker.current, 0);
        run(&mut picker, &[0.1, 0.05], &[0.02, 0.001], 6.0);
        assert_eq!(picker.current, 1);
    }

    #[test]
    fn nothing_is_compared_while_the_speaker_plays() {
        let mut picker = auto(2);
        run(&mut picker, &[0.1, 0.05], &[0.002, 0.002], 3.0);
        picker.hold(true);
        run(&mut picker, &[0.1, 0.5], &[0.002, 0.002], 20.0);
        assert_eq!(picker.current, 0);
        run(&mut picker, &[0.0, 0.5], &[0.0, 0.002], 1.0);
        assert_eq!(picker.current, 1, "a dead channel is left all the same");
    }

    #[test]
    fn the_best_of_eight_is_found_and_the_dead_do_not_count() {
        let mut picker = auto(8);
        let mut speech = [0.05; 8];
        let mut noise = [0.002; 8];
        (speech[5], speech[2], noise[2]) = (0.2, 0.0, 0.0);
        run(&mut picker, &speech, &noise, 12.0);
        assert_eq!(picker.current, 5);
    }

    #[test]
    fn a_channel_that_dies_is_left_in_half_a_second() {
        let mut picker = auto(2);
        run(&mut picker, &[0.1, 0.09], &[0.002, 0.002], 1.0);
        assert_eq!(run(&mut picker, &[0.0, 0.09], &[0.0, 0.09], 0.5), 0.09);
        assert!(picker.moved());
    }

    #[test]
    fn silence_changes_nothing() {
        let mut picker = auto(2);
        run(&mut picker, &[0.05, 0.1], &[0.05, 0.1], 0.2);
        run(&mut picker, &[0.000_001, 0.0], &[0.0, 0.000_001], 10.0);
        assert_eq!(picker.current, 1);
    }

    #[test]
    fn mix_and_number_do_what_they_say() {
        let pick = |rule| pick(&mut Picker::new(rule, 2, RATE), &[0.2, 0.4]);
        assert!((pick(Channel::Mix) - 0.3).abs() < 1e-6);
        assert_eq!(pick(Channel::Number(1)), 0.4);
        // A number the card does not have is its last channel.
        assert_eq!(pick(Channel::Number(7)), 0.4);
    }

    #[test]
    fn an_empty_slot_does_not_halve_the_mix() {
        let mut picker = Picker::new(Channel::Mix, 3, RATE);
        let sound = [0.2, 0.0, 0.4];
        assert!((run(&mut picker, &sound, &sound, 0.2) - 0.3).abs() < 1e-6);
        assert!(picker.moved());
        run(&mut picker, &[0.2, 0.3, 0.4], &[0.2, 0.3, 0.4], 0.2);
        assert!(picker.moved(), "it came back");
    }
}
