//! Random values for the examples.

pub(crate) struct Noise(pub(crate) u32);

impl Noise {
    /// Returns a value of a distribution close to the normal one.
    pub(crate) fn next(&mut self) -> f32 {
        let uniform = |()| {
            self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (self.0 >> 8) as f32 / 16_777_216.0
        };
        [(); 12].map(uniform).iter().sum::<f32>() - 6.0
    }

    pub(crate) fn values(&mut self, count: usize) -> Vec<f32> {
        (0..count).map(|_| self.next()).collect()
    }
}
