//! Random rotations of effects, and the moderated statistics of what they give.

use ferrocyte_math::linalg::{Matrix, dot, product};
use ferrocyte_math::random::Stream;
use ferrocyte_math::squeeze_var::Hyper;

use super::effects::Effects;

/// Rotations that are worked on at a time.
pub(super) const ROTATIONS: usize = 64;

/// The first rows of random rotations, one per column: directions without preference, (d + 1) × rotations.
///
/// Rotation `r` depends on the seed and on `r` alone.
pub(super) fn directions(seed: u64, rotations: std::ops::Range<usize>, width: usize) -> Matrix {
    let mut out = Matrix::zeros(width, rotations.len());
    let mut direction = vec![0.0; width];
    for (b, r) in rotations.enumerate() {
        let mut stream = Stream::new(seed, r as u64);
        let mut length = 0.0;
        while length == 0.0 {
            direction.fill_with(|| stream.normal());
            length = dot(&direction, &direction).sqrt();
        }
        for (k, x) in direction.iter().enumerate() {
            out[(k, b)] = x / length;
        }
    }
    out
}

/// The direction that changes nothing.
pub(super) fn unrotated(width: usize) -> Matrix {
    let mut out = Matrix::zeros(width, 1);
    out[(0, 0)] = 1.0;
    out
}

/// The variances of rotated genes: what is left of a gene's sum of squares, squeezed towards the prior.
///
/// The variance of a gene whose rotated effect is `e` is `(SS - e^2 + prior) / df`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moderation {
    /// Sum of squares of all `d + 1` effects.
    pub(super) total: f64,
    /// What the sum of squares counts: 1, or 0 where the prior is certain.
    pub(super) counts: f64,
    /// `df_prior s2_prior`; `s2_prior` where the prior is certain.
    pub(super) prior: f64,
    /// `d + df_prior`; 1 where the prior is certain.
    pub(super) divisor: f64,
    /// `d + df_prior`, maybe infinite.
    pub(super) df: f64,
}

impl Moderation {
    pub(super) fn new(total: f64, d: f64, var_prior: f64, df_prior: f64) -> Self {
        if df_prior.is_infinite() {
            return Self { total, counts: 0.0, prior: var_prior, divisor: 1.0, df: f64::INFINITY };
        }
        Self { total, counts: 1.0, prior: df_prior * var_prior, divisor: d + df_prior, df: d + df_prior }
    }

    /// The square of the moderated t of a rotated effect `e`; 0 for a gene without any variation.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "what is not inlined into a kernel is not compiled for wide registers")]
    pub(super) fn t_squared(&self, e: f64) -> f64 {
        let square = e * e;
        let left = self.total - square;
        let left = if left > 0.0 { left } else { 0.0 };
        let t2 = square * self.divisor / (self.counts * left + self.prior);
        if square > 0.0 { t2 } else { 0.0 }
    }
}

/// Effects of some genes, ready to be rotated.
#[derive(Debug)]
pub(super) struct Rotatable {
    width: usize,
    effects: Vec<f64>,
    /// One per gene.
    pub(super) moderation: Vec<Moderation>,
}

impl Rotatable {
    /// The effects of `genes`, with the priors of all genes.
    pub(super) fn new(effects: &Effects, genes: &[usize], var_prior: &Hyper, df_prior: &Hyper) -> Self {
        let width = effects.df() + 1;
        let mut values = Vec::with_capacity(genes.len() * width);
        let mut moderation = Vec::with_capacity(genes.len());
        for &g in genes {
            let row = effects.values.row(g);
            values.extend_from_slice(row);
            moderation.push(Moderation::new(dot(row, row), width as f64 - 1.0, var_prior.at(g), df_prior.at(g)));
        }
        Self { width, effects: values, moderation }
    }

    /// Number of genes.
    pub(super) fn n_genes(&self) -> usize {
        self.moderation.len()
    }

    /// Number of effects of a gene, d + 1.
    pub(super) fn width(&self) -> usize {
        self.width
    }

    /// Rotated effects, genes × directions.
    pub(super) fn rotate(&self, directions: &Matrix) -> Vec<f64> {
        let mut out = vec![0.0; self.n_genes() * directions.n_cols()];
        product(&self.effects, self.width, directions, &mut out);
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directions_have_length_one_and_depend_on_their_number() {
        let all = directions(9, 0..10, 5);
        let some = directions(9, 4..7, 5);
        for b in 0..3 {
            let length: f64 = (0..5).map(|k| some[(k, b)] * some[(k, b)]).sum();
            assert!((length - 1.0).abs() < 1e-14);
            assert!((0..5).all(|k| some[(k, b)] == all[(k, b + 4)]));
        }
        assert_ne!(directions(8, 0..10, 5), all);
    }

    #[test]
    fn without_rotation_t_is_moderated() {
        let row = [2.0, 1.0, -1.0, 0.5, 0.0];
        let t2 = Moderation::new(dot(&row, &row), 4.0, 0.7, 3.0).t_squared(row[0]);
        let variance = (2.25 + 3.0 * 0.7) / 7.0;
        assert!((t2 - 4.0 / variance).abs() < 1e-13);
        assert!((Moderation::new(6.25, 4.0, 0.7, f64::INFINITY).t_squared(2.0) - 4.0 / 0.7).abs() < 1e-13);
        assert_eq!(Moderation::new(0.0, 4.0, 0.7, 0.0).t_squared(0.0), 0.0);
    }
}
