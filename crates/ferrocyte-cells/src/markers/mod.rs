//! Genes that tell groups of cells apart: [`markers`].
//!
//! Each group is compared with all other cells, or with one group of reference, by Welch's t, by Welch's t with the
//! group's own number of cells on both sides, by the rank-sum test of Wilcoxon, or by a logistic regression.
//!
//! The p-values are of cells, which are not replicates: they serve to name clusters, not to compare conditions. They are
//! computed as logarithms, so that the strongest markers keep their order where a p-value is too small to be a number.

mod filter;
mod logistic;
mod t_test;
mod wilcoxon;

use ferrocyte_base::{Column, Fault, Result, Run, Table, choice, listing, nearest};
use ferrocyte_data::{Factor, RowChunks};
use ferrocyte_math::multiple::{benjamini_hochberg, benjamini_hochberg_ln};

use crate::Names;
use crate::moments::{Moments, Of, Sums};
use crate::scan::{Need, scan};

pub use filter::MarkerFilter;
pub use logistic::LogisticOptions;

choice! {
    /// How groups are compared.
    Method, "method" {
        /// Welch's t.
        TTest = "t-test",
        /// Welch's t with the number of cells of the group on both sides, which overestimates the variance.
        TTestOverestimVar = "t-test_overestim_var",
        /// The rank-sum test.
        Wilcoxon = "wilcoxon",
        /// Logistic regression on all genes at once.
        Logistic = "logreg",
    }
}

choice! {
    /// How p-values are adjusted for the number of genes.
    Correction, "corr_method" {
        /// False discovery rate.
        BenjaminiHochberg = "benjamini-hochberg",
        /// Family-wise error rate.
        Bonferroni = "bonferroni",
    }
}

/// What is compared and how.
#[derive(Debug, Clone, PartialEq)]
pub struct MarkerOptions {
    /// The test.
    pub method: Method,
    /// The adjustment.
    pub correction: Correction,
    /// The groups that are compared; `None` is all of them. The others stay in the rest.
    pub groups: Option<Vec<String>>,
    /// What they are compared with; `None` is all other cells, those without group included.
    pub reference: Option<String>,
    /// Whether ties are allowed for (Wilcoxon). Without it z is far too small where most values are 0.
    pub tie_correct: bool,
    /// Base of the logarithm that was taken; `None` is e.
    pub base: Option<f64>,
    /// Whether the fold change of means of what was logged is computed too, which costs about as much as the t-test.
    pub fold_change_of_means: bool,
    /// How the regression is fitted (logreg).
    pub logistic: LogisticOptions,
}

impl MarkerOptions {
    /// The usual options of a method.
    pub fn new(method: Method) -> Self {
        Self {
            method,
            correction: Correction::BenjaminiHochberg,
            groups: None,
            reference: None,
            tie_correct: true,
            base: None,
            fold_change_of_means: false,
            logistic: LogisticOptions::default(),
        }
    }
}

/// One group against its reference; one number per gene, in the order of genes.
#[derive(Debug, Clone, PartialEq)]
pub struct GroupMarkers {
    /// The group.
    pub group: String,
    /// Its cells.
    pub n: usize,
    /// Cells of the reference.
    pub n_reference: usize,
    /// t, z or coefficient: positive where the group has more.
    pub scores: Vec<f64>,
    /// p-values; 0 below the smallest number. NaN, as all that is made of them, where the method has none (logreg).
    pub p: Vec<f64>,
    /// Their logarithms.
    pub ln_p: Vec<f64>,
    /// Adjusted p-values.
    pub q: Vec<f64>,
    /// Their logarithms.
    pub ln_q: Vec<f64>,
    /// log2 of the ratio of what the means of logarithms stand for: `(exp(m1) - 1 + 1e-9) / (exp(m2) - 1 + 1e-9)`.
    pub log2_fold_change: Vec<f64>,
    /// log2 of the ratio of means of what was logged, `(m1 + 1e-9) / (m2 + 1e-9)`, if asked for.
    pub log2_fold_change_of_means: Option<Vec<f64>>,
    /// Mean in the group.
    pub mean: Vec<f64>,
    /// Mean in the reference.
    pub mean_reference: Vec<f64>,
    /// Share of the cells of the group whose value is not 0.
    pub fraction: Vec<f64>,
    /// Share of those of the reference.
    pub fraction_reference: Vec<f64>,
}

impl GroupMarkers {
    /// The genes by falling score (or size of score); ties in the order of genes.
    pub fn order(&self, by_size: bool) -> Vec<usize> {
        let key = |gene: usize| if by_size { self.scores[gene].abs() } else { self.scores[gene] };
        let mut order: Vec<usize> = (0..self.scores.len()).collect();
        order.sort_by(|&a, &b| key(b).total_cmp(&key(a)));
        order
    }

    /// Some genes as a table, in the order given, under scanpy's names.
    pub fn table(&self, names: &Names<'_>, genes: &[usize]) -> Table {
        const LN_10: f64 = std::f64::consts::LN_10;
        let pick = |values: &[f64]| -> Vec<f64> { genes.iter().map(|&gene| values[gene]).collect() };
        let log10 = |values: &[f64]| -> Vec<f64> { genes.iter().map(|&gene| -values[gene] / LN_10).collect() };
        let name = |&gene: &usize| names.genes.get(gene).cloned().unwrap_or_else(|| gene.to_string());
        let table = Table::new(format!("markers of {}", self.group))
            .with(Column::text("names", "the gene", genes.iter().map(name).collect()))
            .with(Column::float("scores", "", "t, z or coefficient of the comparison", pick(&self.scores)))
            .with(Column::float(
                "logfoldchanges",
                "log2",
                "ratio of what the means of logarithms stand for",
                pick(&self.log2_fold_change),
            ))
            .with(Column::float("pvals", "", "p-value of cells, for naming clusters", pick(&self.p)))
            .with(Column::float("pvals_adj", "", "adjusted p-value", pick(&self.q)))
            .with(Column::float("log10_p", "-log10", "p-value, also below the smallest number", log10(&self.ln_p)))
            .with(Column::float(
                "log10_q",
                "-log10",
                "adjusted p-value, also below the smallest number",
                log10(&self.ln_q),
            ))
            .with(Column::float("pct_nz_group", "", "share of the group that has the gene", pick(&self.fraction)))
            .with(Column::float(
                "pct_nz_reference",
                "",
                "share of the reference that has it",
                pick(&self.fraction_reference),
            ));
        match &self.log2_fold_change_of_means {
            Some(change) => {
                table.with(Column::float("log2fc_mean", "log2", "ratio of means of what was logged", pick(change)))
            }
            None => table,
        }
    }
}

/// Compares groups of cells gene by gene.
///
/// `source` has logarithms of normalised counts, of all genes or of those of interest; `labels` the group of every cell.
/// One pass for the t-tests, two for the rank-sum test (more where its values do not fit the memory of the run), two for
/// each step of the regression, which keeps a matrix that stands on disk in memory.
///
/// # Errors
/// Labels for another number of cells; a group that does not exist or has one cell; fewer than two groups; values that
/// are missing or infinite.
pub fn markers(
    run: &Run,
    source: &mut dyn RowChunks,
    names: &Names<'_>,
    labels: &Factor,
    options: &MarkerOptions,
) -> Result<Vec<GroupMarkers>> {
    let plan = Plan::new(run, source, labels, options)?;
    let n_genes = source.n_cols();
    let mut moments = Moments::new(Of::Values, n_genes, Some(&plan.labels));
    let mut unlogged =
        options.fold_change_of_means.then(|| Moments::new(Of::undoing(options.base), n_genes, Some(&plan.labels)));
    let seen = match &mut unlogged {
        Some(unlogged) => scan(run, source, names, Need::Finite, &mut [&mut moments, unlogged])?,
        None => scan(run, source, names, Need::Finite, &mut [&mut moments])?,
    };
    if seen.whole {
        run.warn(&format!("{} has whole numbers only: logarithms of normalised counts are expected", source.name()));
    }
    let tests = match options.method {
        Method::TTest | Method::TTestOverestimVar => {
            let overestimate = options.method == Method::TTestOverestimVar;
            run.map_blocks("t-test", plan.compared.len(), 1, |i| {
                let (n1, own, n2, other) = plan.sides(&moments, plan.compared[i]);
                Ok(t_test::compare((n1, &own), (n2, &other), overestimate))
            })?
        }
        Method::Wilcoxon => wilcoxon::compare(run, source, &plan, &moments, options.tie_correct)?,
        Method::Logistic => logistic::compare(run, source, &plan, &options.logistic)?,
    };
    let results = plan.compared.iter().zip(tests);
    Ok(results.map(|(&group, test)| plan.report(group, test, &moments, unlogged.as_ref(), options)).collect())
}

/// Score and logarithm of the two-sided p-value of each gene.
struct Test {
    scores: Vec<f64>,
    ln_p: Vec<f64>,
}

/// Who is compared with whom.
struct Plan {
    /// The labels; cells without label have the last level.
    labels: Factor,
    /// Cells of each level.
    counts: Vec<usize>,
    /// The levels that are compared.
    compared: Vec<usize>,
    reference: Option<usize>,
}

impl Plan {
    fn new(run: &Run, source: &dyn RowChunks, labels: &Factor, options: &MarkerOptions) -> Result<Self> {
        if labels.codes.len() != source.n_rows() {
            let message = format!("{} labels for {} cells", labels.codes.len(), source.n_rows());
            return Err(Fault::bad_input(message).at("groupby"));
        }
        let counts = labels.counts();
        let n_missing = labels.codes.len() - counts.iter().sum::<usize>();
        if n_missing > 0 {
            run.warn(&format!("{n_missing} cells have no group: they count among the rest"));
        }
        let reference =
            options.reference.as_deref().map(|name| find(labels, &counts, name, "reference")).transpose()?;
        let mut compared = match &options.groups {
            None => (0..counts.len()).filter(|&group| counts[group] > 0).collect(),
            Some(names) => {
                let mut groups: Vec<usize> =
                    names.iter().map(|name| find(labels, &counts, name, "groups")).collect::<Result<_>>()?;
                groups.sort_unstable();
                groups.dedup();
                groups
            }
        };
        let n_present = counts.iter().filter(|&&n| n > 0).count();
        if n_present < 2 {
            return Err(Fault::bad_input(format!("{n_present} group of cells has nothing to be compared with"))
                .at("groupby")
                .hint("give labels with at least two groups"));
        }
        let lonely: Vec<&str> = compared
            .iter()
            .chain(&reference)
            .filter(|&&group| counts[group] == 1)
            .map(|&group| labels.levels[group].as_str())
            .collect();
        if !lonely.is_empty() {
            return Err(Fault::bad_input(format!("groups of a single cell cannot be tested: {}", listing(&lonely, 9)))
                .at("groupby")
                .hint("leave these groups out (groups), or merge them with others"));
        }
        compared.retain(|&group| Some(group) != reference);
        let last = labels.levels.len() as u32;
        let levels = labels.levels.iter().cloned().chain([String::new()]).collect();
        let codes = labels.codes.iter().map(|code| code.min(last)).collect();
        let counts = counts.into_iter().chain([n_missing]).collect();
        Ok(Self { labels: Factor { levels, codes }, counts, compared, reference })
    }

    /// The levels of the other side.
    fn others(&self, group: usize) -> Vec<usize> {
        match self.reference {
            Some(reference) => vec![reference],
            None => (0..self.counts.len()).filter(|&other| other != group).collect(),
        }
    }

    /// Cells and sums of a group, and of the other side: these are added up, not taken from the total, so that nothing
    /// cancels.
    fn sides(&self, moments: &Moments, group: usize) -> (f64, Vec<Sums>, f64, Vec<Sums>) {
        let mut other = vec![Sums::default(); moments.group(group).len()];
        let mut n = 0.0;
        for level in self.others(group) {
            n += moments.n[level];
            for (t, s) in other.iter_mut().zip(moments.group(level)) {
                t.sum += s.sum;
                t.squares += s.squares;
                t.detected += s.detected;
            }
        }
        (moments.n[group], moments.group(group).to_vec(), n, other)
    }

    fn report(
        &self,
        group: usize,
        test: Test,
        moments: &Moments,
        unlogged: Option<&Moments>,
        options: &MarkerOptions,
    ) -> GroupMarkers {
        let (n1, own, n2, other) = self.sides(moments, group);
        let means = |n: f64, sums: &[Sums]| -> Vec<f64> { sums.iter().map(|s| s.sum / n).collect() };
        let shares = |n: f64, sums: &[Sums]| -> Vec<f64> { sums.iter().map(|s| s.detected / n).collect() };
        let (mean, mean_reference) = (means(n1, &own), means(n2, &other));
        let ln_base = options.base.map_or(1.0, f64::ln);
        let undo = |m: f64| (m * ln_base).exp_m1();
        let log2_fold_change = ratios(&mean, &mean_reference, undo);
        let log2_fold_change_of_means = unlogged.map(|moments| {
            let (n1, own, n2, other) = self.sides(moments, group);
            ratios(&means(n1, &own), &means(n2, &other), |m| m)
        });
        let p: Vec<f64> = test.ln_p.iter().map(|ln_p| ln_p.exp()).collect();
        let (q, ln_q) = match options.method {
            Method::Logistic => (test.ln_p.clone(), test.ln_p.clone()),
            _ => adjust(options.correction, &p, &test.ln_p),
        };
        GroupMarkers {
            group: self.labels.levels[group].clone(),
            n: n1 as usize,
            n_reference: n2 as usize,
            scores: test.scores,
            p,
            ln_p: test.ln_p,
            q,
            ln_q,
            log2_fold_change,
            log2_fold_change_of_means,
            mean,
            mean_reference,
            fraction: shares(n1, &own),
            fraction_reference: shares(n2, &other),
        }
    }
}

/// The level of a name, if cells have it.
fn find(labels: &Factor, counts: &[usize], name: &str, option: &str) -> Result<usize> {
    match labels.levels.iter().position(|level| level == name) {
        Some(level) if counts[level] > 0 => Ok(level),
        Some(_) => Err(Fault::bad_input(format!("no cell belongs to group `{name}`")).at(option.to_owned())),
        None => {
            let near = nearest(name, &labels.levels, 3);
            let hint = if near.is_empty() {
                format!("the groups are {}", listing(&labels.levels, 20))
            } else {
                format!("did you mean {}?", listing(&near, 3))
            };
            Err(Fault::missing(format!("there is no group `{name}`")).at(option.to_owned()).hint(hint))
        }
    }
}

/// log2 of the ratio of two lists, each moved away from 0 a little.
fn ratios(own: &[f64], other: &[f64], of: impl Fn(f64) -> f64) -> Vec<f64> {
    const LITTLE: f64 = 1e-9;
    own.iter().zip(other).map(|(&a, &b)| ((of(a) + LITTLE) / (of(b) + LITTLE)).log2()).collect()
}

/// Adjusted p-values and their logarithms.
fn adjust(correction: Correction, p: &[f64], ln_p: &[f64]) -> (Vec<f64>, Vec<f64>) {
    match correction {
        Correction::BenjaminiHochberg => (benjamini_hochberg(p), benjamini_hochberg_ln(ln_p)),
        Correction::Bonferroni => {
            let m = p.len() as f64;
            (p.iter().map(|p| (p * m).min(1.0)).collect(), ln_p.iter().map(|p| (p + m.ln()).min(0.0)).collect())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ferrocyte_testkit::{Counts, assert_same_bits_over_runs};

    const NAMES: Names<'static> = Names { cells: &[], genes: &[] };

    fn labels(n: usize) -> Factor {
        let words = [Some("a"), Some("b"), None, Some("c"), Some("a")];
        Factor::from_texts((0..n).map(|i| words[i * i % 5]))
    }

    #[test]
    fn threads_and_blocks_change_no_bit() -> Result<()> {
        let counts = Counts::random(21, 700, 1100, 0.3)?;
        let labels = labels(700);
        for method in [Method::TTest, Method::Wilcoxon] {
            for reference in [None, Some("b".to_owned())] {
                let options = MarkerOptions { reference, fold_change_of_means: true, ..MarkerOptions::new(method) };
                let work = |run: &Run| markers(run, &mut counts.source()?, &NAMES, &labels, &options);
                assert_same_bits_over_runs(work, |groups| {
                    groups
                        .iter()
                        .flat_map(|g| [&g.scores, &g.ln_q, &g.log2_fold_change].into_iter().flatten().copied())
                        .collect()
                })?;
            }
        }
        Ok(())
    }

    #[test]
    fn impossible_groups_are_named() -> Result<()> {
        let counts = Counts::random(3, 6, 4, 1.0)?;
        let run = Run::new();
        let told = |words: [&str; 6], options: &MarkerOptions| -> Result<String> {
            let labels = Factor::from_texts(words.map(Some));
            let outcome = markers(&run, &mut counts.source()?, &NAMES, &labels, options);
            Ok(outcome.err().map(|f| f.to_string()).unwrap_or_default())
        };
        let mut options = MarkerOptions::new(Method::TTest);
        let single = told(["a", "a", "a", "b", "b", "lonely"], &options)?;
        assert_eq!(single, "groupby: groups of a single cell cannot be tested: `lonely`");
        assert_eq!(told(["a"; 6], &options)?, "groupby: 1 group of cells has nothing to be compared with");
        options.reference = Some("bb".into());
        assert_eq!(told(["a", "a", "a", "b", "b", "b"], &options)?, "reference: there is no group `bb`");
        let labels = Factor::from_texts([Some("a"), Some("b")]);
        assert!(markers(&run, &mut counts.source()?, &NAMES, &labels, &options).is_err());
        Ok(())
    }
}
