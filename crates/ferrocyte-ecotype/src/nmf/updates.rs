//! Multiplicative updates of both factors.

use ferrocyte_base::{Fault, Result};
use ferrocyte_math::linalg::Matrix;
use ferrocyte_math::r_stream::RStream;

use super::stop::{Connectivity, MOST_ITERATIONS, Stationary};
use crate::model::{EPS, arg_max};

/// What keeps the divisions of Lee and Seung's Euclidean updates away from 0.
const ETA: f64 = 1e-9;

ferrocyte_base::choice! {
    /// What is made small, by which updates, until when.
    Method, "method" {
        /// Kullback-Leibler, until votes stand still (J.-P. Brunet and others, 2004).
        Brunet = "brunet",
        /// Squared distances, until votes stand still; columns of W sum to 1 (D. Lee and S. Seung, 2001).
        Lee = "lee",
        /// Kullback-Leibler, until the objective stands still.
        Kl = "KL",
        /// Squared distances, until the objective stands still.
        Frobenius = "Frobenius",
        /// Kullback-Leibler with a smoothing matrix between the factors (A. Pascual-Montano and others, 2006).
        NsNmf = "nsNMF",
    }
}

/// How a matrix is factorised.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NmfOptions {
    /// The method.
    pub method: Method,
    /// The most updates.
    pub max_iterations: usize,
    /// How much the factors of `nsNMF` are smoothed, between 0 and 1.
    pub theta: f64,
}

impl Default for NmfOptions {
    /// Brunet's, at most 2,000 updates, theta 0.5.
    fn default() -> Self {
        Self { method: Method::Brunet, max_iterations: MOST_ITERATIONS, theta: 0.5 }
    }
}

/// Factors of a matrix.
#[derive(Debug, Clone, PartialEq)]
pub struct Factors {
    /// Features × factors.
    pub w: Matrix,
    /// Factors × samples.
    pub h: Matrix,
    /// How many updates were made.
    pub iterations: usize,
    /// What was made small: the divergence, or half the squared distance.
    pub objective: f64,
}

/// The reference's start of a seed: uniform up to the largest value (or 1), W and then H column by column.
pub fn random_start(v: &Matrix, rank: usize, seed: u32) -> (Matrix, Matrix) {
    let mut draws = RStream::new(seed);
    let most = v.entries().iter().fold(0.0, |a: f64, &b| a.max(b));
    let mut fill = |rows: usize, columns: usize| {
        let mut out = Matrix::zeros(rows, columns);
        for column in 0..columns {
            (0..rows).for_each(|row| out[(row, column)] = (draws.uniform() * most.max(1.0)).min(most));
        }
        out
    };
    let w = fill(v.n_rows(), rank);
    let h = fill(rank, v.n_cols());
    (w, h)
}

/// Factorises `v` (features × samples) from the start `w`, `h`. Fails where a value is negative or missing, or a row is 0.
pub fn factorise(v: &Matrix, w: Matrix, h: Matrix, options: &NmfOptions) -> Result<Factors> {
    check(v, &w, &h, options)?;
    let mut state = State { v, s: smoothing(w.n_cols(), options), w, h };
    let mut votes = Connectivity::default();
    let mut objective = Stationary::default();
    let by_objective = matches!(options.method, Method::Kl | Method::Frobenius);
    let mut done = 0;
    if by_objective {
        objective.met(state.objective(options.method));
    }
    while done < options.max_iterations {
        state.step(options.method);
        done += 1;
        let looks = done.is_multiple_of(Connectivity::EVERY);
        if looks && matches!(options.method, Method::Brunet | Method::Kl) {
            for x in state.w.entries_mut().iter_mut().chain(state.h.entries_mut()) {
                *x = x.max(EPS);
            }
        }
        let stop = if by_objective {
            objective.wants(done) && objective.met(state.objective(options.method))
        } else {
            looks && votes.met(columns(&state.h).into_iter())
        };
        if stop {
            break;
        }
    }
    let objective = state.objective(options.method);
    Ok(Factors { w: state.w, h: state.h, iterations: done, objective })
}

/// The largest factor of each column.
pub(super) fn columns(h: &Matrix) -> Vec<usize> {
    let transposed = h.transpose();
    (0..transposed.n_rows()).map(|sample| arg_max(transposed.row(sample))).collect()
}

fn check(v: &Matrix, w: &Matrix, h: &Matrix, options: &NmfOptions) -> Result<()> {
    let fits = w.n_rows() == v.n_rows() && h.n_cols() == v.n_cols() && w.n_cols() == h.n_rows() && w.n_cols() > 0;
    if !fits {
        return Err(Fault::bad_input(format!(
            "factors of {} x {} and {} x {} for a matrix of {} x {}",
            w.n_rows(),
            w.n_cols(),
            h.n_rows(),
            h.n_cols(),
            v.n_rows(),
            v.n_cols()
        )));
    }
    if !(0.0..=1.0).contains(&options.theta) {
        return Err(Fault::bad_input(format!("theta lies between 0 and 1, found {}", options.theta)).at("theta"));
    }
    for row in 0..v.n_rows() {
        if let Some(x) = v.row(row).iter().find(|x| !(0.0..f64::INFINITY).contains(*x)) {
            return Err(Fault::bad_input(format!("values are finite and >= 0, row {row} (from 0) has {x}")));
        }
        if v.row(row).iter().all(|x| *x == 0.0) {
            return Err(Fault::bad_input(format!("row {row} (from 0) is all 0")).hint("take such rows out"));
        }
    }
    Ok(())
}

/// What stands between the factors of nsNMF.
fn smoothing(rank: usize, options: &NmfOptions) -> Option<Matrix> {
    (options.method == Method::NsNmf).then(|| {
        let mut s = Matrix::from_rows(rank, rank, vec![options.theta / rank as f64; rank * rank]);
        (0..rank).for_each(|i| s[(i, i)] += 1.0 - options.theta);
        s
    })
}

struct State<'a> {
    v: &'a Matrix,
    s: Option<Matrix>,
    w: Matrix,
    h: Matrix,
}

impl State<'_> {
    fn step(&mut self, method: Method) {
        match method {
            Method::Brunet | Method::Kl => {
                divergence_h(self.v, &self.w, &mut self.h);
                divergence_w(self.v, &mut self.w, &self.h);
            }
            Method::NsNmf => {
                if let Some(s) = &self.s {
                    divergence_h(self.v, &self.w.times(s), &mut self.h);
                    divergence_w(self.v, &mut self.w, &s.times(&self.h));
                }
                sum_to_one(&mut self.w);
            }
            Method::Lee | Method::Frobenius => {
                euclidean(self.v, &mut self.w, &mut self.h);
                sum_to_one(&mut self.w);
            }
        }
    }

    fn fitted(&self) -> Matrix {
        match &self.s {
            Some(s) => self.w.times(s).times(&self.h),
            None => self.w.times(&self.h),
        }
    }

    fn objective(&self, method: Method) -> f64 {
        let fitted = self.fitted();
        let pairs = self.v.entries().iter().zip(fitted.entries());
        match method {
            Method::Lee | Method::Frobenius => 0.5 * pairs.map(|(v, e)| (v - e) * (v - e)).sum::<f64>(),
            _ => pairs.map(|(&v, &e)| if v == 0.0 { e } else { v * (v / e).ln() - v + e }).sum(),
        }
    }
}

/// `v / (w h)`, 0 where nothing is fitted.
fn ratios(v: &Matrix, w: &Matrix, h: &Matrix) -> Matrix {
    let mut ratios = w.times(h);
    for (e, &v) in ratios.entries_mut().iter_mut().zip(v.entries()) {
        *e = if *e > 0.0 { v / *e } else { 0.0 };
    }
    ratios
}

fn divergence_h(v: &Matrix, w: &Matrix, h: &mut Matrix) {
    let transposed = w.transpose();
    let up = transposed.times(&ratios(v, w, h));
    for k in 0..h.n_rows() {
        let sum: f64 = transposed.row(k).iter().sum();
        h.row_mut(k).iter_mut().zip(up.row(k)).for_each(|(h, up)| *h = *h * up / sum);
    }
}

fn divergence_w(v: &Matrix, w: &mut Matrix, h: &Matrix) {
    let up = ratios(v, w, h).times(&h.transpose());
    let sums: Vec<f64> = (0..h.n_rows()).map(|k| h.row(k).iter().sum()).collect();
    for row in 0..w.n_rows() {
        for ((w, up), sum) in w.row_mut(row).iter_mut().zip(up.row(row)).zip(&sums) {
            *w = *w * up / sum;
        }
    }
}

fn euclidean(v: &Matrix, w: &mut Matrix, h: &mut Matrix) {
    let improve = |x: &mut Matrix, up: &Matrix, down: &Matrix| {
        for ((x, up), down) in x.entries_mut().iter_mut().zip(up.entries()).zip(down.entries()) {
            *x = (*x * up).max(ETA) / (down + ETA);
        }
    };
    let wt = w.transpose();
    let (up, down) = (wt.times(v), wt.times(w).times(h));
    improve(h, &up, &down);
    let ht = h.transpose();
    let (up, down) = (v.times(&ht), w.times(&h.times(&ht)));
    improve(w, &up, &down);
}

fn sum_to_one(w: &mut Matrix) {
    let mut sums = vec![0.0; w.n_cols()];
    for row in 0..w.n_rows() {
        sums.iter_mut().zip(w.row(row)).for_each(|(sum, w)| *sum += w);
    }
    for row in 0..w.n_rows() {
        w.row_mut(row).iter_mut().zip(&sums).for_each(|(w, sum)| *w /= sum);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn divergence_falls_and_columns_of_w_sum_to_one() -> Result<()> {
        let v = Matrix::from_rows(6, 5, (0..30).map(|i| f64::from((i * 7) % 11)).collect());
        for method in [Method::Brunet, Method::Lee, Method::Kl, Method::Frobenius, Method::NsNmf] {
            let of = |max_iterations| {
                let (w, h) = random_start(&v, 3, 1);
                factorise(&v, w, h, &NmfOptions { method, max_iterations, ..NmfOptions::default() })
            };
            let (first, last) = (of(1)?, of(100)?);
            assert!(last.objective < first.objective && last.iterations == 100, "{method:?}");
            let column: f64 = (0..6).map(|row| last.w[(row, 0)]).sum();
            assert_eq!((column - 1.0).abs() < 1e-12, !matches!(method, Method::Brunet | Method::Kl), "{method:?}");
        }
        Ok(())
    }

    #[test]
    fn bad_matrices_are_refused() {
        let of = |entries: Vec<f64>| {
            let v = Matrix::from_rows(2, 2, entries);
            let (w, h) = random_start(&v, 1, 1);
            factorise(&v, w, h, &NmfOptions::default())
        };
        assert!(of(vec![1.0, 2.0, 0.0, 0.0]).is_err_and(|f| f.message().contains("row 1 (from 0) is all 0")));
        assert!(of(vec![1.0, -2.0, 1.0, 0.0]).is_err());
        assert!(of(vec![1.0, 2.0, 1.0, 0.0]).is_ok());
    }
}
