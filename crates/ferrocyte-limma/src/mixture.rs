//! [`fit_mixture`]: intensities of two samples from arrays of mixtures of them.

use ferrocyte_base::{Fault, Result, Run};
use ferrocyte_math::linalg::MatrixRef;

/// What [`fit_mixture`] finds, one entry per gene.
#[derive(Debug, Clone, PartialEq)]
pub struct Mixture {
    /// Mean of the log2 intensities of both samples.
    pub mean: Vec<f64>,
    /// log2 intensity of the first sample less that of the second.
    pub difference: Vec<f64>,
    /// Residual standard deviation on n - 2 degrees of freedom.
    pub stdev: Vec<f64>,
}

/// Fits `E[y_j] = log2(p_j 2^u + (1 - p_j) 2^v)` to the log2 intensities of each gene (genes × mixtures) by least
/// squares (Holloway et al. 2006, doi:10.1186/1471-2105-7-511). Missing values are left out; a gene with fewer than
/// three values, or for which the shares do not tell the samples apart, is NaN.
///
/// # Errors
/// Where `shares` (of the first sample in each mixture) are not as many as mixtures, or not between 0 and 1.
pub fn fit_mixture(run: &Run, log2e: MatrixRef<'_>, shares: &[f64], max_iter: usize) -> Result<Mixture> {
    if shares.len() != log2e.n_cols() {
        return Err(Fault::bad_input(format!("{} shares for {} mixtures", shares.len(), log2e.n_cols())).at("mixprop"));
    }
    if let Some(share) = shares.iter().find(|p| !(0.0..=1.0).contains(*p)) {
        return Err(Fault::bad_input(format!("expected shares between 0 and 1, found {share}")).at("mixprop"));
    }
    let blocks = run.map_ranges("fit mixtures", log2e.n_rows(), 256, |genes| {
        Ok(genes.map(|g| one(log2e.row(g), shares, max_iter)).collect())
    })?;
    let genes: Vec<[f64; 3]> = blocks.into_iter().flat_map(|block: Vec<[f64; 3]>| block).collect();
    Ok(Mixture {
        mean: genes.iter().map(|g| g[0]).collect(),
        difference: genes.iter().map(|g| g[1]).collect(),
        stdev: genes.iter().map(|g| g[2]).collect(),
    })
}

/// Mean, difference and standard deviation of one gene, by Gauss-Newton steps that are halved while they make it worse.
fn one(y: &[f64], shares: &[f64], max_iter: usize) -> [f64; 3] {
    let points: Vec<(f64, f64)> = y.iter().zip(shares).filter(|(y, _)| y.is_finite()).map(|(&y, &p)| (y, p)).collect();
    if points.len() < 3 {
        return [f64::NAN; 3];
    }
    #[expect(clippy::cast_precision_loss, reason = "a number of arrays")]
    let n = points.len() as f64;
    let start = points.iter().map(|(y, _)| y).sum::<f64>() / n;
    let (mut at, mut rss) = ([start, start], squares(&points, [start, start]));
    for _ in 0..max_iter {
        let Some(step) = newton(&points, at) else { return [f64::NAN; 3] };
        let mut factor = 1.0;
        let (mut next, mut found) = (at, f64::INFINITY);
        while factor > 1e-6 {
            next = [at[0] + factor * step[0], at[1] + factor * step[1]];
            found = squares(&points, next);
            if found <= rss {
                break;
            }
            factor /= 2.0;
        }
        if found > rss {
            break;
        }
        (at, rss) = (next, found);
        if step[0].abs().max(step[1].abs()) < 1e-12 * at[0].abs().max(at[1].abs()).max(1.0) {
            break;
        }
    }
    [f64::midpoint(at[0], at[1]), at[0] - at[1], (rss / (n - 2.0)).sqrt()]
}

/// The mean at a share of the first sample, and its derivative by the intensity of that sample (1 less it is the other).
fn curve(share: f64, [u, v]: [f64; 2]) -> (f64, f64) {
    let top = u.max(v);
    let (first, second) = (share * (u - top).exp2(), (1.0 - share) * (v - top).exp2());
    (top + (first + second).log2(), first / (first + second))
}

fn squares(points: &[(f64, f64)], at: [f64; 2]) -> f64 {
    points.iter().map(|&(y, p)| (y - curve(p, at).0).powi(2)).sum()
}

fn newton(points: &[(f64, f64)], at: [f64; 2]) -> Option<[f64; 2]> {
    let (mut aa, mut ab, mut bb, mut ar, mut br) = (0.0, 0.0, 0.0, 0.0, 0.0);
    for &(y, p) in points {
        let (mean, a) = curve(p, at);
        let (b, r) = (1.0 - a, y - mean);
        aa += a * a;
        ab += a * b;
        bb += b * b;
        ar += a * r;
        br += b * r;
    }
    let determinant = aa * bb - ab * ab;
    let told = determinant > 1e-12 * aa * bb;
    told.then(|| [(bb * ar - ab * br) / determinant, (aa * br - ab * ar) / determinant])
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHARES: [f64; 5] = [0.1, 0.25, 0.5, 0.75, 0.9];

    fn exact(u: f64, v: f64) -> Vec<f64> {
        SHARES.iter().map(|&p| (p * u.exp2() + (1.0 - p) * v.exp2()).log2()).collect()
    }

    #[test]
    fn exact_mixtures_are_found() -> Result<()> {
        let values: Vec<f64> = [exact(8.0, 6.0), exact(3.0, 11.0), exact(5.0, 5.0)].concat();
        let found = fit_mixture(&Run::new(), MatrixRef::from_rows(3, 5, &values), &SHARES, 50)?;
        for (g, (mean, difference)) in [(7.0, 2.0), (7.0, -8.0), (5.0, 0.0)].into_iter().enumerate() {
            assert!((found.mean[g] - mean).abs() < 1e-9);
            assert!((found.difference[g] - difference).abs() < 1e-9);
            assert!(found.stdev[g] < 1e-8);
        }
        Ok(())
    }

    #[test]
    fn the_sum_of_squares_is_least() {
        let noise = [0.3, -0.2, 0.1, -0.4, 0.2];
        let y: Vec<f64> = exact(8.0, 6.0).iter().zip(noise).map(|(y, e)| y + e).collect();
        let [mean, difference, stdev] = one(&y, &SHARES, 50);
        let points: Vec<(f64, f64)> = y.iter().copied().zip(SHARES).collect();
        let at = [mean + difference / 2.0, mean - difference / 2.0];
        let least = squares(&points, at);
        assert!((stdev - (least / 3.0).sqrt()).abs() < 1e-12);
        for step in [[1e-4, 0.0], [-1e-4, 0.0], [0.0, 1e-4], [0.0, -1e-4]] {
            assert!(squares(&points, [at[0] + step[0], at[1] + step[1]]) > least);
        }
    }

    #[test]
    fn too_little_is_missing() {
        assert!(one(&[1.0, f64::NAN, 2.0], &SHARES[..3], 50)[0].is_nan());
        assert!(one(&[1.0, 2.0, 3.0], &[0.5; 3], 50)[0].is_nan());
        let outcome = fit_mixture(&Run::new(), MatrixRef::from_rows(1, 1, &[1.0]), &[1.5], 50);
        assert!(outcome.is_err_and(|fault| fault.to_string().contains("1.5")));
    }
}
