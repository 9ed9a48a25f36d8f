//! What the canceller knows about itself.

use super::power;
use crate::base::pcm::BLOCK;
use crate::base::unit::Db;

/// Share of the microphone's power the echo estimate must explain, else there is no echo worth
/// suppressing: 15 dB below.
const COUNTS: f32 = 0.03;
/// Rate at which that share follows: 1 s, longer than a filter needs after a change of the path.
const FOLLOW: f32 = 0.01;
/// Rate at which the fit of the estimate follows: 200 ms.
const FIT_FOLLOW: f32 = 0.05;
/// Part of the estimate that must be found in the microphone, else it is not subtracted: less than
/// half adds more than it takes away.
const FITS: f32 = 0.5;
/// Share of the microphone's power that is left by subtraction where the filter is in the right place:
/// 10 dB below. In a wrong one it reaches 8 dB at most, with music that repeats itself.
const PLACED: f32 = 0.1;
/// Blocks for which that is believed: 1 s. After a new chord, or while a person talks, more is left.
const PLACED_HOLD: u32 = 100;
/// Audible blocks of one measurement: 250 ms.
const WINDOW: u32 = 25;
/// Share of what a better measurement found that is believed at once.
const RISE: f32 = 0.5;
/// A worse one is believed this much: a person who talks looks like a bad filter.
const FALL: f32 = 0.03;
/// The same when the echo estimate stands in the error: that is no person.
const FALL_WRONG: f32 = 0.5;

/// Blocks after the filter was surely wrong in which the attenuation is none: 400 ms, in which it
/// learns the other path and a measurement ends.
const WRONG_HOLD: u32 = 40;

/// Levels and the echo attenuation.
#[derive(Default)]
pub(super) struct Measure {
    mic: f32,
    /// Of the microphone and the estimate, slowly.
    common: f32,
    /// The same and the estimate's own power, faster.
    fit: f32,
    echo: f32,
    /// The microphone's power, as fast as that.
    near: f32,
    /// Blocks left of the hold after subtraction took enough away.
    placed: u32,
    /// The microphone's power in the present block and the one before.
    recent: [f32; 2],
    mic_sum: f32,
    out_sum: f32,
    blocks: u32,
    wrong: bool,
    wrong_hold: u32,
    erle: f32,
}

impl Measure {
    /// Notes a block before it is suppressed.
    pub(super) fn levels(&mut self, mic: &[f32; BLOCK], echo: &[f32; BLOCK]) {
        let now = power(mic);
        let common = mic.iter().zip(echo).map(|(m, y)| m * y).sum::<f32>() / BLOCK as f32;
        self.mic += FOLLOW * (now - self.mic);
        self.common += FOLLOW * (common - self.common);
        self.fit += FIT_FOLLOW * (common - self.fit);
        self.echo += FIT_FOLLOW * (power(echo) - self.echo);
        self.near += FIT_FOLLOW * (now - self.near);
        // The power of the difference.
        let left = self.near - 2.0 * self.fit + self.echo;
        let placed = left < PLACED * self.near;
        self.placed = if placed { PLACED_HOLD } else { self.placed.saturating_sub(1) };
        self.recent = [now, self.recent[0]];
    }

    /// Whether what the estimate explains is worth suppressing.
    pub(super) fn echo_counts(&self) -> bool {
        self.common > COUNTS * self.mic
    }

    /// Whether subtracting the estimate takes more away than it adds.
    pub(super) fn echo_fits(&self) -> bool {
        self.fit >= FITS * self.echo
    }

    /// Whether the filter was of late where the echo is.
    pub(super) fn is_placed(&self) -> bool {
        self.placed > 0
    }

    /// The filter is surely wrong, or is not.
    pub(super) fn distrust(&mut self, wrong: bool) {
        self.wrong_hold = if wrong { WRONG_HOLD } else { self.wrong_hold.saturating_sub(1) };
        if wrong {
            self.placed = 0;
        }
    }

    /// Notes what came out: the block before.
    pub(super) fn result(&mut self, out: &[f32; BLOCK], audible: bool, wrong: bool) {
        self.wrong |= wrong;
        if !audible {
            return;
        }
        self.mic_sum += self.recent[1];
        self.out_sum += power(out);
        self.blocks += 1;
        if self.blocks < WINDOW {
            return;
        }
        let (mic, out) = (self.mic_sum, self.out_sum);
        let found = if mic > 0.0 { 10.0 * (mic / out.max(1e-12)).log10() } else { 0.0 };
        let rate = match () {
            () if found > self.erle => RISE,
            () if self.wrong => FALL_WRONG,
            () => FALL,
        };
        self.erle += rate * (found.clamp(0.0, 60.0) - self.erle);
        (self.mic_sum, self.out_sum, self.blocks, self.wrong) = (0.0, 0.0, 0, false);
    }

    /// Echo attenuation; none while the filter is known to be wrong.
    pub(super) fn erle(&self) -> Db {
        Db(if self.wrong_hold > 0 { 0.0 } else { self.erle })
    }
}
