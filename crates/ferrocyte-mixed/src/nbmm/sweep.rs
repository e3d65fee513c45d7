//! The innermost loop: all points of a stratum at several values of the donor effect at once.
//!
//! For the predictor `eta + w` of a stratum, with `mu = e^{eta + w} o`, `z = tau mu`, `r = 1 / (1 + z)` and `u = n + tau W`
//! at each point, the counts have the log density `Y (eta + w) - sum u ln(1 + z) / tau` and
//!
//! ```text
//! residual                 Y - sum u mu r
//! minus its derivative     sum u mu r²
//! its derivative, ln tau   sum (n z - tau W) mu r²
//! score of ln tau          sum n (ln(1 + z) - z r) / tau - W z r
//! ```
//!
//! The values of w are the lanes of vector registers.

#![allow(clippy::inline_always)]

use ferrocyte_math::wide;

/// Values of the donor effect that are worked on together.
pub(in crate::nbmm) const LANES: usize = 8;

pub(in crate::nbmm) type Lanes = [f64; LANES];

/// The points of a stratum.
#[derive(Debug, Clone, Copy)]
pub(in crate::nbmm) struct Points<'a> {
    pub(in crate::nbmm) offsets: &'a [f64],
    /// n: how many cells a point stands for.
    pub(in crate::nbmm) cells: &'a [f64],
    /// W: the counts that it stands for.
    pub(in crate::nbmm) counts: &'a [f64],
    /// The sum of `cells * offsets`.
    pub(in crate::nbmm) exposure: f64,
    /// Y: the sum of counts.
    pub(in crate::nbmm) total: f64,
}

/// What a stratum gives to the derivatives in its predictor.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::nbmm) struct OfStratum {
    /// Residual.
    pub(in crate::nbmm) residual: Lanes,
    /// Minus its derivative in the predictor.
    pub(in crate::nbmm) weight: Lanes,
    /// Its derivative in ln tau.
    pub(in crate::nbmm) cross: Lanes,
}

/// Sums over the strata of a donor.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::nbmm) struct OfDonor {
    /// Log density of the counts, without what does not depend on w.
    pub(in crate::nbmm) value: Lanes,
    /// Its first derivative in ln tau, without the tails of counts.
    pub(in crate::nbmm) first: Lanes,
    /// tau² times its second derivative in tau: with the first, the second derivative in ln tau.
    pub(in crate::nbmm) second: Lanes,
}

/// Works through the points of a stratum at the predictors `eta`; `D`: with derivatives in tau.
#[inline(always)]
pub(in crate::nbmm) fn sweep<const D: bool>(
    points: Points<'_>,
    tau: f64,
    eta: &Lanes,
    donor: &mut OfDonor,
) -> OfStratum {
    let mut of = OfStratum::default();
    let mut s = [0.0; LANES];
    for q in 0..LANES {
        s[q] = wide::exp(eta[q]);
    }
    if tau == 0.0 {
        for q in 0..LANES {
            let mean = s[q] * points.exposure;
            donor.value[q] += points.total * eta[q] - mean;
            of.residual[q] = points.total - mean;
            of.weight[q] = mean;
        }
        return of;
    }
    let inverse = 1.0 / tau;
    let (mut value, mut mean, mut weight, mut cross) = ([0.0; LANES], [0.0; LANES], [0.0; LANES], [0.0; LANES]);
    let (mut first, mut second) = ([0.0; LANES], [0.0; LANES]);
    for k in 0..points.offsets.len() {
        let (o, n, w) = (points.offsets[k], points.cells[k], points.counts[k]);
        let (scale, u, tau_w) = (tau * o, n * inverse + w, tau * w);
        let n_inverse = n * inverse;
        for q in 0..LANES {
            let z = s[q] * scale;
            let r = 1.0 / (1.0 + z);
            let ln = wide::ln_1p(z);
            let share = z * r;
            value[q] += u * ln;
            let mean_k = u * share;
            mean[q] += mean_k;
            weight[q] += mean_k * r;
            if D {
                cross[q] += (n * z - tau_w) * share * r;
                let (g, h) = tau_terms(z, r, ln);
                first[q] += n_inverse * g - w * share;
                second[q] += n_inverse * h + w * share * share;
            }
        }
    }
    for q in 0..LANES {
        donor.value[q] += points.total * eta[q] - value[q];
        of.residual[q] = points.total - mean[q];
        of.weight[q] = weight[q];
        if D {
            of.cross[q] = cross[q] * inverse;
            donor.first[q] += first[q];
            donor.second[q] += second[q];
        }
    }
    of
}

/// `g = ln(1 + z) - z r` and `-2 ln(1 + z) + z r² (2 + 3 z)`, by their series where z is small.
#[inline(always)]
fn tau_terms(z: f64, r: f64, ln: f64) -> (f64, f64) {
    let near_g =
        z * z * (1.0 / 2.0 - z * (2.0 / 3.0 - z * (3.0 / 4.0 - z * (4.0 / 5.0 - z * (5.0 / 6.0 - z * 6.0 / 7.0)))));
    let near_h = z * z * z * (-2.0 / 3.0 + z * (3.0 / 2.0 - z * (12.0 / 5.0 - z * (10.0 / 3.0 - z * 30.0 / 7.0))));
    let (far_g, far_h) = (ln - z * r, z * r * r * (2.0 + 3.0 * z) - 2.0 * ln);
    if z < 0.01 { (near_g, near_h) } else { (far_g, far_h) }
}

/// Slope and curvature of the log density of a stratum at one predictor.
#[inline(always)]
pub(in crate::nbmm) fn slope(points: Points<'_>, tau: f64, eta: f64) -> (f64, f64) {
    const WIDTH: usize = 4;
    let s = wide::exp(eta);
    if tau == 0.0 {
        let mean = s * points.exposure;
        return (points.total - mean, mean);
    }
    let inverse = 1.0 / tau;
    let (mut mean, mut weight) = ([0.0; WIDTH], [0.0; WIDTH]);
    let whole = points.offsets.len() - points.offsets.len() % WIDTH;
    let mut k = 0;
    while k < whole {
        for i in 0..WIDTH {
            let z = s * tau * points.offsets[k + i];
            let r = 1.0 / (1.0 + z);
            let mean_k = (points.cells[k + i] * inverse + points.counts[k + i]) * z * r;
            mean[i] += mean_k;
            weight[i] += mean_k * r;
        }
        k += WIDTH;
    }
    for k in whole..points.offsets.len() {
        let z = s * tau * points.offsets[k];
        let r = 1.0 / (1.0 + z);
        let mean_k = (points.cells[k] * inverse + points.counts[k]) * z * r;
        mean[0] += mean_k;
        weight[0] += mean_k * r;
    }
    (points.total - ((mean[0] + mean[1]) + (mean[2] + mean[3])), (weight[0] + weight[1]) + (weight[2] + weight[3]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn points(arrays: &[Vec<f64>; 3]) -> Points<'_> {
        let exposure = arrays[0].iter().zip(&arrays[1]).map(|(o, n)| o * n).sum();
        Points { offsets: &arrays[0], cells: &arrays[1], counts: &arrays[2], exposure, total: arrays[2].iter().sum() }
    }

    #[test]
    fn derivatives_are_differences() {
        let arrays = [vec![0.5, 1.0, 2.0, 0.7, 1.9], vec![1.0; 5], vec![0.0, 3.0, 1.0, 0.0, 9.0]];
        let points = points(&arrays);
        let run = |tau: f64, shift: f64| {
            let eta: Lanes = std::array::from_fn(|q| -1.0 + 0.4 * q as f64 + shift);
            let mut donor = OfDonor::default();
            (sweep::<true>(points, tau, &eta, &mut donor), donor)
        };
        for tau in [4e-3_f64, 0.3, 7.0] {
            let (of, donor) = run(tau, 0.0);
            let h = 1e-5;
            let ((up_of, up), (down_of, down)) = (run(tau, h), run(tau, -h));
            let along = 1e-4_f64;
            let ((more_of, more), (less_of, less)) = (run(tau * along.exp(), 0.0), run(tau * (-along).exp(), 0.0));
            for q in 0..LANES {
                let close = |found: f64, expected: f64, what: &str| {
                    assert!(
                        (found - expected).abs() < 1e-5 * (1.0 + found.abs()),
                        "{what} {tau} {q}: {found} {expected}"
                    );
                };
                close(of.residual[q], (up.value[q] - down.value[q]) / (2.0 * h), "residual");
                close(-of.weight[q], (up_of.residual[q] - down_of.residual[q]) / (2.0 * h), "weight");
                close(of.cross[q], (more_of.residual[q] - less_of.residual[q]) / (2.0 * along), "cross");
                close(donor.first[q], (more.value[q] - less.value[q]) / (2.0 * along), "first");
                close(donor.first[q] + donor.second[q], (more.first[q] - less.first[q]) / (2.0 * along), "second");
                let (slope, weight) = slope(points, tau, -1.0 + 0.4 * q as f64);
                close(slope, of.residual[q], "slope");
                close(weight, of.weight[q], "curvature");
            }
        }
    }

    #[test]
    fn no_overdispersion_is_the_limit() {
        let arrays = [vec![0.5, 1.0, 2.0], vec![1.0; 3], vec![0.0, 3.0, 1.0]];
        let eta = [0.3; LANES];
        let (mut at, mut near) = (OfDonor::default(), OfDonor::default());
        let poisson = sweep::<true>(points(&arrays), 0.0, &eta, &mut at);
        let close = sweep::<true>(points(&arrays), 1e-7, &eta, &mut near);
        assert!((at.value[0] - near.value[0]).abs() < 1e-5 && (poisson.weight[0] - close.weight[0]).abs() < 1e-5);
    }
}
