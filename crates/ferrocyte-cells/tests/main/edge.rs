//! A small matrix with everything that goes wrong: an empty gene, an empty cell, ties, a group of two.

use ferrocyte_base::{Result, Run};
use ferrocyte_cells::hvg::{Flavor, HvgOptions, Measures, highly_variable_genes};
use ferrocyte_cells::normalize::{NormalizeOptions, Normalized, Target, Then, size_factors};
use ferrocyte_data::RowChunks;
use serde_json::Value as Json;

use crate::files::{Case, Matrix32, assert_near, numbers, texts};

/// The counts of the case.
fn counts(edge: &Json) -> Matrix32 {
    let rows: Vec<Vec<f64>> = edge["counts"].as_array().unwrap().iter().map(numbers).collect();
    Matrix32::from_rows(&rows, texts(&edge["genes"]))
}

fn dense(source: &mut dyn RowChunks) -> Result<Vec<f64>> {
    let (n, p) = (source.n_rows(), source.n_cols());
    let block = source.read(&Run::new(), 0..n)?;
    let mut values = vec![0.0; n * p];
    (0..n).for_each(|i| block.row(i).for_each(|(j, v)| values[i * p + j] = v));
    Ok(values)
}

#[test]
fn normalised_and_logged() -> Result<()> {
    for case in Case::with("edge.json") {
        let edge = case.json("edge.json");
        let counts = counts(&edge);
        for (name, target, exclude) in [
            ("median_target", Target::Median, None),
            ("1e4", Target::To(1e4), None),
            ("exclude_highly", Target::To(1e4), Some(0.2)),
        ] {
            let options = NormalizeOptions { target, exclude_highly_expressed: exclude };
            let factors = size_factors(&Run::new(), &mut counts.source(), &counts.names(), &options)?.factors;
            for (prefix, then) in [("norm", Then::Stop), ("lognorm", Then::Log1p { base: None })] {
                let mut found = Normalized::new(counts.source(), Some(factors.clone()), then)?;
                let key = format!("{prefix}_{name}");
                let expected: Vec<f64> = edge[&key].as_array().unwrap().iter().flat_map(numbers).collect();
                assert_near(&key, &dense(&mut found)?, &expected, 3e-7, 0.0);
            }
        }
    }
    Ok(())
}

#[test]
fn variable_genes() -> Result<()> {
    for case in Case::with("edge.json") {
        let edge = case.json("edge.json");
        let logged = Matrix32::read(&case.folder.join("edge_lognorm.h5ad"));
        let run = Run::new();
        for (key, flavor, n_top) in
            [("hvg_seurat", Flavor::Seurat, None), ("hvg_cell_ranger", Flavor::CellRanger, Some(4))]
        {
            let mut options = HvgOptions::new(flavor);
            (options.n_top, options.n_bins) = (n_top, 5);
            let found = highly_variable_genes(&run, &mut logged.source(), &logged.names(), None, &options)?;
            let Measures::Dispersions { dispersions, norm } = &found.measures else { panic!("dispersions") };
            assert_near("means", &found.means, &numbers(&edge[key]["means"]), 1e-5, 0.0);
            assert_near("dispersions", dispersions, &numbers(&edge[key]["dispersions"]), 2e-5, 1e-5);
            assert_near("dispersions_norm", norm, &numbers(&edge[key]["dispersions_norm"]), 1e-5, 2e-5);
            let chosen: Vec<bool> =
                edge[key]["highly_variable"].as_array().unwrap().iter().map(|v| v.as_bool().unwrap()).collect();
            assert_eq!(found.highly_variable, chosen, "{key}");
        }
        // Where the reference gives up ("near singularities"), the fit takes the simplest curve.
        let counts = counts(&edge);
        let mut options = HvgOptions::new(Flavor::SeuratV3);
        options.n_top = Some(4);
        let found = highly_variable_genes(&run, &mut counts.source(), &counts.names(), None, &options)?;
        assert_eq!(found.indices().len(), 4);
        let Measures::Variances { norm, .. } = &found.measures else { panic!("variances") };
        assert!(norm.iter().all(|v| v.is_finite()));
    }
    Ok(())
}
