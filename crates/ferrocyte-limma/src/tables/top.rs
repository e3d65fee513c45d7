//! The genes with the strongest evidence, as a table.

use std::cmp::Ordering;
use std::f64::consts::LN_10;

use ferrocyte_base::{Column, Fault, Result, Table, choice};
use ferrocyte_math::f;
use ferrocyte_math::linalg::Matrix;
use ferrocyte_math::multiple::Adjust;
use ferrocyte_math::student_t::StudentT;

use crate::Fit;
use crate::moderate::{Moderated, joint};

choice! {
    /// What the rows of a table are sorted by.
    Order, "sort_by" {
        /// Log-odds, falling.
        B = "B",
        /// P-value, rising.
        P = "p",
        /// t: its size, falling; where rows are sorted anew, its value.
        T = "t",
        /// Log fold change: its size, falling; where rows are sorted anew, its value.
        LogFc = "logFC",
        /// Mean log-value, falling.
        AveExpr = "AveExpr",
        /// F, falling: as the p-value.
        F = "F",
        /// The order of the genes.
        None = "none",
    }
}

/// Which genes a table shows, and how.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TopOptions {
    /// Rows at most; `None` for all.
    pub number: Option<usize>,
    /// How p-values are adjusted, over all genes.
    pub adjust: Adjust,
    /// What the genes are sorted by, ties in the order of the genes and NaN last.
    pub sort_by: Order,
    /// What the genes that were chosen are sorted by in the end.
    pub resort_by: Option<Order>,
    /// Largest adjusted p-value shown.
    pub p_value: f64,
    /// Smallest size of a log2 fold change shown.
    pub lfc: f64,
    /// Level of confidence intervals, if they are wanted.
    pub confint: Option<f64>,
    /// Whether logarithms of the p-values are shown, which do not underflow.
    pub log10_p_value: bool,
}

impl Default for TopOptions {
    fn default() -> Self {
        Self {
            number: Some(10),
            adjust: Adjust::BenjaminiHochberg,
            sort_by: Order::B,
            resort_by: None,
            p_value: 1.0,
            lfc: 0.0,
            confint: None,
            log10_p_value: false,
        }
    }
}

/// A table and the genes in its rows.
#[derive(Debug, Clone, PartialEq)]
pub struct Top {
    /// Position of the gene in each row.
    pub genes: Vec<usize>,
    /// The columns.
    pub table: Table,
}

/// The genes with the strongest evidence for coefficient `coef`: columns `log_fc`, `ci_l` and `ci_r` on request,
/// `ave_expr`, `t`, `p_value`, `adj_p_value`, `log10_p_value` on request, and `b` where there are log-odds.
///
/// Where the fit has no log-odds ([`treat`](crate::treat)), order by them is order by p-value.
///
/// # Errors
/// Where there is no such coefficient or an option is out of range.
pub fn top_table(fit: &Fit, moderated: &Moderated, coef: usize, options: &TopOptions) -> Result<Top> {
    check(options)?;
    if coef >= fit.n_coefficients() {
        return Err(
            Fault::missing(format!("there is no coefficient {coef}; there are {}", fit.n_coefficients())).at("coef")
        );
    }
    let column = |m: &Matrix| -> Vec<f64> { (0..m.n_rows()).map(|g| m[(g, coef)]).collect() };
    let (log_fc, t, p) = (column(&fit.coefficients), column(&moderated.t), column(&moderated.p_value));
    let lods = moderated.odds.as_ref().map(|odds| column(&odds.lods));
    let adjusted = options.adjust.adjust(&p);
    let shown = |g: usize| {
        (options.p_value >= 1.0 && options.lfc <= 0.0)
            || (adjusted[g] <= options.p_value && log_fc[g].abs() >= options.lfc)
    };
    let mut genes: Vec<usize> = (0..fit.n_genes()).filter(|&g| shown(g)).collect();
    let key = |order: Order, sized: bool| -> Result<Option<Vec<f64>>> {
        let size = |values: &[f64]| values.iter().map(|v| if sized { -v.abs() } else { -v }).collect();
        let falling = |values: &[f64]| values.iter().map(|v| -v).collect();
        Ok(match (order, &lods) {
            (Order::None, _) => None,
            (Order::B, Some(lods)) => Some(falling(lods)),
            (Order::B, None) | (Order::P, _) => Some(p.clone()),
            (Order::T, _) => Some(size(&t)),
            (Order::LogFc, _) => Some(size(&log_fc)),
            (Order::AveExpr, _) => Some(falling(&fit.amean)),
            (Order::F, _) => {
                return Err(Fault::bad_input("order by F is for tables of several coefficients")
                    .at("sort_by")
                    .hint("give several coefficients, or sort by `B`, `p`, `t`, `logFC`, `AveExpr` or `none`"));
            }
        })
    };
    choose(&mut genes, options, key)?;
    let pick = |values: &[f64]| -> Vec<f64> { genes.iter().map(|&g| values[g]).collect() };
    let mut table = Table::new("top_table").with(Column::float("log_fc", "log2", "estimate", pick(&log_fc)));
    if let Some(level) = options.confint {
        let half = half_widths(fit, moderated, coef, level, &genes);
        let side = |sign: f64| genes.iter().zip(&half).map(|(&g, half)| log_fc[g] + sign * half).collect();
        table = table
            .with(Column::float("ci_l", "log2", "lower end of the confidence interval", side(-1.0)))
            .with(Column::float("ci_r", "log2", "upper end of the confidence interval", side(1.0)));
    }
    if fit.amean.len() == fit.n_genes() {
        table = table.with(Column::float("ave_expr", "log2", "mean log-value", pick(&fit.amean)));
    }
    table = table
        .with(Column::float("t", "", "moderated t", pick(&t)))
        .with(Column::float("p_value", "", "p-value", pick(&p)))
        .with(Column::float("adj_p_value", "", "p-value adjusted for all genes", pick(&adjusted)));
    if options.log10_p_value {
        let logs = genes.iter().map(|&g| ln_p(fit, moderated, g, coef) / LN_10).collect();
        table = table.with(Column::float("log10_p_value", "", "logarithm of the p-value", logs));
    }
    if let Some(lods) = &lods {
        table = table.with(Column::float("b", "", "natural log-odds that the gene changes", pick(lods)));
    }
    Ok(Top { genes, table })
}

/// The genes with the strongest joint evidence for the coefficients `coefs`: one column of log fold changes for each,
/// `ave_expr`, `F`, `p_value`, `adj_p_value`, and `log10_p_value` on request, sorted by p-value unless `none`.
///
/// # Errors
/// Where the fit has no joint tests, there is no such coefficient, or an option is out of range.
pub fn top_table_f(fit: &Fit, moderated: &Moderated, coefs: &[usize], options: &TopOptions) -> Result<Top> {
    check(options)?;
    let k = fit.n_coefficients();
    if let Some(coef) = coefs.iter().find(|&&coef| coef >= k) {
        return Err(Fault::missing(format!("there is no coefficient {coef}; there are {k}")).at("coef"));
    }
    let joint = joint(fit, moderated, coefs)?;
    let adjusted = options.adjust.adjust(&joint.p_value);
    let large = |g: usize| options.lfc <= 0.0 || coefs.iter().any(|&j| fit.coefficients[(g, j)].abs() > options.lfc);
    let shown = |g: usize| (options.p_value >= 1.0 || adjusted[g] <= options.p_value) && large(g);
    let mut genes: Vec<usize> = (0..fit.n_genes()).filter(|&g| shown(g)).collect();
    choose(&mut genes, options, |order, _| {
        Ok(match order {
            Order::None => None,
            Order::AveExpr => Some(fit.amean.iter().map(|a| -a).collect()),
            _ => Some(joint.p_value.clone()),
        })
    })?;
    let pick = |values: &[f64]| -> Vec<f64> { genes.iter().map(|&g| values[g]).collect() };
    let mut table = Table::new("top_table_f");
    for &j in coefs {
        let estimates = genes.iter().map(|&g| fit.coefficients[(g, j)]).collect();
        table = table.with(Column::float(&fit.names[j], "log2", "estimate", estimates));
    }
    if fit.amean.len() == fit.n_genes() {
        table = table.with(Column::float("ave_expr", "log2", "mean log-value", pick(&fit.amean)));
    }
    table = table
        .with(Column::float("F", "", "moderated F", pick(&joint.statistic)))
        .with(Column::float("p_value", "", "p-value", pick(&joint.p_value)))
        .with(Column::float("adj_p_value", "", "p-value adjusted for all genes", pick(&adjusted)));
    if options.log10_p_value {
        let logs =
            genes.iter().map(|&g| f::ln_upper(joint.statistic[g], joint.df1 as f64, joint.df2[g]) / LN_10).collect();
        table = table.with(Column::float("log10_p_value", "", "logarithm of the p-value", logs));
    }
    Ok(Top { genes, table })
}

/// Fails where an option is out of range.
fn check(options: &TopOptions) -> Result<()> {
    if options.number == Some(0) {
        return Err(Fault::bad_input("expected at least one row").at("number"));
    }
    if options.confint.is_some_and(|level| !(level > 0.0 && level < 1.0)) {
        return Err(
            Fault::bad_input(format!("expected a level between 0 and 1, found {:?}", options.confint)).at("confint")
        );
    }
    if options.p_value.is_nan() || options.lfc.is_nan() {
        return Err(Fault::bad_input("expected numbers, found NaN").at("p_value, lfc"));
    }
    Ok(())
}

/// Sorts, cuts and sorts anew. `key` gives numbers that rise, of sizes or with their signs, or `None` for no order.
fn choose(
    genes: &mut Vec<usize>,
    options: &TopOptions,
    key: impl Fn(Order, bool) -> Result<Option<Vec<f64>>>,
) -> Result<()> {
    let before = |key: &[f64], &a: &usize, &b: &usize| match (key[a].is_nan(), key[b].is_nan()) {
        (false, false) => key[a].total_cmp(&key[b]).then(a.cmp(&b)),
        (a, b) => a.cmp(&b),
    };
    let number = options.number.unwrap_or(usize::MAX);
    if let Some(key) = key(options.sort_by, true)? {
        // NaN are equal to each other: the position decides.
        let compare = |a: &usize, b: &usize| -> Ordering { before(&key, a, b).then(a.cmp(b)) };
        if number < genes.len() {
            genes.select_nth_unstable_by(number, compare);
            genes.truncate(number);
        }
        genes.sort_unstable_by(compare);
    }
    genes.truncate(number);
    if let Some(order) = options.resort_by
        && let Some(key) = key(order, false)?
    {
        let places: Vec<usize> = genes.clone();
        let mut rows: Vec<usize> = (0..places.len()).collect();
        rows.sort_by(|&a, &b| match (key[places[a]].is_nan(), key[places[b]].is_nan()) {
            (false, false) => key[places[a]].total_cmp(&key[places[b]]),
            (a, b) => a.cmp(&b),
        });
        *genes = rows.into_iter().map(|row| places[row]).collect();
    }
    Ok(())
}

/// Half the widths of confidence intervals.
fn half_widths(fit: &Fit, moderated: &Moderated, coef: usize, level: f64, genes: &[usize]) -> Vec<f64> {
    let mut last = (f64::NAN, f64::NAN);
    genes
        .iter()
        .map(|&g| {
            let df = moderated.df_total[g];
            if df != last.0 {
                last = (df, StudentT::new(df).quantile(0.5 * (1.0 + level)));
            }
            moderated.s2_post[g].sqrt() * fit.stdev_unscaled[(g, coef)] * last.1
        })
        .collect()
}

/// The logarithm of the p-value of a coefficient.
fn ln_p(fit: &Fit, moderated: &Moderated, g: usize, coef: usize) -> f64 {
    let df = moderated.df_total[g];
    match moderated.threshold {
        None => StudentT::new(df).ln_two_sided(moderated.t[(g, coef)]),
        Some(threshold) => {
            let se = fit.stdev_unscaled[(g, coef)] * moderated.s2_post[g].sqrt();
            threshold.ln_p(fit.coefficients[(g, coef)], se, df)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::moderate::tests::example;
    use crate::moderate::{EBayesOptions, TreatOptions, e_bayes, treat};
    use ferrocyte_base::Run;

    fn moderated(n: usize) -> Result<(Fit, Moderated)> {
        let mut fit = example(n)?;
        fit.coefficients[(5, 1)] = f64::NAN;
        let moderated = e_bayes(&Run::new(), &fit, &EBayesOptions::default())?;
        Ok((fit, moderated))
    }

    fn rises(values: &[f64]) -> bool {
        values.windows(2).all(|pair| pair[0] <= pair[1])
    }

    #[test]
    fn rows_are_sorted_cut_and_sorted_anew() -> Result<()> {
        let (fit, moderated) = moderated(120)?;
        let options = TopOptions { number: None, sort_by: Order::P, ..TopOptions::default() };
        let all = top_table(&fit, &moderated, 1, &options)?;
        assert!(all.genes.len() == 120 && all.genes[119] == 5 && rises(&all.table.floats("p_value")?[..119]));
        let few = top_table(&fit, &moderated, 1, &TopOptions { number: Some(9), ..options })?;
        assert_eq!(few.genes, all.genes[..9]);
        let anew = TopOptions { number: Some(9), resort_by: Some(Order::LogFc), ..options };
        let anew = top_table(&fit, &moderated, 1, &anew)?;
        let falling: Vec<f64> = anew.table.floats("log_fc")?.iter().map(|x| -x).collect();
        let (mut a, mut b) = (anew.genes.clone(), few.genes.clone());
        a.sort_unstable();
        b.sort_unstable();
        assert!(rises(&falling) && a == b);
        let none = top_table(&fit, &moderated, 1, &TopOptions { sort_by: Order::None, ..options })?;
        assert_eq!(none.genes, (0..120).collect::<Vec<_>>());
        Ok(())
    }

    #[test]
    fn filters_intervals_and_logarithms() -> Result<()> {
        let (fit, moderated) = moderated(120)?;
        let options = TopOptions {
            number: None,
            p_value: 0.2,
            lfc: 0.5,
            confint: Some(0.9),
            log10_p_value: true,
            ..TopOptions::default()
        };
        let top = top_table(&fit, &moderated, 1, &options)?;
        let floats = |name: &str| top.table.floats(name);
        assert!(!top.genes.is_empty() && floats("adj_p_value")?.iter().all(|p| *p <= 0.2));
        for (row, &g) in top.genes.iter().enumerate() {
            let (b, low, high) = (floats("log_fc")?[row], floats("ci_l")?[row], floats("ci_r")?[row]);
            let t = StudentT::new(moderated.df_total[g]).quantile(0.95);
            assert!(b.abs() >= 0.5 && (b - 0.5 * (low + high)).abs() < 1e-12);
            assert!(((high - low) / 2.0 * floats("t")?[row] / b / t - 1.0).abs() < 1e-12);
            assert!((10.0_f64.powf(floats("log10_p_value")?[row]) / floats("p_value")?[row] - 1.0).abs() < 1e-11);
        }
        let joint = top_table_f(&fit, &moderated, &[1], &options)?;
        let names: Vec<&str> = joint.table.columns().iter().map(|c| c.name.as_str()).collect();
        assert_eq!(names, ["group", "ave_expr", "F", "p_value", "adj_p_value", "log10_p_value"]);
        for (f, &g) in joint.table.floats("F")?.iter().zip(&joint.genes) {
            assert!((f / moderated.t[(g, 1)].powi(2) - 1.0).abs() < 1e-12);
        }
        Ok(())
    }

    #[test]
    fn what_is_refused() -> Result<()> {
        let (fit, moderated) = moderated(60)?;
        let options = TopOptions::default();
        assert!(top_table(&fit, &moderated, 2, &options).is_err());
        assert!(top_table(&fit, &moderated, 1, &TopOptions { number: Some(0), ..options }).is_err());
        assert!(top_table(&fit, &moderated, 1, &TopOptions { sort_by: Order::F, ..options }).is_err());
        assert!(top_table(&fit, &moderated, 1, &TopOptions { confint: Some(1.0), ..options }).is_err());
        let beyond = treat(&Run::new(), &fit, &TreatOptions::default())?;
        assert!(top_table_f(&fit, &beyond, &[0, 1], &options).is_err());
        let mut aliased = fit.clone();
        aliased.pivot.push(2);
        assert!(top_table_f(&aliased, &Moderated { f: None, ..moderated.clone() }, &[0, 1], &options).is_err());
        let anew = top_table_f(&fit, &Moderated { f: None, ..moderated.clone() }, &[0, 1], &options)?;
        assert_eq!(anew, top_table_f(&fit, &moderated, &[0, 1], &options)?);
        let names = top_table(&fit, &beyond, 1, &options)?.table;
        assert!(names.column("b").is_err() && rises(names.floats("p_value")?));
        Ok(())
    }
}
