//! From cells to tests: identities that hold exactly, statuses of made genes, bits that do not depend on the machine.

use ferrocyte_base::{Cells, Result, Run, Table};
use ferrocyte_data::{Additive, Csr, Factor, Frame, ObsColumn, Transform};
use ferrocyte_design::{Coefficients, Model};
use ferrocyte_math::linalg::Matrix;
use ferrocyte_math::random::Stream;
use ferrocyte_math::student_t;
use ferrocyte_mixed::lmm::{
    self, Component, Contrast, Df, Fit, FitOptions, GroupSums, Method, Negative, Outcome, StudyOptions, Sums,
    SumsOptions, TestOptions,
};
use ferrocyte_testkit::{assert_same_bits_over_runs, assert_table_eq};

fn texts(values: &[String]) -> ObsColumn {
    ObsColumn::Factor(Factor::from_texts(values.iter().map(Some)))
}

/// Dense values (cells × genes) as sums under a formula.
fn sums_of(run: &Run, values: &[Vec<f64>], obs: &Frame, formula: &str) -> Result<Sums> {
    let (n, m) = (values.len(), values[0].len());
    let flat: Vec<f64> = values.iter().flatten().copied().collect();
    let mut source = ferrocyte_data::Dense::row_major(n, m, &flat)?;
    let genes: Vec<String> = (0..m).map(|g| format!("g{g}")).collect();
    let options = SumsOptions { transform: Some(Transform::None), ..SumsOptions::default() };
    lmm::sums(run, &mut source, &genes, obs, &Model::parse(formula, &[])?, &options)
}

fn floats<'a>(table: &'a Table, name: &str) -> &'a [f64] {
    table.floats(name).unwrap()
}

fn words(table: &Table, name: &str) -> Vec<String> {
    match &table.column(name).unwrap().cells {
        Cells::Level { codes, levels } => codes.iter().map(|&c| levels[c as usize].clone()).collect(),
        Cells::Text(v) => v.clone(),
        other => panic!("{other:?}"),
    }
}

/// Rows of a table by gene.
fn by_gene(table: &Table, column: &str, n_genes: usize) -> Vec<f64> {
    let mut out = vec![f64::NAN; n_genes];
    for (gene, value) in words(table, "gene").iter().zip(floats(table, column)) {
        out[gene[1..].parse::<usize>().unwrap()] = *value;
    }
    out
}

const DONORS: usize = 8;
const CELLS: usize = 15;

/// A balanced paired design: 8 donors, each control and treated, with variation between samples.
fn paired(m: usize, seed: u64) -> (Vec<Vec<f64>>, Frame) {
    let mut stream = Stream::new(seed, 0);
    let n = DONORS * 2 * CELLS;
    let mut values = vec![vec![0.0; m]; n];
    let (mut donor, mut condition, mut sample) = (Vec::new(), Vec::new(), Vec::new());
    for i in 0..n {
        let s = i / CELLS;
        donor.push(format!("d{}", s / 2));
        condition.push(["ctrl", "stim"][s % 2].to_owned());
        sample.push(format!("s{s:02}"));
    }
    for g in 0..m {
        let by_donor: Vec<f64> = (0..DONORS).map(|_| stream.normal()).collect();
        let by_sample: Vec<f64> = (0..2 * DONORS).map(|_| 0.7 * stream.normal()).collect();
        for (i, row) in values.iter_mut().enumerate() {
            let s = i / CELLS;
            row[g] = 2.0 + by_donor[s / 2] + by_sample[s] + stream.normal();
        }
    }
    let mut obs = Frame::new(n);
    for (name, column) in [("donor", &donor), ("condition", &condition), ("sample", &sample)] {
        obs.insert(name, texts(column)).unwrap();
    }
    (values, obs)
}

/// t and p of the paired t-test on sample means.
fn paired_t_test(values: &[Vec<f64>], gene: usize) -> (f64, f64) {
    let mean = |s: usize| (0..CELLS).map(|c| values[s * CELLS + c][gene]).sum::<f64>() / CELLS as f64;
    let differences: Vec<f64> = (0..DONORS).map(|d| mean(2 * d + 1) - mean(2 * d)).collect();
    let average = differences.iter().sum::<f64>() / DONORS as f64;
    let variance = differences.iter().map(|d| (d - average).powi(2)).sum::<f64>() / (DONORS - 1) as f64;
    let t = average / (variance / DONORS as f64).sqrt();
    (t, student_t::two_sided(t, (DONORS - 1) as f64))
}

#[test]
fn a_balanced_paired_design_gives_the_paired_t_test() -> Result<()> {
    let m = 40;
    let (values, obs) = paired(m, 11);
    let run = Run::new();
    let options = TestOptions { df: Some(Df::Satterthwaite), ..TestOptions::default() };
    for (formula, method) in [
        ("~ donor + condition + (1 | sample)", Method::Reml),
        ("~ condition + (1 | donor) + (1 | sample)", Method::Reml),
    ] {
        let fit =
            Fit::new(&run, sums_of(&run, &values, &obs, formula)?, FitOptions { method, ..FitOptions::default() })?;
        let table = fit.test(&run, &[Contrast::difference("condition", "stim", "ctrl")], &options)?;
        let (t, p, df) = (by_gene(&table, "t", m), by_gene(&table, "p_value", m), by_gene(&table, "df", m));
        let mut compared = 0;
        for g in 0..m {
            // With two terms the identity needs an interior estimate.
            if !matches!(fit.groups[0].outcomes[g], Outcome::Ok | Outcome::Negative) {
                continue;
            }
            let (expected_t, expected_p) = paired_t_test(&values, g);
            assert!(
                (t[g] - expected_t).abs() < 1e-8 * (1.0 + expected_t.abs()),
                "{formula} gene {g}: t {} {expected_t}",
                t[g]
            );
            assert!((df[g] - 7.0).abs() < 1e-6, "{formula} gene {g}: df {}", df[g]);
            assert!((p[g] - expected_p).abs() < 1e-8, "{formula} gene {g}: p {} {expected_p}", p[g]);
            compared += 1;
        }
        assert!(compared > m / 2, "{formula}: only {compared} genes were compared");
    }
    Ok(())
}

#[test]
fn units_of_covariates_do_not_matter() -> Result<()> {
    let m = 30;
    let (values, mut obs) = paired(m, 5);
    let run = Run::new();
    let mut stream = Stream::new(3, 1);
    let raw: Vec<f64> = (0..values.len()).map(|_| (7.0 + 0.4 * stream.normal()).exp()).collect();
    let mut tables = Vec::new();
    for scale in [1.0, 10.0, 1e6] {
        obs.insert("depth", ObsColumn::Number(raw.iter().map(|x| x * scale).collect()))?;
        let fit = Fit::new(
            &run,
            sums_of(&run, &values, &obs, "~ depth + donor + condition + (1 | sample)")?,
            FitOptions::default(),
        )?;
        tables.push(fit.test(&run, &[Contrast::difference("condition", "stim", "ctrl")], &TestOptions::default())?);
    }
    for table in &tables[1..] {
        assert_table_eq(table, &tables[0], 1e-9);
    }
    // A response far from zero: what is lost is the cancellation in the sums, about 1e-16 (1e4)^2.
    let shifted: Vec<Vec<f64>> = values.iter().map(|row| row.iter().map(|y| y + 1e4).collect()).collect();
    let fits: Vec<Fit> = [&values, &shifted]
        .iter()
        .map(|v| {
            Fit::new(&run, sums_of(&run, v, &obs, "~ depth + donor + condition + (1 | sample)")?, FitOptions::default())
        })
        .collect::<Result<_>>()?;
    let options = TestOptions { df: Some(Df::Satterthwaite), ..TestOptions::default() };
    let tables: Vec<Table> =
        fits.iter().map(|f| f.test(&run, &[Contrast::expression("conditionstim")], &options)).collect::<Result<_>>()?;
    let (a, b) = (by_gene(&tables[0], "p_value", m), by_gene(&tables[1], "p_value", m));
    for g in 0..m {
        assert!((a[g] / b[g] - 1.0).abs() < 1e-8, "gene {g}: p {} and, shifted, {}", a[g], b[g]);
    }
    Ok(())
}

/// Cells × genes of a small simulated study under a model with groups.
fn study_table(run: &Run, formula: &str, groups: Option<&str>) -> Result<(Fit, Table)> {
    let study =
        lmm::simulate_study(&Run::new(), &StudyOptions { n_cells: 1500, n_genes: 200, ..StudyOptions::size("S", 4)? })?;
    let mut source = Csr::new(1500, 200, &study.counts, &study.indices, &study.pointers)?;
    let options = SumsOptions { groups: groups.map(str::to_owned), ..SumsOptions::default() };
    let sums = lmm::sums(run, &mut source, &study.genes, &study.obs, &Model::parse(formula, &[])?, &options)?;
    let fit = Fit::new(run, sums, FitOptions::default())?;
    let table = fit.test(run, &[Contrast::difference("treatment", "B", "A")], &TestOptions::default())?;
    Ok((fit, table))
}

fn bits_of(table: &Table) -> Vec<f64> {
    ["estimate", "se", "t", "df", "p_value", "adj_p_value", "log10_p_value"]
        .iter()
        .flat_map(|c| floats(table, c).to_vec())
        .collect()
}

#[test]
fn bits_do_not_depend_on_threads_or_blocks() -> Result<()> {
    for (formula, groups) in [
        ("~ log(libsize) + treatment + (1 | sample)", Some("cluster")),
        ("~ log(libsize) + treatment + (1 | sample) + (1 | cluster)", None),
    ] {
        assert_same_bits_over_runs(
            |run| study_table(run, formula, groups),
            |(fit, table)| {
                let mut bits = bits_of(table);
                bits.extend(fit.groups.iter().flat_map(|g| g.theta.clone()));
                bits
            },
        )?;
    }
    Ok(())
}

#[test]
fn shards_add_up_and_strangers_are_refused() -> Result<()> {
    let run = Run::new();
    let study = lmm::simulate_study(&run, &StudyOptions::size("S", 9)?)?;
    let model = Model::parse("~ cluster + cluster:treatment + (1 | sample)", &[])?;
    let whole_source = || Csr::new(1000, 50, &study.counts, &study.indices, &study.pointers);
    let whole = lmm::sums(&run, &mut whole_source()?, &study.genes, &study.obs, &model, &SumsOptions::default())?;
    let shard = |rows: std::ops::Range<usize>| {
        let options = SumsOptions { rows: Some(rows), ..SumsOptions::default() };
        lmm::sums(&run, &mut whole_source()?, &study.genes, &study.obs, &model, &options)
    };
    let mut total = shard(0..400)?;
    total.merge(&shard(400..1000)?)?;
    let (a, b) = (&total.groups[0], &whole.groups[0]);
    assert_eq!(a.n_cells, b.n_cells);
    for (x, y) in [(&a.xy, &b.xy), (&a.zy, &b.zy), (&a.y_norm, &b.y_norm)] {
        for (x, y) in x.iter().zip(y) {
            assert!((x - y).abs() <= 1e-12 * y.abs().max(1.0), "{x} {y}");
        }
    }
    assert_eq!(total.inputs, whole.inputs);
    assert!(shard(0..400)?.missing_rows()[0].starts_with("rows 400:1000 of"));
    let overlap = total.clone().merge(&shard(300..500)?).unwrap_err().to_string();
    assert!(overlap.contains("overlap"), "{overlap}");
    let stranger = lmm::sums(
        &run,
        &mut whole_source()?,
        &study.genes,
        &study.obs,
        &Model::parse("~ cluster + treatment + (1 | sample)", &[])?,
        &SumsOptions::default(),
    )?;
    let refusal = total.merge(&stranger).unwrap_err().to_string();
    assert!(refusal.contains("the formula differs"), "{refusal}");
    Ok(())
}

#[test]
fn parts_keep_the_bits() -> Result<()> {
    let run = Run::new();
    let (fit, table) = study_table(&run, "~ log(libsize) + treatment + (1 | sample)", Some("cluster"))?;
    let back = Fit::from_part(&run, &fit.to_part())?;
    let again = back.test(&run, &[Contrast::difference("treatment", "B", "A")], &TestOptions::default())?;
    assert_table_eq(&again, &table, 0.0);
    assert_eq!(back.provenance(), fit.provenance());
    Ok(())
}

#[test]
fn made_genes_reach_every_status() -> Result<()> {
    let m = 24;
    let (mut values, mut obs) = paired(m, 2);
    let n = values.len();
    // One more cell that is the only one of its sample.
    let mut extra = obs.clone();
    let column =
        |name: &str| (0..n).map(|i| obs.factor(name).unwrap().level(i).unwrap().to_owned()).collect::<Vec<_>>();
    let mut grown = Frame::new(n + 1);
    for (name, last) in [("donor", "d0"), ("condition", "ctrl"), ("sample", "lonely")] {
        let mut levels = column(name);
        levels.push(last.to_owned());
        grown.insert(name, texts(&levels))?;
    }
    extra.clone_from(&grown);
    obs = extra;
    values.push(vec![1.0; m]);
    for (i, row) in values.iter_mut().enumerate() {
        row[0] = 0.0; // never expressed
        row[1] = if obs.factor("condition")?.level(i) == Some("stim") { 3.0 } else { 1.0 }; // exactly the condition
        row[2] = if i == n { 4.0 } else { 0.0 }; // expressed by the lonely cell alone
    }
    let run = Run::new();
    let sums = sums_of(&run, &values, &obs, "~ condition + (1 | sample)")?;
    let fit = Fit::new(&run, sums, FitOptions { moderate: false, ..FitOptions::default() })?;
    let outcomes = &fit.groups[0].outcomes;
    assert_eq!(outcomes[..3], [Outcome::AllZero, Outcome::ConstantGivenX, Outcome::NoResidual]);
    assert!(outcomes[3..].iter().all(|o| o.has_estimate()));
    let table = fit.test(&run, &[Contrast::expression("conditionstim")], &TestOptions::default())?;
    let (p, estimate) = (by_gene(&table, "p_value", m), by_gene(&table, "estimate", m));
    assert!(p[..3].iter().all(|p| p.is_nan()) && p[3..].iter().all(|p| p.is_finite()));
    assert!(estimate[0].is_nan() && (estimate[1] - 2.0).abs() < 1e-9 && estimate[2].is_finite());
    // Genes without p-value are not counted by the adjustment and stand last.
    assert!(floats(&table, "p_value")[m - 3..].iter().all(|p| p.is_nan()));
    let reasons = words(&table, "reason");
    assert!(reasons[m - 3..].iter().all(|r| !r.is_empty()));

    // The sample term lies in the span of the fixed effects.
    let sums = sums_of(&run, &values, &obs, "~ 0 + sample + (1 | sample)")?;
    let fit = Fit::new(&run, sums, FitOptions { moderate: false, ..FitOptions::default() })?;
    assert!(fit.groups[0].outcomes[3..].iter().all(|&o| o == Outcome::NotIdentifiable));
    Ok(())
}

#[test]
fn the_published_iteration_says_when_it_was_stopped() -> Result<()> {
    let (values, obs) = paired(22, 8);
    let run = Run::new();
    let mut fit = Fit::new(&run, sums_of(&run, &values, &obs, "~ condition + (1 | sample)")?, FitOptions::default())?;
    let exact = fit.groups[0].theta.clone();
    fit.iterate_as_published(&run, &lmm::PeerStop { max_iter: 1, ..lmm::PeerStop::default() })?;
    assert!(fit.groups[0].outcomes.contains(&Outcome::MaxIter));
    fit.iterate_as_published(&run, &lmm::PeerStop { max_iter: 100, epsilon: 1e-10, theta0: Some(vec![0.3, 1.0]) })?;
    for (a, b) in fit.groups[0].theta.iter().zip(&exact) {
        assert!((a - b).abs() < 1e-7 * (1.0 + b.abs()), "{a} {b}");
    }
    let wrong = fit.iterate_as_published(&run, &lmm::PeerStop { theta0: Some(vec![0.3]), ..lmm::PeerStop::default() });
    assert!(wrong.unwrap_err().to_string().contains("theta0: 1 numbers, expected 2"));
    Ok(())
}

#[test]
fn one_component_by_either_route_is_the_same() -> Result<()> {
    // A second component without variance of its own to find: its columns are those of the first, halved in two.
    let (values, obs) = paired(20, 21);
    let run = Run::new();
    for (method, negative) in
        [(Method::Reml, Negative::Allow), (Method::Ml, Negative::Allow), (Method::Reml, Negative::Zero)]
    {
        let options = FitOptions { method, negative, moderate: false, ..FitOptions::default() };
        let one = Fit::new(&run, sums_of(&run, &values, &obs, "~ condition + (1 | sample)")?, options)?;
        let mut general = Fit::new(&run, sums_of(&run, &values, &obs, "~ condition + (1 | sample)")?, options)?;
        general.iterate_as_published(&run, &lmm::PeerStop { max_iter: 200, epsilon: 1e-9, theta0: None })?;
        for g in 0..20 {
            if one.groups[0].outcomes[g] == Outcome::Ok {
                let (a, b) = (&one.groups[0].theta[2 * g..2 * g + 2], &general.groups[0].theta[2 * g..2 * g + 2]);
                assert!(a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-8), "{method:?} gene {g}: {a:?} {b:?}");
                let (a, b) = (one.groups[0].log_likelihood[g], general.groups[0].log_likelihood[g]);
                assert!((a - b).abs() < 1e-8, "{method:?} gene {g}: {a} {b}");
            }
        }
    }
    Ok(())
}

#[test]
fn sums_from_arrays_are_checked() {
    let names = vec!["(Intercept)".to_owned()];
    let make = |xy: Vec<f64>| {
        let coefficients = Coefficients::from_names(&names)?;
        let components = vec![Component { name: "s".to_owned(), columns: vec!["a".to_owned(), "b".to_owned()] }];
        let mut group = GroupSums::empty("", coefficients, components, 1);
        group.n_cells = 10;
        group.xx = Matrix::from_rows(1, 1, vec![10.0]);
        group.zx = Matrix::from_rows(2, 1, vec![4.0, 6.0]);
        group.zz = Matrix::from_rows(2, 2, vec![4.0, 0.0, 0.0, 6.0]);
        group.xy = xy;
        Sums::from_arrays(vec!["g".to_owned()], Transform::None, group)
    };
    assert!(make(vec![1.0]).is_ok());
    assert!(make(vec![1.0, 2.0]).unwrap_err().to_string().starts_with("XY: 2 numbers, expected 1"));
    assert!(make(vec![f64::NAN]).unwrap_err().to_string().starts_with("XY: 1 numbers are missing"));
}

#[test]
fn crossed_terms_are_stationary_on_either_side_of_zero() -> Result<()> {
    let (n, m) = (600, 40);
    let mut stream = Stream::new(17, 0);
    let mut obs = Frame::new(n);
    let sample: Vec<usize> = (0..n).map(|_| stream.below(12)).collect();
    let place: Vec<usize> = (0..n).map(|_| stream.below(5)).collect();
    obs.insert("sample", texts(&sample.iter().map(|s| format!("s{s:02}")).collect::<Vec<_>>()))?;
    obs.insert("place", texts(&place.iter().map(|s| format!("p{s}")).collect::<Vec<_>>()))?;
    let mut values = vec![vec![0.0; m]; n];
    for g in 0..m {
        let effect: Vec<f64> = (0..12).map(|_| 0.3 * stream.normal()).collect();
        for i in 0..n {
            values[i][g] = effect[sample[i]] + stream.normal();
        }
    }
    let run = Run::new();
    for method in [Method::Reml, Method::Ml] {
        let sums = sums_of(&run, &values, &obs, "~ 1 + (1 | sample) + (1 | place)")?;
        let fit = Fit::new(&run, sums, FitOptions { method, ..FitOptions::default() })?;
        let group = &fit.groups[0];
        let errors = group.component_errors(&run)?;
        let negative = group.outcomes.iter().filter(|&&o| o == Outcome::Negative).count();
        assert!(negative > m / 5, "only {negative} genes are negative");
        for g in 0..m {
            assert!(
                matches!(group.outcomes[g], Outcome::Ok | Outcome::Negative),
                "{method:?} gene {g}: {:?}",
                group.outcomes[g]
            );
            for i in 3 * g..3 * g + 3 {
                assert!(
                    (errors.score[i] * errors.se[i]).abs() < 1e-8,
                    "{method:?} gene {g}: {}",
                    errors.score[i] * errors.se[i]
                );
            }
        }
    }
    Ok(())
}
