//! The frequency bands.

/// A band: consecutive bins of the spectrum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Band {
    /// First bin.
    pub(crate) first: usize,
    /// Number of bins.
    pub(crate) bins: usize,
}

impl Band {
    /// Returns the values of a frame in this band: real and imaginary parts of two channels.
    pub(crate) fn features(self) -> usize {
        4 * self.bins
    }
}

/// The widths of BS-RoFormer's bands if its configuration has none: 62 bands of the 1,025 bins of 2,048 points.
pub(super) fn default_widths() -> Vec<usize> {
    [(2, 24), (4, 12), (12, 8), (24, 8), (48, 8), (128, 1), (129, 1)]
        .iter()
        .flat_map(|&(width, times)| std::iter::repeat_n(width, times))
        .collect()
}

/// Returns consecutive bands of these widths.
pub(super) fn consecutive(widths: &[usize]) -> Vec<Band> {
    let mut first = 0;
    widths
        .iter()
        .map(|&bins| {
            let band = Band { first, bins };
            first += bins;
            band
        })
        .collect()
}

/// Returns bands equally spaced on Slaney's mel scale: the bins where a band's triangle is above zero, and the first and
/// the last bin. `None` if a band has no bins, or bins apart from each other.
pub(super) fn mel(count: usize, nfft: usize, rate_hz: u32) -> Option<Vec<Band>> {
    #[expect(clippy::cast_precision_loss, reason = "counts below 2^53")]
    let float = |n: usize| n as f64;
    let nyquist = f64::from(rate_hz) / 2.0;
    let step = mel_of(nyquist) / float(count + 1);
    let corner = |index: usize| hz_of(step * float(index));
    let last = nfft / 2;
    let hz = |bin: usize| nyquist * float(bin) / float(last);
    (0..count)
        .map(|band| {
            let [low, middle, high] = [band, band + 1, band + 2].map(corner);
            let is_inside = |bin: usize| {
                let (up, down) = ((hz(bin) - low) / (middle - low), (high - hz(bin)) / (high - middle));
                up.min(down) > 0.0 || (band == 0 && bin == 0) || (band == count - 1 && bin == last)
            };
            let first = (0..=last).find(|&bin| is_inside(bin))?;
            let bins = (first..=last).take_while(|&bin| is_inside(bin)).count();
            (first + bins..=last).all(|bin| !is_inside(bin)).then_some(Band { first, bins })
        })
        .collect()
}

/// Linear to 1 kHz, logarithmic above.
fn mel_of(hz: f64) -> f64 {
    if hz < 1000.0 { 3.0 * hz / 200.0 } else { 15.0 + 27.0 * (hz / 1000.0).ln() / 6.4_f64.ln() }
}

fn hz_of(mel: f64) -> f64 {
    if mel < 15.0 { 200.0 * mel / 3.0 } else { 1000.0 * ((mel - 15.0) * 6.4_f64.ln() / 27.0).exp() }
}

/// Returns the number of bands of each bin.
pub(super) fn coverage(bands: &[Band], bins: usize) -> Vec<usize> {
    (0..bins)
        .map(|bin| bands.iter().filter(|band| (band.first..band.first + band.bins).contains(&bin)).count())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mel_bands_match_published_ones() {
        let widths = [
            7, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 7, 7, 7, 9, 9, 9, 10, 10, 11, 13, 13, 13, 15, 16, 17, 19, 20,
            20, 22, 24, 26, 28, 29, 31, 33, 36, 39, 41, 44, 47, 50, 54, 57, 61, 66, 71, 76, 80, 86, 93, 99, 105, 113,
            122, 130,
        ];
        let bands = mel(60, 2048, 44_100).unwrap();
        assert_eq!(bands.iter().map(|b| b.bins).collect::<Vec<_>>(), widths);
        assert_eq!(
            [bands[1].first, bands[2].first, bands[3].first, bands[58].first, bands[59].first],
            [4, 7, 10, 836, 895]
        );
        let coverage = coverage(&bands, 1025);
        assert_eq!(coverage.iter().filter(|&&n| n == 1).count(), 71);
        assert_eq!(coverage.iter().filter(|&&n| n == 2).count(), 954);
    }

    #[test]
    fn too_many_mel_bands_leave_one_empty() {
        assert_eq!(mel(500, 2048, 44_100), None);
    }

    #[test]
    fn default_bands_cover_every_bin_once() {
        let bands = consecutive(&default_widths());
        assert_eq!(bands.len(), 62);
        assert!(coverage(&bands, 1025).iter().all(|&n| n == 1));
    }
}
