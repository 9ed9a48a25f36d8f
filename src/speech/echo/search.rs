//! Where the echo begins, when nobody says so.
//!
//! For each block of delay, the coherence between the microphone and the reference of that long
//! ago: it peaks where the direct sound is. Blocks are enough, because the filter does the rest.

use super::filter::{KEPT, LATEST};
use super::spectrum::{BINS, Spectrum};

/// Bins compared: 300-3500 Hz, where small speakers are loud and rooms are dead.
const LOW: usize = 6;
const COUNT: usize = 64;
/// Rate at which the spectra follow, once they have heard enough: 300 ms.
const FOLLOW: f32 = 0.03;
/// Audible blocks between two looks.
const LOOK: u32 = 10;
/// Audible blocks needed before the first.
const HEARD_MIN: u32 = 30;
/// Mean coherence below which there is no echo to be found: more than two unrelated voices reach.
const COHERENT: f32 = 0.12;
/// The best must be this much above the best that is not beside it.
const CLEAR: f32 = 1.4;
/// Looks in a row that must agree.
const AGREE: u32 = 2;
/// Blocks of the filter in which the echo may begin without a move.
const ROOM: usize = 3;

/// Looks for the delay.
pub(super) struct Search {
    both: Vec<[[f32; COUNT]; 2]>,
    far: [f32; COUNT],
    near: [f32; COUNT],
    heard: u32,
    last: usize,
    agreed: u32,
}

impl Search {
    pub(super) fn new() -> Self {
        Self {
            both: vec![[[0.0; COUNT]; 2]; LATEST],
            far: [0.0; COUNT],
            near: [0.0; COUNT],
            heard: 0,
            last: usize::MAX,
            agreed: 0,
        }
    }

    pub(super) fn reset(&mut self) {
        self.both.fill([[0.0; COUNT]; 2]);
        (self.far, self.near) = ([0.0; COUNT], [0.0; COUNT]);
        (self.heard, self.last, self.agreed) = (0, usize::MAX, 0);
    }

    /// Takes the microphone's spectrum and the reference's of `lag` blocks ago. Says where the
    /// filter, which begins at `first`, should begin instead.
    pub(super) fn look<'a>(
        &mut self,
        near: &Spectrum,
        far: impl Fn(usize) -> &'a Spectrum,
        first: usize,
    ) -> Option<usize> {
        self.heard = self.heard.saturating_add(1);
        let follow = FOLLOW.max(1.0 / self.heard as f32);
        let newest = far(0);
        for k in 0..COUNT {
            let power = |s: &Spectrum| s.re[LOW + k].powi(2) + s.im[LOW + k].powi(2);
            self.far[k] += follow * (power(newest) - self.far[k]);
            self.near[k] += follow * (power(near) - self.near[k]);
        }
        let (m_re, m_im) = (part(&near.re), part(&near.im));
        for (lag, [re, im]) in self.both.iter_mut().enumerate() {
            let x = far(lag);
            let (x_re, x_im) = (part(&x.re), part(&x.im));
            for k in 0..COUNT {
                re[k] += follow * (x_re[k] * m_re[k] + x_im[k] * m_im[k] - re[k]);
                im[k] += follow * (x_re[k] * m_im[k] - x_im[k] * m_re[k] - im[k]);
            }
        }
        if self.heard < HEARD_MIN || !self.heard.is_multiple_of(LOOK) {
            return None;
        }
        let found = self.peak();
        self.agreed = if found == Some(self.last) { self.agreed + 1 } else { 1 };
        self.last = found.unwrap_or(usize::MAX);
        let lag = found.filter(|_| self.agreed >= AGREE)?;
        let inside = (first..=first + ROOM).contains(&lag);
        (!inside).then(|| lag.saturating_sub(1))
    }

    fn peak(&self) -> Option<usize> {
        let inverse: [f32; COUNT] =
            std::array::from_fn(|k| 1.0 / (self.far[k] * self.near[k] + 1e-12));
        let mut scores = [0.0f32; LATEST];
        for (score, [re, im]) in scores.iter_mut().zip(&self.both) {
            for k in 0..COUNT {
                *score += (re[k] * re[k] + im[k] * im[k]) * inverse[k];
            }
            *score /= COUNT as f32;
        }
        let best = (0..LATEST).max_by(|a, b| scores[*a].total_cmp(&scores[*b]))?;
        let rival = (0..LATEST)
            .filter(|lag| lag.abs_diff(best) > 2)
            .fold(0.0f32, |top, lag| top.max(scores[lag]));
        (scores[best] > COHERENT && scores[best] > CLEAR * rival).then_some(best)
    }
}

fn part(bins: &[f32; BINS]) -> &[f32] {
    &bins[LOW..LOW + COUNT]
}

const _: () = assert!(LOW + COUNT <= BINS && LATEST <= KEPT);
