//! Variable genes against the reference: measures and chosen sets.

use ferrocyte_base::{Result, Run};
use ferrocyte_cells::hvg::{Flavor, Hvg, HvgOptions, Measures, highly_variable_genes};
use ferrocyte_cells::normalize::Target;
use ferrocyte_data::Factor;

use crate::files::{Case, Matrix32, Tsv, assert_near, data, jaccard};
use crate::pipeline::target;

fn find(cells: &Matrix32, batches: Option<&Factor>, options: &HvgOptions) -> Result<Hvg> {
    highly_variable_genes(&Run::new(), &mut cells.source(), &cells.names(), batches, options)
}

fn assert_variances(found: &Hvg, expected: &Tsv) {
    let Measures::Variances { variances, norm, rank } = &found.measures else { panic!("variances are expected") };
    assert_near("means", &found.means, &expected.floats("means"), 1e-7, 0.0);
    assert_near("variances", variances, &expected.floats("variances"), 1e-7, 0.0);
    let theirs = expected.floats("variances_norm");
    assert_near("variances_norm", norm, &theirs, 1e-7, 0.0);
    if found.n_batches.is_some() {
        return;
    }
    // Genes may change places only with genes of the same variance up to rounding, whose order is left open.
    let chosen = expected.flags("highly_variable");
    let only = |a: &[bool], b: &[bool]| -> Vec<f64> {
        let mut values: Vec<f64> = (0..a.len()).filter(|&g| a[g] && !b[g]).map(|g| theirs[g]).collect();
        values.sort_by(f64::total_cmp);
        values
    };
    let (ours, others) = (only(&found.highly_variable, &chosen), only(&chosen, &found.highly_variable));
    assert_near("variances of genes chosen by one only", &ours, &others, 0.0, 1e-9);
    let by_rank = |rank: &[f64]| -> Vec<f64> {
        let mut genes: Vec<usize> = (0..rank.len()).filter(|&g| !rank[g].is_nan()).collect();
        genes.sort_by(|&a, &b| rank[a].total_cmp(&rank[b]));
        genes.iter().map(|&g| theirs[g]).collect()
    };
    let expected = by_rank(&expected.floats("highly_variable_rank"));
    assert_near("variances by rank", &by_rank(rank), &expected, 1e-9, 0.0);
}

/// The lowest and the highest median rank that a gene may have, as genes of a batch whose variances are the same up to
/// rounding may stand in any order.
fn possible_ranks(cells: &Matrix32, batches: &Factor, options: &HvgOptions) -> Result<Vec<(f64, f64)>> {
    let all: Vec<usize> = (0..cells.genes.len()).collect();
    let mut ranks = vec![(Vec::new(), Vec::new()); all.len()];
    for batch in 0..batches.levels.len() {
        let rows: Vec<usize> = (0..cells.cells.len()).filter(|&row| batches.codes.get(row) as usize == batch).collect();
        let found = find(&cells.take(&rows, &all), None, options)?;
        let Measures::Variances { norm, .. } = &found.measures else { panic!("variances are expected") };
        let mut falling = norm.clone();
        falling.sort_by(|a, b| b.total_cmp(a));
        for (gene, v) in norm.iter().enumerate() {
            let n_top = options.n_top.unwrap() as f64;
            let low = falling.partition_point(|x| *x > v + 1e-9) as f64;
            let high = falling.partition_point(|x| *x >= v - 1e-9) as f64 - 1.0;
            if low < n_top {
                ranks[gene].0.push(low);
            }
            if high < n_top {
                ranks[gene].1.push(high);
            }
        }
    }
    let median = |v: &[f64]| if v.is_empty() { f64::INFINITY } else { v.iter().sum::<f64>() / v.len() as f64 };
    assert_eq!(batches.levels.len(), 2, "the median of two is their mean");
    Ok(ranks.iter().map(|(low, high)| (median(low), median(high))).collect())
}

/// The tolerance of dispersions: the reference computes in 32 bits.
fn assert_dispersions(found: &Hvg, expected: &Tsv) {
    let Measures::Dispersions { dispersions, norm } = &found.measures else { panic!("dispersions are expected") };
    assert_near("means", &found.means, &expected.floats("means"), 1e-5, 0.0);
    assert_near("dispersions", dispersions, &expected.floats("dispersions"), 2e-5, 1e-5);
    assert_near("dispersions_norm", norm, &expected.floats("dispersions_norm"), 1e-5, 2e-5);
    let share = jaccard(&found.highly_variable, &expected.flags("highly_variable"));
    assert!(share >= 0.999, "the chosen sets have {share} in common");
    if let Some(n_batches) = found.n_batches.as_ref().filter(|_| expected.has("highly_variable_nbatches")) {
        let theirs = expected.floats("highly_variable_nbatches");
        let same = n_batches.iter().zip(&theirs).filter(|(a, b)| **a as f64 == **b).count();
        assert!(same as f64 >= 0.999 * theirs.len() as f64);
    }
}

#[test]
fn seurat_v3() -> Result<()> {
    for case in Case::with("hvg_seurat_v3.tsv.gz") {
        let params = &case.json("metrics.json")["params"];
        let mut options = HvgOptions::new(Flavor::SeuratV3);
        options.n_top = params["hvg_n"].as_u64().map(|n| n as usize);
        options.span = params["span"].as_f64().unwrap();
        assert_variances(&find(&Matrix32::filtered(&case), None, &options)?, &case.table("hvg_seurat_v3.tsv.gz"));
    }
    Ok(())
}

#[test]
fn seurat_and_cell_ranger() -> Result<()> {
    for case in Case::with("hvg_seurat.tsv.gz").into_iter().filter(|case| case.has("filter.npz")) {
        let logged = Matrix32::filtered(&case).lognorm(target(&case));
        let metrics = case.json("metrics.json");
        for (flavor, file, key) in [
            (Flavor::Seurat, "hvg_seurat.tsv.gz", "hvg_seurat"),
            (Flavor::CellRanger, "hvg_cell_ranger.tsv.gz", "hvg_cell_ranger"),
        ] {
            let params = &metrics["params"][key];
            let mut options = HvgOptions::new(flavor);
            options.n_top = params["n_top_genes"].as_u64().map(|n| n as usize);
            for (name, slot) in [
                ("min_mean", &mut options.min_mean),
                ("max_mean", &mut options.max_mean),
                ("min_disp", &mut options.min_disp),
                ("max_disp", &mut options.max_disp),
            ] {
                *slot = params[name].as_f64().unwrap_or(*slot);
            }
            assert_dispersions(&find(&logged, None, &options)?, &case.table(file));
        }
    }
    Ok(())
}

/// The study with batches, its genes in at least 3 cells, and the batch of each cell.
fn batched() -> Option<(Case, Matrix32, Factor)> {
    let case = Case::with("hvg_seurat_v3_batch.tsv.gz").into_iter().next()?;
    let all = Matrix32::read(&data("kang_ifnb_2k/kang_ifnb_2k_counts.h5ad"));
    let genes: Vec<usize> = {
        let names = case.table("hvg_seurat_v3_batch.tsv.gz").names;
        let at: std::collections::HashMap<&String, usize> =
            all.genes.iter().enumerate().map(|(i, gene)| (gene, i)).collect();
        names.iter().map(|name| at[name]).collect()
    };
    let rows: Vec<usize> = (0..all.cells.len()).collect();
    let cells = all.take(&rows, &genes);
    let sample = cells.cells.iter().map(|name| name.split(':').next());
    let factor = Factor::from_texts(sample);
    Some((case, cells, factor))
}

#[test]
fn seurat_v3_over_batches_by_rank_and_by_number() -> Result<()> {
    let Some((case, cells, batches)) = batched() else { return Ok(()) };
    let params = &case.json("metrics.json")["hvg_params"];
    let mut options = HvgOptions::new(Flavor::SeuratV3);
    options.n_top = params["n_top_genes"].as_u64().map(|n| n as usize);
    let expected = case.table("hvg_seurat_v3_batch.tsv.gz");
    let found = find(&cells, Some(&batches), &options)?;
    assert_variances(&found, &expected);
    let theirs = expected.flags("highly_variable");
    let Measures::Variances { rank, .. } = &found.measures else { panic!("variances are expected") };
    let last = |chosen: &[bool]| (0..rank.len()).filter(|&g| chosen[g]).map(|g| rank[g]).fold(0.0, f64::max);
    let cut = last(&found.highly_variable);
    for (gene, (low, high)) in possible_ranks(&cells, &batches, &options)?.into_iter().enumerate() {
        let differs = theirs[gene] != found.highly_variable[gene];
        assert!(!differs || (low - 1.0 <= cut && cut <= high + 1.0), "gene {gene}: ranks {low} to {high}, cut {cut}");
    }
    assert!(jaccard(&found.highly_variable, &theirs) > 0.995);
    let numbers: Vec<f64> = found.n_batches.iter().flatten().map(|&n| n as f64).collect();
    assert_eq!(numbers, expected.floats("highly_variable_nbatches"));
    options.flavor = Flavor::SeuratV3Paper;
    let found = find(&cells, Some(&batches), &options)?;
    let paper = case.npz("hvg_seurat_v3_paper_batch.npz");
    let theirs: Vec<bool> = paper.get("highly_variable").values.iter().map(|&v| v != 0.0).collect();
    assert_eq!(jaccard(&found.highly_variable, &theirs), 1.0);
    Ok(())
}

#[test]
fn seurat_over_batches() -> Result<()> {
    let Some((case, cells, batches)) = batched() else { return Ok(()) };
    let params = &case.json("metrics.json")["hvg_params"];
    let mut options = HvgOptions::new(Flavor::Seurat);
    options.n_top = params["n_top_genes"].as_u64().map(|n| n as usize);
    options.n_bins = params["n_bins"].as_u64().unwrap() as usize;
    let found = find(&cells.lognorm(Target::To(1e4)), Some(&batches), &options)?;
    assert_dispersions(&found, &case.table("hvg_seurat_batch.tsv.gz"));
    Ok(())
}

#[test]
fn threads_and_memory_change_no_bit() -> Result<()> {
    let Some((_, cells, batches)) = batched() else { return Ok(()) };
    for flavor in [Flavor::SeuratV3, Flavor::CellRanger] {
        let mut options = HvgOptions::new(flavor);
        options.n_top = Some(100);
        let work =
            |run: &Run| highly_variable_genes(run, &mut cells.source(), &cells.names(), Some(&batches), &options);
        ferrocyte_testkit::assert_same_bits_over_runs(work, |hvg| match &hvg.measures {
            Measures::Variances { norm, .. } | Measures::Dispersions { norm, .. } => norm.clone(),
        })?;
    }
    Ok(())
}
