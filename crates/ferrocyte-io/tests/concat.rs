//! Studies put together, against the reference: genes, values, columns of cells.

#![allow(clippy::unwrap_used)]

mod common;

use std::sync::Arc;

use ferrocyte_base::Run;
use ferrocyte_data::{Join, OwnedCsr, RowChunks};
use ferrocyte_io::{AnnotatedSource, ConcatOptions, H5ad, OpenOptions, Rule, concat, open_study};

fn open(name: &str) -> Arc<dyn AnnotatedSource> {
    let path = common::golden().join("cells/kang").join(name);
    open_study(&Run::new(), path, &OpenOptions::default()).unwrap()
}

fn both(options: ConcatOptions) -> Arc<dyn AnnotatedSource> {
    concat(vec![open("concat_a.h5ad"), open("concat_b.h5ad")], options).unwrap()
}

fn options(join: Join) -> ConcatOptions {
    let labels = Some(vec!["A".to_owned(), "B".to_owned()]);
    ConcatOptions { join, key: Some("origin".to_owned()), labels, ..ConcatOptions::default() }
}

#[test]
fn both_joins_are_those_of_the_reference() {
    let run = Run::new();
    for (join, name) in [(Join::Inner, "concat_inner.h5ad"), (Join::Outer, "concat_outer.h5ad")] {
        let found = both(options(join));
        let expected = H5ad::open(common::golden().join("cells/kang").join(name)).unwrap();
        assert_eq!(found.obs_names().unwrap(), expected.obs_names().unwrap());
        assert_eq!(found.var_names("X").unwrap(), expected.var_names("X").unwrap());
        let [here, there] =
            [&mut *found.matrix("X").unwrap(), &mut expected.matrix("X").unwrap() as &mut dyn RowChunks]
                .map(|rows| OwnedCsr::collect(&run, rows).unwrap());
        assert_eq!((here.pointers(), here.indices()), (there.pointers(), there.indices()));
        assert!((0..here.indices().len()).all(|k| here.values().get(k) == there.values().get(k)));
        let names: Vec<String> = expected.obs_columns().into_iter().map(|(name, _)| name).collect();
        assert_eq!(found.obs_columns().into_iter().map(|(name, _)| name).collect::<Vec<_>>(), names);
        for name in names {
            let [here, there] = [found.obs_column(&name).unwrap(), expected.obs_column(&name).unwrap()];
            // The reference turned one column of texts into categories when it wrote it.
            assert_eq!(here.to_texts(), there.to_texts(), "{name}");
        }
    }
}

#[test]
fn rows_do_not_depend_on_where_they_are_cut() {
    let whole = both(options(Join::Outer));
    let run = Run::new();
    let mut rows = whole.matrix("X").unwrap();
    let all = OwnedCsr::collect(&run, &mut *rows).unwrap();
    // Across the border of the two, at row 150.
    for range in [0..270, 140..160, 149..150, 150..151, 150..150, 0..1, 269..270] {
        let (here, there) = (rows.read(&run, range.clone()).unwrap(), all.block(range.clone()).unwrap());
        assert_eq!((here.pointers(), here.indices()), (there.pointers(), there.indices()), "{range:?}");
        assert_eq!(here.row_sums(), there.row_sums());
    }
    assert!(rows.read(&run, 260..271).is_err());
}

#[test]
fn columns_of_genes_follow_their_rules() {
    let var = [("n_cells".to_owned(), None), ("n_cells".to_owned(), Some(Rule::Max))];
    for (k, pick) in [f64::midpoint as fn(f64, f64) -> f64, f64::max].into_iter().enumerate() {
        let whole = both(ConcatOptions { var: vec![var[k].clone()], ..options(Join::Inner) });
        let found = whole.var_column("n_cells").unwrap().to_obs();
        let ferrocyte_data::ObsColumn::Number(found) = found else { unreachable!("numbers stay") };
        let of = |part: Arc<dyn AnnotatedSource>| {
            let ferrocyte_data::ObsColumn::Number(n) = part.var_column("n_cells").unwrap().to_obs() else {
                unreachable!("numbers stay")
            };
            part.var_names("X").unwrap().into_iter().zip(n).collect::<std::collections::HashMap<_, _>>()
        };
        let (a, b) = (of(open("concat_a.h5ad")), of(open("concat_b.h5ad")));
        for (gene, value) in whole.var_names("X").unwrap().iter().zip(found) {
            assert_eq!(value, pick(a[gene], b[gene]), "{gene}");
        }
    }
    let unknown = ConcatOptions { var: vec![("cells".to_owned(), None)], ..options(Join::Inner) };
    let fault = concat(vec![open("concat_a.h5ad"), open("concat_b.h5ad")], unknown).err().unwrap();
    assert!(fault.way_out().is_some_and(|hint| hint.contains("n_cells")), "{fault}");
}

#[test]
fn names_must_differ() {
    let same = |options: ConcatOptions| concat(vec![open("concat_a.h5ad"), open("concat_a.h5ad")], options);
    let labels = Some(vec!["one".to_owned(), "two".to_owned()]);
    let whole = same(ConcatOptions { labels: labels.clone(), ..ConcatOptions::default() }).unwrap();
    let fault = whole.obs_names().err().unwrap().to_string();
    assert!(fault.ends_with("cell `ctrl:TCGCAAGAGCGATT-1` stands there twice, in rows 0 and 150"), "{fault}");
    let apart = ConcatOptions { labels, index_unique: Some("-".to_owned()), ..ConcatOptions::default() };
    assert_eq!(same(apart).unwrap().obs_names().unwrap()[150], "ctrl:TCGCAAGAGCGATT-1-two");
    let fault = same(ConcatOptions::default()).err().unwrap().to_string();
    assert_eq!(fault, "labels: two studies are called `concat_a`");
    assert!(concat(Vec::new(), ConcatOptions::default()).is_err());
}
