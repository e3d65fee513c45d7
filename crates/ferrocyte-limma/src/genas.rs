//! [`genas`]: how two coefficients go together over genes, apart from their errors.

use ferrocyte_base::{Fault, Result, Run, choice};
use ferrocyte_math::chi_squared;
use ferrocyte_math::gamma_intercept::fit_gamma_intercept;
use ferrocyte_math::linalg::Matrix;
use ferrocyte_math::optimise::{Evaluation, Stop, minimise};
use ferrocyte_math::squeeze_var::Hyper;
use ferrocyte_math::true_null::{TrueNull, prop_true_null};

use crate::moderate::{joint, posterior};
use crate::shrink_effects::{LEAST, pred_fcm, variance};
use crate::{Fit, Moderated, Moderation, Trend};

choice! {
    /// The genes that [`genas`] looks at: ideally those that change. As many p-values are taken for true as
    /// [`prop_true_null`] estimates, the smallest first.
    GenasSubset, "subset" {
        /// All.
        All = "all",
        /// The smallest p-values of the joint test of both coefficients.
        FPValue = "Fpval",
        /// The smallest p-values of one or the other.
        Union = "p.union",
        /// The smallest p-values of both.
        Intersection = "p.int",
        /// A tenth of the genes, by the size of one estimate or the other.
        LogFc = "logFC",
        /// The same by predictive log fold changes ([`pred_fcm`]).
        PredFc = "predFC",
    }
}

/// Genes beyond this quantile of the size of an effect have a large one.
const LARGE: f64 = 0.9;

/// The correlation of two coefficients over genes, parted from that of their errors.
#[derive(Debug, Clone, PartialEq)]
pub struct Genas {
    /// Correlation of the errors of the two coefficients, from the design.
    pub technical_correlation: f64,
    /// Correlation of the true effects.
    pub biological_correlation: f64,
    /// Covariance of the true effects over the residual variance: entries 11, 12, 22.
    pub covariance: [f64; 3],
    /// Twice the log-likelihood gained by the biological correlation.
    pub deviance: f64,
    /// Its p-value, chi-squared on 1.
    pub p_value: f64,
    /// Number of genes.
    pub n: usize,
}

/// Genuine association of two coefficients (Phipson 2013): the correlation of true effects, by maximum likelihood of
/// effects that are normal with covariance `V0` times the residual variance. The variances of a subset are moderated
/// among themselves, with a trend or robustly where those of all genes were.
///
/// # Errors
/// Where a coefficient does not exist or cannot be estimated, or fewer than three genes have both.
pub fn genas(run: &Run, fit: &Fit, moderated: &Moderated, coef: [usize; 2], subset: GenasSubset) -> Result<Genas> {
    let (v11, v22) = (variance(fit, coef[0])?, variance(fit, coef[1])?);
    let v12 = fit.cov_coefficients[(coef[0], coef[1])];
    let effects = match subset {
        GenasSubset::All => effects(fit, coef, &moderated.s2_post, &moderated.df_total),
        _ => {
            let part = fit.of_genes(&chosen(fit, moderated, coef, subset)?);
            let (s2_post, df_total) = posterior(run, &part, &manner(moderated))?;
            effects(&part, coef, &s2_post, &df_total)
        }
    };
    if effects.len() < 3 {
        let message = format!("{} genes with both coefficients, expected at least 3", effects.len());
        return Err(Fault::bad_input(message).at("subset").hint("subset=\"all\" looks at all genes"));
    }
    let start = |v: f64, square: &dyn Fn(&Effect) -> f64| -> Result<f64> {
        let squares: Vec<f64> = effects.iter().map(square).collect();
        Ok(fit_gamma_intercept(&squares, &vec![v; effects.len()])?.max(LEAST).ln())
    };
    let start = [start(v11, &|e| e.x * e.x)?, start(v22, &|e| e.y * e.y)?, 0.0];
    let likelihood = Bivariate { effects: &effects, v: [v11, v12, v22] };
    let free = [30.0, 30.0, 1e4];
    let full = minimise(&start, &free.map(|b| -b), &free, Stop::default(), |x| Ok(likelihood.at([x[0], x[1], x[2]])))?;
    let null = minimise(&start[..2], &[-30.0; 2], &[30.0; 2], Stop::default(), |x| {
        let mut found = likelihood.at([x[0], x[1], 0.0]);
        found.gradient.truncate(2);
        Ok(found)
    })?;
    let [d1, d2, l] = [full.point[0].exp(), full.point[1].exp(), full.point[2]];
    let covariance = [d1, d1 * l, d1 * l * l + d2];
    let deviance = (2.0 * (null.value - full.value)).max(0.0);
    Ok(Genas {
        technical_correlation: v12 / (v11 * v22).sqrt(),
        biological_correlation: covariance[1] / (covariance[0] * covariance[2]).sqrt(),
        covariance,
        deviance,
        p_value: chi_squared::upper(deviance, 1.0),
        n: effects.len(),
    })
}

/// The genes of a subset, in their order.
fn chosen(fit: &Fit, moderated: &Moderated, coef: [usize; 2], subset: GenasSubset) -> Result<Vec<usize>> {
    let n = fit.n_genes();
    let column = |values: &Matrix, j: usize| (0..n).map(|g| values[(g, j)]).collect::<Vec<f64>>();
    let of_p = |j: usize| significant(&column(&moderated.p_value, j));
    let [first, second] = match subset {
        GenasSubset::All => [vec![true; n], vec![true; n]],
        GenasSubset::FPValue => {
            let found = significant(&joint(fit, moderated, &coef)?.p_value)?;
            [found.clone(), found]
        }
        GenasSubset::Union | GenasSubset::Intersection => [of_p(coef[0])?, of_p(coef[1])?],
        GenasSubset::LogFc => coef.map(|j| large(&column(&fit.coefficients, j))),
        GenasSubset::PredFc => [large(&pred_fcm(fit, moderated, coef[0])?), large(&pred_fcm(fit, moderated, coef[1])?)],
    };
    let both = subset == GenasSubset::Intersection;
    Ok((0..n).filter(|&g| if both { first[g] && second[g] } else { first[g] || second[g] }).collect())
}

/// Whether each p-value is among the smallest, as many as are estimated to be true. Those that tie stay or go together.
fn significant(p: &[f64]) -> Result<Vec<bool>> {
    let mut sorted: Vec<f64> = p.iter().copied().filter(|p| !p.is_nan()).collect();
    sorted.sort_unstable_by(f64::total_cmp);
    let expected = (1.0 - prop_true_null(p, TrueNull::Lfdr)?) * sorted.len() as f64;
    let mean_rank = |p: f64| {
        let (below, up_to) = (sorted.partition_point(|q| *q < p), sorted.partition_point(|q| *q <= p));
        0.5 * (below + 1 + up_to) as f64
    };
    Ok(p.iter().map(|&p| !p.is_nan() && mean_rank(p) <= expected).collect())
}

/// Whether each effect is at least as large as all but a tenth.
fn large(effects: &[f64]) -> Vec<bool> {
    let mut sorted: Vec<f64> = effects.iter().filter(|b| !b.is_nan()).map(|b| b.abs()).collect();
    sorted.sort_unstable_by(f64::total_cmp);
    let Some(last) = sorted.len().checked_sub(1) else { return vec![false; effects.len()] };
    // Between two values in proportion, as R's default.
    let place = LARGE * last as f64;
    let below = place.floor() as usize;
    let cutoff = sorted[below] + (place - below as f64) * (sorted[(below + 1).min(last)] - sorted[below]);
    effects.iter().map(|b| b.abs() >= cutoff).collect()
}

/// How the variances of a fit were moderated, as far as their prior tells.
fn manner(moderated: &Moderated) -> Moderation<'static> {
    let unmoderated = matches!(moderated.df_prior, Hyper::Common(0.0));
    let trend = matches!(moderated.s2_prior, Hyper::Each(_)) && !unmoderated;
    Moderation {
        trend: if trend { Trend::Mean } else { Trend::None },
        robust: matches!(moderated.df_prior, Hyper::Each(_)),
        ..Moderation::default()
    }
}

/// The genes that have both coefficients.
fn effects(fit: &Fit, coef: [usize; 2], s2_post: &[f64], df_total: &[f64]) -> Vec<Effect> {
    (0..fit.n_genes())
        .map(|g| {
            let [x, y] = coef.map(|j| fit.coefficients[(g, j)] / s2_post[g].sqrt());
            Effect { x, y, df: df_total[g] }
        })
        .filter(|e| e.x.is_finite() && e.y.is_finite())
        .collect()
}

/// Two coefficients over the residual standard deviation.
struct Effect {
    x: f64,
    y: f64,
    df: f64,
}

/// The negative log-likelihood of effects that are t with covariance `V + V0`, `V0 = L diag(exp a, exp b) L'`, and its
/// gradient in `(a, b, L21)`.
struct Bivariate<'a> {
    effects: &'a [Effect],
    v: [f64; 3],
}

impl Bivariate<'_> {
    fn at(&self, [a, b, l]: [f64; 3]) -> Evaluation {
        let (d1, d2) = (a.exp(), b.exp());
        let s = Matrix::from_rows(
            2,
            2,
            vec![self.v[0] + d1, self.v[1] + d1 * l, self.v[1] + d1 * l, self.v[2] + d1 * l * l + d2],
        );
        let determinant = s[(0, 0)] * s[(1, 1)] - s[(0, 1)] * s[(0, 1)];
        let [i11, i12, i22] = [s[(1, 1)] / determinant, -s[(0, 1)] / determinant, s[(0, 0)] / determinant];
        let n = self.effects.len() as f64;
        let mut value = 0.5 * n * determinant.ln();
        // The derivative by S: n/2 S^-1 - sum c z z', z = S^-1 effect.
        let (mut g11, mut g12, mut g22) = (0.5 * n * i11, 0.5 * n * i12, 0.5 * n * i22);
        for e in self.effects {
            let (zx, zy) = (i11 * e.x + i12 * e.y, i12 * e.x + i22 * e.y);
            let form = e.x * zx + e.y * zy;
            // Infinite degrees of freedom are the normal limit.
            let c = if e.df.is_finite() {
                value += 0.5 * (2.0 + e.df) * (form / e.df).ln_1p();
                0.5 * (2.0 + e.df) / (e.df + form)
            } else {
                value += 0.5 * form;
                0.5
            };
            g11 -= c * zx * zx;
            g12 -= c * zx * zy;
            g22 -= c * zy * zy;
        }
        let gradient = vec![d1 * (g11 + 2.0 * l * g12 + l * l * g22), d2 * g22, 2.0 * d1 * (g12 + l * g22)];
        Evaluation { value, gradient, hessian: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::moderate::tests::example;
    use crate::moderate::{EBayesOptions, e_bayes};
    use ferrocyte_math::random::Stream;

    #[test]
    fn gradients_are_slopes() {
        let effects: Vec<Effect> = (0..20)
            .map(|i| {
                let mut stream = Stream::new(1, i);
                Effect { x: stream.normal(), y: stream.normal(), df: if i % 2 == 0 { 7.0 } else { f64::INFINITY } }
            })
            .collect();
        let likelihood = Bivariate { effects: &effects, v: [0.3, -0.1, 0.4] };
        let at = [0.2, -0.7, 0.4];
        let found = likelihood.at(at);
        for i in 0..3 {
            let (mut low, mut high) = (at, at);
            low[i] -= 1e-5;
            high[i] += 1e-5;
            let slope = (likelihood.at(high).value - likelihood.at(low).value) / 2e-5;
            assert!((found.gradient[i] - slope).abs() < 1e-6, "{i}: {} {slope}", found.gradient[i]);
        }
    }

    #[test]
    fn the_correlation_of_true_effects_is_found() -> Result<()> {
        let mut fit = example(2000)?;
        for g in 0..2000 {
            let mut stream = Stream::new(8, g as u64);
            let shared = stream.normal();
            // Errors of the two are correlated by -0.7, true effects by 0.8.
            let noise = stream.normal() * fit.sigma[g];
            fit.coefficients[(g, 0)] = shared + 0.5 * noise;
            fit.coefficients[(g, 1)] =
                0.8 * shared + 0.6 * stream.normal() - 0.5 * noise + 0.5 * stream.normal() * fit.sigma[g];
        }
        let moderated = e_bayes(&Run::new(), &fit, &EBayesOptions::default())?;
        let found = genas(&Run::new(), &fit, &moderated, [0, 1], GenasSubset::All)?;
        assert!((found.technical_correlation + 0.5_f64.sqrt()).abs() < 1e-12);
        assert!((found.biological_correlation - 0.8).abs() < 0.05 && found.p_value < 1e-10, "{found:?}");
        assert!(genas(&Run::new(), &fit, &moderated, [0, 2], GenasSubset::All).is_err());
        Ok(())
    }

    #[test]
    fn ties_stay_or_go_together() -> Result<()> {
        // 2.6 and 3.3 p-values are estimated to be true; three tie at a mean rank of 3.
        let (few, more) = ([0.6, 0.7, 0.8, 0.9], [0.5, 0.6, 0.7, 0.8]);
        let found = |rest: [f64; 4]| significant(&[&[0.01, f64::NAN, 0.001, 0.01, 0.01][..], &rest].concat());
        assert_eq!(found(few)?[..6], [false, false, true, false, false, false]);
        assert_eq!(found(more)?[..6], [true, false, true, true, true, false]);
        let sizes: Vec<f64> = (0..11).map(|i| f64::from(if i % 2 == 0 { i } else { -i })).collect();
        assert_eq!(large(&sizes).iter().filter(|x| **x).count(), 2);
        assert_eq!(large(&[f64::NAN, 1.0]), [false, true]);
        Ok(())
    }

    #[test]
    fn a_subset_is_a_study_of_its_own() -> Result<()> {
        let mut fit = example(400)?;
        for g in 0..400 {
            let mut stream = Stream::new(9, g as u64);
            let size = if g < 60 { 3.0 } else { 0.0 };
            for j in 0..2 {
                let noise = fit.sigma[g] * fit.stdev_unscaled[(g, j)];
                fit.coefficients[(g, j)] = size * stream.normal() + noise * stream.normal();
            }
        }
        let run = Run::new();
        let moderated = e_bayes(&run, &fit, &EBayesOptions::default())?;
        let count = |subset| genas(&run, &fit, &moderated, [0, 1], subset).map(|found| found.n);
        let (union, both) = (count(GenasSubset::Union)?, count(GenasSubset::Intersection)?);
        assert!(both < union && union < 400, "{both} {union}");
        assert!((both..400).contains(&count(GenasSubset::FPValue)?));
        assert!((40..=80).contains(&count(GenasSubset::LogFc)?) && (40..=80).contains(&count(GenasSubset::PredFc)?));
        let genes = chosen(&fit, &moderated, [0, 1], GenasSubset::Union)?;
        let part = fit.of_genes(&genes);
        let own = e_bayes(&run, &part, &EBayesOptions::default())?;
        let alone = genas(&run, &part, &own, [0, 1], GenasSubset::All)?;
        assert_eq!(genas(&run, &fit, &moderated, [0, 1], GenasSubset::Union)?, alone);
        Ok(())
    }
}
