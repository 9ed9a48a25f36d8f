//! Small ratios: the polyphase FIR.

use super::{EDGE, TAPS, kaiser_low_pass};

/// Taps applied at one go: each sum is then read and written once for so many. More find no registers.
const AT_ONCE: usize = 8;

/// Polyphase FIR: up by `up`, filter, down by `down`, computing only what is kept.
///
/// Outputs of one phase look at inputs that are `down` apart with the same coefficients. So the input
/// is dealt out to `down` tracks, and a coefficient works on all outputs of its phase in turn: no sum
/// goes across a register, and the compiler finds the vectors by itself. A round is `up` outputs;
/// what does not fill whole rounds is computed one by one, in the same order of additions, so that
/// the size of pieces changes no bit.
pub(super) struct Short {
    up: usize,
    down: usize,
    /// Half the filter, at the output rate.
    pub(super) delay: usize,
    /// Samples a phase looks at.
    taps: usize,
    /// `up` rows of `taps` coefficients, reversed, so that a row runs along the input: first every
    /// `down`th from the first on, then from the second.
    rows: Vec<f32>,
    /// The last `taps - 1` samples and then the piece.
    input: Vec<f32>,
    /// Of each phase: input samples to go on after its output, and the phase then.
    steps: Vec<(usize, usize)>,
    /// Of each output of a round: its phase, and the input sample at which its window begins.
    round: Vec<(usize, usize)>,
    /// The input dealt out: sample `i` is in track `i % down` at `i / down`.
    tracks: Vec<Vec<f32>>,
    /// The outputs of one phase.
    sums: Vec<f32>,
    /// Phase of the next output.
    phase: usize,
    /// Input samples to pass over before the next output.
    skip: usize,
    pub(super) max_input: usize,
}

impl Short {
    pub(super) fn new(up: usize, down: usize, max_input: usize) -> Self {
        let max_input = max_input.max(1);
        let length = TAPS * up.max(down);
        let taps = length.div_ceil(up);
        let filter = kaiser_low_pass(length, EDGE / up.max(down) as f64, up as f64);
        let mut rows = vec![0.0; up * taps];
        for (i, &h) in filter.iter().enumerate() {
            let (phase, age) = (i % up, i / up);
            let place = place(taps - 1 - age, taps, down);
            rows[phase * taps + place] = h as f32;
        }
        let mut input = Vec::with_capacity(taps - 1 + max_input);
        input.resize(taps - 1, 0.0);
        let steps = (0..up).map(|phase| ((phase + down) / up, (phase + down) % up)).collect();
        let round = (0..up).map(|i| (i * down % up, i * down / up)).collect();
        let track = if down > 1 { (taps - 1 + max_input).div_ceil(down) } else { 0 };
        let tracks = (0..down).map(|_| Vec::with_capacity(track)).collect();
        let delay = length / 2 / down;
        Self {
            up,
            down,
            delay,
            taps,
            rows,
            input,
            steps,
            round,
            tracks,
            sums: Vec::with_capacity(max_input / down),
            phase: 0,
            skip: 0,
            max_input,
        }
    }

    pub(super) fn reset(&mut self) {
        self.input.clear();
        self.input.resize(self.taps - 1, 0.0);
        self.phase = 0;
        self.skip = 0;
    }

    pub(super) fn process(&mut self, piece: &[f32], out: &mut Vec<f32>) {
        self.input.extend_from_slice(piece);
        let mut at = self.skip;
        if at == 0 && self.phase == 0 {
            at = self.rounds(piece.len() / self.down, out) * self.down;
        }
        while at < piece.len() {
            let row = &self.rows[self.phase * self.taps..][..self.taps];
            out.push(one(row, &self.input[at..][..self.taps], self.down));
            let (on, phase) = self.steps[self.phase];
            at += on;
            self.phase = phase;
        }
        self.skip = at - piece.len();
        self.input.copy_within(piece.len().., 0);
        self.input.truncate(self.taps - 1);
    }

    /// So many rounds at one go; returns how many those are.
    fn rounds(&mut self, rounds: usize, out: &mut Vec<f32>) -> usize {
        if rounds == 0 {
            return 0;
        }
        if self.down > 1 {
            for (first, track) in self.tracks.iter_mut().enumerate() {
                track.clear();
                track.extend(self.input[first..].chunks(self.down).map(|group| group[0]));
            }
        }
        let start = out.len();
        out.resize(start + rounds * self.up, 0.0);
        for (place, &(phase, first)) in self.round.iter().enumerate() {
            let row = &self.rows[phase * self.taps..][..self.taps];
            self.sums.clear();
            self.sums.resize(rounds, 0.0);
            let mut rest = row;
            for offset in first..first + self.down {
                let (taps, others) = rest.split_at(share(offset - first, self.taps, self.down));
                rest = others;
                let track =
                    if self.down > 1 { &self.tracks[offset % self.down] } else { &self.input };
                add_filtered(&mut self.sums, taps, &track[offset / self.down..]);
            }
            let round = out[start..].chunks_exact_mut(self.up);
            round.zip(&self.sums).for_each(|(round, sum)| round[place] = *sum);
        }
        rounds
    }
}

/// How many of `taps` coefficients are `down` apart from one another, from number `first` on.
const fn share(first: usize, taps: usize, down: usize) -> usize {
    (taps + down - 1 - first) / down
}

/// Where coefficient `tap` stands in its row.
fn place(tap: usize, taps: usize, down: usize) -> usize {
    (0..tap % down).map(|first| share(first, taps, down)).sum::<usize>() + tap / down
}

/// Adds to each sum the samples from its own place on, times the taps.
fn add_filtered(sums: &mut [f32], taps: &[f32], samples: &[f32]) {
    let count = sums.len();
    let (groups, rest) = taps.as_chunks::<AT_ONCE>();
    for (group, samples) in groups.iter().zip((0..).step_by(AT_ONCE).map(|at| &samples[at..])) {
        let samples: [&[f32]; AT_ONCE] = std::array::from_fn(|i| &samples[i..i + count]);
        for (i, sum) in sums.iter_mut().enumerate() {
            let taps = group.iter().zip(samples);
            *sum = taps.fold(*sum, |sum, (tap, samples)| sum + tap * samples[i]);
        }
    }
    for (tap, samples) in rest.iter().zip(samples[groups.len() * AT_ONCE..].windows(count)) {
        sums.iter_mut().zip(samples).for_each(|(sum, sample)| *sum += tap * sample);
    }
}

/// One output by itself.
fn one(row: &[f32], samples: &[f32], down: usize) -> f32 {
    let in_order = (0..down).flat_map(|first| samples[first..].iter().step_by(down));
    row.iter().zip(in_order).fold(0.0, |sum, (tap, sample)| sum + tap * sample)
}
