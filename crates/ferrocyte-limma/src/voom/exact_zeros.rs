//! [`ExactZeros`]: counts that can only be zero, and what they are corrected for.
//!
//! Where all samples of a group have no count of a gene, the log-values of that group are the same but for the library
//! sizes: they add degrees of freedom to the residual variance, but no residual. Variance and degrees of freedom of
//! such genes are taken from the other samples (Lun and Smyth 2017).

use ferrocyte_base::{Result, Run};

use super::log_counts::LogCounts;
use super::poisson::PoissonFits;
use super::trend::{Fitted, Point, VarianceTrend};
use crate::DesignMatrix;
use crate::counts::leverages;
use crate::fit::{Part, Solver};

/// Counts and fitted counts below this are zero.
const ZERO: f64 = 1e-4;

/// Genes that are worked on at once.
const BLOCK: usize = 64;

/// The genes with exact zeros and where these are.
#[derive(Debug, Default)]
pub(super) struct ExactZeros {
    genes: Vec<usize>,
    /// Whether each value of these genes is one, genes × samples.
    missing: Vec<bool>,
    n_samples: usize,
}

impl ExactZeros {
    /// Finds counts of zero whose fitted counts of a Poisson model are zero too. Only genes with as many zeros as the
    /// smallest group has samples can have them.
    pub(super) fn find(run: &Run, logged: &LogCounts<'_>, design: &DesignMatrix) -> Result<Self> {
        let n_samples = logged.n_samples();
        let smallest = 1.0 / leverages(design).into_iter().fold(0.0, f64::max);
        let needed = smallest.max(2.0) - ZERO;
        let fits = PoissonFits::new(design.matrix(), logged.lib_size());
        let blocks = run.map_quietly(logged.n_genes(), BLOCK, |genes| {
            let (mut found, mut missing) = (Vec::new(), Vec::new());
            for g in genes {
                let counts = logged.counts().row(g);
                if (counts.iter().filter(|&&c| c < ZERO).count() as f64) <= needed || !fits.may_have_zeros(counts) {
                    continue;
                }
                let fitted = fits.fitted(counts);
                let zeros = counts.iter().zip(fitted).map(|(&c, f)| c < ZERO && f < ZERO);
                let before = missing.len();
                missing.extend(zeros);
                if missing[before..].contains(&true) {
                    found.push(g);
                } else {
                    missing.truncate(before);
                }
            }
            Ok((found, missing))
        })?;
        let (genes, missing): (Vec<Vec<usize>>, Vec<Vec<bool>>) = blocks.into_iter().unzip();
        Ok(Self { genes: genes.concat(), missing: missing.concat(), n_samples })
    }

    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.genes.is_empty()
    }

    /// Makes them missing values in log-values of all genes.
    pub(super) fn set_missing(&self, values: &mut [f64]) {
        for (k, &g) in self.genes.iter().enumerate() {
            self.mask(k, &mut values[g * self.n_samples..(g + 1) * self.n_samples]);
        }
    }

    fn mask(&self, k: usize, row: &mut [f64]) {
        let missing = &self.missing[k * self.n_samples..(k + 1) * self.n_samples];
        for (value, _) in row.iter_mut().zip(missing).filter(|(_, missing)| **missing) {
            *value = f64::NAN;
        }
    }

    /// Standard deviation, degrees of freedom and mean of the genes with exact zeros, these left out. `weights` writes the
    /// weights of a gene.
    fn variances(
        &self,
        run: &Run,
        logged: &LogCounts<'_>,
        solver: &Solver<'_>,
        weights: impl Fn(usize, &mut Vec<f64>) + Sync,
    ) -> Result<Vec<(f64, f64, f64)>> {
        let n = self.n_samples;
        let blocks = run.map_quietly(self.genes.len(), BLOCK, |which| {
            let (mut values, mut all_weights, mut row) = (Vec::new(), Vec::new(), Vec::new());
            for k in which.clone() {
                let g = self.genes[k];
                logged.write(g..g + 1, &mut row);
                self.mask(k, &mut row);
                values.extend_from_slice(&row);
                weights(g, &mut row);
                all_weights.extend_from_slice(&row);
            }
            let part = solver.solve_block(&values, &all_weights, false);
            let means = values.chunks_exact(n).map(|row| {
                let seen = row.iter().filter(|v| v.is_finite());
                seen.clone().sum::<f64>() / seen.count() as f64
            });
            let out: Vec<(f64, f64, f64)> =
                means.enumerate().map(|(i, mean)| (part.sigma[i], part.df_residual[i], mean)).collect();
            Ok(out)
        })?;
        Ok(blocks.concat())
    }

    /// Corrects what the trend is learnt from, for weights of samples and blocks that the solver may know of.
    pub(super) fn correct_points(
        &self,
        run: &Run,
        logged: &LogCounts<'_>,
        solver: &Solver<'_>,
        weights: impl Fn(usize, &mut Vec<f64>) + Sync,
        points: &mut [Point],
    ) -> Result<()> {
        let shift = logged.mean_shift();
        let found = self.variances(run, logged, solver, weights)?;
        for (&g, (sigma, df, mean)) in self.genes.iter().zip(found) {
            points[g] = Point { x: mean + shift, sigma, df };
        }
        Ok(())
    }

    /// Corrects variances and degrees of freedom of a fit with given weights.
    pub(super) fn correct(
        &self,
        run: &Run,
        logged: &LogCounts<'_>,
        solver: &Solver<'_>,
        weights: impl Fn(usize, &mut Vec<f64>) + Sync,
        sigma: &mut [f64],
        df_residual: &mut [f64],
    ) -> Result<()> {
        let found = self.variances(run, logged, solver, weights)?;
        for (&g, (own_sigma, own_df, _)) in self.genes.iter().zip(found) {
            (sigma[g], df_residual[g]) = (own_sigma, own_df);
        }
        Ok(())
    }

    /// [`Self::correct`] with the weights of a trend, for coefficients of the first fit.
    #[expect(clippy::too_many_arguments, reason = "what the second pass has at hand")]
    pub(super) fn correct_streamed(
        &self,
        run: &Run,
        logged: &LogCounts<'_>,
        coefficients: &[f64],
        fitted: &Fitted,
        trend: &VarianceTrend,
        solver: &Solver<'_>,
        part: &mut Part,
    ) -> Result<()> {
        let p = fitted.n_coefficients();
        let weights = |g: usize, out: &mut Vec<f64>| {
            fitted.write(logged.shifts(), g, &coefficients[g * p..(g + 1) * p], out);
            trend.weigh(out);
        };
        self.correct(run, logged, solver, weights, &mut part.sigma, &mut part.df_residual)
    }
}

/// Weights of 1.
pub(super) fn equal_weights(n_samples: usize) -> impl Fn(usize, &mut Vec<f64>) + Sync {
    move |_, out| {
        out.clear();
        out.resize(n_samples, 1.0);
    }
}
