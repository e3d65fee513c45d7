//! Which coefficients of which genes are called up or down.

use ferrocyte_base::{Fault, Result, choice};
use ferrocyte_math::linalg::Matrix;
use ferrocyte_math::multiple::Adjust;
use ferrocyte_math::student_t::{many, shared::Shared};

use crate::Fit;
use crate::moderate::{Classifier, Moderated, joint};

choice! {
    /// How tests of several coefficients are adjusted together.
    DecideMethod, "method" {
        /// Each coefficient for itself.
        Separate = "separate",
        /// All tests as one family.
        Global = "global",
        /// Genes by F, then the coefficients within each of these.
        Hierarchical = "hierarchical",
        /// Genes by F, then nested F tests within each of these.
        NestedF = "nestedF",
    }
}

/// How calls are made.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DecideOptions {
    /// How tests of several coefficients are adjusted together.
    pub method: DecideMethod,
    /// The adjustment.
    pub adjust: Adjust,
    /// Adjusted p-values below this are called.
    pub p_value: f64,
    /// Log2 fold changes up to this are not.
    pub lfc: f64,
}

impl Default for DecideOptions {
    fn default() -> Self {
        Self { method: DecideMethod::Separate, adjust: Adjust::BenjaminiHochberg, p_value: 0.05, lfc: 0.0 }
    }
}

/// -1, 0 or 1 for each coefficient of each gene: the sign of those that are significant. NaN where there is no test.
///
/// # Errors
/// Where the method needs F statistics that are not there, or an option is out of range.
pub fn decide_tests(fit: &Fit, moderated: &Moderated, options: &DecideOptions) -> Result<Matrix> {
    check(options)?;
    match options.method {
        DecideMethod::Separate | DecideMethod::Global => {
            call_p_values(&moderated.p_value, Some(&fit.coefficients), options)
        }
        DecideMethod::Hierarchical | DecideMethod::NestedF => {
            let mut calls = within_genes(fit, moderated, options)?;
            small_effects(&mut calls, &fit.coefficients, options.lfc);
            Ok(calls)
        }
    }
}

/// Calls from p-values alone, separate or global; with the signs of `coefficients`, else 1.
pub fn call_p_values(p: &Matrix, coefficients: Option<&Matrix>, options: &DecideOptions) -> Result<Matrix> {
    check(options)?;
    let (n, k) = (p.n_rows(), p.n_cols());
    let adjusted = match options.method {
        DecideMethod::Separate => {
            let columns = p.transpose();
            let rows: Vec<f64> = (0..k).flat_map(|j| options.adjust.adjust(columns.row(j))).collect();
            Matrix::from_rows(k, n, rows).transpose()
        }
        DecideMethod::Global => Matrix::from_rows(n, k, options.adjust.adjust(p.entries())),
        method => {
            return Err(Fault::bad_input(format!("`{}` needs a moderated fit", method.word()))
                .at("method")
                .hint("give the fit, or take `separate` or `global`"));
        }
    };
    let call = |(i, &p): (usize, &f64)| match coefficients {
        _ if p.is_nan() => f64::NAN,
        _ if p >= options.p_value => 0.0,
        Some(b) => sign(b.entries()[i]),
        None => 1.0,
    };
    let mut calls = Matrix::from_rows(n, k, adjusted.entries().iter().enumerate().map(call).collect());
    if let Some(coefficients) = coefficients {
        small_effects(&mut calls, coefficients, options.lfc);
    }
    Ok(calls)
}

/// Numbers of calls -1, 0 and 1 in each column; NaN are not counted.
pub fn counts(calls: &Matrix) -> Vec<[usize; 3]> {
    let mut out = vec![[0; 3]; calls.n_cols()];
    for g in 0..calls.n_rows() {
        for (count, call) in out.iter_mut().zip(calls.row(g)) {
            for (count, value) in count.iter_mut().zip([-1.0, 0.0, 1.0]) {
                *count += usize::from(*call == value);
            }
        }
    }
    out
}

fn check(options: &DecideOptions) -> Result<()> {
    if !(options.p_value > 0.0 && options.p_value <= 1.0) {
        return Err(
            Fault::bad_input(format!("expected a level between 0 and 1, found {}", options.p_value)).at("p_value")
        );
    }
    if !(options.lfc >= 0.0) {
        return Err(Fault::bad_input(format!("expected a size, not negative, found {}", options.lfc)).at("lfc"));
    }
    Ok(())
}

fn sign(x: f64) -> f64 {
    f64::from(i8::from(x > 0.0) - i8::from(x < 0.0))
}

/// Takes calls of effects up to `lfc` back.
fn small_effects(calls: &mut Matrix, coefficients: &Matrix, lfc: f64) {
    if lfc > 0.0 {
        for (call, b) in calls.entries_mut().iter_mut().zip(coefficients.entries()) {
            if b.abs() <= lfc {
                *call *= 0.0;
            }
        }
    }
}

/// Genes by F, then coefficients within the genes chosen, at a level that accounts for the choice.
fn within_genes(fit: &Fit, moderated: &Moderated, options: &DecideOptions) -> Result<Matrix> {
    let method = options.method.word();
    let all: Vec<usize> = (0..fit.n_coefficients()).collect();
    let joint = joint(fit, moderated, &all)?;
    if let Some(g) = joint.p_value.iter().position(|p| p.is_nan()) {
        return Err(Fault::bad_input(format!("`{method}` needs F for all genes; that of gene {} is NaN", g + 1))
            .at("method")
            .hint("leave genes without estimates out, or take `separate` or `global`"));
    }
    let adjusted = options.adjust.adjust(&joint.p_value);
    let chosen: Vec<usize> = (0..adjusted.len()).filter(|&g| adjusted[g] < options.p_value).collect();
    let k = fit.n_coefficients();
    let mut calls = Matrix::zeros(fit.n_genes(), k);
    if chosen.is_empty() {
        return Ok(calls);
    }
    let level = options.p_value * share(options.adjust, chosen.len(), fit.n_genes())?;
    if options.method == DecideMethod::NestedF {
        let mut classifier = Classifier::new(&fit.cov_coefficients, level)?;
        for &g in &chosen {
            classifier.classify(moderated.t.row(g), joint.df2[g], calls.row_mut(g));
        }
        return Ok(calls);
    }
    let t: Vec<f64> = chosen.iter().flat_map(|&g| moderated.t.row(g).to_vec()).collect();
    let df: Vec<f64> = chosen.iter().flat_map(|&g| vec![joint.df2[g]; k]).collect();
    let p = if df.iter().all(|d| *d == df[0]) {
        let mut p = vec![0.0; t.len()];
        Shared::new(df[0]).two_sided(&t, &mut p);
        p
    } else {
        many::two_sided(&t, &df)
    };
    for (&g, p) in chosen.iter().zip(p.chunks(k)) {
        let adjusted = options.adjust.adjust(p);
        for (j, p) in adjusted.iter().enumerate() {
            if *p < level {
                calls[(g, j)] = sign(fit.coefficients[(g, j)]);
            }
        }
    }
    Ok(calls)
}

/// The share of the level that is left within genes when `chosen` of `n` were chosen.
fn share(adjust: Adjust, chosen: usize, n: usize) -> Result<f64> {
    let (i, m) = (chosen as f64, n as f64);
    Ok(match adjust {
        Adjust::None => 1.0,
        Adjust::Bonferroni => 1.0 / m,
        Adjust::Holm => 1.0 / (m - i + 1.0),
        Adjust::BenjaminiHochberg | Adjust::Fdr => i / m,
        Adjust::BenjaminiYekutieli => i / m / (1..=n).map(|j| 1.0 / j as f64).sum::<f64>(),
        Adjust::Hochberg | Adjust::Hommel => {
            return Err(Fault::unsupported(format!("`{}` has no share of the level within genes", adjust.word()))
                .at("adjust_method")
                .hint("take `BH`, `BY`, `holm`, `bonferroni` or `none`, or the method `separate` or `global`"));
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::moderate::tests::example;
    use crate::moderate::{EBayesOptions, e_bayes};
    use ferrocyte_base::Run;

    const METHODS: [DecideMethod; 4] =
        [DecideMethod::Separate, DecideMethod::Global, DecideMethod::Hierarchical, DecideMethod::NestedF];

    #[test]
    fn calls_have_signs_and_respect_the_threshold() -> Result<()> {
        let fit = example(200)?;
        let moderated = e_bayes(&Run::new(), &fit, &EBayesOptions::default())?;
        for method in METHODS {
            let all = decide_tests(&fit, &moderated, &DecideOptions { method, ..DecideOptions::default() })?;
            let options = DecideOptions { method, lfc: 1.5, ..DecideOptions::default() };
            let large = decide_tests(&fit, &moderated, &options)?;
            for (i, (&all, &large)) in all.entries().iter().zip(large.entries()).enumerate() {
                let b = fit.coefficients.entries()[i];
                assert!(all == 0.0 || all == sign(b), "{method:?}");
                assert_eq!(large, if b.abs() > 1.5 { all } else { 0.0 });
            }
            let count = counts(&all);
            assert!(count[1].iter().sum::<usize>() == 200 && count[1][2] > 3 && count[0][2] == 200, "{count:?}");
        }
        Ok(())
    }

    #[test]
    fn missing_values_have_no_calls_or_are_refused() -> Result<()> {
        let mut fit = example(200)?;
        fit.coefficients[(7, 1)] = f64::NAN;
        let moderated = e_bayes(&Run::new(), &fit, &EBayesOptions::default())?;
        for method in METHODS {
            let found = decide_tests(&fit, &moderated, &DecideOptions { method, ..DecideOptions::default() });
            match method {
                DecideMethod::Separate | DecideMethod::Global => {
                    let found = found?;
                    assert!(
                        found[(7, 1)].is_nan()
                            && found[(7, 0)] == 1.0
                            && counts(&found)[1].iter().sum::<usize>() == 199
                    );
                }
                _ => assert!(found.is_err_and(|f| f.to_string().contains("gene 8"))),
            }
        }
        let nested = DecideOptions { method: DecideMethod::NestedF, ..DecideOptions::default() };
        assert!(call_p_values(&moderated.p_value, None, &nested).is_err());
        assert!(decide_tests(&fit, &moderated, &DecideOptions { p_value: 0.0, ..nested }).is_err());
        Ok(())
    }
}
