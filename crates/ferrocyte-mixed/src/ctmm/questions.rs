//! Tests that hold their level with few individuals: score tests at the restricted fit of each null hypothesis.
//!
//! A Wald test needs the estimate of what is tested, whose distribution is far from normal at a hundred individuals; a score
//! test needs only the fit without it. In a direction w of tested variances the score is ½ (u'Ku - tr PK) with
//! K = Σ w_kK_k - Σ a_jK_j, a the regression of the tested scores on those of the fitted variances, so that it is a weighted sum of χ²
//! variables about its mean. Its tail comes from a saddlepoint; weights are eigenvalues within individuals, brought to
//! the exact variance of the projected form. Questions and their directions:
//!
//! * hom2 = 0, each V_c = 0: the variance itself, against more of it.
//! * V = 0: the sum of the scores of all cell types, each divided by its standard deviation.
//! * V equal over cell types: all contrasts of scores at the fit with one variance, χ² on C - 1 degrees of freedom.
//! * Means equal: contrasts of means at the restricted fit of `free`, F on C - 1 and the degrees of freedom of the fit.

use std::collections::{BTreeMap, BTreeSet};

use ferrocyte_base::{Column, Fault, Kind, Result, Run, Table};
use ferrocyte_math::chi_squared;
use ferrocyte_math::linalg::{Matrix, cholesky_in_place, scaled_inverse, solve_lower, solve_lower_transposed};
use ferrocyte_math::multiple::benjamini_hochberg_ln;

use super::data::Study;
use super::design::Design;
use super::likelihood::{Derivatives, Likelihood};
use super::moments::Moments;
use super::optimum::Search;
use super::options::{Level, Model};
use super::saddlepoint;
use super::status::Outcome;
use super::wald::ln_equal_means;
use super::widen::spread;

/// A variance below this (of data of unit variance) is at zero and not fitted.
const ZERO: f64 = 1e-9;

/// ln p of every question, gene by gene; NaN where a gene has no test.
#[derive(Debug, Clone)]
pub struct Questions {
    /// Names of genes.
    pub genes: Vec<String>,
    /// Names of cell types.
    pub cell_types: Vec<String>,
    /// hom2 = 0.
    pub ln_p_hom2: Vec<f64>,
    /// V = 0.
    pub ln_p_v: Vec<f64>,
    /// V equal over cell types.
    pub ln_p_equal: Vec<f64>,
    /// Means equal over cell types.
    pub ln_p_mean: Vec<f64>,
    /// V_c = 0, genes × cell types.
    pub ln_p_types: Vec<f64>,
    /// What became of each gene.
    pub outcomes: Vec<Outcome>,
}

/// The answers of one gene (hom2, V, equal, mean, then each cell type), and what became of it.
#[derive(Debug, Clone)]
struct Answers {
    ln_p: Vec<f64>,
    outcome: Outcome,
}

impl Answers {
    fn none(c: usize, outcome: Outcome) -> Self {
        Self { ln_p: vec![f64::NAN; 4 + c], outcome }
    }

    /// Of some cell types as of all.
    fn widened(self, kept: &[bool]) -> Self {
        let places: Vec<usize> = (0..4).chain((0..kept.len()).filter(|&a| kept[a]).map(|a| 4 + a)).collect();
        let outcome = if self.outcome == Outcome::Ok { Outcome::SilentTypes } else { self.outcome };
        Self { ln_p: spread(&self.ln_p, &places, 4 + kept.len()), outcome }
    }
}

/// Tests every gene of pseudobulk per cell type. Problems of the whole study are errors.
pub fn questions(run: &Run, study: Study) -> Result<Questions> {
    let study = study.checked(run)?;
    if study.level == Level::Op {
        return Err(Fault::unsupported("these tests are for pseudobulk per cell type").at("level"));
    }
    let c = study.cell_types.len();
    let mut answers = vec![Answers::none(c, Outcome::OneType); study.genes.len()];
    for (varies, genes) in study.by_types() {
        let kept = varies.iter().filter(|&&v| v).count();
        if kept == c {
            let found = answer_genes(run, &study, &genes)?;
            genes.into_iter().zip(found).for_each(|(gene, found)| answers[gene] = found);
        } else if kept > 1 {
            let part = study.narrowed(&genes, &varies);
            let found = answer_genes(run, &part, &(0..genes.len()).collect::<Vec<_>>())?;
            genes.into_iter().zip(found).for_each(|(gene, found)| answers[gene] = found.widened(&varies));
        }
    }
    let column = |j: usize| answers.iter().map(|a| a.ln_p[j]).collect::<Vec<f64>>();
    Ok(Questions {
        ln_p_hom2: column(0),
        ln_p_v: column(1),
        ln_p_equal: column(2),
        ln_p_mean: column(3),
        ln_p_types: answers.iter().flat_map(|a| a.ln_p[4..].to_vec()).collect(),
        outcomes: answers.iter().map(|a| a.outcome).collect(),
        genes: study.genes,
        cell_types: study.cell_types,
    })
}

/// The answers of some genes of a checked study, in their order.
fn answer_genes(run: &Run, study: &Study, genes: &[usize]) -> Result<Vec<Answers>> {
    let (n, c) = (study.individuals.len(), study.cell_types.len());
    let wanted: BTreeSet<usize> = genes.iter().copied().collect();
    let mut answers: BTreeMap<usize, Answers> = BTreeMap::new();
    for (observed, mut own) in study.patterns() {
        own.retain(|gene| wanted.contains(gene));
        let rows: Vec<usize> = (0..n).filter(|&i| observed[i * c..(i + 1) * c].contains(&true)).collect();
        if rows.is_empty() {
            answers.extend(own.into_iter().map(|gene| (gene, Answers::none(c, Outcome::NoValues))));
            continue;
        }
        if own.is_empty() {
            continue;
        }
        let designs =
            [Design::new(study, Model::Free, &rows, &observed)?, Design::new(study, Model::Iid, &rows, &observed)?];
        let pattern = match Pattern::new(&designs, rows) {
            Ok(pattern) => pattern,
            Err(fault) if fault.kind() == Kind::BadInput => {
                run.warn(&format!("{} genes are not tested: {fault}", own.len()));
                answers.extend(own.into_iter().map(|gene| (gene, Answers::none(c, Outcome::NotIdentifiable))));
                continue;
            }
            Err(fault) => return Err(fault),
        };
        let found = run.map_blocks("testing", own.len(), 4, |k| Ok(pattern.answer(study, own[k])))?;
        answers.extend(own.into_iter().zip(found));
    }
    Ok(answers.into_values().collect())
}

/// What genes with the same pairs share.
struct Pattern<'a> {
    rows: Vec<usize>,
    free: &'a Design,
    iid: &'a Design,
    moments: Moments<'a>,
}

impl<'a> Pattern<'a> {
    fn new(designs: &'a [Design; 2], rows: Vec<usize>) -> Result<Self> {
        let [free, iid] = designs;
        Ok(Self { rows, free, iid, moments: Moments::new(free, Model::Free, None)? })
    }

    fn answer(&self, study: &Study, gene: usize) -> Answers {
        let (design, c) = (self.free, self.free.c);
        let mut out = vec![f64::NAN; 4 + c];
        let (values, noise) = study.gene(gene);
        let place = |i: usize, at: usize| self.rows[i] * c + design.types[at];
        let places: Vec<usize> =
            (0..design.n).flat_map(|i| design.rows(i).map(move |at| (i, at))).map(|(i, at)| place(i, at)).collect();
        let y: Vec<f64> = places.iter().map(|&at| values[at]).collect();
        let noise: Vec<f64> = places.iter().map(|&at| noise[at]).collect();
        let (means, r) = design.least_squares(self.moments.x_inverse(), &y, None);
        let square = |x: &[f64]| x.iter().map(|v| v * v).sum::<f64>();
        if !(square(&r) > 1e-24 * square(&y)) {
            return Answers::none(c, Outcome::Constant);
        }
        if !(design.df() > 0.0) {
            return Answers::none(c, Outcome::NoDf);
        }
        let scale = 2.0_f64.powi((0.5 * (square(&r) / y.len() as f64).log2()).round() as i32);
        let scaled = |x: &[f64], by: f64| x.iter().map(|v| v / by).collect::<Vec<f64>>();
        let (r, noise) = (scaled(&r, scale), scaled(&noise, scale * scale));
        let start = self.moments.estimate(&r, &noise).0;
        let mut likelihood = Likelihood::new(design, Model::Free, true, &r, &noise);
        let none = vec![false; design.n_variances()];
        let all = search(design, &mut likelihood, Model::Free).under_null(&start, &none);
        let near = all.as_ref().map_or(&start, |fit| &fit.theta);
        let tested =
            |from: usize, to: usize| (0..design.n_variances()).map(|k| k >= from && k < to).collect::<Vec<_>>();
        out[0] = direction(design, &mut likelihood, near, &tested(0, 1));
        out[1] = direction(design, &mut likelihood, near, &tested(1, 1 + c));
        for a in 0..c {
            out[4 + a] = direction(design, &mut likelihood, near, &tested(1 + a, 2 + a));
        }
        out[2] = self.equal(near, &r, &noise);
        if let Some(fit) = &all {
            let p = design.n_fixed;
            let b: Vec<f64> = (0..c).map(|a| fit.solved.beta[a] + means[a] / scale).collect();
            let covariance: Vec<f64> =
                (0..c).flat_map(|a| fit.solved.beta_covariance.entries()[a * p..a * p + c].to_vec()).collect();
            out[3] = ln_equal_means(&b, &covariance, design.df());
        }
        let outcome = if !out.iter().any(|p| p.is_nan()) {
            Outcome::Ok
        } else if noise.contains(&0.0) {
            Outcome::Unbounded
        } else {
            Outcome::NotConverged
        };
        Answers { ln_p: out, outcome }
    }

    /// V equal over cell types: scores of each variance at the fit with one.
    fn equal(&self, start: &[f64], r: &[f64], noise: &[f64]) -> f64 {
        let c = self.free.c;
        let mut likelihood = Likelihood::new(self.iid, Model::Iid, true, r, noise);
        let mean = start[1..=c].iter().sum::<f64>() / c as f64;
        let own: Vec<f64> = [start[0], mean].iter().chain(&start[1 + c..]).copied().collect();
        let zero = vec![false; own.len()];
        let Some(null) = search(self.iid, &mut likelihood, Model::Iid).under_null(&own, &zero) else {
            return f64::NAN;
        };
        let theta = null.theta;
        let mut at = vec![theta[0]];
        at.extend(vec![theta[1]; c]);
        at.extend(&theta[2..]);
        let mut likelihood = Likelihood::new(self.free, Model::Free, true, r, noise);
        likelihood.walled(false);
        let Some((_, found)) = search(self.free, &mut likelihood, Model::Free).at(&at) else { return f64::NAN };
        // Coordinates: contrasts with the last cell type are tested; hom2, the sum and random covariates are fitted.
        let n = at.len();
        let mut basis = Matrix::zeros(n, n);
        (0..n).filter(|k| *k == 0 || *k > c).for_each(|k| basis[(k, k)] = 1.0);
        (1..=c).for_each(|k| basis[(c, k)] = 1.0);
        for k in 1..c {
            basis[(k, k)] = 1.0;
            basis[(k, c)] = -1.0;
        }
        let information = basis.times(&found.expected).times(&basis.transpose());
        let score: Vec<f64> =
            (0..n).map(|j| -basis.row(j).iter().zip(&found.gradient).map(|(b, g)| b * g).sum::<f64>()).collect();
        let fitted: Vec<usize> = (0..n)
            .filter(|&k| (k == 0 && at[0] > ZERO) || (k == c && at[1] > ZERO) || (k > c && at[k] > ZERO))
            .collect();
        let tested: Vec<usize> = (1..c).collect();
        let Some(efficient) = efficient_information(&information, &tested, &fitted) else { return f64::NAN };
        let Ok(inverse) = scaled_inverse(&efficient, 1e-12) else { return f64::NAN };
        let quadratic: f64 = tested
            .iter()
            .enumerate()
            .map(|(i, &j)| score[j] * tested.iter().enumerate().map(|(k, &l)| inverse[(i, k)] * score[l]).sum::<f64>())
            .sum();
        chi_squared::ln_upper(quadratic, (c - 1) as f64)
    }
}

fn search<'s, 'a>(design: &Design, likelihood: &'s mut Likelihood<'a>, model: Model) -> Search<'s, 'a> {
    Search { likelihood, model, c: design.c, n_random: design.random.len(), evaluations: 0 }
}

/// ln p of the variances marked `tested` being zero, against more of their sum.
fn direction(design: &Design, likelihood: &mut Likelihood<'_>, start: &[f64], tested: &[bool]) -> f64 {
    let Some(null) = search(design, likelihood, Model::Free).under_null(start, tested) else { return f64::NAN };
    let theta = null.theta;
    let own: Vec<usize> = (0..theta.len()).filter(|&k| tested[k]).collect();
    let fitted: Vec<usize> = (0..theta.len()).filter(|&k| !tested[k] && theta[k] > ZERO).collect();
    let Some((weights, variance)) = efficient_direction(&null.derivatives, &own, &fitted) else { return f64::NAN };
    let score: f64 = own.iter().map(|&k| -weights[k] * null.derivatives.gradient[k]).sum();
    let mut lambda = likelihood.eigenvalues(&theta, &weights[..design.kernels.len()]);
    let square: f64 = lambda.iter().map(|l| l * l).sum();
    if !(square > 0.0 && variance > 0.0) {
        return f64::NAN;
    }
    let factor = (2.0 * variance / square).sqrt();
    lambda.iter_mut().for_each(|l| *l *= factor);
    saddlepoint::ln_upper(&lambda, 2.0 * score)
}

/// The weights of all variances in the efficient score of the sum of the tested ones, and its variance.
fn efficient_direction(found: &Derivatives, tested: &[usize], fitted: &[usize]) -> Option<(Vec<f64>, f64)> {
    let information = &found.expected;
    let own = efficient_information(information, tested, fitted)?;
    let mut weights = vec![0.0; information.n_rows()];
    for (i, &k) in tested.iter().enumerate() {
        weights[k] = 1.0 / own[(i, i)].sqrt();
    }
    let f = fitted.len();
    let (mut block, mut right) = (Matrix::zeros(f, f), vec![0.0; f]);
    for (i, &j) in fitted.iter().enumerate() {
        (0..f).for_each(|k| block[(i, k)] = information[(j, fitted[k])]);
        right[i] = tested.iter().map(|&k| information[(j, k)] * weights[k]).sum();
    }
    cholesky_in_place(&mut block).ok()?;
    solve_lower(&block, &mut right);
    solve_lower_transposed(&block, &mut right);
    fitted.iter().zip(&right).for_each(|(&j, a)| weights[j] = -a);
    let variance = (0..tested.len())
        .map(|i| {
            let w = weights[tested[i]];
            w * tested.iter().enumerate().map(|(k, &l)| own[(i, k)] * weights[l]).sum::<f64>()
        })
        .sum();
    Some((weights, variance))
}

/// I_TT - I_TF I_FF⁻¹ I_FT.
fn efficient_information(information: &Matrix, tested: &[usize], fitted: &[usize]) -> Option<Matrix> {
    let (t, f) = (tested.len(), fitted.len());
    let mut block = Matrix::zeros(f, f);
    for (i, &j) in fitted.iter().enumerate() {
        (0..f).for_each(|k| block[(i, k)] = information[(j, fitted[k])]);
    }
    cholesky_in_place(&mut block).ok()?;
    let mut half = Matrix::zeros(t, f);
    for (i, &k) in tested.iter().enumerate() {
        let mut row: Vec<f64> = fitted.iter().map(|&j| information[(k, j)]).collect();
        solve_lower(&block, &mut row);
        half.row_mut(i).copy_from_slice(&row);
    }
    let mut out = Matrix::zeros(t, t);
    for i in 0..t {
        for k in 0..t {
            let explained: f64 = half.row(i).iter().zip(half.row(k)).map(|(a, b)| a * b).sum();
            out[(i, k)] = information[(tested[i], tested[k])] - explained;
        }
    }
    Some(out)
}

impl Questions {
    /// One row per gene: p-values of every question with their false discovery rates over genes.
    pub fn table(&self) -> Table {
        let c = self.cell_types.len();
        let mut columns = vec![
            ("hom2".to_owned(), "no shared variance", self.ln_p_hom2.clone()),
            ("V".to_owned(), "no cell type-specific variance", self.ln_p_v.clone()),
            ("V equal".to_owned(), "equal specific variance of cell types", self.ln_p_equal.clone()),
            ("mean".to_owned(), "equal means of cell types", self.ln_p_mean.clone()),
        ];
        for (j, name) in self.cell_types.iter().enumerate() {
            let own = self.ln_p_types.iter().skip(j).step_by(c).copied().collect();
            columns.push((format!("V[{name}]"), "no variance specific to the cell type", own));
        }
        let start = Table::new("ctmm tests").with(Column::text("gene", "name of the gene", self.genes.clone()));
        let told = columns.into_iter().fold(start, |table, (name, null, ln_p)| {
            let adjusted = benjamini_hochberg_ln(&ln_p).into_iter().map(f64::exp).collect();
            let p = ln_p.iter().map(|x| x.exp()).collect();
            let log10 = ln_p.iter().map(|x| x / std::f64::consts::LN_10).collect();
            table
                .with(Column::float(&format!("p[{name}]"), "", &format!("p-value of {null}"), p))
                .with(Column::float(
                    &format!("adj_p[{name}]"),
                    "",
                    "the same, false discovery rate over genes",
                    adjusted,
                ))
                .with(Column::float(&format!("log10_p[{name}]"), "", "the same as a logarithm", log10))
        });
        let texts = |of: fn(Outcome) -> &'static str| self.outcomes.iter().map(|&o| of(o).to_owned()).collect();
        told.with(Column::text("status", "what became of the gene", texts(|o| o.status().word))).with(Column::text(
            "reason",
            "the same as a sentence",
            texts(|o| o.status().sentence),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::super::simulate::{SimulateOptions, Truth, simulate};
    use super::*;

    fn rejected(ln_p: &[f64]) -> f64 {
        ln_p.iter().filter(|p| p.exp() < 0.05).count() as f64 / ln_p.len() as f64
    }

    #[test]
    fn silent_types_are_left_out_and_the_others_tested() -> Result<()> {
        let run = Run::new();
        let mut study = simulate(&run, &SimulateOptions::paper(Truth::Free, 3, 40, 4))?;
        let less = study.narrowed(&[0], &[true, true, false, true]);
        for at in (0..2 * 160).filter(|at| (*at < 160 && at % 4 == 2) || (*at >= 160 && at % 4 > 0)) {
            (study.values[at], study.noise[at]) = (0.0, 0.0);
        }
        let found = questions(&run, study)?;
        assert_eq!(found.outcomes, [Outcome::SilentTypes, Outcome::OneType, Outcome::Ok]);
        assert_eq!(found.ln_p_v[0], questions(&run, less)?.ln_p_v[0]);
        assert!(found.ln_p_types[2].is_nan() && !found.ln_p_types[3].is_nan() && found.ln_p_v[1].is_nan());
        Ok(())
    }

    #[test]
    fn null_genes_are_rejected_at_the_level_and_others_are_found() -> Result<()> {
        let run = Run::new();
        let null = questions(&run, simulate(&run, &SimulateOptions::paper(Truth::Hom, 400, 60, 3))?)?;
        // Four binomial standard errors about the level.
        assert!((rejected(&null.ln_p_v) - 0.05).abs() < 0.044, "{}", rejected(&null.ln_p_v));
        assert!(rejected(&null.ln_p_hom2) > 0.5);
        let free = questions(&run, simulate(&run, &SimulateOptions::paper(Truth::Free, 100, 60, 3))?)?;
        assert!(rejected(&free.ln_p_v) > 0.8, "{}", rejected(&free.ln_p_v));
        assert!(rejected(&free.ln_p_mean) > 0.9);
        Ok(())
    }
}
