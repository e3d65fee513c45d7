//! The restricted likelihood of a trait, with its slopes, from the independent parts of its covariance.
//!
//! With W = V⁻¹Q and C = (Q'W)⁻¹, P = V⁻¹ - WCW': l = -½ (ln|V| + ln|X'V⁻¹X| + y'Py), slope k is ½ (y'PK_kPy - tr PK_k),
//! the average information ½ a_j'Pa_k with a_k = K_kPy (Gilmour, Thompson & Cullis 1995). Each is a sum over the parts of V,
//! once C and the fixed effects are known, which all parts share.

use ferrocyte_base::{Fault, Result, Run};
use ferrocyte_math::linalg::{Matrix, cholesky_in_place, dot, scaled_inverse};

use super::ground::transposed_product;
use super::model::Model;
use super::piece::Piece;
use super::plan::Plan;

/// A covariance is at the wall where its largest variance is this many times its smallest conditional variance.
const WALL: f64 = 1e6;

/// Parts that one thread takes at a time.
const PARTS: usize = 4;

/// The likelihood of one trait, and the matrices it works in.
pub(super) struct Likelihood<'a> {
    run: &'a Run,
    plan: &'a Plan<'a>,
    model: &'a Model,
    /// The trait, part by part, and the matrix of work.
    parts: Vec<Held>,
    /// How often the covariance was factored.
    pub(super) evaluations: u32,
}

/// What the likelihood holds of a part.
struct Held {
    y: Vec<f64>,
    work: Vec<f64>,
}

/// The likelihood at a point, and what its slopes stand on.
#[derive(Debug, Clone)]
pub(super) struct Value {
    /// Without (n - p) / 2 · ln 2π.
    pub(super) l: f64,
    /// V⁻¹Q, then Py as the last column, part by part.
    solved: Vec<Matrix>,
    /// (Q'V⁻¹Q)⁻¹.
    c: Matrix,
    /// Fixed effects in the basis Q.
    b: Vec<f64>,
}

/// Slopes of the likelihood and its average information, in the fitted variances.
#[derive(Debug, Clone)]
pub(super) struct Slopes {
    pub(super) gradient: Vec<f64>,
    pub(super) information: Matrix,
}

impl<'a> Likelihood<'a> {
    /// For a trait that is `turned` into the parts of `plan`.
    pub(super) fn new(run: &'a Run, plan: &'a Plan<'a>, model: &'a Model, turned: Vec<Vec<f64>>) -> Self {
        let rooms = plan.pieces.iter().map(|piece| piece.room());
        let parts = turned.into_iter().zip(rooms).map(|(y, room)| Held { y, work: vec![0.0; room] }).collect();
        Self { run, plan, model, parts, evaluations: 0 }
    }

    /// What `of` makes of every part, in order, on all threads.
    fn each<T: Send>(&mut self, of: impl Fn(usize, &dyn Piece, &mut Held) -> Result<T> + Sync) -> Result<Vec<T>> {
        if let ([piece], [held]) = (self.plan.pieces.as_slice(), self.parts.as_mut_slice()) {
            return Ok(vec![of(0, piece.as_ref(), held)?]);
        }
        let mut slots: Vec<(&mut Held, Option<Result<T>>)> = self.parts.iter_mut().map(|held| (held, None)).collect();
        self.run.for_each_chunk(&mut slots, PARTS, |chunk, part| {
            for (at, (held, out)) in part.iter_mut().enumerate() {
                let k = chunk * PARTS + at;
                *out = Some(of(k, self.plan.pieces[k].as_ref(), held));
            }
        })?;
        slots.into_iter().filter_map(|(_, out)| out).collect()
    }

    /// The likelihood at `theta`; `None` where V is not positive definite, or too near to where it is not.
    pub(super) fn value(&mut self, theta: &[f64]) -> Result<Option<Value>> {
        self.run.check()?;
        let (run, plan, model) = (self.run, self.plan, self.model);
        let p = plan.p();
        self.evaluations += 1;
        let largest = plan.largest_variance(theta);
        let parts = self.each(|k, piece, held| {
            let Some(factored) = piece.factor(run, model, theta, &mut held.work)? else { return Ok(None) };
            let q = &plan.q[k];
            let mut both = Vec::with_capacity(held.y.len() * (p + 1));
            for (i, y) in held.y.iter().enumerate() {
                both.extend_from_slice(q.row(i));
                both.push(*y);
            }
            piece.solve(&held.work, &mut both, p + 1);
            Ok(Some((factored, Matrix::from_rows(held.y.len(), p + 1, both))))
        })?;
        let Some(parts) = parts.into_iter().collect::<Option<Vec<_>>>() else { return Ok(None) };
        let smallest = parts.iter().map(|(f, _)| f.smallest).fold(f64::INFINITY, f64::min);
        if !(largest < WALL * smallest) {
            return Ok(None);
        }
        let ln_v: f64 = parts.iter().map(|(f, _)| f.ln_v).sum();
        let mut solved: Vec<Matrix> = parts.into_iter().map(|(_, solved)| solved).collect();
        // Q'V⁻¹ [Q, y].
        let mut all = Matrix::zeros(p, p + 1);
        for (q, solved) in plan.q.iter().zip(&solved) {
            add(&mut all, &q.transpose().times(solved));
        }
        let mut a = Matrix::zeros(p, p);
        (0..p).for_each(|i| a.row_mut(i).copy_from_slice(&all.row(i)[..p]));
        let Ok(c) = scaled_inverse(&a, 0.0) else { return Ok(None) };
        if cholesky_in_place(&mut a).is_err() {
            return Ok(None);
        }
        let ln_x = 2.0 * (0..p).map(|i| (a[(i, i)] * plan.r[(i, i)]).ln()).sum::<f64>();
        let b: Vec<f64> = (0..p).map(|i| (0..p).map(|j| c[(i, j)] * all[(j, p)]).sum()).collect();
        let mut square = 0.0;
        for (held, solved) in self.parts.iter().zip(&mut solved) {
            for (i, y) in held.y.iter().enumerate() {
                let row = solved.row_mut(i);
                row[p] -= dot(&row[..p], &b);
                square += y * row[p];
            }
        }
        let l = -0.5 * (ln_v + ln_x + square);
        Ok(l.is_finite().then_some(Value { l, solved, c, b }))
    }

    /// Slopes at the point whose likelihood was asked for last. The matrices of work then hold V⁻¹, their lower triangles.
    pub(super) fn slopes(&mut self, value: &Value) -> Result<Slopes> {
        let (run, plan, model) = (self.run, self.plan, self.model);
        let (p, k) = (plan.p(), model.len());
        let parts = self.each(|at, piece, held| {
            let solved = &value.solved[at];
            let (w, u) = columns(solved);
            let kernels = piece.kernels(run, model, solved)?;
            let mut along = Matrix::zeros(u.len(), k);
            let mut traces = Vec::with_capacity(k);
            for (j, of) in kernels.iter().enumerate() {
                (0..u.len()).for_each(|i| along[(i, j)] = of[(i, p)]);
                traces.push(-of_product(&value.c, &w.transpose().times(of)));
            }
            drop(kernels);
            let mut both = along.clone();
            piece.solve(&held.work, both.entries_mut(), k);
            let pull = transposed_product(&along, &u);
            let square = along.transpose().times(&both);
            let across = w.transpose().times(&along);
            let inside = piece.traces(run, model, &mut held.work)?;
            traces.iter_mut().zip(inside).for_each(|(t, inside)| *t += inside);
            Ok((square, across, pull, traces))
        })?;
        let (mut information, mut across) = (Matrix::zeros(k, k), Matrix::zeros(p, k));
        let mut gradient = vec![0.0; k];
        for (square, part, pull, traces) in &parts {
            add(&mut information, square);
            add(&mut across, part);
            for (g, (pull, trace)) in gradient.iter_mut().zip(pull.iter().zip(traces)) {
                *g += 0.5 * (pull - trace);
            }
        }
        let less = across.transpose().times(&value.c).times(&across);
        for (x, l) in information.entries_mut().iter_mut().zip(less.entries()) {
            *x = 0.5 * (*x - l);
        }
        symmetric(&mut information);
        Ok(Slopes { gradient, information })
    }

    /// Expected information ½ tr PK_jPK_k at the point whose likelihood was asked for last.
    ///
    /// tr PK_jPK_k = tr V⁻¹K_jV⁻¹K_k - 2 tr C W'K_jV⁻¹K_kW + tr C W'K_jW C W'K_kW.
    pub(super) fn expected_information(&mut self, value: &Value) -> Result<Matrix> {
        let (run, plan, model) = (self.run, self.plan, self.model);
        let (p, k) = (plan.p(), model.len());
        let parts = self.each(|at, piece, held| {
            let (w, _) = columns(&value.solved[at]);
            let kernels = piece.kernels(run, model, &w)?;
            let within: Vec<Matrix> = kernels.iter().map(|of| w.transpose().times(of)).collect();
            let mut across = Matrix::zeros(k, k);
            for j in 0..k {
                let mut solved = kernels[j].clone();
                piece.solve(&held.work, solved.entries_mut(), p);
                for i in 0..k {
                    across[(i, j)] = of_product(&value.c, &kernels[i].transpose().times(&solved));
                }
            }
            piece.traces(run, model, &mut held.work)?;
            Ok((piece.pairs(run, model, &mut held.work)?, across, within))
        })?;
        let mut out = Matrix::zeros(k, k);
        let mut within = vec![Matrix::zeros(p, p); k];
        for (pairs, across, part) in &parts {
            for (x, (pair, across)) in out.entries_mut().iter_mut().zip(pairs.entries().iter().zip(across.entries())) {
                *x += 0.5 * pair - across;
            }
            within.iter_mut().zip(part).for_each(|(all, part)| add(all, part));
        }
        let turned: Vec<Matrix> = within.iter().map(|of| value.c.times(of)).collect();
        for i in 0..k {
            for j in 0..k {
                out[(i, j)] += 0.5 * of_product(&turned[i].transpose(), &turned[j]);
            }
        }
        symmetric(&mut out);
        Ok(out)
    }

    /// Fixed effects of `[1, X]` and their covariance.
    pub(super) fn fixed_effects(&self, value: &Value) -> Result<(Vec<f64>, Matrix)> {
        let p = self.plan.p();
        let back = upper_inverse(&self.plan.r);
        let b = Matrix::from_rows(p, 1, value.b.clone());
        let beta = back.times(&b).into_entries();
        if beta.iter().any(|x| !x.is_finite()) {
            return Err(Fault::internal("fixed effects that are not finite"));
        }
        Ok((beta, back.times(&value.c).times(&back.transpose())))
    }
}

/// The last column apart from those before it.
fn columns(solved: &Matrix) -> (Matrix, Vec<f64>) {
    let (n, p) = (solved.n_rows(), solved.n_cols() - 1);
    let mut w = Matrix::zeros(n, p);
    (0..n).for_each(|i| w.row_mut(i).copy_from_slice(&solved.row(i)[..p]));
    (w, (0..n).map(|i| solved[(i, p)]).collect())
}

fn add(to: &mut Matrix, more: &Matrix) {
    to.entries_mut().iter_mut().zip(more.entries()).for_each(|(x, y)| *x += y);
}

/// tr AB for symmetric A, over the columns that A has.
fn of_product(a: &Matrix, b: &Matrix) -> f64 {
    (0..a.n_rows()).map(|i| a.row(i).iter().zip(b.row(i)).map(|(x, y)| x * y).sum::<f64>()).sum()
}

/// Takes the mean of both triangles, which differ by rounding.
fn symmetric(a: &mut Matrix) {
    for i in 0..a.n_rows() {
        for j in 0..i {
            let mean = 0.5 * (a[(i, j)] + a[(j, i)]);
            a[(i, j)] = mean;
            a[(j, i)] = mean;
        }
    }
}

fn upper_inverse(r: &Matrix) -> Matrix {
    let p = r.n_rows();
    let mut out = Matrix::zeros(p, p);
    for k in 0..p {
        for i in (0..=k).rev() {
            let rest: f64 = (i + 1..=k).map(|j| r[(i, j)] * out[(j, k)]).sum();
            out[(i, k)] = (f64::from(u8::from(i == k)) - rest) / r[(i, i)];
        }
    }
    out
}
