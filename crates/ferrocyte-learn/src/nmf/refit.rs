//! Usages of given spectra: W for a fixed H, or H for a fixed W.

use ferrocyte_base::{Fault, Result, Run};
use ferrocyte_math::fused::{Level, Real};

use super::batch::judge_refit;
use super::convex::Spectra;
use super::descent::Descent;
use super::divergence::FLOOR;
use super::exact;
use super::input::Input;

use super::multiplicative::Multiplicative;
use super::prepared::{Prepared, with_tiles};
use super::replicas::Replicas;
use super::tiles::{BLOCK, Tiles};
use super::{Loss, Options, Solver, Stop, Trace};

ferrocyte_base::choice! {
    /// When a refit ends.
    Rule, "refit" {
        /// By the stopping rule of a factorisation, summed over all rows: meets the digits of others.
        Peer = "peer",
        /// At the optimum of every row: the problem is convex. For losses with 1 <= beta <= 2.
        Exact = "exact",
    }
}

/// Usages of given spectra.
#[derive(Debug, Clone, PartialEq)]
pub struct Refit {
    /// `n x k`, row after row.
    pub w: Vec<f64>,
    /// How many iterations were made; 0 for an exact refit, whose rows are solved one by one.
    pub iterations: usize,
    /// The loss at the end, without penalties.
    pub objective: f64,
    /// Why iterations ended; `Limit` for an exact refit with rows that were not solved to rounding.
    pub stop: Stop,
    /// Empty unless asked for.
    pub trace: Trace,
}

/// Fits W to a matrix for a fixed `h` of `k x g`, row after row.
///
/// By the rule of others it starts from 0 (coordinate descent) or from the root of the mean over k (multiplicative
/// updates). The exact refit is the optimum of the loss with its penalties on W, in 64 bits; `options.solver` has no say
/// in it. Where components depend on one another there are many optima, and one of them is found.
///
/// To fit H for a fixed W, give [`Input::transposed`], W transposed as `h`, and the penalty on H as that on W.
///
/// # Errors
/// Options that cannot be, an `h` of another size or with values that are negative or not finite, the exact rule with
/// a loss that is not convex, and the wish to stop.
pub fn refit(run: &Run, input: &Input, h: &[f64], k: usize, options: &Options, rule: Rule) -> Result<Refit> {
    Prepared::new(input, options.precision).refit(run, h, k, options, rule)
}

impl Prepared {
    /// [`refit`] for a matrix that is laid out.
    ///
    /// # Errors
    /// Those of [`refit`], and options of another precision.
    pub fn refit(&self, run: &Run, h: &[f64], k: usize, options: &Options, rule: Rule) -> Result<Refit> {
        // The solver has no say in an exact refit, so that it need not suit the loss.
        let solver = if rule == Rule::Exact { Solver::Multiplicative } else { options.solver };
        self.check(&Options { solver, ..*options })?;
        let g = self.g();
        if k == 0 || k.checked_mul(g) != Some(h.len()) {
            let message = format!("fixed spectra of {k} x {g} were expected, found {} numbers", h.len());
            return Err(Fault::bad_input(message));
        }
        if let Some(at) = h.iter().position(|&x| !(x >= 0.0 && x.is_finite())) {
            let message = format!("fixed spectra are finite and >= 0, row {} column {} is {}", at / g, at % g, h[at]);
            return Err(Fault::bad_input(message));
        }
        match rule {
            Rule::Exact => with_tiles!(self, tiles => Exact::new(tiles, h, k, options)?.solve(run)),
            Rule::Peer => with_tiles!(self, tiles => iterate(run, tiles, h, k, options)),
        }
    }
}

/// One replica whose H stays.
fn iterate<T: Real>(run: &Run, tiles: &Tiles<T>, h: &[f64], k: usize, options: &Options) -> Result<Refit> {
    let mut replicas = Replicas::<T, 1>::new(tiles, k);
    let level = Level::widest();
    let first = match options.solver {
        Solver::CoordinateDescent | Solver::Accelerated => 0.0,
        Solver::Multiplicative => (tiles.mean() / k as f64).sqrt(),
    };
    replicas.put(0, k, &vec![first; tiles.n * k], h);
    let (iterations, objective, stop, trace) = match options.solver {
        Solver::CoordinateDescent | Solver::Accelerated => {
            let mut descent = Descent::new(tiles, options, level);
            descent.fix(run, &replicas)?;
            judge_refit(options, 0.0, |_| {
                run.check()?;
                descent.iterate(run, &mut replicas)
            })?
        }
        Solver::Multiplicative => {
            let mut updates = Multiplicative::new(tiles, options, level);
            updates.fix();
            let loss = updates.loss(run, &mut replicas)?[0];
            judge_refit(options, loss, |look| {
                run.check()?;
                updates.iterate(run, &mut replicas, look)
            })?
        }
    };
    Ok(Refit { w: replicas.take(0, k).0, iterations, objective, stop, trace })
}

/// Every row to its optimum.
struct Exact<'a, T> {
    tiles: &'a Tiles<T>,
    k: usize,
    beta: f64,
    /// The spectra, `k` numbers for each column.
    columns: Vec<f64>,
    /// Their sums.
    sums: Vec<f64>,
    /// Their Gram matrix with the penalty on squares.
    gram: Vec<f64>,
    /// Penalties on sums and on squares.
    penalty: (f64, f64),
}

impl<'a, T: Real> Exact<'a, T> {
    fn new(tiles: &'a Tiles<T>, h: &[f64], k: usize, options: &Options) -> Result<Self> {
        let beta = options.loss.value();
        if !(1.0..=2.0).contains(&beta) {
            let message =
                format!("exact refits are of losses with 1 <= beta <= 2, which are convex; beta {beta} was asked");
            return Err(Fault::unsupported(message).at("refit").hint("take refit `peer` with a small tolerance"));
        }
        let g = tiles.g;
        let columns: Vec<f64> = (0..g * k).map(|at| h[at % k * g + at / k]).collect();
        let sums = h.chunks_exact(g).map(|row| row.iter().sum()).collect();
        let alpha = options.alpha_w * g as f64;
        let penalty = (alpha * options.l1_ratio, alpha * (1.0 - options.l1_ratio));
        let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        let mut gram: Vec<f64> = (0..k * k).map(|at| dot(&h[at / k * g..][..g], &h[at % k * g..][..g])).collect();
        (0..k).for_each(|t| gram[t * k + t] += penalty.1);
        Ok(Self { tiles, k, beta, columns, sums, gram, penalty })
    }

    fn solve(&self, run: &Run) -> Result<Refit> {
        let solved = run.map_ranges("exact refit", self.tiles.blocks.len(), 1, |blocks| {
            let mut rows = Vec::new();
            let (mut w, mut loss, mut done) = (Vec::with_capacity(BLOCK * self.k), 0.0, true);
            for block in &self.tiles.blocks[blocks] {
                block.rows(&self.tiles.units, &mut rows);
                for row in rows.iter().take(block.rows) {
                    let (mine, mine_done) = self.row(row);
                    loss += self.loss(row, &mine);
                    done &= mine_done;
                    w.extend(mine);
                }
            }
            Ok((w, loss, done))
        })?;
        let stop = if solved.iter().all(|part| part.2) { Stop::Converged } else { Stop::Limit };
        let objective = solved.iter().map(|part| part.1).sum::<f64>().max(0.0);
        let w = solved.into_iter().flat_map(|part| part.0).collect();
        Ok(Refit { w, iterations: 0, objective, stop, trace: Trace::default() })
    }

    /// The usages of a row, and whether they were found to rounding.
    fn row(&self, row: &[(usize, f64)]) -> (Vec<f64>, bool) {
        if self.beta == Loss::FROBENIUS.value() {
            let mut p = vec![-self.penalty.0; self.k];
            for &(j, x) in row {
                p.iter_mut().zip(&self.columns[j * self.k..]).for_each(|(p, h)| *p += x * h);
            }
            let mut w = vec![0.0; self.k];
            let done = exact::solve(&mut w, &p, &self.gram);
            return (w, done);
        }
        let Self { beta, k, ref columns, ref sums, penalty, .. } = *self;
        let spectra = Spectra { beta, k, columns, sums, penalty };
        if self.beta == 1.0 { spectra.solve(row) } else { spectra.solve(&self.all_of(row)) }
    }

    /// A row with its zeros.
    fn all_of(&self, row: &[(usize, f64)]) -> Vec<(usize, f64)> {
        let mut all: Vec<(usize, f64)> = (0..self.tiles.g).map(|j| (j, 0.0)).collect();
        row.iter().for_each(|&(j, x)| all[j].1 = x);
        all
    }

    /// The loss of a row, without penalties.
    fn loss(&self, row: &[(usize, f64)], w: &[f64]) -> f64 {
        let fit = |j: usize| -> f64 { self.columns[j * self.k..].iter().zip(w).map(|(h, w)| h * w).sum() };
        if self.beta == 1.0 {
            let all: f64 = self.sums.iter().zip(w).map(|(s, w)| s * w).sum();
            let term = |&(j, x): &(usize, f64)| x * (x / fit(j).max(FLOOR)).ln() - x;
            return all + row.iter().filter(|e| e.1 > FLOOR).map(term).sum::<f64>();
        }
        let beta = self.beta;
        let term = |(j, x): (usize, f64)| {
            let fit = fit(j);
            if beta == 2.0 {
                return 0.5 * (x - fit) * (x - fit);
            }
            let fit = fit.max(FLOOR);
            (x.powf(beta) + (beta - 1.0) * fit.powf(beta) - beta * x * fit.powf(beta - 1.0)) / (beta * (beta - 1.0))
        };
        self.all_of(row).into_iter().map(term).sum()
    }
}
