//! The short-time Fourier transform and its inverse, one frame per cube.
//!
//! A frame's real samples are transformed as half as many complex ones, and the result is separated. The window and the
//! roots of unity come from tables that the host computes.

use burn_cubecl::cubecl;
use cubecl::prelude::*;

/// Units per cube.
pub(super) const UNITS: usize = 256;

/// The dimensions of a transform.
#[derive(CubeLaunch, CubeType, Clone, Copy)]
pub(super) struct Signals {
    /// Samples per signal.
    pub(super) samples: usize,
    /// Frames per signal.
    pub(super) frames: usize,
    /// Signals per item.
    pub(super) signals: usize,
    /// One over the square root of the transform's size.
    pub(super) scale: f32,
}

/// Reverses the lowest `bits` bits of `index`.
#[cube]
fn reversed(index: usize, #[comptime] bits: usize) -> usize {
    let mut from = index;
    let mut to = 0usize;
    #[unroll]
    for _ in 0..bits {
        to = (to << 1usize) | (from & 1usize);
        from >>= 1usize;
    }
    to
}

/// Transforms `points` complex values in bit-reversed order, in place. `roots` holds the cosines of a full turn in
/// `2 · points` steps, then its sines; `sign` is the sign of the exponent.
#[cube]
fn transform(re: &mut Shared<[f32]>, im: &mut Shared<[f32]>, roots: &[f32], sign: f32, #[comptime] points: usize) {
    #[unroll]
    for stage in 0..comptime!(points.ilog2() as usize) {
        let half = comptime!(1usize << stage);
        #[unroll]
        for round in 0..comptime!(points / 2 / UNITS) {
            let butterfly = round * UNITS + UNIT_POS as usize;
            let within = butterfly % half;
            let low = (butterfly / half) * comptime!(2 * half) + within;
            let high = low + half;
            let step = within * comptime!(points / half);
            let (c, s) = (roots[step], sign * roots[comptime!(2 * points) + step]);
            let turned_re = c * re[high] - s * im[high];
            let turned_im = c * im[high] + s * re[high];
            let (low_re, low_im) = (re[low], im[low]);
            re[low] = low_re + turned_re;
            im[low] = low_im + turned_im;
            re[high] = low_re - turned_re;
            im[high] = low_im - turned_im;
        }
        sync_cube();
    }
}

/// Computes spectra `[items, 2 · signals, bins, frames]` (alternating real and imaginary planes) of signals
/// `[items, signals, samples]`. Cubes are `[frames, items · signals]`. `tables`: the window, then the roots.
#[cube(launch_unchecked)]
pub(super) fn analyse(wave: &[f32], tables: &[f32], out: &mut [f32], s: Signals, #[comptime] nfft: usize) {
    let points = comptime!(nfft / 2);
    let mut re = Shared::<[f32]>::new_slice(points);
    let mut im = Shared::<[f32]>::new_slice(points);
    let (frame, signal) = (CUBE_POS_X as usize, CUBE_POS_Y as usize);
    let hop = comptime!(nfft / 4);
    let lead = comptime!(nfft / 8 * 3);
    let base = signal * s.samples;
    let roots = &tables[nfft..comptime!(3 * nfft)];
    #[unroll]
    for round in 0..comptime!(points / UNITS) {
        let index = round * UNITS + UNIT_POS as usize;
        let place = reversed(index, comptime!(points.ilog2() as usize));
        #[unroll]
        for half in 0..2 {
            let sample = 2 * index + half;
            let at = frame * hop + sample;
            // Reflected at both ends.
            let at = select(at < lead, lead - at, at - lead);
            let at = select(at < s.samples, at, 2 * (s.samples - 1) - at);
            let value = wave[base + at] * tables[sample];
            if comptime!(half == 0) {
                re[place] = value;
            } else {
                im[place] = value;
            }
        }
    }
    sync_cube();
    transform(&mut re, &mut im, roots, -1.0f32, points);
    #[unroll]
    for round in 0..comptime!(points / UNITS) {
        let bin = round * UNITS + UNIT_POS as usize;
        let other = (points - bin) % points;
        // The spectra of the even and of the odd samples.
        let even_re = 0.5 * (re[bin] + re[other]);
        let even_im = 0.5 * (im[bin] - im[other]);
        let odd_re = 0.5 * (im[bin] + im[other]);
        let odd_im = 0.5 * (re[other] - re[bin]);
        let (c, sine) = (roots[bin], 0.0f32 - roots[nfft + bin]);
        let at = (2 * signal * points + bin) * s.frames + frame;
        out[at] = s.scale * (even_re + c * odd_re - sine * odd_im);
        out[at + points * s.frames] = s.scale * (even_im + c * odd_im + sine * odd_re);
    }
}

/// Computes windowed frames `[items · signals, frames, nfft]` of spectra that were normalised with `stats`, two numbers
/// per item. Cubes are `[frames, items · signals]`.
#[cube(launch_unchecked)]
pub(super) fn synthesise<F: Float>(
    spectra: &[F],
    stats: &[f32],
    tables: &[f32],
    out: &mut [f32],
    s: Signals,
    #[comptime] nfft: usize,
    #[define(F)] _dtype: ElemType,
) {
    let points = comptime!(nfft / 2);
    let mut re = Shared::<[f32]>::new_slice(points);
    let mut im = Shared::<[f32]>::new_slice(points);
    let (frame, signal) = (CUBE_POS_X as usize, CUBE_POS_Y as usize);
    let item = signal / s.signals;
    let (mean, deviation) = (stats[2 * item], stats[2 * item + 1]);
    let roots = &tables[nfft..comptime!(3 * nfft)];
    let base = 2 * signal * points * s.frames + frame;
    let plane = points * s.frames;
    #[unroll]
    for round in 0..comptime!(points / UNITS) {
        let bin = round * UNITS + UNIT_POS as usize;
        let other = points - bin;
        let x_re = f32::cast_from(spectra[base + bin * s.frames]) * deviation + mean;
        let mut x_im = f32::cast_from(spectra[base + bin * s.frames + plane]) * deviation + mean;
        // The last bin was dropped and counts as zero.
        let mut y_re = 0.0f32;
        let mut y_im = 0.0f32;
        if bin == 0 {
            x_im = 0.0f32;
        } else {
            y_re = f32::cast_from(spectra[base + other * s.frames]) * deviation + mean;
            y_im = f32::cast_from(spectra[base + other * s.frames + plane]) * deviation + mean;
        }
        let (even_re, even_im) = (0.5 * (x_re + y_re), 0.5 * (x_im - y_im));
        let (apart_re, apart_im) = (0.5 * (x_re - y_re), 0.5 * (x_im + y_im));
        let (c, sine) = (roots[bin], roots[nfft + bin]);
        let odd_re = c * apart_re - sine * apart_im;
        let odd_im = c * apart_im + sine * apart_re;
        let place = reversed(bin, comptime!(points.ilog2() as usize));
        re[place] = even_re - odd_im;
        im[place] = even_im + odd_re;
    }
    sync_cube();
    transform(&mut re, &mut im, roots, 1.0f32, points);
    let at = (signal * s.frames + frame) * nfft;
    #[unroll]
    for round in 0..comptime!(points / UNITS) {
        let index = round * UNITS + UNIT_POS as usize;
        // A transform of half the size gives half the sum, so this doubles it.
        out[at + 2 * index] = 2.0 * s.scale * re[index] * tables[2 * index];
        out[at + 2 * index + 1] = 2.0 * s.scale * im[index] * tables[2 * index + 1];
    }
}

/// Computes signals `[items · signals, samples]`: the sum of the overlapping frames, plus the waveform from the other
/// branch, which was normalised with `stats`, two numbers per item.
#[cube(launch_unchecked)]
pub(super) fn overlap_add<F: Float>(
    windowed: &[f32],
    wave: &[F],
    stats: &[f32],
    out: &mut [f32],
    s: Signals,
    #[comptime] nfft: usize,
    #[define(F)] _dtype: ElemType,
) {
    let at = CUBE_POS_X as usize * UNITS + UNIT_POS as usize;
    let signal = CUBE_POS_Y as usize;
    if at < s.samples {
        let hop = comptime!(nfft / 4);
        let place = at + comptime!(nfft / 8 * 3);
        let last = place / hop;
        let mut sum = 0.0f32;
        #[unroll]
        for back in 0..4 {
            if last >= back && last - back < s.frames {
                let frame = last - back;
                sum += windowed[(signal * s.frames + frame) * nfft + place - frame * hop];
            }
        }
        let item = signal / s.signals;
        let of_wave = f32::cast_from(wave[signal * s.samples + at]) * stats[2 * item + 1] + stats[2 * item];
        out[signal * s.samples + at] = of_wave + sum;
    }
}

/// Normalises values to mean 0 and deviation 1 per item, for the network's input.
#[cube(launch_unchecked)]
pub(super) fn standardise<F: Float>(
    x: &[f32],
    stats: &[f32],
    out: &mut [F],
    len: usize,
    #[define(F)] _dtype: ElemType,
) {
    let of_item = CUBE_POS_X as usize * UNITS + UNIT_POS as usize;
    let item = CUBE_POS_Y as usize;
    if of_item < len {
        let at = item * len + of_item;
        out[at] = F::cast_from((x[at] - stats[2 * item]) / (1e-5 + stats[2 * item + 1]));
    }
}
