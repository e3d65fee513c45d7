//! Fits of some cell types as fits of all: what the others would have is NaN.

use super::data::Study;
use super::gene::GeneFit;
use super::kernel::lower_triangle;
use super::options::Model;
use super::shares::Shares;
use super::status::Outcome;

/// Where the parameters of a model of some cell types stand among those of all.
pub(super) struct Widening {
    types: Vec<usize>,
    c: usize,
    variances: Vec<usize>,
    n_variances: usize,
    coefficients: Vec<usize>,
    n_coefficients: usize,
}

impl Widening {
    /// From the cell types marked `kept` to all of the study.
    pub(super) fn new(study: &Study, model: Model, kept: &[bool]) -> Self {
        let c = kept.len();
        let types: Vec<usize> = (0..c).filter(|&a| kept[a]).collect();
        let (mut variances, n_kernels) = match model {
            Model::Hom => (vec![0], 1),
            Model::Iid => (vec![0, 1], 2),
            Model::Free => (std::iter::once(0).chain(types.iter().map(|a| 1 + a)).collect(), 1 + c),
            Model::Full => {
                let pairs = lower_triangle(c).enumerate().filter(|&(_, (a, b))| kept[a] && kept[b]);
                (types.iter().copied().chain(pairs.map(|(place, _)| c + place)).collect(), c * (c + 1) / 2)
            }
        };
        let n_fixed: usize = study.fixed.iter().map(|f| f.values.n_cols()).sum();
        variances.extend(n_kernels..n_kernels + study.random.len());
        Self {
            coefficients: types.iter().copied().chain(c..c + n_fixed).collect(),
            n_coefficients: c + n_fixed,
            n_variances: n_kernels + study.random.len(),
            types,
            c,
            variances,
        }
    }

    /// One gene. A fit that is as it should be says that it has some of the cell types only.
    pub(super) fn of(&self, fit: GeneFit) -> GeneFit {
        GeneFit {
            outcome: if fit.outcome == Outcome::Ok { Outcome::SilentTypes } else { fit.outcome },
            theta: spread(&fit.theta, &self.variances, self.n_variances),
            theta_covariance: spread_square(&fit.theta_covariance, &self.variances, self.n_variances),
            beta: spread(&fit.beta, &self.coefficients, self.n_coefficients),
            beta_covariance: spread_square(&fit.beta_covariance, &self.coefficients, self.n_coefficients),
            ln_p_types: spread(&fit.ln_p_types, &self.types, self.c),
            shares: Shares { by_cell_type: spread(&fit.shares.by_cell_type, &self.types, self.c), ..fit.shares },
            ..fit
        }
    }
}

/// Values at their places among `n`.
pub(super) fn spread(values: &[f64], places: &[usize], n: usize) -> Vec<f64> {
    let mut out = vec![f64::NAN; n];
    places.iter().zip(values).for_each(|(&place, &value)| out[place] = value);
    out
}

fn spread_square(values: &[f64], places: &[usize], n: usize) -> Vec<f64> {
    let mut out = vec![f64::NAN; n * n];
    for (row, &a) in values.chunks_exact(places.len().max(1)).zip(places) {
        places.iter().zip(row).for_each(|(&b, &value)| out[a * n + b] = value);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_there_is_nan() {
        let out = spread_square(&[1.0, 2.0, 3.0, 4.0], &[0, 2], 3);
        assert_eq!([out[0], out[2], out[6], out[8]], [1.0, 2.0, 3.0, 4.0]);
        assert_eq!(out.iter().filter(|x| x.is_nan()).count(), 5);
        assert!(spread(&[7.0], &[1], 2)[0].is_nan());
    }
}
