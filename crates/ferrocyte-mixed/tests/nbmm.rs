//! Count models from cells to tables: sums, shards, parts, faces, separation, moderation, stress.

use std::borrow::Cow;
use std::ops::Range;

use ferrocyte_base::{Result, Run, Table};
use ferrocyte_data::{Additive, Csr, Factor, Frame, ObsColumn};
use ferrocyte_design::Model;
use ferrocyte_math::random::Stream;
use ferrocyte_mixed::lmm::{Contrast, PartRows};
use ferrocyte_mixed::nbmm::{
    self, Fit, FitOptions, Method, NaChoice, Offset, Outcome, Path, Statistic, Sums, SumsOptions, TestOptions,
};

/// Counts of a study, cell by cell.
struct Study {
    obs: Frame,
    genes: Vec<String>,
    values: Vec<f32>,
    indices: Vec<i32>,
    pointers: Vec<i64>,
}

impl Study {
    /// Cells of `donors` donors in two arms and two states, offsets in a column. `count` gives a count by gene, arm,
    /// donor, and mean of an ordinary gene.
    fn new(
        seed: u64,
        (donors, cells, genes): (usize, usize, usize),
        count: impl Fn(&mut Stream, usize, usize, usize, f64) -> Result<f64>,
    ) -> Result<Self> {
        let mut stream = Stream::new(seed, 0);
        let effects: Vec<f64> = (0..donors * genes).map(|_| 0.3 * stream.normal()).collect();
        let (mut donor, mut arm, mut state, mut offset) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let (mut values, mut indices, mut pointers) = (Vec::new(), Vec::new(), vec![0]);
        for cell in 0..donors * cells {
            let d = cell % donors;
            let (a, s) = (d % 2, stream.below(2));
            let o = (0.4 * stream.normal()).exp();
            donor.push(format!("d{d}"));
            arm.push(["ctrl", "stim"][a]);
            state.push(["a", "b"][s]);
            offset.push(o);
            for gene in 0..genes {
                let mean = o * (1.0 + 0.1 * gene as f64) * (effects[d * genes + gene] + 0.2 * s as f64).exp();
                let y = count(&mut stream, gene, a, d, mean)?;
                if y > 0.0 {
                    values.push(y as f32);
                    indices.push(gene as i32);
                }
            }
            pointers.push(values.len() as i64);
        }
        let mut obs = Frame::new(donors * cells);
        let factor = |texts: Vec<String>| ObsColumn::Factor(Factor::from_texts(texts.into_iter().map(Some)));
        obs.insert("donor", factor(donor))?;
        obs.insert("condition", factor(arm.iter().map(|s| (*s).to_owned()).collect()))?;
        obs.insert("state", factor(state.iter().map(|s| (*s).to_owned()).collect()))?;
        obs.insert("depth", ObsColumn::Number(offset))?;
        Ok(Self { obs, genes: (0..genes).map(|g| format!("g{g}")).collect(), values, indices, pointers })
    }

    /// Ordinary genes, but of the first two one is zero in an arm and one nowhere expressed.
    fn ordinary(seed: u64, size: (usize, usize, usize)) -> Result<Self> {
        Self::new(seed, size, |stream, gene, arm, _, mean| match gene {
            0 if arm == 1 => Ok(0.0),
            1 => Ok(0.0),
            _ => stream.negative_binomial(mean, 2.0),
        })
    }

    fn sums(&self, run: &Run, options: &SumsOptions) -> Result<Sums> {
        let mut source = Csr::new(self.obs.n_rows(), self.genes.len(), &self.values, &self.indices, &self.pointers)?;
        let model = Model::parse("~ condition + state + (1 | donor)", &[])?;
        nbmm::sums(run, &mut source, &self.genes, &self.obs, &model, options)
    }
}

fn with_depth(path: Path, rows: Option<Range<usize>>) -> SumsOptions {
    SumsOptions { offset: Offset::Column("depth".into()), path: Some(path), rows, ..SumsOptions::default() }
}

fn tested(fit: &Fit, statistic: Statistic) -> Result<Table> {
    let options = TestOptions { statistic, ..TestOptions::default() };
    fit.test(&Run::new().threads(1), &[Contrast::difference("condition", "stim", "ctrl")], &options)
}

#[test]
fn nodes_and_cells_have_one_likelihood() -> Result<()> {
    let (run, study) = (Run::new().threads(1), Study::ordinary(1, (6, 40, 8))?);
    let nodes = study.sums(&run, &with_depth(Path::Nodes, None))?;
    let cells = study.sums(&run, &with_depth(Path::Cells, None))?;
    assert_eq!((nodes.groups[0].path(), cells.groups[0].path()), ("nodes", "cells"));
    let options = FitOptions { moderate: false, ..FitOptions::default() };
    let (a, b) = (Fit::new(&run, nodes, options)?, Fit::new(&run, cells, options)?);
    for (x, y) in a.groups[0].genes.iter().zip(&b.groups[0].genes) {
        assert_eq!(x.outcomes.word(), y.outcomes.word());
        if x.outcomes.has_estimate() {
            assert!((x.log_likelihood - y.log_likelihood).abs() < 1e-6, "{x:?} {y:?}");
            let pairs = x.coefficients.iter().zip(&y.coefficients).zip(&y.se);
            assert!(pairs.filter(|(_, se)| se.is_finite()).all(|((a, b), se)| (a - b).abs() < 1e-5 * se));
        }
    }
    Ok(())
}

#[test]
fn shards_add_up_and_parts_keep_every_bit() -> Result<()> {
    let (run, study) = (Run::new().threads(1), Study::ordinary(2, (6, 40, 8))?);
    for path in [Path::Nodes, Path::Cells] {
        let whole = study.sums(&run, &with_depth(path, None))?;
        let shards: Vec<Sums> = [0..90, 90..91, 91..240]
            .into_iter()
            .map(|rows| study.sums(&run, &with_depth(path, Some(rows))))
            .collect::<Result<_>>()?;
        let rows: Vec<PartRows> = shards
            .iter()
            .enumerate()
            .map(|(i, s)| PartRows { place: format!("{i}"), inputs: s.inputs.clone() })
            .collect();
        let merged = Sums::merge_all(&rows, |i| Ok(Cow::Borrowed(&shards[i])))?;
        assert_eq!((merged.n_cells(), merged.missing_rows()), (240, Vec::new()));
        let (whole_part, merged_part) = (whole.to_part(), merged.to_part());
        assert_eq!(whole_part.header, merged_part.header);
        let options = FitOptions { moderate: false, ..FitOptions::default() };
        let (a, b) = (Fit::new(&run, whole.clone(), options)?, Fit::new(&run, merged, options)?);
        for (x, y) in a.groups[0].genes.iter().zip(&b.groups[0].genes) {
            assert!(x.log_likelihood.is_nan() || (x.log_likelihood / y.log_likelihood - 1.0).abs() < 1e-11);
        }
        assert_eq!(Sums::from_part(&whole_part)?, whole);
        let gap = Sums::merge_all(&[rows[0].clone(), rows[2].clone()], |i| Ok(Cow::Borrowed(&shards[2 * i])));
        assert!(gap.is_err_and(|f| f.to_string().contains("rows 90:91")));
        let twice = Sums::merge_all(&[rows[0].clone(), rows[0].clone()], |_| Ok(Cow::Borrowed(&shards[0])));
        assert!(twice.is_err_and(|f| f.to_string().contains("overlap")));
    }
    Ok(())
}

#[test]
fn threads_change_no_bit_and_a_stored_fit_is_the_same_fit() -> Result<()> {
    let study = Study::ordinary(3, (6, 30, 40))?;
    let table = |threads: usize| -> Result<Table> {
        let run = Run::new().threads(threads);
        let fit = Fit::new(&run, study.sums(&run, &with_depth(Path::Auto, None))?, FitOptions::default())?;
        let again = Fit::from_part(&run, &fit.to_part())?;
        let (first, second) = (tested(&fit, Statistic::Auto)?, tested(&again, Statistic::Auto)?);
        assert!(
            first.floats("p_value")?.iter().zip(second.floats("p_value")?).all(|(a, b)| a.to_bits() == b.to_bits())
        );
        Ok(first)
    };
    let (one, four) = (table(1)?, table(4)?);
    for name in ["estimate", "p_value", "ci_low"] {
        assert!(one.floats(name)?.iter().zip(four.floats(name)?).all(|(a, b)| a.to_bits() == b.to_bits()), "{name}");
    }
    Ok(())
}

#[test]
fn a_silent_arm_is_found_with_a_one_sided_interval() -> Result<()> {
    let (run, study) = (Run::new().threads(1), Study::ordinary(4, (8, 40, 60))?);
    let fit = Fit::new(&run, study.sums(&run, &with_depth(Path::Auto, None))?, FitOptions::default())?;
    let group = &fit.groups[0];
    assert_eq!(group.genes.len(), 60);
    assert!(group.genes[0].outcomes.has(Outcome::Separated) && group.genes[1].outcomes.has(Outcome::AllZero));
    assert!(group.not_moderated.is_empty(), "{}", group.not_moderated);
    let table = tested(&fit, Statistic::Auto)?;
    // The silent gene comes first, the gene without counts last.
    assert_eq!(table.floats("estimate")?[0], f64::NEG_INFINITY);
    assert!(table.floats("p_value")?[0] < 1e-6 && table.floats("p_value")?[59].is_nan());
    assert_eq!(table.floats("ci_low")?[0], f64::NEG_INFINITY);
    let end = table.floats("ci_high")?[0];
    assert!(end < -2.0 && end > -20.0, "{end}");
    // Nulls are not found, and both statistics agree about them.
    let (wald, lr) = (tested(&fit, Statistic::Wald)?, tested(&fit, Statistic::Lr)?);
    let below = |t: &Table, p: f64| t.floats("p_value").map(|all| all.iter().filter(|&&x| x < p).count());
    assert!(below(&wald, 0.05)? <= 8 && below(&lr, 0.05)? <= 9, "{} {}", below(&wald, 0.05)?, below(&lr, 0.05)?);
    Ok(())
}

#[test]
fn restricted_likelihood_raises_the_donor_variance() -> Result<()> {
    let (run, study) = (Run::new().threads(1), Study::ordinary(6, (6, 40, 12))?);
    let sums = study.sums(&run, &with_depth(Path::Auto, None))?;
    let options = FitOptions { moderate: false, ..FitOptions::default() };
    let ml = Fit::new(&run, sums.clone(), options)?;
    let reml = Fit::new(&run, sums, FitOptions { method: Method::Reml, ..options })?;
    assert!(reml.likelihood_ratio(&run, 0, &[0.0, 1.0, 0.0]).is_err());
    let mut raised = 0;
    for (a, b) in ml.groups[0].genes.iter().zip(&reml.groups[0].genes).filter(|(a, _)| a.outcomes.has_estimate()) {
        // Three coefficients, two of them of donors, and six donors: the variance grows by about 6 / 4.
        raised += usize::from(b.s2 > a.s2);
        assert!(b.s2 >= a.s2 - 1e-4 && b.s2 < 0.05 + 3.0 * a.s2, "{a:?} {b:?}");
        let close = a.coefficients.iter().zip(&b.coefficients).zip(&b.se).filter(|(_, se)| se.is_finite());
        assert!(close.clone().all(|((x, y), se)| (x - y).abs() < 0.5 * se), "{a:?} {b:?}");
    }
    assert!(raised >= 6, "{raised}");
    Ok(())
}

#[test]
fn designs_that_cannot_work_are_refused_by_name() -> Result<()> {
    let (run, study) = (Run::new().threads(1), Study::ordinary(5, (6, 20, 3))?);
    let mut source = Csr::new(study.obs.n_rows(), 3, &study.values, &study.indices, &study.pointers)?;
    let mut refused = |formula: &str, options: &SumsOptions| -> Result<String> {
        let model = Model::parse(formula, &[])?;
        let found = nbmm::sums(&run, &mut source, &study.genes, &study.obs, &model, options);
        Ok(found.err().map(|f| f.to_string()).unwrap_or_default())
    };
    let options = SumsOptions::default();
    assert!(refused("~ condition + (1 | donor) + (1 | state)", &options)?.contains("one random intercept"));
    assert!(refused("~ donor + (1 | donor)", &options)?.contains("apart"));
    let wrong = SumsOptions { offset: Offset::Column("state".into()), ..SumsOptions::default() };
    assert!(refused("~ condition + (1 | donor)", &wrong)?.contains("positive number"));
    Ok(())
}

#[test]
fn tiny_and_wild_genes_all_end_with_a_status() -> Result<()> {
    let run = Run::new().threads(1);
    let (mut genes, mut unsettled) = (0, 0);
    for seed in 0..12 {
        let donors = 3 + seed as usize % 4;
        let study = Study::new(100 + seed, (donors, 2 + seed as usize, 40), |stream, gene, arm, donor, mean| {
            Ok(match gene % 5 {
                0 => stream.negative_binomial(mean, 0.05)?,
                1 => f64::from(u8::from(stream.chance(0.03))),
                2 if stream.chance(0.02) => 1e6 * stream.uniform(),
                3 if donor != 1 => 0.0,
                4 if arm == 0 => 2.0,
                _ => stream.poisson(mean)?,
            }
            .floor())
        })?;
        let mut source =
            Csr::new(study.obs.n_rows(), study.genes.len(), &study.values, &study.indices, &study.pointers)?;
        let model = Model::parse("~ condition + (1 | donor)", &[])?;
        let options = with_depth(Path::Auto, None);
        let sums = nbmm::sums(&run, &mut source, &study.genes, &study.obs, &model, &options)?;
        let fit = Fit::new(&run, sums, FitOptions { moderate: false, ..FitOptions::default() })?;
        for gene in &fit.groups[0].genes {
            genes += 1;
            unsettled += usize::from(gene.outcomes.has(Outcome::MaxIter));
            assert!(!gene.outcomes.word().is_empty());
            let numbers = gene.coefficients.iter().chain([&gene.tau, &gene.s2, &gene.log_likelihood]);
            assert!(gene.outcomes.has(Outcome::AllZero) || numbers.clone().all(|x| !x.is_nan()), "{gene:?}");
        }
    }
    // A fifth of them are expressed in one donor, where s2 runs to its bound and quadrature is at its worst.
    assert!(unsettled * 50 < genes, "{unsettled} of {genes}");
    Ok(())
}

#[test]
fn effects_residuals_and_shrunken_values_agree_with_the_cells() -> Result<()> {
    let (run, study) = (Run::new().threads(1), Study::ordinary(8, (6, 40, 30))?);
    let genes = study.genes.len();
    let mut source = Csr::new(study.obs.n_rows(), genes, &study.values, &study.indices, &study.pointers)?;
    for path in [Path::Nodes, Path::Cells] {
        let fit = Fit::new(&run, study.sums(&run, &with_depth(path, None))?, FitOptions::default())?;
        let effects = fit.random_effects(&run, 0)?;
        assert_eq!((effects.donors.len(), effects.means.len()), (6, 6 * genes));
        let of = |gene: usize| &effects.means[gene * 6..(gene + 1) * 6];
        // Gene 0 is silent in the arm of the odd donors, gene 1 everywhere.
        assert!(of(1).iter().all(|e| e.is_nan()));
        assert!((0..6).all(|d| of(0)[d].is_nan() == (d % 2 == 1)), "{:?}", of(0));
        let settled = |gene: usize| of(gene).iter().sum::<f64>().abs() < 0.3 && of(gene).iter().any(|e| e.abs() > 1e-3);
        assert!((2..genes).filter(|&g| settled(g)).count() > 20);
        assert!(effects.standard_errors.iter().filter(|s| s.is_finite()).all(|&s| (0.0..1.0).contains(&s)));
        let shrunken = fit.shrunken(&run, 0)?;
        assert!(shrunken[1] < -2.0 && shrunken[1] > -12.0, "{shrunken:?}");
        assert_eq!(shrunken[2 * 3..2 * 3 + 3], fit.groups[0].genes[2].coefficients);

        for conditional in [true, false] {
            let residuals = nbmm::Residuals::new(
                &run,
                &fit,
                &mut source,
                (&study.genes, &study.obs),
                NaChoice::Refuse,
                conditional,
            )?;
            let whole = residuals.rows(&run, &mut source, 0..240)?;
            let parts = [0..77, 77..240].map(|rows| residuals.rows(&run, &mut source, rows));
            let parts: Vec<f32> = parts.into_iter().collect::<Result<Vec<_>>>()?.concat();
            assert!(whole.iter().zip(&parts).all(|(a, b)| a.to_bits() == b.to_bits()));
            for gene in 2..genes {
                let column: Vec<f64> = (0..240).map(|cell| f64::from(whole[cell * genes + gene])).collect();
                let mean = column.iter().sum::<f64>() / 240.0;
                let square = column.iter().map(|r| r * r).sum::<f64>() / 240.0;
                assert!(mean.abs() < 0.35 && (0.6..1.6).contains(&square), "{conditional} {gene}: {mean} {square}");
            }
            assert!((0..240).all(|cell| whole[cell * genes + 1].is_nan()));
            // What cannot be expected has not come.
            assert!((1..240).step_by(2).all(|cell| whole[cell * genes] == 0.0));
        }
        let mut other = study.obs.clone();
        other
            .insert("condition", ObsColumn::Factor(Factor::from_texts((0..240).map(|i| Some(format!("{}", i % 3))))))?;
        let refused =
            nbmm::Residuals::new(&run, &fit, &mut source, (&study.genes, &other), NaChoice::Refuse, true).err();
        assert!(refused.is_some_and(|f| f.to_string().contains("other donors")));
    }
    Ok(())
}
