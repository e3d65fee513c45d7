//! Simulated studies are what was asked for: their laws, their designs, and the same bits whoever draws them.

use ferrocyte_base::{Result, Run};
use ferrocyte_data::RowChunks;
use ferrocyte_math::random::Stream;
use ferrocyte_mixed::lmm::{Affected, BatchOf, Cohort, CohortOptions, Direction, simulate_cohort};
use ferrocyte_testkit::{all_values, assert_same_bits_over_runs};

/// A cohort whose samples are alike but for what a test adds.
fn plain() -> CohortOptions {
    CohortOptions {
        n_genes: 40,
        n_cells: 20_000,
        n_donors: 2,
        n_cell_types: 1,
        type_share: 0.0,
        depth_sd: 0.0,
        cells_sd: 0.0,
        flat_share: 1.0,
        de_share: 0.0,
        seed: 11,
        ..CohortOptions::default()
    }
}

/// Counts of each gene, zeros included: genes × cells.
fn genes_of(cohort: &mut Cohort) -> Result<Vec<Vec<f64>>> {
    let (n, m) = (cohort.n_rows(), cohort.n_cols());
    let mut genes = vec![vec![0.0; n]; m];
    let run = Run::new();
    let block = cohort.read(&run, 0..n)?;
    for i in 0..n {
        block.row(i).for_each(|(gene, count)| genes[gene][i] = count);
    }
    Ok(genes)
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

fn variance(values: &[f64]) -> f64 {
    let centre = mean(values);
    values.iter().map(|x| (x - centre) * (x - centre)).sum::<f64>() / (values.len() - 1) as f64
}

/// ln of the probability of each count from 0 on, of a negative binomial law, up to where little is left.
fn law(mean: f64, size: f64) -> Vec<f64> {
    let x = mean / size;
    let (mut p, mut sum, mut all) = ((-size * x.ln_1p()).exp(), 0.0, Vec::new());
    while sum < 1.0 - 1e-9 && all.len() < 2000 {
        all.push(p);
        sum += p;
        p *= x / (1.0 + x) * (size + all.len() as f64 - 1.0) / all.len() as f64;
    }
    all
}

/// Counts follow their law to the last one, in whichever way they are drawn: sparse genes by points, denser ones cell by
/// cell, those with large means as mixtures.
#[test]
fn counts_are_negative_binomial() -> Result<()> {
    // ln means from 0.01 to 40: all three ways of drawing.
    for (log_mean, log_mean_sd) in [(-4.5, 0.3), (-1.0, 1.0), (1.0, 1.0), (3.2, 0.4)] {
        let mut cohort = simulate_cohort(&Run::new(), CohortOptions { log_mean, log_mean_sd, ..plain() })?;
        let genes = genes_of(&mut cohort)?;
        let (mut statistic, mut df) = (0.0, 0.0);
        for (gene, counts) in cohort.genes.iter().zip(&genes) {
            let n = counts.len() as f64;
            // Classes of at least 8 expected cells; the last takes all that is left.
            let (mut classes, mut open) = (Vec::new(), (0.0, 0.0));
            for (count, p) in law(gene.mean, gene.size).into_iter().enumerate() {
                open.0 += n * p;
                open.1 += counts.iter().filter(|&&c| c == count as f64).count() as f64;
                if open.0 >= 8.0 {
                    classes.push(std::mem::take(&mut open));
                }
            }
            let so_far = classes.iter().fold((0.0, 0.0), |sum, c: &(f64, f64)| (sum.0 + c.0, sum.1 + c.1));
            if let Some(last) = classes.last_mut() {
                *last = (last.0 + n - so_far.0, last.1 + n - so_far.1);
            }
            statistic += classes.iter().map(|(e, o)| (o - e) * (o - e) / e).sum::<f64>();
            df += classes.len() as f64 - 1.0;
        }
        // A chi-squared variable of many degrees of freedom: 4.5 standard deviations to either side.
        let z = (statistic - df) / (2.0_f64 * df).sqrt();
        assert!(z.abs() < 4.5, "log_mean {log_mean}: chi-squared {statistic:.1} of {df} degrees of freedom");
    }
    Ok(())
}

/// Depth multiplies means: with it, too, the mean and variance of counts given the depth are those of the law.
#[test]
fn depth_and_types_multiply_means() -> Result<()> {
    let options = CohortOptions { n_cell_types: 4, type_share: 1.0, depth_sd: 0.6, log_mean: -2.0, ..plain() };
    let mut cohort = simulate_cohort(&Run::new(), options)?;
    let genes = genes_of(&mut cohort)?;
    let depth = match cohort.obs.column("depth")? {
        ferrocyte_data::ObsColumn::Number(depth) => depth.clone(),
        ferrocyte_data::ObsColumn::Factor(_) => Vec::new(),
    };
    assert!((variance(&depth.iter().map(|d| d.ln()).collect::<Vec<_>>()) / 0.36 - 1.0).abs() < 0.05);
    let types = cohort.obs.factor("cell_type")?.codes.clone();
    let (mut sum, mut sum_of_squares, mut tests) = (0.0, 0.0, 0.0);
    for (gene, counts) in cohort.genes.iter().zip(&genes) {
        for kind in 0..4 {
            // The scale of a type within a gene is estimated, the rest is the law: residuals have mean 0, variance 1.
            let of = |i: &usize| types.get(*i) == kind;
            let cells: Vec<usize> = (0..counts.len()).filter(of).collect();
            let total: f64 = cells.iter().map(|&i| counts[i]).sum();
            let scale = total / cells.iter().map(|&i| depth[i]).sum::<f64>();
            let (mut low, mut high) = ((0.0, 0.0), (0.0, 0.0));
            for &i in &cells {
                let mu = scale * depth[i];
                let side = if depth[i] < 1.0 { &mut low } else { &mut high };
                side.0 += counts[i] - mu;
                side.1 += mu + mu * mu / gene.size;
            }
            let z = (high.0 - low.0) / (high.1 + low.1).sqrt();
            sum += z;
            sum_of_squares += z * z;
            tests += 1.0;
        }
    }
    assert!((sum / tests).abs() < 4.5 / f64::sqrt(tests), "mean of z is {}", sum / tests);
    let spread = (sum_of_squares / tests - 1.0) / (2.0 / f64::sqrt(2.0 * tests));
    assert!(spread < 4.5, "mean of z² is {}", sum_of_squares / tests);
    Ok(())
}

#[test]
fn the_same_bits_for_any_threads_memory_and_ranges() -> Result<()> {
    // Two tiles of genes, samples of a few cells and of several pieces.
    let options =
        CohortOptions { n_genes: 2100, n_cells: 4000, n_donors: 3, cells_sd: 1.5, ..CohortOptions::default() };
    let draw = |run: &Run, step: usize| -> Result<Vec<f64>> {
        let mut cohort = simulate_cohort(run, options.clone())?;
        let (mut numbers, mut start) = (Vec::new(), 0);
        while start < cohort.n_rows() {
            let end = (start + step).min(cohort.n_rows());
            let block = cohort.read(run, start..end)?;
            (0..block.n_rows()).for_each(|i| numbers.extend(block.row(i).flat_map(|(g, c)| [g as f64, c])));
            start = end;
        }
        Ok(numbers)
    };
    assert_same_bits_over_runs(|run| draw(run, 1500), Clone::clone)?;
    let whole = draw(&Run::new(), usize::MAX / 2)?;
    assert!(!whole.is_empty());
    for step in [1, 7, 1023, 1024, 4000] {
        assert!(draw(&Run::new().threads(2), step)? == whole, "{step} rows at a time");
    }
    // In any order, too.
    let mut cohort = simulate_cohort(&Run::new(), options.clone())?;
    let run = Run::new();
    let late: Vec<_> = cohort.read(&run, 3000..3010)?.row(5).collect();
    let again = all_values(&mut cohort, 600)?;
    assert_eq!(late, again[3005]);
    let other = simulate_cohort(&run, CohortOptions { seed: 1, ..options })?;
    assert_ne!(other.genes, cohort.genes);
    Ok(())
}

/// Variances of ln of the mean between donors, samples and batches, from means over very many cells.
#[test]
fn variance_components_are_those_of_the_genes() -> Result<()> {
    let run = Run::new();
    let of = |options: CohortOptions, unit: &str| -> Result<(f64, f64)> {
        let mut cohort = simulate_cohort(&run, options)?;
        let genes = genes_of(&mut cohort)?;
        let codes = cohort.obs.factor(unit)?.codes.clone();
        let n_units = cohort.obs.factor(unit)?.levels.len();
        let (mut found, mut asked) = (0.0, 0.0);
        for (gene, counts) in cohort.genes.iter().zip(&genes) {
            let (mut sums, mut cells) = (vec![0.0; n_units], vec![0.0; n_units]);
            for (unit, &count) in codes.iter().zip(counts) {
                sums[unit as usize] += count;
                cells[unit as usize] += 1.0;
            }
            let logs: Vec<f64> = sums.iter().zip(&cells).map(|(s, n)| (s / n).ln()).collect();
            // What counting adds, to first order: variance of a mean over its square.
            let noise = mean(&sums.iter().zip(&cells).map(|(s, n)| (n / s + 1.0 / gene.size) / n).collect::<Vec<_>>());
            found += variance(&logs) - noise;
            asked += gene.donor_variance + gene.sample_variance + gene.batch_variance;
        }
        Ok((found / asked, asked / genes.len() as f64))
    };
    let many = CohortOptions {
        n_genes: 60,
        n_cells: 60_000,
        n_donors: 30,
        log_mean: 1.5,
        log_mean_sd: 0.3,
        flat_share: 0.0,
        donor_variance: 0.0,
        sample_variance: 0.0,
        batch_variance: 0.0,
        ..plain()
    };
    let cases = [
        ("donor", CohortOptions { donor_variance: 0.2, ..many.clone() }),
        ("sample", CohortOptions { sample_variance: 0.2, samples_per_donor: 2, n_donors: 15, ..many.clone() }),
        ("batch", CohortOptions { batch_variance: 0.2, n_batches: 30, ..many.clone() }),
    ];
    for (unit, options) in cases {
        let (ratio, asked) = of(options, unit)?;
        // 60 genes with 59 or 29 degrees of freedom each, whose variances differ as Gamma(1.5) does.
        assert!((ratio - 1.0).abs() < 0.15, "{unit}: found {ratio} of what was asked for");
        assert!((asked / 0.2 - 1.0).abs() < 0.5, "{unit}: mean variance {asked}");
    }
    // Donors are the same in both arms where samples are paired.
    let paired = simulate_cohort(&run, CohortOptions { paired: true, donor_variance: 0.2, ..many })?;
    assert_eq!(
        paired.samples.iter().map(|s| (s.donor, s.arm)).take(4).collect::<Vec<_>>(),
        [(0, 0), (0, 1), (1, 0), (1, 1)]
    );
    Ok(())
}

#[test]
fn planted_effects_are_there_and_nowhere_else() -> Result<()> {
    let options = CohortOptions {
        n_genes: 200,
        n_cells: 30_000,
        arms: ["a", "b", "c"].map(str::to_owned).to_vec(),
        n_cell_types: 3,
        de_share: 0.3,
        effect_min: 0.4,
        effect_max: 0.8,
        log_mean: 0.5,
        log_mean_sd: 0.5,
        type_concentration: 1e6,
        sample_concentration: 1e6,
        ..plain()
    };
    let mut cohort = simulate_cohort(&Run::new(), options.clone())?;
    let share = cohort.planted.len() as f64 / 2.0 / 200.0;
    assert!((share - 0.3).abs() < 4.5 * (0.3_f64 * 0.7 / 200.0).sqrt(), "{share} of the genes, each in two arms");
    assert!(cohort.planted.iter().all(|p| (0.4..=0.8).contains(&p.log_effect.abs()) && p.arm > 0));
    assert!([-1.0, 1.0].iter().all(|&sign| cohort.planted.iter().any(|p| p.log_effect.signum() == sign)));
    let genes = genes_of(&mut cohort)?;
    let (arms, types) = (cohort.obs.factor("condition")?.codes.clone(), cohort.obs.factor("cell_type")?.codes.clone());
    let mut worst: f64 = 0.0;
    for (g, counts) in genes.iter().enumerate() {
        for kind in 0..3 {
            let of_arm = |arm: u32| -> (f64, f64) {
                let own = (0..counts.len()).filter(|&i| arms.get(i) == arm && types.get(i) == kind);
                own.fold((0.0, 0.0), |(sum, n), i| (sum + counts[i], n + 1.0))
            };
            let (base, n_base) = of_arm(0);
            for arm in 1..3 {
                let (sum, n) = of_arm(arm);
                let found = (sum / n / (base / n_base)).ln();
                let planted =
                    cohort.planted.iter().find(|p| (p.gene, p.cell_type as u32, p.arm as u32) == (g, kind, arm));
                let size = cohort.genes[g].size;
                let error = (1.0 / sum + 1.0 / base + (1.0 / n + 1.0 / n_base) / size).sqrt();
                worst = worst.max(((found - planted.map_or(0.0, |p| p.log_effect)) / error).abs());
            }
        }
    }
    // The largest of 1,200 standard normal deviates is below 5.5 in all but 5 of 100,000 cases.
    assert!(worst < 5.5, "an effect is {worst} standard errors from what was planted");

    let with =
        |direction, affected| simulate_cohort(&Run::new(), CohortOptions { direction, affected, ..options.clone() });
    assert!(with(Direction::Down, Affected::One)?.planted.iter().all(|p| p.log_effect < 0.0));
    let everywhere = with(Direction::Up, Affected::All)?;
    assert!(everywhere.planted.chunks(3).all(|p| p.iter().map(|p| p.cell_type).eq(0..3) && p[0].log_effect > 0.0));
    let named = with(Direction::Both, Affected::Named(vec!["T3".into()]))?;
    assert!(!named.planted.is_empty() && named.planted.iter().all(|p| p.cell_type == 2));
    let unknown = with(Direction::Both, Affected::Named(vec!["T9".into()]));
    assert!(unknown.is_err_and(|f| f.to_string().contains("there is no cell type `T9`")));
    assert_eq!(everywhere.truth().n_rows(), everywhere.planted.len());
    Ok(())
}

#[test]
fn shares_sizes_and_batches_are_as_asked() -> Result<()> {
    let run = Run::new();
    let options = CohortOptions {
        n_genes: 1,
        n_cells: 40_000,
        n_donors: 12,
        samples_per_donor: 2,
        n_batches: 4,
        cells_sd: 0.8,
        n_cell_types: 5,
        ..CohortOptions::default()
    };
    let cohort = simulate_cohort(&run, options.clone())?;
    assert_eq!(cohort.samples.len(), 48);
    assert_eq!(cohort.samples.last().map(|s| s.cells.end), Some(40_000));
    let sizes: Vec<f64> = cohort.samples.iter().map(|s| (s.cells.len() as f64).ln()).collect();
    assert!((variance(&sizes).sqrt() / 0.8 - 1.0).abs() < 0.35, "{}", variance(&sizes).sqrt());
    let types = &cohort.obs.factor("cell_type")?.codes;
    let mut chi_squared = 0.0;
    for sample in &cohort.samples {
        for (kind, share) in sample.shares.iter().enumerate() {
            let found = sample.cells.clone().filter(|&i| types.get(i) as usize == kind).count() as f64;
            let expected = share * sample.cells.len() as f64;
            chi_squared += (found - expected) * (found - expected) / expected.max(1e-9);
        }
    }
    let df = 48.0 * 4.0;
    assert!((chi_squared - df).abs() < 5.0 * f64::sqrt(2.0 * df), "{chi_squared} of {df}");
    for arm in 0..2 {
        for batch in 0..4 {
            let n = cohort.samples.iter().filter(|s| s.arm == arm && s.batch == batch).count();
            assert_eq!(n, 6, "arm {arm}, batch {batch}");
        }
    }
    let by_donor = simulate_cohort(&run, CohortOptions { batch_of: BatchOf::Donor, paired: true, ..options.clone() })?;
    for pair in by_donor.samples.windows(2) {
        assert!(pair[0].donor != pair[1].donor || pair[0].batch == pair[1].batch);
    }
    // Samples that are alike: sizes differ as a multinomial does.
    let alike = simulate_cohort(&run, CohortOptions { cells_sd: 0.0, ..options })?;
    assert!(alike.samples.iter().all(|s| (s.cells.len() as f64 - 40_000.0 / 48.0).abs() < 150.0));
    Ok(())
}

#[test]
fn what_does_not_go_together_is_named() {
    let refused = |change: fn(&mut CohortOptions)| {
        let mut options = plain();
        change(&mut options);
        simulate_cohort(&Run::new(), options).err().map(|f| f.to_string()).unwrap_or_default()
    };
    assert_eq!(refused(|o| o.n_genes = 0), "n_genes: there must be at least one");
    assert_eq!(refused(|o| o.n_cells = 3), "n_cells: 3 cells of 4 samples");
    assert_eq!(refused(|o| o.arms = vec!["a".into(), "a".into()]), "arms: `a` occurs twice");
    assert_eq!(refused(|o| o.de_share = 1.5), "de_share: expected a number from 0 to 1, found 1.5");
    assert_eq!(refused(|o| o.effect_max = 0.1), "effect_max: expected a number from 0.3 to 5, found 0.1");
    assert_eq!(refused(|o| o.donor_variance = f64::NAN), "donor_variance: expected a number from 0 to 5, found NaN");
}

/// The tests above would see a law that is a little off: the same statistic with means that are 5 % too large.
#[test]
fn the_test_of_the_law_has_power() -> Result<()> {
    let mut stream = Stream::new(5, 0);
    let n = 20_000;
    let counts: Vec<f64> = (0..n).map(|_| stream.negative_binomial(2.1, 2.0)).collect::<Result<_>>()?;
    let probabilities = law(2.0, 2.0);
    let mut statistic = 0.0;
    for (count, p) in probabilities.iter().enumerate().take(10) {
        let observed = counts.iter().filter(|&&c| c == count as f64).count() as f64;
        let expected = f64::from(n) * p;
        statistic += (observed - expected) * (observed - expected) / expected;
    }
    assert!(statistic > 10.0 + 2.0 * f64::sqrt(20.0), "{statistic}");
    Ok(())
}
