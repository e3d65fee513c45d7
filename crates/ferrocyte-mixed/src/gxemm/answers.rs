//! What is asked of the variances: heritability by environment, shares of variance, the reference's own parametrisation.

use ferrocyte_math::linalg::{Matrix, dot};

use super::model::Model;
use super::options::{FitOptions, Genetic, Noise};

/// Ratios of linear forms of the variances, with their covariance.
#[derive(Debug, Clone, Default)]
pub struct Ratios {
    /// What each is.
    pub names: Vec<String>,
    /// The ratios.
    pub values: Vec<f64>,
    /// Their covariance, by the derivative.
    pub covariance: Matrix,
    /// What they are ratios of.
    pub(super) forms: Vec<Form>,
}

impl Ratios {
    /// Place `k` alone: estimate and variance.
    pub fn one(&self, k: usize) -> (f64, f64) {
        (self.values[k], self.covariance[(k, k)])
    }
}

/// Numerator and denominator of a ratio, as weights of the variances.
pub(super) type Form = (String, Vec<f64>, Vec<f64>);

/// Heritability: shared and specific (`iid`), or of each environment at z_k = 1, or one.
pub(super) fn heritability(options: &FitOptions, model: &Model, environments: &[String]) -> Vec<Form> {
    let k = model.len();
    let g = model.genetic.len();
    let with = |places: &[usize]| {
        let mut form = vec![0.0; k];
        places.iter().for_each(|&p| form[p] = 1.0);
        form
    };
    // The noise of environment e: its own, where it has one, and that of all.
    let own_noise = k - 1 - g;
    let noise = |e: usize| match options.etype {
        Noise::Free if e < own_noise => vec![g + e, k - 1],
        Noise::Free => vec![k - 1],
        Noise::Hom | Noise::Iid => (g..k).collect(),
    };
    let ratio =
        |name: String, genetic: &[usize], noise: &[usize]| (name, with(genetic), with(&[genetic, noise].concat()));
    let of_each = |genetic: &dyn Fn(usize) -> Vec<usize>| {
        let one = |(e, name): (usize, &String)| ratio(format!("h2[{name}]"), &genetic(e), &noise(e));
        environments.iter().enumerate().map(one).collect()
    };
    match (options.gtype, options.etype) {
        (Genetic::Hom, Noise::Free) => of_each(&|_| vec![0]),
        (Genetic::Hom, _) => vec![ratio("h2".to_owned(), &[0], &noise(0))],
        (Genetic::Iid, Noise::Free) => of_each(&|_| vec![0, 1]),
        (Genetic::Iid, _) => {
            let all = vec![1.0; k];
            vec![("h2_hom".to_owned(), with(&[0]), all.clone()), ("h2_het".to_owned(), with(&[1]), all)]
        }
        (Genetic::Free, _) => of_each(&|e| vec![0, 1 + e]),
    }
}

/// The share of each variance in the mean variance of the people: variances times the mean diagonal of their kernels.
pub(super) fn shares(model: &Model, mean_diagonals: &[f64]) -> Vec<Form> {
    let one = |(k, name): (usize, &String)| {
        let mut top = vec![0.0; model.len()];
        top[k] = mean_diagonals[k];
        (format!("share[{name}]"), top, mean_diagonals.to_vec())
    };
    model.names.iter().enumerate().map(one).collect()
}

/// The ratios at `theta`, and their covariance from that of `theta`.
pub(super) fn ratios(forms: Vec<Form>, theta: &[f64], covariance: &Matrix) -> Ratios {
    let mut out = Ratios { forms: forms.clone(), ..Ratios::default() };
    let mut slopes = Matrix::zeros(forms.len(), theta.len());
    for (i, (name, top, bottom)) in forms.into_iter().enumerate() {
        let (num, den) = (dot(&top, theta), dot(&bottom, theta));
        out.names.push(name);
        out.values.push(num / den);
        for (s, (t, b)) in slopes.row_mut(i).iter_mut().zip(top.iter().zip(&bottom)) {
            *s = (t * den - num * b) / (den * den);
        }
    }
    out.covariance = slopes.times(covariance).times(&slopes.transpose());
    out
}

/// Variances and their covariance as the package GxEMM reports them after REML: its noise is inflated by the fixed effects,
/// its covariance is that of shares of the variances on normalised kernels, over these kernels' mean diagonals.
///
/// `projected` are the mean diagonals of MK_kM.
pub(super) fn peer(theta: &[f64], covariance: &Matrix, projected: &[f64]) -> (Vec<f64>, Matrix) {
    let (k, last) = (theta.len(), theta.len() - 1);
    // The noise kernel alone is not normalised.
    let unit = |j: usize| if j == last { 1.0 } else { projected[j] };
    let v: Vec<f64> = (0..k).map(|j| theta[j] * unit(j)).collect();
    let total: f64 = v.iter().sum();
    let mut slopes = Matrix::zeros(k, k);
    for i in 0..k {
        for j in 0..k {
            let own = if i == j { 1.0 / total } else { 0.0 };
            slopes[(i, j)] = (own - v[i] / (total * total)) * unit(j) / projected[i];
        }
    }
    let variances = slopes.times(covariance).times(&slopes.transpose());
    let sig2s = (0..k).map(|j| v[j] / projected[j]).collect();
    (sig2s, variances)
}
