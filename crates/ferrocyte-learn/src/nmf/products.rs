//! Usages of given spectra from products alone: what a matrix too large to hold leaves behind in one pass.

use ferrocyte_base::{Fault, Result, Run};

use super::batch::judge_refit;
use super::exact;
use super::refit::{Refit, Rule};
use super::{Loss, Options, Step, Stop, Trace};

/// Rows that are worked on together; sums over rows are taken block by block.
const ROWS: usize = 256;

/// What a fit of W for a fixed H needs of a matrix X under the squared norm.
#[derive(Debug, Clone, Copy)]
pub struct Products<'a> {
    /// X H' of `n x k`, row after row.
    pub cross: &'a [f64],
    /// H H' of `k x k`.
    pub gram: &'a [f64],
    /// The columns of X, which scale the penalty on W.
    pub columns: usize,
    /// The sum of the squares of X, for the objective.
    pub squares: f64,
}

/// The rows of one block.
struct Block<'a> {
    cross: &'a [f64],
    w: Vec<f64>,
    violation: f64,
    solved: bool,
}

/// [`refit`](super::refit()) of the squared norm, by coordinate descent or exactly, from products.
///
/// # Errors
/// Another loss, products of other sizes or that are not finite, and the wish to stop.
pub fn refit_products(run: &Run, products: &Products, k: usize, options: &Options, rule: Rule) -> Result<Refit> {
    check(products, k, options)?;
    let alpha = options.alpha_w * products.columns as f64;
    let mut gram = products.gram.to_vec();
    (0..k).for_each(|t| gram[t * k + t] += alpha * (1.0 - options.l1_ratio));
    let cross: Vec<f64> = products.cross.iter().map(|p| p - alpha * options.l1_ratio).collect();
    let fresh = |cross| Block { cross, w: vec![0.0; cross.len()], violation: 0.0, solved: true };
    let mut blocks: Vec<Block> = cross.chunks(ROWS * k).map(fresh).collect();
    let (iterations, stop, trace) = match rule {
        Rule::Peer => {
            let (iterations, _, stop, trace) = judge_refit(options, 0.0, |_| {
                run.check()?;
                run.for_each_chunk(&mut blocks, 1, |_, part| part.iter_mut().for_each(|b| sweep(b, &gram, k)))?;
                let violation_w = [blocks.iter().map(|block| block.violation).sum()];
                let objective = options.trace.then(|| [objective(&blocks, products, k)]);
                Ok(Step { violation_w, violation_h: [0.0], objective })
            })?;
            (iterations, stop, trace)
        }
        Rule::Exact => {
            run.for_each_chunk(&mut blocks, 1, |_, part| part.iter_mut().for_each(|b| solve(b, &gram, k)))?;
            let all = blocks.iter().all(|block| block.solved);
            (0, if all { Stop::Converged } else { Stop::Limit }, Trace::default())
        }
    };
    let objective = objective(&blocks, products, k).max(0.0);
    Ok(Refit { w: blocks.into_iter().flat_map(|block| block.w).collect(), iterations, objective, stop, trace })
}

/// One sweep over the rows of a block.
fn sweep(block: &mut Block, gram: &[f64], k: usize) {
    block.violation = 0.0;
    for (w, p) in block.w.chunks_exact_mut(k).zip(block.cross.chunks_exact(k)) {
        for t in 0..k {
            let q = &gram[t * k..(t + 1) * k];
            let gradient = q.iter().zip(&*w).map(|(q, w)| q * w).sum::<f64>() - p[t];
            block.violation += if w[t] == 0.0 { (-gradient).max(0.0) } else { gradient.abs() };
            if q[t] != 0.0 {
                w[t] = (w[t] - gradient / q[t]).max(0.0);
            }
        }
    }
}

/// The rows of a block to their optima.
fn solve(block: &mut Block, gram: &[f64], k: usize) {
    let rows = block.w.chunks_exact_mut(k).zip(block.cross.chunks_exact(k));
    block.solved = rows.fold(true, |all, (w, p)| exact::solve(w, p, gram) & all);
}

/// Half the squared distance, without penalties.
fn objective(blocks: &[Block], products: &Products, k: usize) -> f64 {
    let rows = blocks.iter().flat_map(|block| block.w.chunks_exact(k)).zip(products.cross.chunks_exact(k));
    let gained: f64 = rows
        .map(|(w, p)| {
            let along: f64 = w.iter().zip(p).map(|(w, p)| w * p).sum();
            let square =
                |t: usize| w[t] * products.gram[t * k..(t + 1) * k].iter().zip(w).map(|(q, w)| q * w).sum::<f64>();
            along - 0.5 * (0..k).map(square).sum::<f64>()
        })
        .sum();
    0.5 * products.squares - gained
}

fn check(products: &Products, k: usize, options: &Options) -> Result<()> {
    if options.loss != Loss::FROBENIUS {
        let message = format!("products tell all of the squared norm only, beta {} was asked", options.loss.value());
        return Err(Fault::unsupported(message).at("beta_loss"));
    }
    if k == 0 || products.gram.len() != k * k || !products.cross.len().is_multiple_of(k) {
        let (cross, gram) = (products.cross.len(), products.gram.len());
        let message =
            format!("products of {k} components were expected, found {cross} numbers and a Gram matrix of {gram}");
        return Err(Fault::bad_input(message));
    }
    match products.cross.iter().chain(products.gram).find(|x| !x.is_finite()) {
        Some(x) => Err(Fault::bad_input(format!("products are finite, found {x}"))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Input, Values, refit};
    use super::*;

    /// 300 rows of 5 numbers, and two spectra.
    fn case() -> (Vec<f64>, Vec<f64>) {
        let x: Vec<f64> = (0..1500).map(|t| f64::from((t * 7919) % 11)).collect();
        (x, vec![1.0, 0.5, 0.0, 2.0, 1.0, 0.0, 3.0, 1.0, 0.2, 0.7])
    }

    #[test]
    fn products_tell_what_the_matrix_does() -> Result<()> {
        let (x, h) = case();
        let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        let cross: Vec<f64> =
            x.chunks_exact(5).flat_map(|row| h.chunks_exact(5).map(|h| dot(row, h)).collect::<Vec<_>>()).collect();
        let gram: Vec<f64> =
            h.chunks_exact(5).flat_map(|a| h.chunks_exact(5).map(|b| dot(a, b)).collect::<Vec<_>>()).collect();
        let products = Products { cross: &cross, gram: &gram, columns: 5, squares: dot(&x, &x) };
        let input = Input::dense(Values::Double(&x), 300, 5)?;
        for rule in [Rule::Peer, Rule::Exact] {
            for alpha_w in [0.0, 0.3] {
                let options = Options { alpha_w, l1_ratio: 0.4, ..Options::default() };
                let run = Run::new().threads(2);
                let found = refit_products(&run, &products, 2, &options, rule)?;
                let whole = refit(&run, &input, &h, 2, &options, rule)?;
                assert_eq!((found.iterations, found.stop), (whole.iterations, whole.stop));
                assert!(found.w.iter().zip(&whole.w).all(|(a, b)| (a - b).abs() < 1e-11));
                assert!((found.objective - whole.objective).abs() < 1e-9 * whole.objective);
                let alone = refit_products(&Run::new().threads(1), &products, 2, &options, rule)?;
                assert_eq!(found, alone);
            }
        }
        Ok(())
    }

    #[test]
    fn what_products_cannot_tell_is_refused() {
        let products = Products { cross: &[1.0, f64::NAN], gram: &[1.0; 4], columns: 3, squares: 1.0 };
        let options = Options::default();
        assert!(refit_products(&Run::new(), &products, 2, &options, Rule::Peer).is_err());
        assert!(refit_products(&Run::new(), &products, 3, &options, Rule::Peer).is_err());
        let other = Options { loss: Loss::KULLBACK_LEIBLER, ..options };
        assert!(refit_products(&Run::new(), &products, 2, &other, Rule::Peer).is_err());
    }
}
