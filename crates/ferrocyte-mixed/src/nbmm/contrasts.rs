//! Tests of contrasts: one table, a row per group, contrast and gene.

use std::borrow::Cow;
use std::f64::consts::{LN_2, LN_10};

use ferrocyte_base::{Cells, Column, Fault, Result, Run, Table};
use ferrocyte_math::linalg::Matrix;
use ferrocyte_math::multiple::benjamini_hochberg_ln;
use ferrocyte_math::normal;
use ferrocyte_math::pivoted_qr::PivotedQr;

use crate::lmm::Contrast;
use crate::nbmm::ascent::{Free, Limits};
use crate::nbmm::fit::{BLOCK, Fit, GroupFit, without};
use crate::nbmm::gene::GeneFit;
use crate::nbmm::ground::Ground;
use crate::nbmm::layout::{Counts, Layout};
use crate::nbmm::marginal::{Marginal, Place, Scratch};
use crate::nbmm::mixture::{Test, ln_mixture};
use crate::nbmm::moderation::{GeneProfile, PARTS, Remains, S2};
use crate::nbmm::options::{Adjust, FitOptions, Method, Statistic, TestOptions};
use crate::nbmm::profile::Along;
use crate::nbmm::refine::refine;
use crate::nbmm::separation::Separation;
use crate::nbmm::status::{Outcome, Outcomes};
use crate::nbmm::sums::GroupSums;
use crate::nbmm::top::Rules;

/// Twice the fall of the log-likelihood at the end of a 95 % interval: the 95 % quantile of chi-squared with 1 degree.
const FALL: f64 = 3.841_458_820_694_124;

/// How a contrast stands to the coefficients that a gene has left.
#[derive(Debug, Clone, PartialEq)]
enum Reach {
    /// It is a combination of coefficients that are finite: weights of the columns that are left.
    Finite(Vec<f64>),
    /// It rises (1) or falls (-1) for ever.
    Infinite(f64),
    /// Nothing tells it.
    Unknown,
}

impl Reach {
    fn of(contrast: &[f64], fit: &GeneFit) -> Self {
        let Some(separation) = &fit.separation else { return Self::Finite(contrast.to_vec()) };
        let along: f64 = contrast.iter().zip(&separation.direction).map(|(c, e)| c * e).sum();
        let size: f64 = contrast.iter().zip(&separation.direction).map(|(c, e)| (c * e).abs()).sum();
        if along.abs() > 1e-9 * size.max(1e-300) {
            return Self::Infinite(along.signum());
        }
        let left = contrast
            .iter()
            .enumerate()
            .filter(|(_, c)| **c != 0.0)
            .all(|(i, _)| separation.columns.contains(&i) && separation.direction[i] == 0.0);
        if left { Self::Finite(separation.columns.iter().map(|&i| contrast[i]).collect()) } else { Self::Unknown }
    }
}

/// The likelihood of a gene where a contrast has the value `value`: a design with one column less, the part of the
/// contrast in the predictor given.
fn fixed(ground: &Ground, counts: &Counts, contrast: &[f64], map: &Matrix, value: f64) -> Remains<'static> {
    let pivot = (0..contrast.len()).max_by(|&a, &b| contrast[a].abs().total_cmp(&contrast[b].abs())).unwrap_or(0);
    let mut moved = ground.mapped(map);
    let x = &ground.layout.x;
    moved.shifts = (0..x.n_rows()).map(|c| x[(c, pivot)] * value / contrast[pivot]).collect();
    match Separation::find(&moved.layout, counts) {
        Some(separation) => {
            let (ground, counts) = separation.reduced(&moved, counts);
            Remains::new(Cow::Owned(ground), counts)
        }
        None => Remains::new(Cow::Owned(moved), counts.clone()),
    }
}

/// What the tests of a contrast in a group start from.
struct Question<'a> {
    sums: &'a GroupSums,
    ground: &'a Ground,
    fit: &'a GroupFit,
    options: &'a FitOptions,
    statistic: Statistic,
    contrast: &'a [f64],
    /// Maps the design without the contrast to that with it.
    map: Matrix,
    rules: Rules,
    /// Degrees of freedom without moderation.
    df: f64,
}

impl Question<'_> {
    fn test(&self, gene: usize) -> Result<(Test, Outcomes)> {
        let fit = &self.fit.genes[gene];
        if !fit.outcomes.has_estimate() {
            return Ok((Test::NONE, fit.outcomes));
        }
        let reach = Reach::of(self.contrast, fit);
        let separated = fit.separation.is_some();
        let by_ratio = match self.statistic {
            Statistic::Auto => separated,
            Statistic::Wald => false,
            Statistic::Lr => true,
        };
        let profile = self.fit.moderation.as_ref().and_then(|m| m.genes[gene].as_ref());
        let mut test = match &reach {
            Reach::Finite(weights) => match profile {
                Some(profile) => {
                    let (estimates, variances) = profile.along(weights);
                    Test::of_mixture(&profile.ln_weights, &estimates, &variances)
                }
                None => self.by_itself(gene, weights),
            },
            Reach::Infinite(sign) => {
                let end = self.one_sided_limit(gene, *sign, profile);
                let interval = if *sign > 0.0 { (end, f64::INFINITY) } else { (f64::NEG_INFINITY, end) };
                Test { estimate: sign * f64::INFINITY, interval, ..Test::NONE }
            }
            Reach::Unknown => Test::NONE,
        };
        if by_ratio && reach != Reach::Unknown {
            test.ln_p = match profile {
                Some(profile) => self.ratio_mixture(gene, profile, &reach),
                None => self.ratio(gene)?,
            };
        }
        Ok((test, fit.outcomes.with(Outcome::NotEstimable, test.ln_p.is_nan())))
    }

    /// The test of a gene without moderation: t with the degrees of freedom of the donors.
    fn by_itself(&self, gene: usize, weights: &[f64]) -> Test {
        let fit = &self.fit.genes[gene];
        let remains = Remains::of(self.ground, self.sums.counts(gene), fit);
        let p = remains.layout().n_fixed();
        let columns: Vec<usize> = fit.separation.as_ref().map_or_else(|| (0..p).collect(), |s| s.columns.clone());
        let coefficients: Vec<f64> = columns.iter().map(|&c| fit.coefficients[c]).collect();
        let estimate: f64 = weights.iter().zip(&coefficients).filter(|(w, _)| **w != 0.0).map(|(w, b)| w * b).sum();
        let variance: f64 = match &fit.covariance {
            Some(covariance) => {
                (0..p).map(|i| (0..p).map(|j| weights[i] * weights[j] * covariance[(i, j)]).sum::<f64>()).sum()
            }
            None => f64::NAN,
        };
        Test::of_t(estimate, variance.sqrt(), self.df)
    }

    /// ln p of the likelihood ratio, both variances fitted anew; by maximum likelihood whatever the fit was by.
    fn ratio(&self, gene: usize) -> Result<f64> {
        let options = FitOptions { method: Method::Ml, ..*self.options };
        let counts = self.sums.counts(gene);
        let highest = |ground: &Ground| GeneFit::new(ground, &counts, &options, &self.rules, &mut Scratch::default());
        let full = match self.options.method {
            Method::Ml => self.fit.genes[gene].log_likelihood,
            Method::Reml => highest(self.ground)?.log_likelihood,
        };
        let null = highest(&self.ground.mapped(&self.map))?;
        Ok(normal::ln_two_sided((2.0 * (full - null.log_likelihood)).max(0.0).sqrt()))
    }

    /// ln p of the likelihood ratios over the grid of ln s2, averaged.
    fn ratio_mixture(&self, gene: usize, profile: &GeneProfile, reach: &Reach) -> f64 {
        let null = fixed(self.ground, &self.sums.counts(gene), self.contrast, &self.map, 0.0);
        let places = profile.places();
        let start = places.len() / 2;
        let mut scratch = Scratch::default();
        let from = null.marginal(self.options).start(&mut scratch).coefficients;
        let points = null.marginal(self.options).profile(
            &places,
            (Along::S2, S2.1),
            (start, &from),
            self.rules.along(),
            &mut scratch,
        );
        let roots: Vec<f64> = profile
            .points
            .iter()
            .zip(&points)
            .map(|(full, null)| {
                let sign = match reach {
                    Reach::Finite(weights) => {
                        weights.iter().zip(&full.coefficients).map(|(w, b)| w * b).sum::<f64>().signum()
                    }
                    Reach::Infinite(sign) => *sign,
                    Reach::Unknown => f64::NAN,
                };
                sign * (2.0 * (full.value - null.value)).max(0.0).sqrt()
            })
            .collect();
        ln_mixture(&profile.ln_weights, &refine(&roots, PARTS))
    }

    /// The finite end of the interval of an infinite contrast: where twice the fall of the log-likelihood from its
    /// supremum is the 95 % quantile of chi-squared, at the (moderated) variances of the gene.
    fn one_sided_limit(&self, gene: usize, sign: f64, profile: Option<&GeneProfile>) -> f64 {
        let fit = &self.fit.genes[gene];
        let (tau, s2) = profile.map_or((fit.tau, fit.s2), |p| (p.ln_tau.exp(), p.ln_s2.exp()));
        let counts = self.sums.counts(gene);
        let highest = |marginal: Marginal<'_>| {
            let mut scratch = Scratch::default();
            let coefficients = marginal.start(&mut scratch).coefficients;
            let limits = Limits { decrement: 1e-8, steps: 60, in_tau: false };
            let free = Free { tau: false, s2: false };
            marginal
                .climb(Place { coefficients, tau, s2 }, free, &self.rules.climbing, limits, &mut scratch)
                .outlook
                .value
        };
        let remains = Remains::of(self.ground, counts.clone(), fit);
        let supremum = highest(remains.marginal(self.options));
        let fall = |value: f64| {
            let fixed = fixed(self.ground, &counts, self.contrast, &self.map, value);
            2.0 * (supremum - highest(fixed.marginal(self.options))) - FALL
        };
        // The fall shrinks along the direction; a bracket that doubles, and bisection.
        let (mut near, mut far, mut step) = (0.0, 0.0, 1.0);
        while fall(near) < 0.0 && step < 64.0 {
            near -= sign * step;
            step *= 2.0;
        }
        step = 1.0;
        while fall(far) > 0.0 && step < 64.0 {
            far += sign * step;
            step *= 2.0;
        }
        if !(fall(near) >= 0.0 && fall(far) <= 0.0) {
            return f64::NAN;
        }
        for _ in 0..40 {
            let middle = 0.5 * (near + far);
            if fall(middle) > 0.0 { near = middle } else { far = middle }
        }
        0.5 * (near + far)
    }
}

/// Donors less the rank of what the design says about them: the degrees of freedom of a comparison of donors.
fn donor_df(layout: &Layout) -> f64 {
    let donors = layout.donors.windows(2).filter(|d| d[0] < d[1]).count();
    (donors - rank_between(layout)).max(1) as f64
}

/// The rank of what the design says about donors: of its columns that are constant within each.
pub(in crate::nbmm) fn rank_between(layout: &Layout) -> usize {
    let donors: Vec<&[usize]> = layout.donors.windows(2).filter(|d| d[0] < d[1]).collect();
    let constant = |j: usize| {
        donors.iter().all(|d| (d[0]..d[1]).all(|c| layout.x[(c, j)].to_bits() == layout.x[(d[0], j)].to_bits()))
    };
    let columns: Vec<usize> = (0..layout.n_fixed()).filter(|&j| constant(j)).collect();
    let mut between = Matrix::zeros(donors.len(), columns.len());
    for (i, donor) in donors.iter().enumerate() {
        columns.iter().enumerate().for_each(|(k, &j)| between[(i, k)] = layout.x[(donor[0], j)]);
    }
    if columns.is_empty() { 0 } else { PivotedQr::new(&between).rank() }
}

/// Whether a contrast of indicators that are constant within donors has fewer than two donors in an arm.
fn lacks_replication(layout: &Layout, contrast: &[f64]) -> bool {
    let donors: Vec<&[usize]> = layout.donors.windows(2).filter(|d| d[0] < d[1]).collect();
    let columns: Vec<usize> = (0..contrast.len()).filter(|&j| contrast[j] != 0.0).collect();
    let value = |donor: &[usize], j: usize| layout.x[(donor[0], j)];
    let indicator = |&j: &usize| {
        donors.iter().all(|d| {
            let first = value(d, j);
            (first == 0.0 || first == 1.0) && (d[0]..d[1]).all(|c| layout.x[(c, j)].to_bits() == first.to_bits())
        })
    };
    if columns.is_empty() || !columns.iter().all(indicator) {
        return false;
    }
    let arms = columns.iter().map(|&j| donors.iter().filter(|d| value(d, j) == 1.0).count());
    let rest = donors.iter().filter(|d| columns.iter().all(|&j| value(d, j) == 0.0)).count();
    // Where the weights cancel, the arms are compared with each other, and who is in neither does not matter.
    let needs_rest = contrast.iter().sum::<f64>().abs() > 1e-9;
    arms.min().unwrap_or(0) < 2 || (needs_rest && rest == 1)
}

/// One row before it becomes part of a table.
struct Row {
    group: usize,
    contrast: usize,
    gene: usize,
    test: Test,
    outcomes: Outcomes,
}

impl Fit {
    /// Tests contrasts in all groups.
    ///
    /// The table is sorted by p-value within each group and contrast (genes without p-value last, ties in the order of
    /// genes). Estimates are natural logarithms. A group in which a contrast cannot be formed has rows with a status that
    /// says so; it is an error only when that is so in every group.
    pub fn test(&self, run: &Run, contrasts: &[Contrast], options: &TestOptions) -> Result<Table> {
        let sums = &self.sums().groups;
        let fitted: Vec<&GroupSums> = sums.iter().filter(|g| g.refused.is_empty()).collect();
        for contrast in contrasts {
            let attempts: Vec<Result<Vec<f64>>> = fitted.iter().map(|g| contrast.weights_of(&g.coefficients)).collect();
            if attempts.iter().all(Result::is_err) {
                return Err(attempts
                    .into_iter()
                    .find_map(Result::err)
                    .unwrap_or_else(|| Fault::bad_input("no group was fitted")));
            }
            if let Some(variable) = contrast.variable()
                && let Some((_, warning)) = self.sums().replication.iter().find(|(name, _)| name == variable)
            {
                run.warn(warning);
            }
        }
        let mut rows: Vec<Row> = Vec::new();
        let mut reasons: Vec<(usize, usize, String)> = Vec::new();
        for (g, group) in sums.iter().enumerate() {
            for (c, contrast) in contrasts.iter().enumerate() {
                let none = |outcome| vec![(Test::NONE, Outcomes::one(outcome)); self.genes().len()];
                let tested = if group.refused.is_empty() {
                    match contrast.weights_of(&group.coefficients) {
                        Ok(weights) => self.test_one(run, g, &weights, options)?,
                        Err(fault) => {
                            reasons.push((g, c, fault.to_string()));
                            none(Outcome::NotEstimable)
                        }
                    }
                } else {
                    reasons.push((g, c, group.refused.clone()));
                    none(Outcome::GroupNotFitted)
                };
                let key = |i: usize| tested[i].0.ln_p;
                let mut order: Vec<usize> = (0..tested.len()).collect();
                order.sort_by(|&a, &b| {
                    key(a).is_nan().cmp(&key(b).is_nan()).then(key(a).total_cmp(&key(b))).then(a.cmp(&b))
                });
                rows.extend(order.into_iter().map(|i| {
                    let (test, outcomes) = tested[i];
                    Row { group: g, contrast: c, gene: i, test, outcomes }
                }));
            }
        }
        Ok(self.table(contrasts, options, &rows, &reasons))
    }

    /// Tests one contrast of one group, gene by gene.
    pub fn test_one(
        &self,
        run: &Run,
        group: usize,
        contrast: &[f64],
        options: &TestOptions,
    ) -> Result<Vec<(Test, Outcomes)>> {
        let (sums, fit) = (&self.sums().groups[group], &self.groups[group]);
        if contrast.iter().all(|&c| c == 0.0) {
            return Err(Fault::bad_input("all weights of the contrast are zero").at("contrast"));
        }
        let ground = Ground::new(sums.layout.clone());
        let question = Question {
            sums,
            ground: &ground,
            fit,
            options: self.options(),
            statistic: options.statistic,
            contrast,
            map: without(contrast),
            rules: Rules::new(self.options()),
            df: donor_df(&sums.layout),
        };
        let alone = !options.allow_no_replication && lacks_replication(&sums.layout, contrast);
        run.map_blocks("testing", fit.genes.len(), BLOCK, |gene| {
            let (test, outcomes) = question.test(gene)?;
            Ok(if alone && outcomes.has_estimate() {
                let told = Test { ln_p: f64::NAN, ln_p_t: f64::NAN, ..test };
                (told, outcomes.with(Outcome::NoReplication, true))
            } else {
                (test, outcomes)
            })
        })
    }

    fn table(
        &self,
        contrasts: &[Contrast],
        options: &TestOptions,
        rows: &[Row],
        reasons: &[(usize, usize, String)],
    ) -> Table {
        let sums = &self.sums().groups;
        let ln_p: Vec<f64> = rows.iter().map(|r| r.test.ln_p).collect();
        let adjusted: Vec<f64> = match options.adjust {
            Adjust::All => benjamini_hochberg_ln(&ln_p),
            // Rows stand by group and contrast, one per gene.
            Adjust::Group => ln_p.chunks(self.genes().len().max(1)).flat_map(benjamini_hochberg_ln).collect(),
        };
        let column = |f: &dyn Fn(&Test) -> f64| Cells::Float(rows.iter().map(|r| f(&r.test)).collect());
        let label = |g: &GroupSums| if g.label.is_empty() { "all".to_owned() } else { g.label.clone() };
        let reason = |row: &Row| {
            let known = reasons.iter().find(|(g, c, _)| (*g, *c) == (row.group, row.contrast));
            known.map_or_else(|| row.outcomes.sentence(), |(_, _, why)| why.clone())
        };
        let of_gene = |f: &dyn Fn(&GeneFit) -> f64| {
            Cells::Int(rows.iter().map(|r| f(&self.groups[r.group].genes[r.gene]) as i64).collect())
        };
        let cells = [
            Cells::Level {
                codes: rows.iter().map(|r| r.group as u32).collect(),
                levels: sums.iter().map(label).collect(),
            },
            Cells::Text(rows.iter().map(|r| self.genes()[r.gene].clone()).collect()),
            Cells::Level {
                codes: rows.iter().map(|r| r.contrast as u32).collect(),
                levels: contrasts.iter().map(Contrast::name).collect(),
            },
            column(&|t| t.estimate),
            column(&|t| t.estimate / LN_2),
            column(&|t| t.se),
            column(&|t| t.estimate / t.se),
            column(&|t| t.df),
            column(&|t| t.ln_p.exp()),
            Cells::Float(adjusted.iter().map(|x| x.exp()).collect()),
            column(&|t| t.ln_p / LN_10),
            column(&|t| t.ln_p_t.exp()),
            column(&|t| t.interval.0),
            column(&|t| t.interval.1),
            Cells::Text(rows.iter().map(|r| r.outcomes.word()).collect()),
            Cells::Text(rows.iter().map(reason).collect()),
            of_gene(&|g| g.total),
            of_gene(&|g| g.donors_expressing as f64),
        ];
        test_columns().into_iter().zip(cells).fold(Table::new("tests"), |table, ((name, unit, meaning), cells)| {
            table.with(Column::new(name, unit, meaning, cells))
        })
    }
}

/// The columns of a table of tests: name, unit, meaning.
pub const fn test_columns() -> [(&'static str, &'static str, &'static str); 18] {
    [
        ("group", "", "level of the grouping column; `all` without one"),
        ("gene", "", "gene"),
        ("contrast", "", "what is tested against zero"),
        (
            "estimate",
            "difference of ln(mean)",
            "estimate of the contrast; infinite where the likelihood rises for ever",
        ),
        ("log_fc", "difference of log2(mean)", "the estimate in log2"),
        ("se", "difference of ln(mean)", "standard error of the estimate"),
        ("t", "", "estimate / se"),
        ("df", "", "degrees of freedom of the t distribution that comes closest to the reference distribution"),
        ("p_value", "", "p-value"),
        ("adj_p_value", "", "p-value adjusted for the false discovery rate"),
        ("log10_p_value", "", "log10 of the p-value, also where the p-value itself is too small for a number"),
        ("p_t", "", "p-value of t with df: close to the p-value, slightly liberal beyond 1e-3"),
        ("ci_low", "difference of ln(mean)", "lower end of the 95 % interval of the estimate"),
        ("ci_high", "difference of ln(mean)", "upper end of the 95 % interval"),
        ("status", "", "what became of the gene; several words are joined by `+`"),
        ("reason", "", "the status in a sentence"),
        ("total", "counts", "counts of the gene in the cells of the group"),
        ("donors_expressing", "donors", "donors with a count of the gene"),
    ]
}
