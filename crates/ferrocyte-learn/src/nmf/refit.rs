//! Usages of given spectra: W for a fixed H.

use ferrocyte_base::{Fault, Result, Run};
use ferrocyte_math::fused::{Level, Real};

use super::batch::judge_refit;
use super::descent::Descent;
use super::exact;
use super::input::Input;
use super::multiplicative::Multiplicative;
use super::replicas::Replicas;
use super::tiles::Tiles;
use super::{Loss, Options, Precision, Solver, Stop, Trace};

ferrocyte_base::choice! {
    /// When a refit ends.
    Rule, "refit" {
        /// By the stopping rule of a factorisation, summed over all rows: meets the digits of others.
        Peer = "peer",
        /// At the optimum of every row: the problem is convex. For the squared norm.
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
    /// Why iterations ended; `Limit` for an exact refit with rows that sweeps did not solve.
    pub stop: Stop,
    /// Empty unless asked for.
    pub trace: Trace,
}

/// Fits W to a matrix for a fixed `h` of `k x g`, row after row.
///
/// By the rule of others it starts from 0 (coordinate descent) or from the root of the mean over k (multiplicative
/// updates). The exact refit is of the squared norm with its penalties on W; `options.solver` has no say in it.
///
/// # Errors
/// Options that cannot be, an `h` of another size or with values that are negative or not finite, the exact rule with
/// another loss, and the wish to stop.
pub fn refit(run: &Run, input: &Input, h: &[f64], k: usize, options: &Options, rule: Rule) -> Result<Refit> {
    options.check(input)?;
    if k == 0 || k.checked_mul(input.g()) != Some(h.len()) {
        let message = format!("fixed spectra of {k} x {} were expected, found {} numbers", input.g(), h.len());
        return Err(Fault::bad_input(message));
    }
    if let Some(at) = h.iter().position(|&x| !(x >= 0.0 && x.is_finite())) {
        let message =
            format!("fixed spectra are finite and >= 0, row {} column {} is {}", at / input.g(), at % input.g(), h[at]);
        return Err(Fault::bad_input(message));
    }
    match (rule, options.precision) {
        (Rule::Exact, _) if options.loss != Loss::FROBENIUS => {
            let message = format!("exact refits are of the squared norm, beta {} was asked", options.loss.value());
            Err(Fault::unsupported(message).at("refit").hint("take refit `peer` with a small tolerance"))
        }
        (Rule::Exact, _) => solve_rows(run, input, h, k, options),
        (Rule::Peer, Precision::Double) => iterate::<f64>(run, input, h, k, options),
        (Rule::Peer, Precision::Single) => iterate::<f32>(run, input, h, k, options),
    }
}

/// One replica whose H stays.
fn iterate<T: Real>(run: &Run, input: &Input, h: &[f64], k: usize, options: &Options) -> Result<Refit> {
    let tiles = Tiles::<T>::new(input);
    let mut replicas = Replicas::<T, 1>::new(&tiles, k);
    let level = Level::widest();
    let first = match options.solver {
        Solver::CoordinateDescent => 0.0,
        Solver::Multiplicative => (tiles.mean() / k as f64).sqrt(),
    };
    replicas.put(0, &vec![first; tiles.n * k], h);
    let (iterations, objective, stop, trace) = match options.solver {
        Solver::CoordinateDescent => {
            let mut descent = Descent::new(&tiles, options, level);
            descent.fix(run, &replicas)?;
            judge_refit(options, 0.0, |_| descent.iterate(run, &mut replicas))?
        }
        Solver::Multiplicative => {
            let mut updates = Multiplicative::new(&tiles, options, level);
            updates.fix();
            let loss = updates.loss(run, &mut replicas)?[0];
            judge_refit(options, loss, |look| updates.iterate(run, &mut replicas, look))?
        }
    };
    Ok(Refit { w: replicas.take(0).0, iterations, objective, stop, trace })
}

/// Every row to its optimum.
fn solve_rows(run: &Run, input: &Input, h: &[f64], k: usize, options: &Options) -> Result<Refit> {
    let (n, g) = (input.n(), input.g());
    let tiles = Tiles::<f64>::new(input);
    let mut replicas = Replicas::<f64, 1>::new(&tiles, k);
    replicas.put(0, &vec![0.0; n * k], h);
    let alpha = options.alpha_w * g as f64;
    let mut descent = Descent::new(&tiles, options, Level::widest());
    descent.fix(run, &replicas)?;
    let mut gram: Vec<f64> = replicas.gram_of_columns(Level::widest()).iter().map(|pack| pack[0]).collect();
    let plain = gram.clone();
    (0..k).for_each(|t| gram[t * k + t] += alpha * (1.0 - options.l1_ratio));
    let products = descent.fixed_products();
    let solved = run.map_quietly(n, 256, |rows| {
        let mut w = vec![0.0; rows.len() * k];
        let p = &products[rows.start * k..rows.end * k];
        let done =
            w.chunks_exact_mut(k).zip(p.chunks_exact(k)).fold(true, |done, (w, p)| exact::solve(w, p, &gram) & done);
        Ok((w, done))
    })?;
    let all_done = solved.iter().all(|(_, done)| *done);
    let w: Vec<f64> = solved.into_iter().flat_map(|(w, _)| w).collect();
    let along: f64 = w.iter().zip(&products).map(|(w, p)| w * (p + alpha * options.l1_ratio)).sum();
    let squares: f64 = w
        .chunks_exact(k)
        .map(|w| (0..k).map(|t| w[t] * (0..k).map(|s| plain[t * k + s] * w[s]).sum::<f64>()).sum::<f64>())
        .sum();
    let objective = (0.5 * tiles.squares - along + 0.5 * squares).max(0.0);
    let stop = if all_done { Stop::Converged } else { Stop::Limit };
    Ok(Refit { w, iterations: 0, objective, stop, trace: Trace::default() })
}
