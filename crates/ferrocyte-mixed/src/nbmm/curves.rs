//! What the cells of a stratum give to the likelihood, as curves of one number.
//!
//! On nodes `o_m` of the offset a stratum needs `sum_m v_m ln(1 + e^t o_m)` and its first two derivatives in
//! `t = ln tau + predictor`, with weights v that count cells (the same for all genes) or counts (of a gene). As nodes are
//! shared by strata and genes, a [`Basis`] holds the curve of every node once, and the curve of any weights is a product
//! with it. All that the likelihood asks of a stratum, derivatives in tau included, is then looked up in two curves,
//! however many nodes there are.
//!
//! A curve is made of *pieces* of [`TERMS`] coefficients:
//!
//! * below the table, where `e^t o < 0.03` for every node, the power series of the logarithm in `e^t`;
//! * in steps of [`STEP`], polynomials through Chebyshev points. The curves have no singularity within π of the real axis,
//!   so that value, first and second derivative err by 1e-14, 1e-11 and 1e-9 of the sum of weights at most;
//! * above it, `ln(1 + x) = ln x + ln(1 + 1/x)` and the power series in `e^-t`.

#![allow(clippy::inline_always)]

use std::f64::consts::PI;

use ferrocyte_math::wide::{self, Kernel};

use crate::nbmm::sweep::{LANES, Lanes};

/// Coefficients of a piece.
const TERMS: usize = 8;

/// Width of a piece in t.
const STEP: f64 = 0.25;

/// Where the series take over: a logarithm of the ratio to 1, at which the first term left out is below 1e-13.
const EDGE: f64 = 3.5;

/// The curves of single nodes.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::nbmm) struct Basis {
    /// Where the table begins, and its number of pieces.
    first: f64,
    n_pieces: usize,
    /// Nodes by coefficients: low series, table, high series, and what the high series is added to.
    rows: Vec<f64>,
}

/// Value, first and second derivative in t.
pub(in crate::nbmm) type Looked = [Lanes; 3];

impl Basis {
    /// The curves of nodes at `offsets`.
    pub(in crate::nbmm) fn new(offsets: &[f64]) -> Self {
        let ln: Vec<f64> = offsets.iter().map(|o| o.ln()).collect();
        let (low, high) = ln.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), &l| (a.min(l), b.max(l)));
        let first = -EDGE - high;
        let n_pieces = ((EDGE - low - first) / STEP).ceil().max(1.0) as usize;
        let mut basis = Self { first, n_pieces, rows: Vec::new() };
        basis.rows.reserve(basis.width() * offsets.len());
        for &l in &ln {
            basis.push(l);
        }
        basis
    }

    /// Coefficients of a curve.
    pub(in crate::nbmm) fn width(&self) -> usize {
        (self.n_pieces + 3) * TERMS
    }

    fn push(&mut self, l: f64) {
        let series = |sign: f64| {
            (1..=TERMS).map(move |k| {
                let k = k as f64;
                (if k % 2.0 == 1.0 { 1.0 } else { -1.0 }) * (sign * k * l).exp() / k
            })
        };
        self.rows.extend(series(1.0));
        for piece in 0..self.n_pieces {
            let middle = self.first + STEP * (piece as f64 + 0.5) + l;
            self.rows.extend(polynomial(|x| softplus(middle + 0.5 * STEP * x)));
        }
        self.rows.extend(series(-1.0));
        // Slope and constant of the straight line; the rest of the piece is empty.
        self.rows.extend([1.0, l].into_iter().chain([0.0; TERMS - 2]));
    }

    /// The curves of many weights: `weights` is curves × nodes, the result curves × [`Basis::width`].
    pub(in crate::nbmm) fn curves(&self, weights: &[f64]) -> Vec<f64> {
        wide::widest(Product { rows: &self.rows, width: self.width(), weights })
    }

    /// Looks up in the curves that begin at `starts` of `tables`, at `t`.
    #[inline(always)]
    pub(in crate::nbmm) fn look(&self, tables: &[f64], starts: &[usize; LANES], t: &Lanes) -> Looked {
        let n = self.n_pieces as f64;
        let (mut x, mut pieces, mut all_inside) = ([0.0; LANES], [0_usize; LANES], true);
        for q in 0..LANES {
            let s = (t[q] - self.first) * (1.0 / STEP);
            let inside = s >= 0.0 && s < n;
            all_inside &= inside;
            let whole = if inside { s.floor() } else { 0.0 };
            x[q] = 2.0 * (s - whole) - 1.0;
            pieces[q] = if inside {
                1 + whole as usize
            } else if s < 0.0 {
                0
            } else {
                self.n_pieces + 1
            };
        }
        if !all_inside {
            for q in 0..LANES {
                let z = wide::exp(-t[q].abs());
                let inside = pieces[q] > 0 && pieces[q] <= self.n_pieces;
                x[q] = if inside { x[q] } else { z };
            }
        }
        let mut c = [[0.0; LANES]; TERMS];
        for q in 0..LANES {
            let at = starts[q] + pieces[q] * TERMS;
            let piece = &tables[at..at + TERMS];
            for k in 0..TERMS {
                c[k][q] = piece[k];
            }
        }
        let (mut value, mut first, mut second) = (c[TERMS - 1], [0.0; LANES], [0.0; LANES]);
        for k in (0..TERMS - 1).rev() {
            for q in 0..LANES {
                second[q] = second[q] * x[q] + first[q];
                first[q] = first[q] * x[q] + value[q];
                value[q] = value[q] * x[q] + c[k][q];
            }
        }
        if all_inside {
            for q in 0..LANES {
                first[q] *= 2.0 / STEP;
                second[q] *= 2.0 * (2.0 / STEP) * (2.0 / STEP);
            }
            return [value, first, second];
        }
        for q in 0..LANES {
            if pieces[q] > 0 && pieces[q] <= self.n_pieces {
                first[q] *= 2.0 / STEP;
                second[q] *= 2.0 * (2.0 / STEP) * (2.0 / STEP);
                continue;
            }
            // The series is z P(z) with z = e^±t.
            let (z, p, p_1, p_2) = (x[q], value[q], first[q], 2.0 * second[q]);
            value[q] = z * p;
            first[q] = z * (p + z * p_1);
            second[q] = first[q] + z * z * (2.0 * p_1 + z * p_2);
            if pieces[q] > 0 {
                let line = starts[q] + (self.n_pieces + 2) * TERMS;
                let (slope, constant) = (tables[line], tables[line + 1]);
                value[q] += slope * t[q] + constant;
                first[q] = slope - first[q];
            }
        }
        [value, first, second]
    }
}

/// `ln(1 + e^t)`.
fn softplus(t: f64) -> f64 {
    t.max(0.0) + (-t.abs()).exp().ln_1p()
}

/// Coefficients in powers of x of the polynomial through the Chebyshev points of [-1, 1].
fn polynomial(f: impl Fn(f64) -> f64) -> [f64; TERMS] {
    let n = TERMS as f64;
    let angle = |i: usize| PI * (i as f64 + 0.5) / n;
    let values: [f64; TERMS] = std::array::from_fn(|i| f(angle(i).cos()));
    // T_k in powers of x, by T_{k+1} = 2 x T_k - T_{k-1}.
    let (mut before, mut here) = ([0.0; TERMS], [0.0; TERMS]);
    here[0] = 1.0;
    let mut powers = [0.0; TERMS];
    for k in 0..TERMS {
        let sum: f64 = (0..TERMS).map(|i| values[i] * (k as f64 * angle(i)).cos()).sum();
        let coefficient = if k == 0 { sum / n } else { 2.0 * sum / n };
        for (power, t) in powers.iter_mut().zip(&here) {
            *power += coefficient * t;
        }
        let factor = if k == 0 { 1.0 } else { 2.0 };
        let mut next = before.map(|b| -b);
        for j in 1..TERMS {
            next[j] += factor * here[j - 1];
        }
        (before, here) = (here, next);
    }
    powers
}

/// Weights times rows.
struct Product<'a> {
    rows: &'a [f64],
    width: usize,
    weights: &'a [f64],
}

impl Kernel for Product<'_> {
    type Output = Vec<f64>;

    #[inline(always)]
    fn run(self) -> Vec<f64> {
        let n_nodes = self.rows.len() / self.width;
        let mut out = vec![0.0; self.weights.len() / n_nodes * self.width];
        for (curve, weights) in out.chunks_exact_mut(self.width).zip(self.weights.chunks_exact(n_nodes)) {
            for piece in (0..self.width).step_by(TERMS) {
                let mut sum = [0.0; TERMS];
                for (m, &weight) in weights.iter().enumerate() {
                    let row = &self.rows[m * self.width + piece..][..TERMS];
                    for k in 0..TERMS {
                        sum[k] += weight * row[k];
                    }
                }
                curve[piece..piece + TERMS].copy_from_slice(&sum);
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn curves_are_the_sums_of_logarithms() {
        for offsets in [vec![1.0], vec![0.2, 0.7, 1.9, 6.0]] {
            let basis = Basis::new(&offsets);
            let m = offsets.len();
            let weights: Vec<f64> = (0..2 * m).map(|k| 3.0 + k as f64).collect();
            let tables = basis.curves(&weights);
            for i in -300..300 {
                let t: Lanes = std::array::from_fn(|q| 0.0731 * f64::from(i) + 0.9 * q as f64);
                let starts: [usize; LANES] = std::array::from_fn(|q| (q % 2) * basis.width());
                let looked = basis.look(&tables, &starts, &t);
                for q in 0..LANES {
                    let weights = &weights[(q % 2) * m..][..m];
                    let mut exact = [0.0; 3];
                    for (v, o) in weights.iter().zip(&offsets) {
                        let x = t[q] + o.ln();
                        let share = 1.0 / (1.0 + (-x).exp());
                        exact[0] += v * softplus(x);
                        exact[1] += v * share;
                        exact[2] += v * share * (1.0 / (1.0 + x.exp()));
                    }
                    // Relative to a curve that is small below, and a straight line above.
                    let size = exact[0].min(weights.iter().sum());
                    for (d, tolerance) in [1e-13, 2e-11, 3e-9].into_iter().enumerate() {
                        let error = (looked[d][q] - exact[d]).abs();
                        assert!(error <= tolerance * size, "derivative {d} at {}: {} {}", t[q], looked[d][q], exact[d]);
                    }
                }
            }
        }
    }

    #[test]
    fn what_is_not_a_number_stays_so() {
        let basis = Basis::new(&[1.0]);
        let looked = basis.look(&basis.curves(&[2.0]), &[0; LANES], &[f64::NAN; LANES]);
        assert!(looked.iter().all(|lanes| lanes.iter().all(|v| v.is_nan())));
    }
}
