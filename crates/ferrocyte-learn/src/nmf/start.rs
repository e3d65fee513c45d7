//! Where a factorisation begins: random factors of a seed, singular vectors, or given factors.

use ferrocyte_base::{Fault, Result, Run};
use ferrocyte_math::fused::Real;
use ferrocyte_math::linalg::Matrix;
use ferrocyte_math::mersenne_twister::MersenneTwister;

use super::input::Input;
use super::tiles::Tiles;
use crate::{fix_signs, largest_eigen};

/// Where one replica begins.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Start<'a> {
    /// Sizes of normal numbers times the root of the mean over k, H before W, from a generator with this seed.
    Random(u32),
    /// From the leading singular vectors (C. Boutsidis and E. Gallopoulos, 2008), zeros kept.
    Nndsvd,
    /// The same, zeros replaced by the mean of the matrix.
    NndsvdMean,
    /// The same, zeros replaced by small random numbers from a generator with this seed.
    NndsvdRandom(u32),
    /// Given factors.
    Given {
        /// `n x k`, row after row.
        w: &'a [f64],
        /// `k x g`, row after row.
        h: &'a [f64],
    },
}

/// A replicate of a consensus: its rank, its number within the rank, its seed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Replicate {
    /// The rank.
    pub components: usize,
    /// Which replicate of the rank, from 0.
    pub index: usize,
    /// The seed of its start.
    pub seed: u32,
}

/// The seeds of `n` replicates of each rank, from one master seed.
///
/// As many seeds are drawn as ranks are given, repeated ones counted; they go to the ranks in rising order, repeated ones
/// once. So another rank changes the seeds of all that are larger.
///
/// ```
/// let replicates = ferrocyte_learn::nmf::replicates(14, &[5], 12);
/// assert_eq!(replicates[0].seed, 59_886_188);
/// ```
pub fn replicates(master: u32, ranks: &[usize], n: usize) -> Vec<Replicate> {
    /// Masked draws beyond this are drawn again.
    const LAST: u32 = 2_147_483_645;
    let mut generator = MersenneTwister::new(master);
    let mut ranks = ranks.to_vec();
    ranks.sort_unstable();
    ranks.dedup();
    let mut draw = || {
        loop {
            let masked = generator.bits() & 0x7fff_ffff;
            if masked <= LAST {
                return masked + 1;
            }
        }
    };
    let of_rank = |&components| (0..n).map(move |index| (components, index));
    ranks.iter().flat_map(of_rank).map(|(components, index)| Replicate { components, index, seed: draw() }).collect()
}

/// The factors that a start means for a matrix: W of `n x k` and H of `k x g`, row after row.
///
/// # Errors
/// No components, more than singular vectors can start, and given factors of another size or with bad values.
pub fn initial(run: &Run, input: &Input, components: usize, start: Start) -> Result<(Vec<f64>, Vec<f64>)> {
    if components == 0 {
        return Err(Fault::bad_input("a start has at least 1 component, found 0").at("components"));
    }
    factors(run, &Tiles::<f64>::new(input), components, start)
}

/// [`initial`] of a matrix in tiles.
pub(super) fn factors<T: Real>(run: &Run, tiles: &Tiles<T>, k: usize, start: Start) -> Result<(Vec<f64>, Vec<f64>)> {
    let (n, g) = (tiles.n, tiles.g);
    match start {
        Start::Random(seed) => Ok(random(tiles.mean(), n, g, k, seed)),
        Start::Given { w, h } => {
            if w.len() != n * k || h.len() != k * g {
                return Err(Fault::bad_input(format!(
                    "{k} components of {n} x {g} start from {} and {} numbers, found {} and {}",
                    n * k,
                    k * g,
                    w.len(),
                    h.len()
                )));
            }
            if let Some(x) = w.iter().chain(h).find(|&&x| !(x >= 0.0 && x.is_finite())) {
                return Err(Fault::bad_input(format!("given factors are finite and >= 0, found {x}")));
            }
            Ok((w.to_vec(), h.to_vec()))
        }
        Start::Nndsvd | Start::NndsvdMean | Start::NndsvdRandom(_) => {
            let (u, values, v) = singular(run, tiles, k)?;
            Ok(nndsvd(start, &u, &values, &v, tiles.mean()))
        }
    }
}

fn random(mean: f64, n: usize, g: usize, k: usize, seed: u32) -> (Vec<f64>, Vec<f64>) {
    let scale = (mean / k as f64).sqrt();
    let mut generator = MersenneTwister::new(seed);
    let mut sizes = |m: usize| -> Vec<f64> { (0..m).map(|_| (scale * generator.normal()).abs()).collect() };
    let h = sizes(k * g);
    (sizes(n * k), h)
}

/// The `k` leading singular triplets: left vectors as rows, values, right vectors as rows.
fn singular<T: Real>(run: &Run, tiles: &Tiles<T>, k: usize) -> Result<(Matrix, Vec<f64>, Matrix)> {
    let (n, g) = (tiles.n, tiles.g);
    if k > n.min(g) {
        let message = format!("a start from singular vectors has at most {} components, {k} were asked", n.min(g));
        return Err(Fault::bad_input(message).hint("start from random factors"));
    }
    run.reserve("the cross-products of a start from singular vectors", (g * g * 8) as u64)?;
    let mut cross = Matrix::zeros(g, g);
    tiles.each_row(|_, row| {
        for &(a, x) in row {
            row.iter().for_each(|&(b, y)| cross[(a, b)] += x * y);
        }
    });
    let found = largest_eigen(run, &cross, k)?;
    let mut v = found.vectors;
    fix_signs(&mut v);
    let values: Vec<f64> = found.values.iter().map(|x| x.max(0.0).sqrt()).collect();
    let mut u = Matrix::zeros(k, n);
    tiles.each_row(|i, row| {
        for t in 0..k {
            let product: f64 = row.iter().map(|&(j, x)| x * v[(t, j)]).sum();
            u[(t, i)] = if values[t] > 0.0 { product / values[t] } else { 0.0 };
        }
    });
    Ok((u, values, v))
}

/// Non-negative factors from singular triplets, whose vectors are rows: W of `n x k`, H of `k x g`.
///
/// Of each pair of vectors after the first either the positive or the negative parts are taken, those with the larger
/// product of norms. `start` says what becomes of zeros, `mean` is the mean of the matrix.
pub fn nndsvd(start: Start, u: &Matrix, values: &[f64], v: &Matrix, mean: f64) -> (Vec<f64>, Vec<f64>) {
    /// What is smaller becomes 0.
    const SMALL: f64 = 1e-6;
    let (k, n, g) = (values.len(), u.n_cols(), v.n_cols());
    let (mut w, mut h) = (vec![0.0; n * k], vec![0.0; k * g]);
    for t in 0..k {
        let (left, right, scale) = if t == 0 {
            let sizes = |x: &[f64]| x.iter().map(|x| x.abs()).collect::<Vec<f64>>();
            (sizes(u.row(0)), sizes(v.row(0)), values[0].sqrt())
        } else {
            let (u_plus, v_plus, plus) = parts(u.row(t), v.row(t), 1.0);
            let (u_minus, v_minus, minus) = parts(u.row(t), v.row(t), -1.0);
            if plus > minus {
                (u_plus, v_plus, (values[t] * plus).sqrt())
            } else {
                (u_minus, v_minus, (values[t] * minus).sqrt())
            }
        };
        let kept = |x: f64| if x * scale < SMALL { 0.0 } else { x * scale };
        left.iter().enumerate().for_each(|(i, x)| w[i * k + t] = kept(*x));
        right.iter().enumerate().for_each(|(j, x)| h[t * g + j] = kept(*x));
    }
    fill(start, mean, &mut w, &mut h);
    (w, h)
}

/// The parts of two vectors with a sign, as unit vectors, and the product of their norms.
fn parts(u: &[f64], v: &[f64], sign: f64) -> (Vec<f64>, Vec<f64>, f64) {
    let part = |x: &[f64]| {
        let part: Vec<f64> = x.iter().map(|x| (sign * x).max(0.0)).collect();
        let norm = part.iter().map(|x| x * x).sum::<f64>().sqrt();
        let unit = if norm > 0.0 { part.iter().map(|x| x / norm).collect() } else { part };
        (unit, norm)
    };
    let ((u, u_norm), (v, v_norm)) = (part(u), part(v));
    (u, v, u_norm * v_norm)
}

/// Replaces zeros as the start asks.
fn fill(start: Start, mean: f64, w: &mut [f64], h: &mut [f64]) {
    let zeros = |x: &mut [f64], draw: &mut dyn FnMut() -> f64| {
        x.iter_mut().filter(|x| **x == 0.0).for_each(|x| *x = draw());
    };
    match start {
        Start::NndsvdMean => [w, h].into_iter().for_each(|x| zeros(x, &mut || mean)),
        Start::NndsvdRandom(seed) => {
            let mut generator = MersenneTwister::new(seed);
            [w, h].into_iter().for_each(|x| zeros(x, &mut || (mean * generator.normal() / 100.0).abs()));
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_go_to_ranks_in_rising_order() {
        let found = replicates(7, &[9, 5, 9], 2);
        assert_eq!(found.iter().map(|r| (r.components, r.index)).collect::<Vec<_>>(), [(5, 0), (5, 1), (9, 0), (9, 1)]);
        assert_eq!(found[0].seed, replicates(7, &[5], 2)[0].seed);
        assert_ne!(found[2].seed, replicates(7, &[9], 2)[0].seed);
    }

    #[test]
    fn zeros_are_filled_w_first() {
        let (mut w, mut h) = (vec![0.0, 1.0], vec![0.0, 0.0]);
        fill(Start::NndsvdMean, 3.0, &mut w, &mut h);
        assert_eq!((w.as_slice(), h.as_slice()), ([3.0, 1.0].as_slice(), [3.0, 3.0].as_slice()));
        let (mut w, mut h) = (vec![0.0, 1.0], vec![0.0, 0.0]);
        fill(Start::NndsvdRandom(4), 50.0, &mut w, &mut h);
        let mut draws = MersenneTwister::new(4);
        let mut next = || (50.0 * draws.normal() / 100.0).abs();
        assert_eq!([w[0], h[0], h[1]], [next(), next(), next()]);
    }
}
