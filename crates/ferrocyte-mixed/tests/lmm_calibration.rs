//! Type I error on simulated null data, drawn as sums: a sample's mean and its sum of squares are all that counts.

use ferrocyte_base::{Result, Run};
use ferrocyte_data::Transform;
use ferrocyte_design::Coefficients;
use ferrocyte_math::linalg::Matrix;
use ferrocyte_math::random::Stream;
use ferrocyte_mixed::lmm::{
    Adjust, Component, Contrast, Df, Fit, FitOptions, GroupSums, Hypothesis, Negative, Sums, TestOptions,
};

const GENES: usize = 20_000;

/// What varies between the cells of a simulated study.
struct Null {
    /// Cells of each sample.
    cells: Vec<f64>,
    /// Fixed effects of each sample; constant within it.
    design: Vec<Vec<f64>>,
    /// The columns of each random term, as the level of each sample.
    terms: Vec<Vec<usize>>,
    /// The standard deviation of each term; the residual's is 1.
    sd: Vec<f64>,
}

impl Null {
    /// Sums of all genes.
    fn sums(&self, seed: u64) -> Result<Sums> {
        let p = self.design[0].len();
        let widths: Vec<usize> = self.terms.iter().map(|t| t.iter().max().unwrap() + 1).collect();
        let q: usize = widths.iter().sum();
        let names: Vec<String> =
            std::iter::once("(Intercept)".to_owned()).chain((1..p).map(|i| format!("x{i}"))).collect();
        let components = widths
            .iter()
            .enumerate()
            .map(|(i, &w)| Component { name: format!("t{i}"), columns: (0..w).map(|j| format!("t{i}_{j}")).collect() })
            .collect();
        let mut group = GroupSums::empty("", Coefficients::from_names(&names)?, components, GENES);
        let columns_of = |sample: usize| -> Vec<usize> {
            let mut from = 0;
            self.terms
                .iter()
                .zip(&widths)
                .map(|(t, w)| {
                    from += w;
                    from - w + t[sample]
                })
                .collect()
        };
        group.n_cells = self.cells.iter().sum::<f64>() as u64;
        for (s, &n) in self.cells.iter().enumerate() {
            for i in 0..p {
                for j in 0..p {
                    group.xx[(i, j)] += n * self.design[s][i] * self.design[s][j];
                }
                for &c in &columns_of(s) {
                    group.zx[(c, i)] += n * self.design[s][i];
                }
            }
            for &a in &columns_of(s) {
                for &b in &columns_of(s) {
                    group.zz[(a, b)] += n;
                }
            }
        }
        for g in 0..GENES {
            let mut stream = Stream::new(seed, g as u64);
            let effects: Vec<Vec<f64>> =
                widths.iter().zip(&self.sd).map(|(&w, sd)| (0..w).map(|_| sd * stream.normal()).collect()).collect();
            for (s, &n) in self.cells.iter().enumerate() {
                let random: f64 = self.terms.iter().zip(&effects).map(|(t, e)| e[t[s]]).sum();
                let mean = 10.0 + random + stream.normal() / n.sqrt();
                let within = stream.gamma(0.5 * (n - 1.0), 2.0)?;
                for i in 0..p {
                    group.xy[g * p + i] += n * mean * self.design[s][i];
                }
                for &c in &columns_of(s) {
                    group.zy[g * q + c] += n * mean;
                }
                group.y_norm[g] += n * mean * mean + within;
                group.y_sum[g] += n * mean;
            }
        }
        Sums::from_arrays((0..GENES).map(|g| format!("g{g}")).collect(), Transform::None, group)
    }

    /// The share of p-values of the last coefficient below 0.05 and 0.001.
    fn levels(&self, seed: u64, df: Df) -> Result<(f64, f64)> {
        let run = Run::new();
        let fit =
            Fit::new(&run, self.sums(seed)?, FitOptions { moderate: df == Df::Moderated, ..FitOptions::default() })?;
        let last = format!("x{}", self.design[0].len() - 1);
        let table =
            fit.test(&run, &[Contrast::expression(last)], &TestOptions { df: Some(df), ..TestOptions::default() })?;
        let p = table.floats("p_value")?;
        assert!(p.iter().all(|p| p.is_finite()));
        let below = |level: f64| p.iter().filter(|&&p| p < level).count() as f64 / GENES as f64;
        Ok((below(0.05), below(0.001)))
    }
}

/// 8 donors, 4 against 4, one sample each.
fn between(cells: Vec<f64>, ratio: f64) -> Null {
    Null {
        design: (0..8).map(|d| vec![1.0, (d % 2) as f64]).collect(),
        terms: vec![(0..8).collect()],
        sd: vec![f64::sqrt(ratio)],
        cells,
    }
}

fn equal() -> Vec<f64> {
    vec![60.0; 8]
}

fn unequal() -> Vec<f64> {
    vec![25.0, 30.0, 60.0, 45.0, 120.0, 90.0, 200.0, 160.0]
}

#[test]
fn a_contrast_between_donors_holds_its_level() -> Result<()> {
    for df in [Df::Satterthwaite, Df::Moderated] {
        let (five, tenth) = between(equal(), 0.1).levels(1, df)?;
        assert!((0.045..=0.055).contains(&five) && (0.0005..=0.002).contains(&tenth), "{df:?}: {five} {tenth}");
    }
    Ok(())
}

#[test]
fn small_variances_and_unequal_samples_do_not_inflate_it() -> Result<()> {
    for df in [Df::Satterthwaite, Df::Moderated] {
        for (cells, ratio) in [(equal(), 0.0), (equal(), 0.02), (unequal(), 0.0), (unequal(), 0.02), (unequal(), 0.1)] {
            let (five, tenth) = between(cells.clone(), ratio).levels(2, df)?;
            assert!(five <= 0.055 && tenth <= 0.002, "{df:?}, {cells:?}, ratio {ratio}: {five} {tenth}");
        }
    }
    Ok(())
}

#[test]
fn residual_degrees_of_freedom_are_inflated() -> Result<()> {
    let (five, tenth) = between(equal(), 0.1).levels(3, Df::Residual)?;
    assert!(five > 0.08 && tenth > 0.008, "{five} {tenth}");
    Ok(())
}

/// 8 donors × 2 conditions × 60 cells with variation between donors and between samples.
fn within(fixed_donors: bool, ratio: f64) -> Null {
    let sample = |s: usize| (s / 2, s % 2);
    let design = (0..16)
        .map(|s| {
            let (donor, condition) = sample(s);
            let mut row = vec![1.0];
            if fixed_donors {
                row.extend((1..8).map(|d| f64::from(u8::from(d == donor))));
            }
            row.push(condition as f64);
            row
        })
        .collect();
    let samples: Vec<usize> = (0..16).collect();
    let donors: Vec<usize> = (0..16).map(|s| s / 2).collect();
    let (terms, sd) = if fixed_donors {
        (vec![samples], vec![f64::sqrt(ratio)])
    } else {
        (vec![donors, samples], vec![f64::sqrt(0.1), f64::sqrt(ratio)])
    };
    Null { cells: vec![60.0; 16], design, terms, sd }
}

/// 12 donors in three groups of four.
fn three_groups(ratio: f64) -> Null {
    let is = |yes: bool| f64::from(u8::from(yes));
    Null {
        cells: (0..12).map(|d| 40.0 + 10.0 * f64::from(d % 5)).collect(),
        design: (0..12).map(|d| vec![1.0, is(d % 3 == 1), is(d % 3 == 2)]).collect(),
        terms: vec![(0..12).collect()],
        sd: vec![f64::sqrt(ratio)],
    }
}

/// The shares of p-values below 0.05 and 0.001.
fn shares(p: &[f64]) -> (f64, f64) {
    let below = |level: f64| p.iter().filter(|&&p| p < level).count() as f64 / p.len() as f64;
    (below(0.05), below(0.001))
}

#[test]
fn a_joint_test_between_donors_holds_its_level() -> Result<()> {
    let run = Run::new();
    let both = Hypothesis::Contrasts {
        name: "groups".to_owned(),
        contrasts: vec![Contrast::expression("x1"), Contrast::expression("x2")],
    };
    for ratio in [0.1, 0.01] {
        let fit = Fit::new(&run, three_groups(ratio).sums(6)?, FitOptions::default())?;
        for df in [Df::Satterthwaite, Df::Moderated] {
            let options = TestOptions { df: Some(df), ..TestOptions::default() };
            let table = fit.test_joint(&run, std::slice::from_ref(&both), &options)?;
            let (five, tenth) = shares(table.floats("p_value")?);
            // Without a variance between donors the test may be careful, never bold.
            let low = if ratio == 0.1 { (0.045, 0.0005) } else { (0.03, 0.0) };
            assert!(
                (low.0..=0.055).contains(&five) && (low.1..=0.002).contains(&tenth),
                "{df:?}, ratio {ratio}: {five} {tenth}"
            );
        }
        let options = TestOptions { df: Some(Df::Residual), ..TestOptions::default() };
        let (five, _) = shares(fit.test_joint(&run, std::slice::from_ref(&both), &options)?.floats("p_value")?);
        assert!(five > 0.07, "{five}");
    }
    Ok(())
}

#[test]
fn tests_of_a_component_hold_their_level() -> Result<()> {
    // Forty donors: the likelihood ratio has its law, z only in the limit of many.
    let is = |yes: bool| f64::from(u8::from(yes));
    let null = Null {
        cells: vec![60.0; 40],
        design: (0..40).map(|d| vec![1.0, is(d % 2 == 1)]).collect(),
        terms: vec![(0..40).collect()],
        sd: vec![0.0],
    };
    let run = Run::new();
    for negative in [Negative::Allow, Negative::Zero] {
        let options = FitOptions { negative, moderate: false, ..FitOptions::default() };
        let table = Fit::new(&run, null.sums(7)?, options)?.test_components(&run, Adjust::Group)?;
        let (five, tenth) = shares(table.floats("p_lr")?);
        assert!((0.04..=0.055).contains(&five) && tenth <= 0.002, "{negative:?}: {five} {tenth}");
        // z is too careful: a large estimate has a large standard error.
        let (five, _) = shares(table.floats("p_z")?);
        assert!((0.005..=0.03).contains(&five), "{negative:?}, z: {five}");
    }
    Ok(())
}

#[test]
fn a_contrast_within_donors_holds_its_level() -> Result<()> {
    for (fixed_donors, df) in
        [(true, Df::Satterthwaite), (true, Df::Moderated), (false, Df::Satterthwaite), (false, Df::Moderated)]
    {
        let (five, tenth) = within(fixed_donors, 0.1).levels(4, df)?;
        assert!(
            (0.045..=0.055).contains(&five) && (0.0005..=0.002).contains(&tenth),
            "donors fixed: {fixed_donors}, {df:?}: {five} {tenth}"
        );
    }
    Ok(())
}

#[test]
fn leaving_the_sample_out_inflates_it() -> Result<()> {
    // (1 | donor) alone, with a variance between samples of a tenth of the residual: what the replication check is for.
    let mut null = within(false, 0.1);
    let full = null.sums(5)?;
    null.terms.truncate(1);
    let mut group = full.groups[0].clone();
    let q = group.n_random();
    group.components.truncate(1);
    group.zx = Matrix::from_rows(8, 2, group.zx.entries()[..16].to_vec());
    let mut zz = Matrix::zeros(8, 8);
    for i in 0..8 {
        for j in 0..8 {
            zz[(i, j)] = group.zz[(i, j)];
        }
    }
    group.zz = zz;
    group.zy = group.zy.chunks(q).flat_map(|row| row[..8].to_vec()).collect();
    let run = Run::new();
    let fit = Fit::new(&run, Sums::from_arrays(full.genes.clone(), Transform::None, group)?, FitOptions::default())?;
    let table = fit.test(&run, &[Contrast::expression("x1")], &TestOptions::default())?;
    let five = table.floats("p_value")?.iter().filter(|&&p| p < 0.05).count() as f64 / GENES as f64;
    assert!(five > 0.3, "{five}");
    Ok(())
}
