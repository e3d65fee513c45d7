//! [`fry`]: a self-contained test that does without random rotations.

use ferrocyte_base::{Result, Run, choice};
use ferrocyte_math::linalg::{Matrix, cross_product, dot, symmetric_eigen};
use ferrocyte_math::multiple::benjamini_hochberg;
use ferrocyte_math::quadrature::gauss_legendre;
use ferrocyte_math::squeeze_var::{SqueezeOptions, squeeze_var};
use ferrocyte_math::{beta, chi_squared, student_t};

use super::effects::{Effects, Prior};
use super::gene_sets::GeneSets;

/// Share of the degrees of freedom that a variance without its largest effect keeps.
const ROBUST_SHARE: f64 = 0.92;

choice! {
    /// By what the effects of a gene are divided before genes are put together.
    Standardize, "standardize" {
        /// A robust variance, squeezed towards the prior of the ordinary variances.
        Posterior = "posterior.sd",
        /// A robust variance.
        Residual = "residual.sd",
        /// A robust variance, squeezed towards a prior of its own.
        OwnPrior = "p2",
        /// Nothing.
        None = "none",
    }
}

/// Self-contained tests of sets, one entry per set.
#[derive(Debug, Clone, PartialEq)]
pub struct FryTable {
    /// Numbers of genes.
    pub n_genes: Vec<usize>,
    /// Whether the mean effect is positive.
    pub up: Vec<bool>,
    /// Two-sided p-values of the mean effect.
    pub p_value: Vec<f64>,
    /// The same, adjusted by Benjamini and Hochberg.
    pub fdr: Vec<f64>,
    /// p-values of effects in any direction.
    pub p_value_mixed: Vec<f64>,
    /// The same, adjusted by Benjamini and Hochberg.
    pub fdr_mixed: Vec<f64>,
}

/// Do the genes of a set respond to the contrast? The limit of [`mroast`](super::mroast) for any number of rotations when
/// genes have equal prior variances (Giner and Smyth, *FRY: a fast approximation to ROAST gene set test with mean set
/// statistics*, 2016).
///
/// `gene_weights`: what each gene counts in its sets, with a sign; all alike without them.
pub fn fry(
    run: &Run,
    effects: &Effects,
    sets: &GeneSets,
    prior: Prior,
    standardize: Standardize,
    gene_weights: Option<&[f64]>,
) -> Result<FryTable> {
    let scales = scales(run, effects, prior, standardize)?;
    let width = effects.df() + 1;
    let mut values = effects.values.clone();
    for (g, row) in values.entries_mut().chunks_exact_mut(width).enumerate() {
        let scale = scales[g] * gene_weights.map_or(1.0, |w| w[g]);
        row.iter_mut().for_each(|x| *x *= scale);
    }
    let tests = run.map_blocks("testing sets", sets.len(), 16, |s| test(&values, &sets[s]))?;
    let p_value: Vec<f64> = tests.iter().map(|test| test.directional).collect();
    let p_value_mixed: Vec<f64> = tests.iter().map(|test| test.mixed).collect();
    Ok(FryTable {
        n_genes: sets.sizes(),
        up: tests.iter().map(|test| test.up).collect(),
        fdr: benjamini_hochberg(&p_value),
        p_value,
        fdr_mixed: benjamini_hochberg(&p_value_mixed),
        p_value_mixed,
    })
}

/// What the effects of each gene are multiplied by.
fn scales(run: &Run, effects: &Effects, prior: Prior, standardize: Standardize) -> Result<Vec<f64>> {
    let n = effects.n_genes();
    if standardize == Standardize::None {
        return Ok(vec![1.0; n]);
    }
    let d = effects.df() as f64;
    let left = d + 1.0 - expected_largest(effects.df() + 1);
    let robust: Vec<f64> = (0..n)
        .map(|g| {
            let row = effects.values.row(g);
            let largest = row.iter().map(|e| e * e).fold(0.0, f64::max);
            (dot(row, row) - largest).max(0.0) / left
        })
        .collect();
    let df = ROBUST_SHARE * d;
    let variances = match standardize {
        Standardize::Residual | Standardize::None => robust,
        Standardize::OwnPrior => squeeze_var(run, &robust, &vec![df; n], &SqueezeOptions::default())?.var_post,
        Standardize::Posterior => {
            let prior = effects.squeeze(run, prior)?;
            let post = |g: usize| {
                let (df0, s0) = (prior.df_prior.at(g), prior.var_prior.at(g));
                if df0.is_infinite() { s0 } else { (df * robust[g] + df0 * s0) / (df + df0) }
            };
            (0..n).map(post).collect()
        }
    };
    // A gene without any variation has no effects either.
    Ok(variances.into_iter().map(|v| if v > 0.0 { 1.0 / v.sqrt() } else { 0.0 }).collect())
}

/// Expectation of the largest of `n` squares of standard normal deviates.
fn expected_largest(n: usize) -> f64 {
    let power = n as i32 - 1;
    n as f64 * gauss_legendre(128).iter().map(|(u, w)| w * u.powi(power) * chi_squared::quantile(*u, 1.0)).sum::<f64>()
}

/// Tests of one set.
struct Test {
    up: bool,
    directional: f64,
    mixed: f64,
}

fn test(values: &Matrix, set: &[usize]) -> Result<Test> {
    let width = values.n_cols();
    let d = width as f64 - 1.0;
    let mut members = Vec::with_capacity(set.len() * width);
    let mut means = vec![0.0; width];
    for &g in set {
        members.extend_from_slice(values.row(g));
        means.iter_mut().zip(values.row(g)).for_each(|(sum, x)| *sum += x);
    }
    let t = means[0] / (dot(&means[1..], &means[1..]) / d).sqrt();
    let directional = student_t::two_sided(t, d);
    let mixed = if set.len() == 1 { directional } else { mixed(&members, width, set.len())? };
    Ok(Test { up: t > 0.0, directional, mixed })
}

/// The probability of a sum of squared effects as large as that of the contrast, by a beta distribution with the first two
/// moments of what rotations would give.
///
/// With the eigenvalues A of the effects' Gram matrix a rotated sum of squares is `sum A_j u_j^2`, u a random direction. As
/// many of them count as there are genes or effects, whichever are fewer.
fn mixed(members: &[f64], width: usize, n_genes: usize) -> Result<f64> {
    let mut gram = Matrix::zeros(width, width);
    cross_product(members, members, &mut gram);
    let observed = gram[(0, 0)];
    let (rising, _) = symmetric_eigen(&gram)?;
    let count = width.min(n_genes);
    let values: Vec<f64> = rising[width - count..].iter().map(|a| a.max(0.0)).collect();
    let k = count as f64;
    let (least, range) = (values[0], values[count - 1] - values[0]);
    let mean = (values.iter().sum::<f64>() / k - least) / range;
    let share_variance = (k - 1.0) / (k * k * (0.5 * k + 1.0));
    let covariance = -share_variance / (k - 1.0);
    let (sum, squares) = (values.iter().sum::<f64>(), dot(&values, &values));
    let variance = (covariance * (sum * sum - squares) + share_variance * squares) / (range * range);
    let total = mean * (1.0 - mean) / variance - 1.0;
    let x = ((observed - least) / range).clamp(0.0, 1.0);
    let y = ((values[count - 1] - observed) / range).clamp(0.0, 1.0);
    Ok(beta::ln_tails(total * mean, total * (1.0 - mean), x, y).1.exp())
}

#[cfg(test)]
mod tests {
    use super::*;
    use ferrocyte_math::random::Stream;
    use ferrocyte_math::squeeze_var::Hyper;

    #[test]
    fn the_largest_of_squares_on_average() {
        assert!((expected_largest(1) - 1.0).abs() < 1e-4);
        let mut stream = Stream::new(2, 0);
        let n = 40_000;
        let mean =
            (0..n).map(|_| (0..6).map(|_| stream.normal().powi(2)).fold(0.0, f64::max)).sum::<f64>() / f64::from(n);
        assert!((expected_largest(6) - mean).abs() < 0.05, "{mean}");
    }

    /// Rotations of a large set spread as the beta distribution says, up to its approximation.
    #[test]
    fn mixed_p_values_are_those_of_rotations() -> Result<()> {
        let (genes, width) = (30, 8);
        let mut stream = Stream::new(4, 0);
        let members: Vec<f64> = (0..genes * width).map(|_| stream.normal()).collect();
        let p = mixed(&members, width, genes)?;
        let sum_of_squares =
            |direction: &[f64]| members.chunks_exact(width).map(|row| dot(row, direction).powi(2)).sum::<f64>();
        let mut first = vec![0.0; width];
        first[0] = 1.0;
        let observed = sum_of_squares(&first);
        let rotations = 20_000;
        let count = (0..rotations)
            .filter(|_| {
                let direction: Vec<f64> = (0..width).map(|_| stream.normal()).collect();
                sum_of_squares(&direction) / dot(&direction, &direction) > observed
            })
            .count();
        let share = count as f64 / f64::from(rotations);
        assert!((p - share).abs() < 0.02, "{p} {share}");
        Ok(())
    }

    #[test]
    fn one_gene_has_a_t_test() -> Result<()> {
        let values = Matrix::from_rows(3, 4, vec![2.0, 1.0, -1.0, 0.5, 0.1, 0.2, 0.3, 0.4, 1.0, -1.0, 2.0, 0.7]);
        let effects = Effects { values, stdev_unscaled: Hyper::Common(1.0), means: vec![0.0; 3] };
        let sets = GeneSets::new(vec!["one".into()], &[vec![0]], 3)?;
        let table = fry(&Run::new(), &effects, &sets, Prior::default(), Standardize::None, None)?;
        let expected = student_t::two_sided(2.0 / (2.25_f64 / 3.0).sqrt(), 3.0);
        assert!((table.p_value[0] - expected).abs() < 1e-14 && table.p_value == table.p_value_mixed);
        Ok(())
    }
}
