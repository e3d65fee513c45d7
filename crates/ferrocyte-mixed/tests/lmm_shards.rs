//! Shards of a study: the same bits however it was cut by the planner, whoever did it, and in whatever order.

use std::borrow::Cow;
use std::ops::Range;

use ferrocyte_base::{Result, Run};
use ferrocyte_data::{Additive, CUT, Csr, ObsColumn, plan};
use ferrocyte_design::Model;
use ferrocyte_math::random::Stream;
use ferrocyte_mixed::lmm::{self, PartRows, Study, StudyOptions, Sums, SumsOptions};

/// A study of five blocks between cuts, the last one short.
fn long_study() -> Result<Study> {
    let size = StudyOptions { n_cells: 4 * CUT + 1234, n_genes: 4, ..StudyOptions::size("S", 3)? };
    let mut study = lmm::simulate_study(&Run::new(), &size)?;
    // So few genes leave cells without a count: totals come from elsewhere.
    let mut stream = Stream::new(1, 0);
    let libsize = (0..size.n_cells).map(|_| 500.0 + 5000.0 * stream.uniform()).collect();
    study.obs.insert("libsize", ObsColumn::Number(libsize))?;
    Ok(study)
}

fn sums_of(study: &Study, formula: &str, groups: Option<&str>, rows: Option<Range<usize>>) -> Result<Sums> {
    let mut source = Csr::new(study.obs.n_rows(), 4, &study.counts, &study.indices, &study.pointers)?;
    let options = SumsOptions { groups: groups.map(str::to_owned), rows, ..SumsOptions::default() };
    lmm::sums(&Run::new().threads(1), &mut source, &study.genes, &study.obs, &Model::parse(formula, &[])?, &options)
}

fn merge(parts: &[Sums]) -> Result<Sums> {
    let rows: Vec<PartRows> =
        parts.iter().enumerate().map(|(i, p)| PartRows { place: format!("{i}"), inputs: p.inputs.clone() }).collect();
    Sums::merge_all(&rows, |i| Ok(Cow::Borrowed(&parts[i])))
}

#[test]
fn one_shard_and_five_give_the_same_bits_in_any_order() -> Result<()> {
    let study = long_study()?;
    let n = study.obs.n_rows();
    for (formula, groups) in
        [("~ log(libsize) + treatment + (1 | sample)", None), ("~ treatment + (1 | sample)", Some("cluster"))]
    {
        let whole = sums_of(&study, formula, groups, None)?;
        for n_shards in [1, 2, 5] {
            let shards = plan(n, n_shards)?.into_iter().map(|rows| sums_of(&study, formula, groups, Some(rows)));
            let mut shards = shards.collect::<Result<Vec<Sums>>>()?;
            assert!(merge(&shards)? == whole, "{n_shards} shards of {formula}");
            shards.reverse();
            assert!(merge(&shards)? == whole, "{n_shards} shards of {formula}, the last one first");
            // One by one, through files, the last ones first: a tree of another shape.
            let mut tree = shards[0].clone();
            for shard in &shards[1..] {
                tree.merge(shard)?;
                tree = Sums::from_part(&tree.to_part())?;
            }
            assert!(tree == whole, "{n_shards} shards of {formula}, one by one");
            assert_eq!(tree.to_part(), whole.to_part());
        }
    }
    Ok(())
}

#[test]
fn low_parts_are_stored_while_rows_are_missing_only() -> Result<()> {
    let study = long_study()?;
    let has_low = |sums: &Sums| sums.to_part().arrays.iter().any(|a| a.name.contains("_low"));
    let formula = "~ log(libsize) + (1 | sample)";
    let of = |rows: Range<usize>| sums_of(&study, formula, None, Some(rows));
    assert!(has_low(&of(0..2 * CUT)?) && !has_low(&of(0..CUT)?) && !has_low(&of(0..4 * CUT + 1234)?));
    Ok(())
}

#[test]
fn cuts_elsewhere_agree_to_rounding() -> Result<()> {
    let study = long_study()?;
    let formula = "~ log(libsize) + treatment + (1 | sample)";
    let whole = sums_of(&study, formula, None, None)?;
    let parts: Vec<Sums> = [0..1000, 1000..100_000, 100_000..study.obs.n_rows()]
        .into_iter()
        .map(|rows| sums_of(&study, formula, None, Some(rows)))
        .collect::<Result<_>>()?;
    let merged = merge(&parts)?;
    let (a, b) = (&merged.groups[0], &whole.groups[0]);
    for (a, b) in [(&a.xy, &b.xy), (&a.zy, &b.zy), (&a.y_norm, &b.y_norm), (&a.y_sum, &b.y_sum)] {
        assert!(a.iter().zip(b).all(|(x, y)| (x - y).abs() <= 1e-13 * y.abs()), "{a:?} {b:?}");
    }
    Ok(())
}

#[test]
fn parts_that_do_not_belong_together_are_refused_by_name() -> Result<()> {
    let study = long_study()?;
    let of = |formula: &str, rows: Range<usize>| sums_of(&study, formula, None, Some(rows));
    let formula = "~ treatment + (1 | sample)";
    let (first, second, last) = (of(formula, 0..CUT)?, of(formula, CUT..2 * CUT)?, of(formula, 3 * CUT..4 * CUT)?);
    let refused = |parts: &[&Sums]| {
        let parts: Vec<Sums> = parts.iter().map(|&p| p.clone()).collect();
        merge(&parts).map(|_| ()).map_err(|f| f.to_string()).unwrap_err()
    };
    let gap = refused(&[&last, &first, &second]);
    assert!(gap.starts_with("merge: rows 131072:196608 of ") && gap.ends_with(" are in no part"), "{gap}");
    let overlap = refused(&[&first, &of(formula, 1000..CUT)?]);
    assert!(overlap.contains("rows 0:65536 of ") && overlap.ends_with(" overlap"), "{overlap}");
    let other = refused(&[&first, &of("~ cluster + (1 | sample)", CUT..2 * CUT)?]);
    assert_eq!(other, "1: the formula differs: `~ treatment + (1 | sample)` here, `~ cluster + (1 | sample)` there");
    let mut changed = second.clone();
    changed.transform = ferrocyte_data::Transform::Log2p1;
    assert!(refused(&[&first, &changed]).starts_with("1: the transform differs: "));
    let mut changed = second.clone();
    changed.genes.swap(0, 1);
    assert!(refused(&[&first, &changed]).starts_with("1: gene 0 differs: "));
    let mut changed = second.clone();
    changed.groups[0].components[0].columns[0].push('x');
    assert_eq!(refused(&[&first, &changed]), "1: the sums: the random effects differ");
    let mut changed = second.clone();
    changed.inputs[0].fingerprint = "another".into();
    assert!(refused(&[&first, &changed]).starts_with("1: made from another "));
    Ok(())
}
