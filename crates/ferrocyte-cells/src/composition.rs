//! Do samples of different groups have different shares of cell types? [`composition`].
//!
//! B. Phipson et al., *propeller: testing for differences in cell type proportions in single cell data*, 2022. Shares
//! are transformed, a linear model of the transformed shares is fitted to each type, and the variances of all types
//! inform each other. The samples are the replicates, not the cells.

use ferrocyte_base::{Column, Fault, Result, Run, Table, choice, listing};
use ferrocyte_data::Factor;
use ferrocyte_math::linalg::{Matrix, dot, scaled_inverse};
use ferrocyte_math::multiple::benjamini_hochberg;
use ferrocyte_math::squeeze_var::{SqueezeOptions, WINSOR_TAILS, squeeze_var};
use ferrocyte_math::{f, student_t};

choice! {
    /// How shares are transformed.
    ShareTransform, "transform" {
        /// `ln(p / (1 - p))` of `p = (cells + 0.5) / sum of (cells + 0.5)`.
        Logit = "logit",
        /// `arcsin(sqrt p)`.
        Asin = "asin",
    }
}

/// Cells of each type in each sample.
#[derive(Debug, Clone, PartialEq)]
pub struct TypesBySamples<'a> {
    /// Types × samples: cells, or shares of the sample with [`TypesBySamples::pseudo_total`].
    pub values: &'a Matrix,
    /// Names of the types.
    pub types: &'a [String],
    /// Where `values` are shares: how many cells each sample stands for (the logit needs to know). `None` where they
    /// are cells.
    pub pseudo_total: Option<f64>,
}

/// What is compared.
#[derive(Debug, Clone, PartialEq)]
pub struct CompositionOptions<'a> {
    /// The group of each sample.
    pub groups: &'a Factor,
    /// What is allowed for: samples × covariates (pairs, batches, ages), without a constant.
    pub covariates: Option<&'a Matrix>,
    /// The transformation.
    pub transform: ShareTransform,
    /// Whether types whose variances stick out inform the others less.
    pub robust: bool,
}

/// One row for each type that some sample has.
#[derive(Debug, Clone, PartialEq)]
pub struct Composition {
    /// The types, in their order.
    pub types: Vec<String>,
    /// Types that no sample has.
    pub left_out: Vec<String>,
    /// The groups.
    pub groups: Vec<String>,
    /// Types × groups: mean share.
    pub means: Matrix,
    /// With two groups: mean share in the first / in the second.
    pub ratio: Option<Vec<f64>>,
    /// Moderated t of the first group against the second, or moderated F of all groups.
    pub statistic: Vec<f64>,
    /// p-values.
    pub p: Vec<f64>,
    /// Adjusted by Benjamini and Hochberg's method.
    pub q: Vec<f64>,
    /// Degrees of freedom of the statistics: those of the samples and those lent by other types.
    pub df: Vec<f64>,
}

impl Composition {
    /// As a table.
    pub fn table(&self) -> Table {
        let column = |j: usize| (0..self.means.n_rows()).map(|i| self.means[(i, j)]).collect();
        let mut table = Table::new("composition").with(Column::text("type", "the cell type", self.types.clone()));
        for (j, group) in self.groups.iter().enumerate() {
            let name = format!("mean_{group}");
            table = table.with(Column::float(&name, "", "mean share of the type in samples of the group", column(j)));
        }
        let name = match &self.ratio {
            Some(ratio) => {
                table = table.with(Column::float(
                    "ratio",
                    "",
                    "mean share in the first group / in the second",
                    ratio.clone(),
                ));
                "t"
            }
            None => "F",
        };
        table
            .with(Column::float(name, "", "moderated statistic of the difference", self.statistic.clone()))
            .with(Column::float("p", "", "p-value", self.p.clone()))
            .with(Column::float("q", "", "p-value adjusted for the number of types", self.q.clone()))
    }
}

/// Compares the shares of types between groups of samples: two groups by a moderated t, more by a moderated F.
///
/// # Errors
/// Arrays of other sizes, negative or missing values, a sample without cells or without group, fewer than two groups, a
/// group of one sample, covariates that depend on each other or on the groups, shares without a pseudo-total for the
/// logit, no degree of freedom left.
pub fn composition(run: &Run, cells: &TypesBySamples<'_>, options: &CompositionOptions<'_>) -> Result<Composition> {
    let n = cells.values.n_cols();
    check(cells, options)?;
    let groups: Vec<usize> = used_groups(options.groups)?;
    let shares = shares(cells)?;
    let present: Vec<usize> = (0..shares.n_rows()).filter(|&t| shares.row(t).iter().any(|&p| p > 0.0)).collect();
    let left_out: Vec<String> =
        (0..shares.n_rows()).filter(|t| !present.contains(t)).map(|t| cells.types[t].clone()).collect();
    if !left_out.is_empty() {
        run.warn(&format!("no sample has cells of type {}: left out", listing(&left_out, 9)));
    }
    let transformed = transform(cells, &shares, &present, options.transform)?;
    let design = design(options, &groups, n);
    let fit = Fit::new(&transformed, &design)?;
    let df = vec![fit.df; present.len()];
    let squeeze = SqueezeOptions { robust: options.robust.then_some(WINSOR_TAILS), ..SqueezeOptions::default() };
    let squeezed = squeeze_var(run, &fit.variances, &df, &squeeze)?;
    // More information than all types together have cannot be lent.
    let pooled = fit.df * present.len() as f64;
    let df: Vec<f64> = (0..present.len()).map(|t| (fit.df + squeezed.df_prior.at(t)).min(pooled)).collect();
    let (mut statistic, mut p) = (Vec::new(), Vec::new());
    for t in 0..present.len() {
        let variance = squeezed.var_post[t];
        if groups.len() == 2 {
            let (difference, spread) = fit.difference(t);
            statistic.push(difference / (variance * spread).sqrt());
            p.push(student_t::two_sided(statistic[t], df[t]));
        } else {
            statistic.push(fit.between(t, groups.len())? / variance);
            p.push(f::upper(statistic[t], (groups.len() - 1) as f64, df[t]));
        }
    }
    let means = group_means(&shares, &present, options.groups, &groups);
    let ratio = (groups.len() == 2).then(|| (0..present.len()).map(|t| means[(t, 0)] / means[(t, 1)]).collect());
    Ok(Composition {
        types: present.iter().map(|&t| cells.types[t].clone()).collect(),
        left_out,
        groups: groups.iter().map(|&g| options.groups.levels[g].clone()).collect(),
        means,
        ratio,
        q: benjamini_hochberg(&p),
        statistic,
        p,
        df,
    })
}

fn check(cells: &TypesBySamples<'_>, options: &CompositionOptions<'_>) -> Result<()> {
    let (types, n) = (cells.values.n_rows(), cells.values.n_cols());
    if cells.types.len() != types || options.groups.codes.len() != n {
        return Err(Fault::bad_input(format!(
            "{} names of types and {} groups of samples for {types} types and {n} samples",
            cells.types.len(),
            options.groups.codes.len()
        )));
    }
    if let Some(covariates) =
        options.covariates.filter(|c| c.n_rows() != n || c.entries().iter().any(|x| !x.is_finite()))
    {
        let message = format!("covariates of {} samples, {n} with numbers are expected", covariates.n_rows());
        return Err(Fault::bad_input(message).at("covariates"));
    }
    if let Some(k) = cells.values.entries().iter().position(|x| !(*x >= 0.0 && x.is_finite())) {
        let message =
            format!("type `{}` has {} cells in sample {}", cells.types[k / n], cells.values.entries()[k], k % n);
        return Err(Fault::bad_input(message));
    }
    let missing = options.groups.codes.iter().filter(|&code| code == Factor::MISSING).count();
    if missing > 0 {
        return Err(Fault::bad_input(format!("{missing} samples have no group")).at("groups"));
    }
    Ok(())
}

/// The groups that samples belong to, each with two of them at least.
fn used_groups(groups: &Factor) -> Result<Vec<usize>> {
    let counts = groups.counts();
    let used: Vec<usize> = (0..counts.len()).filter(|&g| counts[g] > 0).collect();
    if used.len() < 2 {
        return Err(
            Fault::bad_input(format!("{} group of samples, at least two are compared", used.len())).at("groups")
        );
    }
    if let Some(&single) = used.iter().find(|&&g| counts[g] == 1) {
        return Err(Fault::bad_input(format!("group `{}` has one sample, without replicate", groups.levels[single]))
            .at("groups")
            .hint("samples are the replicates: leave the group out, or merge it with another"));
    }
    Ok(used)
}

/// Types × samples: shares of the cells of the sample.
fn shares(cells: &TypesBySamples<'_>) -> Result<Matrix> {
    let mut shares = cells.values.clone();
    for sample in 0..shares.n_cols() {
        let total: f64 = (0..shares.n_rows()).map(|t| shares[(t, sample)]).sum();
        if total == 0.0 {
            return Err(Fault::bad_input(format!("sample {sample} has no cells")).hint("leave it out"));
        }
        (0..shares.n_rows()).for_each(|t| shares[(t, sample)] /= total);
    }
    Ok(shares)
}

/// Types that are present × samples.
fn transform(
    cells: &TypesBySamples<'_>,
    shares: &Matrix,
    present: &[usize],
    transform: ShareTransform,
) -> Result<Matrix> {
    const HALF: f64 = 0.5;
    let n = shares.n_cols();
    let mut out = Matrix::zeros(present.len(), n);
    if transform == ShareTransform::Logit && cells.pseudo_total.is_none() {
        let looks_like_shares = (0..n).all(|s| (0..shares.n_rows()).map(|t| cells.values[(t, s)]).sum::<f64>() < 1.5);
        if looks_like_shares {
            return Err(Fault::bad_input("the logit of shares needs the number of cells of a sample")
                .at("pseudo_total")
                .hint("give counts, or a pseudo-total, or transform=\"asin\""));
        }
    }
    for sample in 0..n {
        let count =
            |t: usize| cells.pseudo_total.map_or(cells.values[(t, sample)], |total| shares[(t, sample)] * total);
        let total: f64 = present.iter().map(|&t| count(t) + HALF).sum();
        for (i, &t) in present.iter().enumerate() {
            out[(i, sample)] = match transform {
                ShareTransform::Logit => {
                    let p = (count(t) + HALF) / total;
                    (p / (1.0 - p)).ln()
                }
                ShareTransform::Asin => shares[(t, sample)].sqrt().asin(),
            };
        }
    }
    Ok(out)
}

/// Samples × (groups, covariates).
fn design(options: &CompositionOptions<'_>, groups: &[usize], n: usize) -> Matrix {
    let extra = options.covariates.map_or(0, Matrix::n_cols);
    let mut design = Matrix::zeros(n, groups.len() + extra);
    for sample in 0..n {
        if let Some(group) = groups.iter().position(|&g| g == options.groups.codes.get(sample) as usize) {
            design[(sample, group)] = 1.0;
        }
        if let Some(covariates) = options.covariates {
            design.row_mut(sample)[groups.len()..].copy_from_slice(covariates.row(sample));
        }
    }
    design
}

/// A linear model of every type.
struct Fit {
    /// Types × coefficients.
    coefficients: Matrix,
    /// `(X'X)^-1`.
    unscaled: Matrix,
    variances: Vec<f64>,
    df: f64,
}

impl Fit {
    fn new(values: &Matrix, design: &Matrix) -> Result<Self> {
        const TOLERANCE: f64 = 1e-10;
        let (n, k) = (design.n_rows(), design.n_cols());
        let columns = design.transpose();
        let normal = columns.times(design);
        let unscaled = scaled_inverse(&normal, TOLERANCE).map_err(|column| {
            Fault::bad_input(format!("column {column} of groups and covariates depends on those before it"))
                .at("covariates")
                .hint("leave out the covariate that the groups, or other covariates, determine")
        })?;
        if n <= k {
            return Err(Fault::bad_input(format!(
                "{n} samples for {k} coefficients leave nothing to learn variances from"
            ))
            .hint("use fewer covariates or more samples"));
        }
        let coefficients = values.times(design).times(&unscaled);
        let fitted = coefficients.times(&columns);
        let df = (n - k) as f64;
        let residual = |t: usize| values.row(t).iter().zip(fitted.row(t)).map(|(y, f)| (y - f) * (y - f)).sum::<f64>();
        let variances = (0..values.n_rows()).map(|t| residual(t) / df).collect();
        Ok(Self { coefficients, unscaled, variances, df })
    }

    /// The first group less the second, and its variance in units of that of a sample.
    fn difference(&self, t: usize) -> (f64, f64) {
        let u = &self.unscaled;
        (self.coefficients[(t, 0)] - self.coefficients[(t, 1)], u[(0, 0)] + u[(1, 1)] - 2.0 * u[(0, 1)])
    }

    /// The mean square between groups: of the differences from the first, in units of their variance.
    fn between(&self, t: usize, n_groups: usize) -> Result<f64> {
        let k = n_groups - 1;
        let u = &self.unscaled;
        let difference: Vec<f64> =
            (1..n_groups).map(|g| self.coefficients[(t, g)] - self.coefficients[(t, 0)]).collect();
        let mut spread = Matrix::zeros(k, k);
        for i in 0..k {
            for j in 0..k {
                spread[(i, j)] = u[(i + 1, j + 1)] - u[(i + 1, 0)] - u[(0, j + 1)] + u[(0, 0)];
            }
        }
        let inverse =
            scaled_inverse(&spread, 0.0).map_err(|_| Fault::internal("differences of groups are dependent"))?;
        Ok((0..k).map(|i| difference[i] * dot(inverse.row(i), &difference)).sum::<f64>() / k as f64)
    }
}

/// Types that are present × groups.
fn group_means(shares: &Matrix, present: &[usize], samples: &Factor, groups: &[usize]) -> Matrix {
    let counts = samples.counts();
    let mut means = Matrix::zeros(present.len(), groups.len());
    for (i, &t) in present.iter().enumerate() {
        for (j, &group) in groups.iter().enumerate() {
            let of_group = (0..shares.n_cols()).filter(|&s| samples.codes.get(s) as usize == group);
            means[(i, j)] = of_group.map(|s| shares[(t, s)]).sum::<f64>() / counts[group] as f64;
        }
    }
    means
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(n: usize) -> Vec<String> {
        (0..n).map(|i| format!("type{i}")).collect()
    }

    fn example() -> (Matrix, Factor) {
        let counts = vec![
            30.0, 25.0, 35.0, 60.0, 55.0, 70.0, // rises
            50.0, 60.0, 45.0, 50.0, 52.0, 49.0, //
            20.0, 15.0, 20.0, 11.0, 9.0, 12.0, // falls
            0.0, 0.0, 0.0, 0.0, 0.0, 0.0, // nobody has it
            9.0, 7.0, 4.0, 6.0, 9.0, 5.0, //
        ];
        (Matrix::from_rows(5, 6, counts), Factor::from_texts(["a", "a", "a", "b", "b", "b"].map(Some)))
    }

    fn run_example(
        options: &CompositionOptions<'_>,
        values: &Matrix,
        pseudo_total: Option<f64>,
    ) -> Result<Composition> {
        let types = names(values.n_rows());
        composition(&Run::new(), &TypesBySamples { values, types: &types, pseudo_total }, options)
    }

    #[test]
    fn what_rises_and_falls_is_found() -> Result<()> {
        let (values, groups) = example();
        for transform in [ShareTransform::Logit, ShareTransform::Asin] {
            let options = CompositionOptions { groups: &groups, covariates: None, transform, robust: false };
            let found = run_example(&options, &values, None)?;
            assert_eq!((found.types.len(), &found.left_out[..]), (4, &["type3".to_owned()][..]));
            assert!(found.statistic[0] < -3.0 && found.statistic[2] > 3.0 && found.q[0] < 0.05 && found.p[3] > 0.05);
            // With moderation switched off by hand: the variance of a type alone would give another t.
            let share = |s: usize| values[(0, s)] / (0..5).map(|t| values[(t, s)]).sum::<f64>();
            let mean = (share(0) + share(1) + share(2)) / 3.0;
            assert!((found.means[(0, 0)] - mean).abs() < 1e-15);
            assert!(found.df.iter().all(|&df| (4.0..=16.0).contains(&df)));
        }
        Ok(())
    }

    /// One type and its complement: nothing to borrow from, so that t is the ordinary one.
    #[test]
    fn two_types_alone_have_ordinary_statistics() -> Result<()> {
        let (values, groups) = example();
        let two = Matrix::from_rows(2, 6, values.entries()[..12].to_vec());
        let options =
            CompositionOptions { groups: &groups, covariates: None, transform: ShareTransform::Asin, robust: true };
        let found = run_example(&options, &two, None)?;
        let y: Vec<f64> = (0..6).map(|s| (two[(0, s)] / (two[(0, s)] + two[(1, s)])).sqrt().asin()).collect();
        let (a, b) = ((y[0] + y[1] + y[2]) / 3.0, (y[3] + y[4] + y[5]) / 3.0);
        let squares: f64 = y.iter().enumerate().map(|(s, y)| (y - if s < 3 { a } else { b }).powi(2)).sum();
        let t = (a - b) / (squares / 4.0 * 2.0 / 3.0).sqrt();
        assert!((found.statistic[0] - t).abs() < 1e-10, "{} {t}", found.statistic[0]);
        assert!((found.p[0] - student_t::two_sided(t, 4.0)).abs() < 1e-10);
        Ok(())
    }

    #[test]
    fn f_of_two_groups_would_be_t_squared_and_pairs_are_allowed_for() -> Result<()> {
        let (values, groups) = example();
        let pair = Matrix::from_rows(6, 2, vec![1.0, 0.0, 0.0, 1.0, 0.0, 0.0, 1.0, 0.0, 0.0, 1.0, 0.0, 0.0]);
        let options = CompositionOptions {
            groups: &groups,
            covariates: Some(&pair),
            transform: ShareTransform::Logit,
            robust: false,
        };
        let found = run_example(&options, &values, None)?;
        let shares = shares(&TypesBySamples { values: &values, types: &names(5), pseudo_total: None })?;
        let cells = TypesBySamples { values: &values, types: &names(5), pseudo_total: None };
        let transformed = transform(&cells, &shares, &[0, 1, 2, 4], ShareTransform::Logit)?;
        let fit = Fit::new(&transformed, &design(&options, &[0, 1], 6))?;
        for t in 0..4 {
            let (difference, spread) = fit.difference(t);
            assert!((fit.between(t, 2)? - difference * difference / spread).abs() < 1e-10);
        }
        assert_eq!(fit.df, 2.0);
        assert!(found.p.iter().all(|p| (0.0..=1.0).contains(p)));
        Ok(())
    }

    #[test]
    fn impossible_comparisons_are_named() {
        let (values, groups) = example();
        let told = |options: &CompositionOptions<'_>, values: &Matrix, pseudo: Option<f64>| {
            run_example(options, values, pseudo).err().map(|f| f.to_string()).unwrap_or_default()
        };
        let good =
            CompositionOptions { groups: &groups, covariates: None, transform: ShareTransform::Logit, robust: true };
        let single = Factor::from_texts(["a", "a", "a", "a", "a", "b"].map(Some));
        let options = CompositionOptions { groups: &single, ..good.clone() };
        assert_eq!(told(&options, &values, None), "groups: group `b` has one sample, without replicate");
        let one = Factor::from_texts(["a"; 6].map(Some));
        let options = CompositionOptions { groups: &one, ..good.clone() };
        assert_eq!(told(&options, &values, None), "groups: 1 group of samples, at least two are compared");
        let mut parts = values.clone();
        for s in 0..6 {
            let total: f64 = (0..5).map(|t| values[(t, s)]).sum();
            (0..5).for_each(|t| parts[(t, s)] /= total);
        }
        assert!(told(&good, &parts, None).starts_with("pseudo_total: the logit of shares needs"));
        assert_eq!(told(&good, &parts, Some(1000.0)), "");
        let same = Matrix::from_rows(6, 1, vec![1.0, 1.0, 1.0, 0.0, 0.0, 0.0]);
        let options = CompositionOptions { covariates: Some(&same), ..good.clone() };
        assert!(told(&options, &values, None).contains("column 2 of groups and covariates depends"));
        let mut empty = values.clone();
        (0..5).for_each(|t| empty[(t, 1)] = 0.0);
        assert_eq!(told(&good, &empty, None), "sample 1 has no cells");
    }
}
