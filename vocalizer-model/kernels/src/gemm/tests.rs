//! Products in every precision against their definition, computed in f64 from the unpacked matrix.

use proptest::prelude::*;
use pulp::WithSimd;

use super::*;

const FEWER_BITS: [Precision; 3] = [Precision::Bf16, Precision::Int16, Precision::Int8];

/// A product of a small matrix with columns whose terms overlap in memory, as those of a convolution do.
struct Case {
    rows: usize,
    terms: usize,
    columns: usize,
    weights: Vec<f32>,
    values: Vec<f32>,
    offsets: Vec<usize>,
}

impl Case {
    fn random(rows: usize, terms: usize, columns: usize, seed: u32) -> Self {
        let mut noise = Noise(seed);
        let stride = columns.next_multiple_of(48) + 7;
        let offsets = (0..terms).map(|term| term / 3 * stride + term % 3).collect();
        let mut some = |count: usize| (0..count).map(|_| noise.normal()).collect();
        Self { rows, terms, columns, weights: some(rows * terms), values: some((terms / 3 + 1) * stride + 2), offsets }
    }

    fn term(&self, term: usize, column: usize) -> f32 {
        self.values[self.offsets[term] + column]
    }

    fn set(&mut self, term: usize, column: usize, value: f32) {
        self.values[self.offsets[term] + column] = value;
    }

    fn weight(&self, row: usize, term: usize) -> f32 {
        self.weights[row * self.terms + term]
    }

    /// Returns the product `[rows, columns]`, added to `before`.
    fn run(&self, precision: Precision, before: Option<f32>) -> Vec<f32> {
        let packed = pack_as(precision, self.rows, self.terms, |row, term| self.weight(row, term));
        let panels = Panels::new(&packed, self.rows, self.terms);
        assert_eq!(panels.precision, precision.fit(self.rows, self.terms));
        self.multiply(panels, before)
    }

    fn multiply(&self, panels: Panels<'_>, before: Option<f32>) -> Vec<f32> {
        struct Run<'a>(&'a Case, Panels<'a>, Option<f32>);
        impl WithSimd for Run<'_> {
            type Output = Vec<f32>;
            #[inline(always)]
            fn with_simd<S: Simd>(self, simd: S) -> Vec<f32> {
                let Self(case, panels, before) = self;
                let stride = row_stride::<S>(case.columns, 0);
                let mut out = vec![before.unwrap_or(f32::NAN); panels.padded_rows() * stride];
                let input = Terms { values: &case.values, offsets: &case.offsets };
                // The columns that are computed beside the wanted ones must exist.
                assert!(case.values.len() >= case.offsets.iter().max().unwrap() + case.columns.next_multiple_of(16));
                product(simd, panels, input, case.columns, &mut out, stride, before.is_some());
                out.chunks(stride).take(case.rows).flat_map(|row| row[..case.columns].to_vec()).collect()
            }
        }
        dispatch(Run(self, panels, before))
    }

    /// Returns the case with the operands that a product in bf16 multiplies.
    fn rounded(&self, precision: Precision) -> Self {
        let of = |values: &[f32], rounds: bool| values.iter().map(|&v| if rounds { nearest(v) } else { v }).collect();
        let is_bf16 = precision.fit(self.rows, self.terms) == Precision::Bf16;
        let weights = of(&self.weights, is_bf16);
        let values = of(&self.values, is_bf16 && precision.instructions().is_some());
        Self { weights, values, offsets: self.offsets.clone(), ..*self }
    }

    /// Returns the product by the definition, of [`Self::rounded`] operands, and the size of what is added as a measure for
    /// rounding.
    fn defined(&self, precision: Precision, row: usize, column: usize) -> [f64; 2] {
        let mut sums = [0.0; 2];
        let mut add = |value: f64, size: f64| {
            sums[0] += value;
            sums[1] += size;
        };
        let precision = precision.fit(self.rows, self.terms);
        let rounds_input = precision.instructions().is_some();
        let weights: Vec<f32> = (0..self.terms).map(|term| self.weight(row, term)).collect();
        let terms: Vec<f32> = (0..self.terms).map(|term| self.term(term, column)).collect();
        match precision {
            Precision::F32 | Precision::Bf16 => {
                for (&w, &x) in weights.iter().zip(&terms) {
                    let product = f64::from(w) * f64::from(x);
                    add(product, product.abs());
                }
            }
            Precision::Int16 | Precision::Int8 => {
                let are_bytes = precision == Precision::Int8;
                let most_weight = if are_bytes { 127.0 } else { 2047.0 };
                // Without instructions for bytes, inputs have 13 bits.
                let most_input =
                    if are_bytes && precision.instructions() != Some("avx2-int16") { 254.0 } else { 8190.0 };
                for (weights, terms) in weights.chunks(groups::GROUP).zip(terms.chunks(groups::GROUP)) {
                    let scale = weights.iter().fold(0.0, |most: f32, w| most.max(w.abs())) / most_weight;
                    let integer = |w: &f32| if scale == 0.0 { 0.0 } else { f64::from((w / scale).round_ties_even()) };
                    let [low, high] =
                        [f32::min, f32::max].map(|end| terms.iter().fold(0.0, |most: f32, &x| end(most, x)));
                    let is_used = high - low > 1e-30;
                    let factor = if is_used { most_input / (high - low) } else { 0.0 };
                    let step = if is_used { (high - low) / most_input } else { 0.0 };
                    let zero = (-f64::from(low) * f64::from(factor)).round_ties_even();
                    let all: f64 = weights.iter().map(|w| integer(w).abs()).sum();
                    let (mut value, mut size) = (0.0, 0.0);
                    for (w, &x) in weights.iter().zip(terms) {
                        let byte = (f64::from(x) * f64::from(factor) + zero).round_ties_even();
                        assert!((0.0..f64::from(most_input) + 2.0).contains(&byte));
                        let x = if rounds_input { f64::from(step) * (byte - zero) } else { f64::from(x) };
                        let product = f64::from(scale) * integer(w) * x;
                        value += product;
                        size += product.abs();
                    }
                    if rounds_input {
                        // What the zero point adds is subtracted later.
                        size += f64::from(scale) * f64::from(step) * f64::from(most_input) * all;
                    }
                    add(value, size);
                }
            }
        }
        sums
    }

    fn check(&self, precision: Precision, before: Option<f32>) {
        let made = self.run(precision, before);
        let rounded = self.rounded(precision);
        for row in 0..self.rows {
            for column in 0..self.columns {
                let [value, size] = rounded.defined(precision, row, column);
                let (value, made) =
                    (value + f64::from(before.unwrap_or(0.0)), f64::from(made[row * self.columns + column]));
                let bound = 1e-5 * (size + f64::from(before.unwrap_or(0.0))) + 1e-36;
                assert!((value - made).abs() <= bound, "{precision:?} [{row}, {column}]: {made} instead of {value}");
            }
        }
    }

    /// Returns the ratio of signal to error of a product, in decibels.
    fn decibels(&self, precision: Precision) -> f64 {
        let (mut signal, mut error) = (0.0, 0.0);
        for (index, made) in self.run(precision, None).into_iter().enumerate() {
            let [exact, _] = self.defined(Precision::F32, index / self.columns, index % self.columns);
            signal += exact * exact;
            error += (exact - f64::from(made)).powi(2);
        }
        10.0 * (signal / error).log10()
    }
}

/// Rounds to bf16 in another way than the packed weights are.
fn nearest(value: f32) -> f32 {
    if value.is_subnormal() {
        return 0.0;
    }
    let exponent = f64::from(value.abs()).log2().floor();
    if value == 0.0 || !value.is_finite() {
        return value;
    }
    let step = (exponent - 7.0).exp2();
    ((f64::from(value) / step).round_ties_even() * step) as f32
}

pub(crate) struct Noise(pub(crate) u32);

impl Noise {
    /// Returns a value of a distribution close to the normal one.
    pub(crate) fn normal(&mut self) -> f32 {
        let uniform = |()| {
            self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (self.0 >> 8) as f32 / 16_777_216.0
        };
        [(); 12].map(uniform).iter().sum::<f32>() - 6.0
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn products_follow_their_definition(
        rows in 1_usize..90,
        terms in prop_oneof![1_usize..40, 120_usize..140, 1_usize..700],
        columns in 1_usize..120,
        seed: u32,
        adds: bool,
    ) {
        let case = Case::random(rows, terms, columns, seed);
        for precision in Precision::ALL {
            case.check(precision, adds.then_some(0.25));
        }
    }

    #[test]
    fn any_finite_value_follows_the_definition(
        values in prop::collection::vec(-1e18_f32..1e18, 60),
        exponents in prop::collection::vec(-60_i32..1, 60),
        seed: u32,
    ) {
        let mut case = Case::random(33, 150, 20, seed);
        for (i, (value, exponent)) in values.iter().zip(exponents).enumerate() {
            case.set(i * 2, i % 20, value * (exponent as f32).exp2());
            case.weights[i * 70] = values[59 - i] * 1e-18;
        }
        for precision in Precision::ALL {
            case.check(precision, None);
        }
    }
}

#[test]
fn large_product_of_several_blocks_follows_the_definition() {
    let case = Case::random(250, 1100, 101, 5);
    for precision in FEWER_BITS {
        case.check(precision, None);
    }
}

#[test]
fn parts_of_rows_and_terms_add_up() {
    let case = Case::random(48, 300, 50, 6);
    for precision in Precision::ALL {
        let whole = case.run(precision, Some(0.0));
        let packed = pack_as(precision, 48, 300, |row, term| case.weight(row, term));
        let panels = Panels::new(&packed, 48, 300);
        let mut sums = vec![0.0; whole.len()];
        for [first, count] in [[0, 128], [128, 172]] {
            for row in [0, 24] {
                let part = Case {
                    rows: 24,
                    terms: count,
                    weights: Vec::new(),
                    values: case.values.clone(),
                    offsets: case.offsets[first..first + count].to_vec(),
                    ..case
                };
                let made = part.multiply(panels.some_rows(row, 24).some_terms(first, count), None);
                sums[row * 50..][..made.len()].iter_mut().zip(made).for_each(|(sum, v)| *sum += v);
            }
        }
        let apart = whole.iter().zip(&sums).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(apart < 1e-4, "{precision:?}: {apart}");
    }
}

#[test]
fn loss_is_small() {
    let case = Case::random(64, 768, 64, 7);
    let bf16 = case.decibels(Precision::Bf16);
    let int16 = case.decibels(Precision::Int16);
    let int8 = case.decibels(Precision::Int8);
    assert!(bf16 > 50.0 && int16 > 62.0 && int8 > 38.0, "{bf16} dB, {int16} dB, {int8} dB");
}

#[test]
fn large_values_cost_accuracy_only_in_their_column_and_group() {
    let mut case = Case::random(64, 768, 64, 8);
    // A channel whose weights are zero, with a value as large as a thousand others.
    for row in 0..64 {
        case.weights[row * 768 + 300] = 0.0;
    }
    let clean = case.decibels(Precision::Int8);
    case.offsets[300] = case.values.len();
    case.values.extend([0.0; 64]);
    case.set(300, 5, 1000.0);
    // One column of 64 has lost one group of six.
    let decibels = case.decibels(Precision::Int8);
    assert!(decibels > 24.0 && decibels <= clean, "{decibels} dB instead of {clean}");
}

#[test]
fn nan_and_infinities_reach_their_column_only() {
    for precision in Precision::ALL {
        let case = Case::random(40, 200, 60, 9);
        let before = case.run(precision, None);
        for special in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            // A term with memory of its own, so that the value is in one column.
            let mut case = Case::random(40, 200, 60, 9);
            let column: Vec<f32> =
                (0..80).map(|i| case.values.get(case.offsets[150] + i).copied().unwrap_or(0.0)).collect();
            case.offsets[150] = case.values.len();
            case.values.extend(column);
            case.set(150, 17, special);
            let made = case.run(precision, None);
            for (index, (made, before)) in made.iter().zip(&before).enumerate() {
                if index % 60 == 17 {
                    assert!(!made.is_finite(), "{precision:?} {special}: {made}");
                } else {
                    assert_eq!(made, before, "{precision:?} {special}, {index}");
                }
            }
        }
    }
}

#[test]
fn nan_in_weights_reaches_its_row_only() {
    for precision in Precision::ALL {
        let mut case = Case::random(40, 200, 60, 10);
        let before = case.run(precision, None);
        for special in [f32::NAN, f32::INFINITY] {
            case.weights[7 * 200 + 150] = special;
            for (index, (made, before)) in case.run(precision, None).iter().zip(&before).enumerate() {
                if index / 60 == 7 {
                    assert!(!made.is_finite(), "{precision:?} {special}: {made}");
                } else {
                    assert_eq!(made, before, "{precision:?} {special}, {index}");
                }
            }
        }
    }
}

#[test]
fn zeros_and_denormal_numbers_give_zero() {
    for precision in FEWER_BITS {
        for tiny in [0.0, 1e-40, -1e-40] {
            let mut case = Case::random(40, 200, 60, 11);
            case.values.fill(tiny);
            assert!(case.run(precision, None).iter().all(|v| v.abs() < 1e-36), "{precision:?}, {tiny}");
            let mut case = Case::random(40, 200, 60, 11);
            case.weights.fill(tiny);
            assert!(case.run(precision, None).iter().all(|v| v.abs() < 1e-36), "{precision:?}, {tiny}");
        }
    }
}

#[test]
fn lengths_of_packed_matrices_tell_their_precision() {
    for terms in (1..3000).chain([4096, 10_000]) {
        for rows in [1, 31, 32, 100] {
            let lengths = Precision::ALL.map(|precision| precision.fit(rows, terms).words(terms));
            let fits = Precision::ALL.map(|precision| precision.fit(rows, terms));
            if fits[1] == Precision::Bf16 {
                assert!(
                    lengths.iter().all(|len| lengths.iter().filter(|other| *other == len).count() == 1),
                    "{rows} × {terms}"
                );
            } else {
                assert_eq!(fits, [Precision::F32; 4]);
            }
        }
    }
}
