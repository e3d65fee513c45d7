//! Which variances a model has, and how they act on people.
//!
//! With z_k the column of environment k, the genetic variances multiply K, K∘ZZ' (`iid`) or K∘z_k z_k' (`free`), those of
//! noise the identity, the row sums of Z² (`iid`) or z_k² (`free`). Where environments are a partition, the noise is fitted
//! as one variance for each environment, and reported as differences from the last, `e_hom`.

use ferrocyte_math::linalg::Matrix;

use super::options::{FitOptions, Genetic, Method, Noise};

/// A genetic variance: the environments over which K∘z z' is summed; place 0 is the environment of all.
pub(super) type Places = Vec<usize>;

/// The variances of a model.
#[derive(Debug, Clone)]
pub(super) struct Model {
    /// Whether every person is in exactly one environment.
    pub(super) partition: bool,
    /// Genetic variances.
    pub(super) genetic: Vec<Places>,
    /// Diagonals of the noise variances as they are fitted.
    pub(super) noise: Vec<Vec<f64>>,
    /// Names of the reported variances.
    pub(super) names: Vec<String>,
    /// Reported from fitted variances.
    pub(super) reported: Matrix,
    /// Diagonals of the reported noise variances.
    pub(super) reported_noise: Vec<Vec<f64>>,
    /// How many environments there are.
    pub(super) n_environments: usize,
}

/// Whether each row of Z has one 1 and zeros.
pub(super) fn is_partition(z: &Matrix) -> bool {
    (0..z.n_rows()).all(|i| z.row(i).iter().all(|&x| x == 0.0 || x == 1.0) && z.row(i).iter().sum::<f64>() == 1.0)
}

impl Model {
    /// The variances for environments `z` (people × environments).
    ///
    /// With `pcgc` all environments have a noise variance even where they are a partition, and what is fitted is what is
    /// reported.
    pub(super) fn new(options: &FitOptions, z: &Matrix, environments: &[String]) -> Self {
        let (gtype, etype) = (options.gtype, options.etype);
        let e = z.n_cols();
        let partition = is_partition(z);
        let every = options.method == Method::Pcgc;
        let own = if every || (!partition && options.last_noise) { e } else { e.saturating_sub(1) };
        let column = |k: usize| (0..z.n_rows()).map(|i| z[(i, k)] * z[(i, k)]).collect::<Vec<f64>>();
        let mut names = vec!["g_hom".to_owned()];
        let mut genetic = vec![vec![0]];
        match gtype {
            Genetic::Hom => {}
            Genetic::Iid => {
                names.push("g_het".to_owned());
                genetic.push((1..=e).collect());
            }
            Genetic::Free => {
                names.extend(environments.iter().map(|name| format!("g[{name}]")));
                genetic.extend((1..=e).map(|k| vec![k]));
            }
        }
        let own: Vec<Vec<f64>> = match etype {
            Noise::Free => (0..own).map(column).collect(),
            Noise::Iid if !partition => vec![(0..z.n_rows()).map(|i| z.row(i).iter().map(|x| x * x).sum()).collect()],
            Noise::Iid | Noise::Hom => Vec::new(),
        };
        if etype == Noise::Free {
            names.extend(own.iter().zip(environments).map(|(_, name)| format!("e[{name}]")));
        } else if !own.is_empty() {
            names.push("e_het".to_owned());
        }
        names.push("e_hom".to_owned());
        let mut reported_noise = own;
        reported_noise.push(vec![1.0; z.n_rows()]);
        let (k, g) = (names.len(), genetic.len());
        let mut reported = Matrix::zeros(k, k);
        (0..k).for_each(|i| reported[(i, i)] = 1.0);
        let by_environment = partition && etype == Noise::Free && !every;
        let noise = if by_environment {
            (g..k - 1).for_each(|i| reported[(i, k - 1)] = -1.0);
            (0..e).map(column).collect()
        } else {
            reported_noise.clone()
        };
        Self { partition, genetic, noise, names, reported, reported_noise, n_environments: e }
    }

    /// Number of variances.
    pub(super) fn len(&self) -> usize {
        self.names.len()
    }

    /// Reported variances from fitted ones.
    pub(super) fn report(&self, fitted: &[f64]) -> Vec<f64> {
        (0..self.len()).map(|i| self.reported.row(i).iter().zip(fitted).map(|(a, b)| a * b).sum()).collect()
    }

    /// Fitted variances from reported ones: the last is added to the noise of the other environments.
    pub(super) fn fitted(&self, reported: &[f64]) -> Vec<f64> {
        let last = self.len() - 1;
        (0..self.len())
            .map(|i| reported[i] - if i < last { self.reported[(i, last)] * reported[last] } else { 0.0 })
            .collect()
    }

    /// The covariance of reported variances from that of fitted ones.
    pub(super) fn report_covariance(&self, fitted: &Matrix) -> Matrix {
        self.reported.times(fitted).times(&self.reported.transpose())
    }

    /// The weights of K: of all pairs, and of each environment.
    pub(super) fn weights(&self, theta: &[f64]) -> (f64, Vec<f64>) {
        let mut by_environment = vec![0.0; self.n_environments];
        for (places, t) in self.genetic.iter().zip(theta).skip(1) {
            places.iter().for_each(|&p| by_environment[p - 1] += t);
        }
        (theta[0], by_environment)
    }

    /// The mean over people of the diagonal of each reported variance's kernel.
    pub(super) fn mean_diagonals(&self, kinship: &[f64], z: &Matrix) -> Vec<f64> {
        let n = kinship.len() as f64;
        let square = |i: usize, place: usize| if place == 0 { 1.0 } else { z[(i, place - 1)] * z[(i, place - 1)] };
        let genetic = self.genetic.iter().map(|places| {
            kinship.iter().enumerate().map(|(i, k)| k * places.iter().map(|&p| square(i, p)).sum::<f64>()).sum::<f64>()
                / n
        });
        genetic.chain(self.reported_noise.iter().map(|d| d.iter().sum::<f64>() / n)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environments() -> (Matrix, Vec<String>) {
        (Matrix::from_rows(3, 2, vec![1.0, 0.0, 0.0, 1.0, 0.0, 1.0]), vec!["a".into(), "b".into()])
    }

    fn with(gtype: Genetic, etype: Noise) -> FitOptions {
        FitOptions { gtype, etype, ..FitOptions::default() }
    }

    #[test]
    fn noise_of_a_partition_is_a_difference() {
        let (z, names) = environments();
        let model = Model::new(&with(Genetic::Free, Noise::Free), &z, &names);
        assert!(model.partition);
        assert_eq!(model.names, ["g_hom", "g[a]", "g[b]", "e[a]", "e_hom"]);
        assert_eq!(model.report(&[1.0, 2.0, 3.0, 0.7, 0.5])[3..], [0.7 - 0.5, 0.5]);
        assert_eq!(model.fitted(&[1.0, 2.0, 3.0, 0.25, 0.5])[3..], [0.75, 0.5]);
        assert_eq!(model.noise, [[1.0, 0.0, 0.0], [0.0, 1.0, 1.0]]);
    }

    #[test]
    fn environments_that_are_no_partition_have_a_noise_each() {
        let z = Matrix::from_rows(3, 1, vec![0.5, -1.0, 2.0]);
        let names = ["x".to_owned()];
        let of = |options: FitOptions| Model::new(&options, &z, &names).names;
        assert_eq!(of(with(Genetic::Free, Noise::Free)), ["g_hom", "g[x]", "e[x]", "e_hom"]);
        assert_eq!(of(with(Genetic::Iid, Noise::Iid)), ["g_hom", "g_het", "e_het", "e_hom"]);
        assert_eq!(of(FitOptions { last_noise: false, ..with(Genetic::Hom, Noise::Free) }), ["g_hom", "e_hom"]);
        let (z, names) = environments();
        let of = |options: FitOptions| Model::new(&options, &z, &names).names;
        assert_eq!(of(with(Genetic::Iid, Noise::Iid)), ["g_hom", "g_het", "e_hom"]);
        let pcgc = FitOptions { method: Method::Pcgc, ..with(Genetic::Hom, Noise::Free) };
        assert_eq!(of(pcgc), ["g_hom", "e[a]", "e[b]", "e_hom"]);
    }
}
