//! Offsets of cells on a few Chebyshev nodes.
//!
//! The likelihood of the cells of one stratum is a sum over them of a function of ln(offset) that is analytic within π of
//! the real axis, whatever the parameters. Interpolated at `M` Chebyshev points of the range of ln(offset), it needs of
//! the cells only their sums of cardinal polynomials; the relative error is about `rho^-M`, where with half the range `h`
//! `rho = π/h + sqrt(1 + (π/h)²)`.

use std::f64::consts::PI;

/// Numbers of nodes to choose from: whole vector registers.
const SIZES: [usize; 5] = [8, 12, 16, 20, 24];

/// The relative error that is aimed at.
const ERROR: f64 = 1e-9;

/// The nodes of a range of offsets.
#[derive(Debug, Clone, PartialEq)]
pub struct OffsetNodes {
    /// The smallest and the largest ln(offset).
    range: (f64, f64),
    /// The offsets at the nodes.
    offsets: Vec<f64>,
}

impl OffsetNodes {
    /// The nodes for ln(offset) from `low` to `high`; `count` of them, or as many as the range asks for. One node serves
    /// where all offsets are equal.
    pub fn new(low: f64, high: f64, count: Option<usize>) -> Self {
        let half = 0.5 * (high - low);
        let m = if half > 0.0 { count.unwrap_or_else(|| size_for(half)) } else { 1 };
        let offsets = (0..m).map(|k| (0.5 * (low + high) + half * abscissa(k, m)).exp()).collect();
        Self { range: (low, high), offsets }
    }

    /// Number of nodes.
    pub fn len(&self) -> usize {
        self.offsets.len()
    }

    /// Whether there are none: never.
    pub fn is_empty(&self) -> bool {
        self.offsets.is_empty()
    }

    /// The offsets at the nodes.
    pub fn offsets(&self) -> &[f64] {
        &self.offsets
    }

    /// The smallest and the largest ln(offset).
    pub fn range(&self) -> (f64, f64) {
        self.range
    }

    /// Fills `out` with the cardinal polynomials of all nodes at ln(offset) `l`; they sum to 1.
    pub fn cardinals(&self, l: f64, out: &mut [f64]) {
        let m = self.offsets.len();
        if m == 1 {
            out[0] = 1.0;
            return;
        }
        let (low, high) = self.range;
        let x = ((l - low) - (high - l)) / (high - low);
        // L_k(x) = (1 + 2 sum_j T_j(x_k) T_j(x)) / M, T_j by its recurrence, at x and at the node.
        for (k, out) in out.iter_mut().enumerate().take(m) {
            let node = abscissa(k, m);
            let (mut before, mut here) = ((1.0, 1.0), (node, x));
            let mut sum = 0.5;
            for _ in 1..m {
                sum += here.0 * here.1;
                (before, here) = (here, (2.0 * node * here.0 - before.0, 2.0 * x * here.1 - before.1));
            }
            *out = 2.0 * sum / m as f64;
        }
    }
}

/// The Chebyshev points of the first kind on [-1, 1], rising.
fn abscissa(k: usize, m: usize) -> f64 {
    -(PI * (k as f64 + 0.5) / m as f64).cos()
}

/// How many nodes half a range of ln(offset) asks for.
fn size_for(half: f64) -> usize {
    let ratio = PI / half;
    let rho = ratio + ratio.hypot(1.0);
    SIZES.into_iter().find(|&m| rho.powi(-(m as i32)) < ERROR).unwrap_or(SIZES[SIZES.len() - 1])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_follow_the_range() {
        assert_eq!(OffsetNodes::new(0.3, 0.3, None).len(), 1);
        let sizes: Vec<usize> = [2.0_f64, 4.0, 10.0, 30.0, 100.0, 1e4]
            .iter()
            .map(|ratio| OffsetNodes::new(0.0, ratio.ln(), None).len())
            .collect();
        assert_eq!(sizes, [8, 12, 12, 16, 20, 24]);
        assert_eq!(OffsetNodes::new(0.0, 1.0, Some(5)).len(), 5);
    }

    #[test]
    fn the_term_of_the_likelihood_is_interpolated() {
        let nodes = OffsetNodes::new(-1.2, 1.1, Some(12));
        let mut cardinals = vec![0.0; nodes.len()];
        for z in [1e-3, 1.0, 1e3] {
            for i in 0..=20 {
                let l = -1.2 + 2.3 * f64::from(i) / 20.0;
                nodes.cardinals(l, &mut cardinals);
                assert!((cardinals.iter().sum::<f64>() - 1.0).abs() < 1e-14);
                let term = |o: f64| (z * o).ln_1p();
                let found: f64 = cardinals.iter().zip(nodes.offsets()).map(|(c, &o)| c * term(o)).sum();
                let exact = term(l.exp());
                assert!((found / exact - 1.0).abs() < 5e-9, "{z} {l} {found} {exact}");
                // Straight lines are met exactly, so that sums of y ln(offset) need no column of their own.
                let line: f64 = cardinals.iter().zip(nodes.offsets()).map(|(c, &o)| c * o.ln()).sum();
                assert!((line - l).abs() < 1e-13);
            }
        }
    }
}
