//! Which of the microphone's channels is heard.
//!
//! An I2S microphone fills one slot of two, and the other is 0 or a constant: the choice goes by
//! power after the high-pass. A change of channel changes the echo path, so it needs a clear and
//! lasting advantage; away from a dead slot it is quick.

use super::Channel;
use crate::base::unit::Rate;

/// Channels looked at; a card with more is read up to here. Boards have up to 8.
pub(super) const CHANNELS: usize = 8;
/// Length of one comparison: 100 ms hold several periods of any voice.
const WINDOWS_A_SECOND: u32 = 10;
/// Power ratio of a better channel: 3 dB, above the spread of equal microphones.
const BETTER: f64 = 2.0;
/// Power ratio at which the current channel counts as dead: 30 dB.
const DEAD: f64 = 1000.0;
/// Windows a better channel must lead before it is taken: 5 s.
const WINDOWS_BETTER: u32 = 50;
/// Windows until a dead channel is left: 200 ms.
const WINDOWS_DEAD: u32 = 2;
/// Mean power below which a window says nothing: -100 dBFS, the floor of good microphones.
const FLOOR: f64 = 1e-10;

/// Chooses a channel, frame by frame.
#[derive(Debug, Clone)]
pub(super) struct Picker {
    rule: Channel,
    channels: usize,
    window: u32,
    /// Frames in the present window.
    frames: u32,
    power: [f64; CHANNELS],
    current: usize,
    /// Windows in a row in which another channel led.
    led: u32,
    /// Nothing was heard yet: the first window that says something decides at once.
    fresh: bool,
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
            power: [0.0; CHANNELS],
            current,
            led: 0,
            fresh: true,
        }
    }

    /// One mono sample from one high-passed frame.
    pub(super) fn pick(&mut self, frame: &[f32]) -> f32 {
        let frame = &frame[..frame.len().min(self.channels)];
        match self.rule {
            Channel::Mix => {
                let count = frame.len().max(1) as f32;
                frame.iter().sum::<f32>() / count
            }
            Channel::Number(_) => frame.get(self.current).copied().unwrap_or(0.0),
            Channel::Auto => {
                for (sum, x) in self.power.iter_mut().zip(frame) {
                    *sum += f64::from(x * x);
                }
                self.frames += 1;
                if self.frames >= self.window {
                    self.decide();
                }
                frame.get(self.current).copied().unwrap_or(0.0)
            }
        }
    }

    fn decide(&mut self) {
        let power = std::mem::take(&mut self.power);
        let floor = FLOOR * f64::from(std::mem::take(&mut self.frames));
        let mut best = self.current;
        for channel in 0..self.channels {
            if power[channel] > power[best] {
                best = channel;
            }
        }
        let ratio = power[best] / power[self.current].max(floor);
        if power[best] <= floor || best == self.current || ratio < BETTER {
            self.led = 0;
            self.fresh &= power[best] <= floor;
            return;
        }
        self.led += 1;
        let needed = if ratio > DEAD { WINDOWS_DEAD } else { WINDOWS_BETTER };
        if self.fresh || self.led >= needed {
            self.current = best;
            self.led = 0;
            self.fresh = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Rate = Rate(16_000);

    /// Noise of the given amplitude per channel for `seconds`; the last mono sample of each window.
    fn run(picker: &mut Picker, amplitudes: &[f32], seconds: f64) -> f32 {
        let mut last = 0.0;
        for i in 0..(f64::from(RATE.0) * seconds) as u32 {
            let sign = if i % 2 == 0 { 1.0 } else { -1.0 };
            let frame: Vec<f32> = amplitudes.iter().map(|a| a * sign).collect();
            last = picker.pick(&frame).abs();
        }
        last
    }

    #[test]
    fn an_empty_slot_is_left_at_once() {
        for slots in [[0.0, 0.1], [0.1, 0.0]] {
            let mut picker = Picker::new(Channel::Auto, 2, RATE);
            assert_eq!(run(&mut picker, &slots, 0.15), 0.1, "{slots:?}");
        }
    }

    #[test]
    fn a_better_channel_must_lead_for_five_seconds() {
        let mut picker = Picker::new(Channel::Auto, 2, RATE);
        run(&mut picker, &[0.1, 0.05], 1.0);
        assert_eq!(run(&mut picker, &[0.1, 0.2], 4.0), 0.1);
        assert_eq!(run(&mut picker, &[0.1, 0.2], 1.5), 0.2);
        assert_eq!(run(&mut picker, &[0.12, 0.1], 20.0), 0.1, "1.6 dB are not enough");
    }

    #[test]
    fn a_channel_that_dies_is_left_in_half_a_second() {
        let mut picker = Picker::new(Channel::Auto, 2, RATE);
        run(&mut picker, &[0.1, 0.09], 1.0);
        assert_eq!(run(&mut picker, &[0.0, 0.09], 0.5), 0.09);
    }

    #[test]
    fn silence_changes_nothing() {
        let mut picker = Picker::new(Channel::Auto, 2, RATE);
        run(&mut picker, &[0.05, 0.1], 0.2);
        run(&mut picker, &[0.000_001, 0.0], 10.0);
        assert_eq!(picker.current, 1);
    }

    #[test]
    fn mix_and_number_do_what_they_say() {
        assert_eq!(Picker::new(Channel::Mix, 2, RATE).pick(&[0.2, 0.4]), 0.3);
        assert_eq!(Picker::new(Channel::Number(1), 2, RATE).pick(&[0.2, 0.4]), 0.4);
        // A number the card does not have is its last channel.
        assert_eq!(Picker::new(Channel::Number(7), 2, RATE).pick(&[0.2, 0.4]), 0.4);
    }
}
