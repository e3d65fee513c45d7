//! Inference against the textbook: every number of joint tests, tests of components, random effects, shares of variance
//! and comparisons from dense matrices over cells, and identities between them.

use std::collections::HashMap;

use ferrocyte_base::{Cells, Kind, Result, Run, Table};
use ferrocyte_data::{Dense, Factor, Frame, ObsColumn, Transform};
use ferrocyte_design::Model;
use ferrocyte_math::linalg::{Matrix, cholesky_in_place, dot, scaled_inverse};
use ferrocyte_math::random::Stream;
use ferrocyte_math::{chi_squared, normal};
use ferrocyte_mixed::lmm::{
    self, Adjust, Contrast, Df, Fit, FitOptions, Hypothesis, Method, Negative, Sums, SumsOptions, TestOptions,
};
use ferrocyte_testkit::assert_same_bits_over_runs;

const DONORS: usize = 12;
const GENES: usize = 24;
const ONE: &str = "~ dose + type + condition + type:condition + (1 | donor)";
const TWO: &str = "~ dose + type + condition + type:condition + (1 | donor) + (1 | batch)";

/// An unbalanced study: donors in four batches, three cell types, two conditions between donors, a dose in odd units.
struct Study {
    values: Vec<Vec<f64>>,
    obs: Frame,
    /// Fixed effects of each cell under [`ONE`].
    x: Vec<Vec<f64>>,
    /// Donor and batch of each cell.
    units: Vec<[usize; 2]>,
}

/// Donor, type, condition and dose of a cell.
type Cell = (usize, usize, usize, f64);

fn study(dose_unit: f64) -> Result<Study> {
    let mut stream = Stream::new(11, 0);
    let mut cells: Vec<Cell> = Vec::new();
    for donor in 0..DONORS {
        for _ in 0..7 + donor {
            cells.push((donor, (stream.uniform() * 3.0) as usize, donor % 2, stream.normal()));
        }
    }
    let n = cells.len();
    let mut values = vec![vec![0.0; GENES]; n];
    for g in 0..GENES {
        let sd = 0.15 * (g % 5) as f64;
        let by_donor: Vec<f64> = (0..DONORS).map(|_| sd * stream.normal()).collect();
        let by_batch: Vec<f64> = (0..4).map(|_| 0.4 * stream.normal()).collect();
        for (row, &(donor, kind, condition, dose)) in values.iter_mut().zip(&cells) {
            let effect = 0.3 * (g % 3) as f64 * (kind * condition) as f64;
            row[g] = 1.0 + 0.2 * dose + effect + by_donor[donor] + by_batch[donor % 4] + 0.8 * stream.normal();
        }
    }
    let mut obs = Frame::new(n);
    let mut factor = |name: &str, text: fn(&Cell) -> String| {
        let all: Vec<String> = cells.iter().map(text).collect();
        obs.insert(name, ObsColumn::Factor(Factor::from_texts(all.iter().map(Some))))
    };
    factor("donor", |c| format!("d{:02}", c.0))?;
    factor("batch", |c| format!("b{}", c.0 % 4))?;
    factor("type", |c| ["a", "b", "c"][c.1].to_owned())?;
    factor("condition", |c| ["ctrl", "stim"][c.2].to_owned())?;
    obs.insert("dose", ObsColumn::Number(cells.iter().map(|c| c.3 * dose_unit).collect()))?;
    let is = |yes: bool| f64::from(u8::from(yes));
    let x = cells.iter().map(|&(_, kind, condition, dose)| {
        let (b, c, stim) = (is(kind == 1), is(kind == 2), condition as f64);
        vec![1.0, dose * dose_unit, b, c, stim, b * stim, c * stim]
    });
    let (x, units) = (x.collect(), cells.iter().map(|c| [c.0, c.0 % 4]).collect());
    Ok(Study { values, obs, x, units })
}

impl Study {
    fn sums(&self, run: &Run, formula: &str) -> Result<Sums> {
        let flat: Vec<f64> = self.values.iter().flatten().copied().collect();
        let mut source = Dense::row_major(self.values.len(), GENES, &flat)?;
        let genes: Vec<String> = (0..GENES).map(|g| format!("g{g}")).collect();
        let options = SumsOptions { transform: Some(Transform::None), ..SumsOptions::default() };
        lmm::sums(run, &mut source, &genes, &self.obs, &Model::parse(formula, &[])?, &options)
    }

    fn fit(&self, run: &Run, formula: &str, options: FitOptions) -> Result<Fit> {
        Fit::new(run, self.sums(run, formula)?, options)
    }

    /// V, cells × cells.
    fn covariance(&self, theta: &[f64]) -> Matrix {
        let n = self.x.len();
        let mut v = Matrix::zeros(n, n);
        for i in 0..n {
            for j in 0..n {
                for (k, s) in theta[..theta.len() - 1].iter().enumerate() {
                    v[(i, j)] += if self.units[i][k] == self.units[j][k] { *s } else { 0.0 };
                }
            }
            v[(i, i)] += theta[theta.len() - 1];
        }
        v
    }

    /// (X'V⁻¹X)⁻¹ and b by generalised least squares; `None` where V is not positive definite.
    fn gls(&self, gene: usize, theta: &[f64]) -> Option<(Matrix, Vec<f64>)> {
        let inverse = scaled_inverse(&self.covariance(theta), 0.0).ok()?;
        let x = Matrix::from_rows(self.x.len(), 7, self.x.concat());
        let vx = inverse.times(&x);
        let cov = scaled_inverse(&vx.transpose().times(&x), 0.0).ok()?;
        let y = Matrix::from_rows(self.x.len(), 1, self.values.iter().map(|r| r[gene]).collect());
        let b = cov.times(&vx.transpose().times(&y));
        Some((cov, b.into_entries()))
    }

    /// The log-likelihood with the constants of the crate: REML without ln|X'X|.
    fn log_likelihood(&self, gene: usize, theta: &[f64], method: Method) -> f64 {
        let (cov, b) = self.gls(gene, theta).unwrap();
        let v = self.covariance(theta);
        let inverse = scaled_inverse(&v, 0.0).unwrap();
        let residual: Vec<f64> = (0..self.x.len()).map(|i| self.values[i][gene] - dot(&self.x[i], &b)).collect();
        let quadratic: f64 = (0..residual.len()).map(|i| residual[i] * dot(inverse.row(i), &residual)).sum();
        let x = Matrix::from_rows(self.x.len(), 7, self.x.concat());
        let (ln_v, ln_xx, ln_cov) = (ln_det(&v), ln_det(&x.transpose().times(&x)), ln_det(&cov));
        let nu = if method == Method::Reml { self.x.len() - 7 } else { self.x.len() } as f64;
        let restricted = if method == Method::Reml { -ln_cov - ln_xx } else { 0.0 };
        -0.5 * (nu * (2.0 * std::f64::consts::PI).ln() + ln_v + restricted + quadratic)
    }
}

fn ln_det(a: &Matrix) -> f64 {
    let mut factor = a.clone();
    cholesky_in_place(&mut factor).unwrap();
    2.0 * factor.diagonal().iter().map(|d| d.ln()).sum::<f64>()
}

/// The numbers of a column by gene and by what stands in another column.
fn by(table: &Table, item: &str, column: &str) -> HashMap<(usize, String), f64> {
    let Cells::Text(genes) = &table.column("gene").unwrap().cells else { panic!("genes are text") };
    let items: Vec<String> = match &table.column(item).unwrap().cells {
        Cells::Level { codes, levels } => codes.iter().map(|&c| levels[c as usize].clone()).collect(),
        other => panic!("{other:?}"),
    };
    let values = table.floats(column).unwrap();
    let gene = |i: usize| genes[i][1..].parse::<usize>().unwrap();
    (0..values.len()).map(|i| ((gene(i), items[i].clone()), values[i])).collect()
}

fn close(a: f64, b: f64, tolerance: f64) -> bool {
    (a - b).abs() <= tolerance * (1.0 + b.abs())
}

fn options(df: Df) -> TestOptions {
    TestOptions { df: Some(df), ..TestOptions::default() }
}

/// `theta` of the fit of a gene.
fn theta(fit: &Fit, gene: usize) -> &[f64] {
    let width = fit.groups[0].n_components() + 1;
    &fit.groups[0].theta[gene * width..(gene + 1) * width]
}

/// Genes whose tests stand on the components as fitted.
fn interior(fit: &Fit) -> Vec<usize> {
    (0..GENES).filter(|&g| matches!(fit.groups[0].outcomes[g].status().word, "ok" | "negative")).collect()
}

#[test]
fn joint_tests_are_those_of_dense_least_squares() -> Result<()> {
    let (run, study) = (Run::new(), study(1.0)?);
    for formula in [ONE, TWO] {
        let fit = study.fit(&run, formula, FitOptions::default())?;
        let table = fit.test_joint(&run, &[Hypothesis::term("condition:type")], &options(Df::Residual))?;
        let found = by(&table, "contrast", "F");
        let genes = interior(&fit);
        assert!(genes.len() > GENES / 2, "{formula}: {}", genes.len());
        for gene in genes {
            let (cov, b) = study.gls(gene, theta(&fit, gene)).unwrap();
            let part = Matrix::from_rows(2, 2, vec![cov[(5, 5)], cov[(5, 6)], cov[(6, 5)], cov[(6, 6)]]);
            let inverse = scaled_inverse(&part, 0.0).unwrap();
            let f = 0.5 * (0..2).map(|i| b[5 + i] * dot(inverse.row(i), &b[5..7])).sum::<f64>();
            let ours = found[&(gene, "condition:type".to_owned())];
            assert!(close(ours, f, 1e-8), "{formula}, gene {gene}: {ours} {f}");
        }
    }
    Ok(())
}

#[test]
fn denominators_are_those_of_the_definition() -> Result<()> {
    // Derivatives of the covariance by differences; the information from differences of the dense likelihood.
    let (run, study) = (Run::new(), study(1.0)?);
    for formula in [ONE, TWO] {
        let fit = study.fit(&run, formula, FitOptions::default())?;
        let hypothesis = Hypothesis::Contrasts {
            name: "mixed".into(),
            contrasts: vec![Contrast::expression("conditionstim"), Contrast::expression("typeb:conditionstim")],
        };
        let table = fit.test_joint(&run, &[hypothesis], &options(Df::Satterthwaite))?;
        let df2 = by(&table, "contrast", "df2");
        for gene in interior(&fit).into_iter().take(4) {
            let at = theta(&fit, gene);
            let shifted = |moves: &[(usize, f64)]| {
                let mut theta = at.to_vec();
                moves.iter().for_each(|&(i, d)| theta[i] += d);
                theta
            };
            let part = |theta: &[f64]| {
                let (cov, _) = study.gls(gene, theta).unwrap();
                Matrix::from_rows(2, 2, vec![cov[(4, 4)], cov[(4, 5)], cov[(5, 4)], cov[(5, 5)]])
            };
            let width = at.len();
            let step = 2e-4 * at[width - 1];
            let likelihood = |moves: &[(usize, f64)]| study.log_likelihood(gene, &shifted(moves), Method::Reml);
            let mut information = Matrix::zeros(width, width);
            for i in 0..width {
                for j in 0..width {
                    let corner = |a: f64, b: f64| likelihood(&[(i, a * step), (j, b * step)]);
                    let second = corner(1.0, 1.0) - corner(1.0, -1.0) - corner(-1.0, 1.0) + corner(-1.0, -1.0);
                    information[(i, j)] = -second / (4.0 * step * step);
                }
            }
            let inverse = scaled_inverse(&information, 0.0).unwrap();
            let (values, vectors) = ferrocyte_math::linalg::symmetric_eigen(&part(at))?;
            let nu: Vec<f64> = (0..2)
                .map(|m| {
                    let v = [vectors[(0, m)], vectors[(1, m)]];
                    let along = |a: &Matrix| v[0] * dot(a.row(0), &v) + v[1] * dot(a.row(1), &v);
                    let slope = |i: usize| {
                        (along(&part(&shifted(&[(i, step)]))) - along(&part(&shifted(&[(i, -step)])))) / (2.0 * step)
                    };
                    let g: Vec<f64> = (0..width).map(slope).collect();
                    let quadratic: f64 = (0..width).map(|i| g[i] * dot(inverse.row(i), &g)).sum();
                    2.0 * values[m] * values[m] / quadratic
                })
                .collect();
            let e: f64 = nu.iter().map(|x| x / (x - 2.0)).sum();
            let (ours, expected) = (df2[&(gene, "mixed".to_owned())], 2.0 * e / (e - 2.0));
            assert!(nu.iter().all(|&x| x > 2.0) && close(ours, expected, 2e-4), "{formula}: {ours} {expected}");
        }
    }
    Ok(())
}

#[test]
fn one_coefficient_is_the_t_test() -> Result<()> {
    let (run, study) = (Run::new(), study(1.0)?);
    for (formula, rules) in
        [(ONE, vec![Df::Moderated, Df::Satterthwaite, Df::Residual]), (TWO, vec![Df::Satterthwaite, Df::Residual])]
    {
        let fit = study.fit(&run, formula, FitOptions::default())?;
        for rule in rules {
            let single = fit.test(&run, &[Contrast::expression("conditionstim")], &options(rule))?;
            let joint = fit.test_joint(&run, &[Hypothesis::term("condition")], &options(rule))?;
            let of = |table: &Table, column: &str| by(table, "contrast", column);
            let (t, df, p) = (of(&single, "t"), of(&single, "df"), of(&single, "log10_p_value"));
            let (f, df2, joint_p) = (of(&joint, "F"), of(&joint, "df2"), of(&joint, "log10_p_value"));
            for gene in 0..GENES {
                let (a, b) = ((gene, "conditionstim".to_owned()), (gene, "condition".to_owned()));
                assert!(close(f[&b], t[&a] * t[&a], 1e-10), "{formula} {rule:?}: {} {}", f[&b], t[&a]);
                assert!(close(df2[&b], df[&a], 1e-9), "{formula} {rule:?}: {} {}", df2[&b], df[&a]);
                assert!(close(joint_p[&b], p[&a], 1e-10), "{formula} {rule:?}: {} {}", joint_p[&b], p[&a]);
            }
        }
    }
    Ok(())
}

#[test]
fn redundant_rows_and_units_change_nothing() -> Result<()> {
    let run = Run::new();
    let (plain, scaled) = (study(1.0)?, study(1e6)?);
    let fit = plain.fit(&run, ONE, FitOptions::default())?;
    let in_units = scaled.fit(&run, ONE, FitOptions::default())?;
    let hypothesis = |expressions: &[&str]| Hypothesis::Contrasts {
        name: "h".into(),
        contrasts: expressions.iter().map(|e| Contrast::expression(*e)).collect(),
    };
    let two = hypothesis(&["typeb", "typec"]);
    let four = hypothesis(&["typeb", "2*typeb", "typec", "typeb - typec"]);
    for rule in [Df::Moderated, Df::Satterthwaite] {
        let table = |fit: &Fit, h: &Hypothesis| fit.test_joint(&run, std::slice::from_ref(h), &options(rule));
        let (a, b) = (table(&fit, &two)?, table(&fit, &four)?);
        assert_eq!(a, b);
        assert!(a.floats("df1")?.iter().all(|&r| r == 2.0));
        // A dose in millionths beside a factor.
        let mixed = hypothesis(&["dose", "conditionstim"]);
        let (a, b) = (table(&fit, &mixed)?, table(&in_units, &mixed)?);
        let (fa, fb) = (by(&a, "contrast", "F"), by(&b, "contrast", "F"));
        assert!(fa.iter().all(|(key, f)| close(fb[key], *f, 1e-8)));
    }
    Ok(())
}

#[test]
fn matrices_and_expressions_ask_the_same() -> Result<()> {
    let (run, study) = (Run::new(), study(1.0)?);
    let fit = study.fit(&run, ONE, FitOptions::default())?;
    let weights = Matrix::from_rows(2, 2, vec![1.0, 0.0, 1.0, -1.0]);
    let rows = Hypothesis::Rows { name: "h".into(), coefficients: vec!["typeb".into(), "typec".into()], weights };
    let expressions = Hypothesis::Contrasts {
        name: "h".into(),
        contrasts: vec![Contrast::expression("typeb"), Contrast::expression("typeb - typec")],
    };
    let test = |h: Hypothesis| fit.test_joint(&run, &[h], &TestOptions::default());
    assert_eq!(test(rows)?, test(expressions)?);
    // Every effect of the condition: a term and an expression.
    let parts = Hypothesis::Parts { name: "h".into(), parts: vec!["type:condition".into(), "conditionstim".into()] };
    let spelled = ["typeb:conditionstim", "typec:conditionstim", "conditionstim"];
    let contrasts = spelled.iter().map(|e| Contrast::expression(*e)).collect();
    assert_eq!(test(parts)?, test(Hypothesis::Contrasts { name: "h".into(), contrasts })?);
    let short = Hypothesis::Rows { name: "h".into(), coefficients: Vec::new(), weights: Matrix::zeros(1, 3) };
    assert!(test(short).is_err_and(|f| f.message() == "3 weights a row for 7 coefficients"));
    let unknown = test(Hypothesis::term("kind"));
    assert!(unknown.is_err_and(|f| f.kind() == Kind::MissingKey));
    let one_sided = TestOptions { alternative: lmm::Alternative::Less, ..TestOptions::default() };
    assert!(fit.test_joint(&run, &[Hypothesis::term("type")], &one_sided).is_err());
    let terms: Vec<String> = fit.terms()?.iter().map(Hypothesis::name).collect();
    assert_eq!(terms, ["dose", "type", "condition", "type:condition"]);
    Ok(())
}

#[test]
fn likelihood_ratios_are_those_of_two_dense_fits() -> Result<()> {
    let (run, study) = (Run::new(), study(1.0)?);
    for method in [Method::Reml, Method::Ml] {
        for negative in [Negative::Allow, Negative::Zero] {
            let fit_options = FitOptions { method, negative, ..FitOptions::default() };
            let one = study.fit(&run, ONE, fit_options)?;
            let two = study.fit(&run, TWO, fit_options)?;
            let table = two.test_components(&run, Adjust::Group)?;
            let (lr, p) = (by(&table, "component", "lr"), by(&table, "component", "log10_p_lr"));
            let (z, p_z) = (by(&table, "component", "z"), by(&table, "component", "p_z"));
            let mut compared = 0;
            for gene in interior(&two) {
                let [s, s2, _] = theta(&two, gene) else { panic!("three variances") };
                let key = (gene, "batch".to_owned());
                if z[&key].is_finite() {
                    assert!(close(p_z[&key], normal::upper(z[&key]), 1e-12));
                    let se = two.groups[0].component_errors(&run)?.se[gene * 3 + 1];
                    assert!(close(z[&key], s2 / se, 1e-12));
                }
                if !matches!(one.groups[0].outcomes[gene].status().word, "ok" | "negative") || *s < 0.0 {
                    continue;
                }
                let [a, b] = [theta(&two, gene).to_vec(), vec![theta(&one, gene)[0], 0.0, theta(&one, gene)[1]]];
                let expected = 2.0 * (study.log_likelihood(gene, &a, method) - study.log_likelihood(gene, &b, method));
                assert!(close(lr[&key], expected, 1e-7), "{method:?} {negative:?}: {} {expected}", lr[&key]);
                let reference = 0.5 * chi_squared::upper(expected, 1.0);
                let reference = if *s2 < 0.0 { 1.0 - reference } else { reference };
                assert!((10f64.powf(p[&key]) - reference).abs() < 1e-6, "{} {reference}", p[&key]);
                compared += 1;
            }
            assert!(compared >= 8, "{method:?} {negative:?}: {compared}");
            // The comparison of the two fits is the same test.
            let table = one.compare(&run, &two, Adjust::Group)?;
            let (ratio, p_ratio) = (by(&table, "group", "lr"), by(&table, "group", "log10_p_value"));
            for gene in interior(&two).into_iter().filter(|g| interior(&one).contains(g)) {
                let (key, all) = ((gene, "batch".to_owned()), (gene, "all".to_owned()));
                assert!(close(ratio[&all], lr[&key], 1e-9) && close(p_ratio[&all], p[&key], 1e-7));
            }
        }
    }
    Ok(())
}

#[test]
fn one_component_is_tested_against_least_squares() -> Result<()> {
    let (run, study) = (Run::new(), study(1.0)?);
    let fit = study.fit(&run, ONE, FitOptions::default())?;
    let table = fit.test_components(&run, Adjust::Group)?;
    let (lr, p) = (by(&table, "component", "lr"), by(&table, "component", "p_lr"));
    for gene in interior(&fit) {
        let at = theta(&fit, gene).to_vec();
        let zero = study.gls(gene, &[0.0, 1.0]).unwrap().1;
        let rss: f64 = (0..study.x.len()).map(|i| (study.values[i][gene] - dot(&study.x[i], &zero)).powi(2)).sum();
        let null = [0.0, rss / (study.x.len() as f64 - 7.0)];
        let dense = |theta: &[f64]| study.log_likelihood(gene, theta, Method::Reml);
        let expected = 2.0 * (dense(&at) - dense(&null));
        let key = (gene, "donor".to_owned());
        assert!(close(lr[&key], expected, 1e-8), "{} {expected}", lr[&key]);
        assert!(if at[0] < 0.0 { p[&key] > 0.5 } else { p[&key] <= 0.5 });
    }
    Ok(())
}

#[test]
fn errors_of_random_effects_are_those_of_hendersons_equations() -> Result<()> {
    let (run, study) = (Run::new(), study(1.0)?);
    for (formula, widths) in [(ONE, vec![DONORS]), (TWO, vec![DONORS, 4])] {
        let fit = study.fit(&run, formula, FitOptions::default())?;
        let found = fit.groups[0].random_effect_errors(&run)?;
        let effects = fit.groups[0].random_effects(&run)?;
        let q: usize = widths.iter().sum();
        let mut compared = 0;
        for gene in interior(&fit) {
            let theta = theta(&fit, gene);
            let errors = &found[gene * q..(gene + 1) * q];
            if theta.iter().any(|&s| s <= 0.0) {
                let mut from = 0;
                for (&width, &s) in widths.iter().zip(theta) {
                    assert!(s > 0.0 || errors[from..from + width].iter().all(|e| e.is_nan()));
                    from += width;
                }
                continue;
            }
            // [X'X X'Z; Z'X Z'Z + Γ⁻¹]
            let s0 = theta[widths.len()];
            let mut equations = Matrix::zeros(7 + q, 7 + q);
            let mut right = vec![0.0; 7 + q];
            for (i, x) in study.x.iter().enumerate() {
                let mut row = x.clone();
                row.resize(7 + q, 0.0);
                let mut from = 7;
                for (k, &width) in widths.iter().enumerate() {
                    row[from + study.units[i][k]] = 1.0;
                    from += width;
                }
                for a in 0..7 + q {
                    right[a] += row[a] * study.values[i][gene];
                    for b in 0..7 + q {
                        equations[(a, b)] += row[a] * row[b];
                    }
                }
            }
            let mut at = 7;
            for (&width, s) in widths.iter().zip(theta) {
                for j in at..at + width {
                    equations[(j, j)] += s0 / s;
                }
                at += width;
            }
            let inverse = scaled_inverse(&equations, 0.0).unwrap();
            for l in 0..q {
                let expected = (s0 * inverse[(7 + l, 7 + l)]).sqrt();
                assert!(close(errors[l], expected, 1e-9), "{formula}: {} {expected}", errors[l]);
                let effect = dot(inverse.row(7 + l), &right);
                assert!(close(effects[gene * q + l], effect, 1e-8));
            }
            compared += 1;
        }
        assert!(compared >= 5, "{formula}: {compared}");
    }
    Ok(())
}

#[test]
fn shares_are_those_of_the_cells() -> Result<()> {
    let (run, study) = (Run::new(), study(1.0)?);
    // Without an intercept the means come from the donors.
    let without = TWO.replace("~ dose", "~ 0 + dose");
    for formula in [ONE, TWO, &without] {
        let fit = study.fit(&run, formula, FitOptions::default())?;
        let table = fit.variance_shares(&run)?;
        let k = fit.groups[0].n_components();
        let genes = interior(&fit);
        for gene in 0..GENES {
            let parts: Vec<f64> = ["fixed", "residual", "donor", "batch"][..3 + k - 1]
                .iter()
                .map(|name| table.floats(name).map(|all| all[gene]))
                .collect::<Result<_>>()?;
            assert!(close(parts.iter().sum(), 1.0, 1e-12), "{parts:?}");
            assert!(parts.iter().all(|s| (0.0..=1.0).contains(s)));
            assert_eq!(table.floats("r2_marginal")?[gene], parts[0]);
            assert!(close(table.floats("r2_conditional")?[gene], 1.0 - parts[1], 1e-12));
            if !genes.contains(&gene) {
                continue;
            }
            let (_, b) = study.gls(gene, theta(&fit, gene)).unwrap();
            let fitted: Vec<f64> = study.x.iter().map(|x| dot(x, &b)).collect();
            let n = fitted.len() as f64;
            let mean = fitted.iter().sum::<f64>() / n;
            let fixed = fitted.iter().map(|f| (f - mean).powi(2)).sum::<f64>() / n;
            let random: f64 = theta(&fit, gene)[..k].iter().map(|s| s.max(0.0)).sum();
            let total = fixed + random + theta(&fit, gene)[k];
            assert!(close(parts[0], fixed / total, 1e-9), "{formula}: {} {}", parts[0], fixed / total);
            assert!(close(table.floats("variance")?[gene], total, 1e-9));
        }
    }
    Ok(())
}

#[test]
fn comparisons_are_refused_for_strangers() -> Result<()> {
    let (run, study) = (Run::new(), study(1.0)?);
    let small = "~ dose + type + condition + (1 | donor)";
    let ml = FitOptions { method: Method::Ml, ..FitOptions::default() };
    let fit = |formula: &str, options| study.fit(&run, formula, options);
    let message = |a: &Fit, b: &Fit| a.compare(&run, b, Adjust::Group).err().map(|f| f.message().to_owned());

    let reml = message(&fit(small, FitOptions::default())?, &fit(ONE, FitOptions::default())?).unwrap();
    assert!(reml.contains("typeb:conditionstim") && reml.starts_with("REML likelihoods"), "{reml}");
    let method = message(&fit(ONE, ml)?, &fit(ONE, FitOptions::default())?).unwrap();
    assert_eq!(method, "`method` differs: `ML` here, `REML` there");
    let mut other = self::study(1.0)?;
    other.values[3][5] += 1.0;
    let cells = message(&fit(ONE, ml)?, &other.fit(&run, ONE, ml)?).unwrap();
    assert_eq!(cells, "the sum of squares of gene 5 differs: the two fits are not of the same cells");
    let units = message(&fit(ONE, ml)?, &self::study(2.0)?.fit(&run, ONE, ml)?).unwrap();
    assert_eq!(units, "the column `dose` differs: the two fits are not of the same cells");

    // Fixed effects by ML: χ² with the difference of their numbers, in either order.
    let (small, large) = (fit(small, ml)?, fit(ONE, ml)?);
    let (forth, back) = (small.compare(&run, &large, Adjust::Group)?, large.compare(&run, &small, Adjust::Group)?);
    let bits = |table: &Table, name: &str| -> Result<Vec<u64>> {
        Ok(table.floats(name)?.iter().map(|x| x.to_bits()).collect())
    };
    assert_eq!(bits(&forth, "p_value")?, bits(&back, "p_value")?);
    assert_eq!(bits(&forth, "aic_1")?, bits(&back, "aic_2")?);
    for i in 0..GENES {
        let (lr, p) = (forth.floats("lr")?[i], forth.floats("p_value")?[i]);
        if p.is_nan() {
            continue;
        }
        assert!(close(p, chi_squared::upper(lr, 2.0), 1e-12) && forth.floats("df")?[i] == 2.0);
        let difference = forth.floats("bic_1")?[i] - forth.floats("bic_2")?[i];
        assert!(close(difference, lr - 2.0 * (study.x.len() as f64).ln(), 1e-9));
    }
    // Neither within the other: criteria, no test.
    let apart = fit("~ dose + type + condition + (1 | batch)", ml)?.compare(&run, &large, Adjust::Group)?;
    assert!(apart.floats("p_value")?.iter().all(|p| p.is_nan()) && apart.floats("aic_1")?[0].is_finite());
    Ok(())
}

#[test]
fn many_contrasts_in_a_word() -> Result<()> {
    let (run, study) = (Run::new(), study(1.0)?);
    let fit = study.fit(&run, ONE, FitOptions::default())?;
    let all = |name: &str| vec![(name.to_owned(), vec!["all".to_owned()])];
    let names = |contrasts: Vec<Contrast>| contrasts.iter().map(Contrast::name).collect::<Vec<_>>();
    let by_type = fit.differences(&run, "condition", "stim", "ctrl", &all("type"))?;
    assert_eq!(
        names(by_type.clone())[1..],
        ["condition: stim - ctrl at type = b", "condition: stim - ctrl at type = c"]
    );
    let pairs = fit.pairwise(&run, "type", &[("condition".to_owned(), vec!["stim".to_owned()])])?;
    assert_eq!(
        names(pairs),
        ["type: b - a at condition = stim", "type: c - a at condition = stim", "type: c - b at condition = stim"]
    );
    assert_eq!(fit.pairwise(&run, "type", &all("condition"))?.len(), 6);
    assert!(fit.pairwise(&run, "dose", &[]).is_err());
    assert!(fit.pairwise(&run, "type", &[]).is_err_and(|f| f.message().contains("interacts with `condition`")));
    assert_eq!(fit.test(&run, &by_type, &TestOptions::default())?.n_rows(), 3 * GENES);
    Ok(())
}

#[test]
fn bits_do_not_depend_on_the_run() -> Result<()> {
    let study = study(1.0)?;
    for formula in [ONE, TWO] {
        assert_same_bits_over_runs(
            |run| {
                let fit = study.fit(run, formula, FitOptions::default())?;
                let tables = vec![
                    fit.test_joint(run, &fit.terms()?, &TestOptions::default())?,
                    fit.test_components(run, Adjust::All)?,
                    fit.variance_shares(run)?,
                ];
                Ok((tables, fit.groups[0].random_effect_errors(run)?))
            },
            |(tables, errors)| {
                let columns = tables.iter().flat_map(Table::columns);
                let numbers = columns.filter_map(|c| if let Cells::Float(v) = &c.cells { Some(v) } else { None });
                numbers.flatten().chain(errors).copied().collect()
            },
        )?;
    }
    Ok(())
}
