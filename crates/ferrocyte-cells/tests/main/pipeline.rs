//! Quality, filters and normalisation of whole studies, row by row of the parity table.

use ferrocyte_base::{Cells as Column, Result, Run, Table};
use ferrocyte_cells::filter::{Bound, Filtered, filter_cells, filter_genes};
use ferrocyte_cells::normalize::{NormalizeOptions, Target, size_factors};
use ferrocyte_cells::qc::{GeneFlag, QcMetrics, QcOptions, qc_metrics};
use ferrocyte_data::{Csr, RowChunks, SelectGenes, SelectRows};

use crate::files::{Case, Matrix32, Tsv, assert_near, data, numbers};

/// What `target` of a case means.
pub(crate) fn target(case: &Case) -> Target {
    case.json("metrics.json")["params"]["target"].as_f64().map_or(Target::Median, Target::To)
}

fn measure(case: &Case, all: &Matrix32, run: &Run) -> Result<QcMetrics> {
    let params = &case.json("metrics.json")["params"];
    let symbols = match params["sym"].as_str() {
        None => all.genes.clone(),
        Some(column) => {
            let file = ferrocyte_io::H5ad::open(data(case.json("metrics.json")["input"].as_str().unwrap()))?;
            match file.var(&[column])?.column(column)? {
                ferrocyte_data::ObsColumn::Factor(f) => {
                    (0..all.genes.len()).map(|i| f.level(i).unwrap_or_default().to_owned()).collect()
                }
                ferrocyte_data::ObsColumn::Number(_) => panic!("symbols are text"),
            }
        }
    };
    let prefix = params["mt"].as_str().unwrap();
    let genes = symbols.iter().map(|symbol| symbol.starts_with(prefix)).collect();
    let options = QcOptions {
        flags: vec![GeneFlag { name: "mt".to_owned(), genes }],
        percent_top: numbers(&params["percent_top"]).iter().map(|&n| n as usize).collect(),
    };
    qc_metrics(run, &mut all.source(), &all.names(), &options)
}

fn compare(table: &Table, expected: &Tsv) {
    for column in table.columns() {
        assert!(expected.has(&column.name), "no column {}", column.name);
        match &column.cells {
            Column::Float(v) => assert_near(&column.name, v, &expected.floats(&column.name), 1e-6, 0.0),
            Column::Int(v) => {
                let found: Vec<f64> = v.iter().map(|&v| v as f64).collect();
                assert_eq!(found, expected.floats(&column.name), "{}", column.name);
            }
            Column::Bool(v) => assert_eq!(v, &expected.flags(&column.name), "{}", column.name),
            _ => panic!("column {} is text", column.name),
        }
    }
}

#[test]
fn qc_metrics_and_filters_are_exact() -> Result<()> {
    for case in Case::pipelines() {
        let all = Matrix32::read(&data(case.json("metrics.json")["input"].as_str().unwrap()));
        let run = Run::new();
        let metrics = measure(&case, &all, &run)?;
        compare(&metrics.obs(), &case.table("qc_obs.tsv.gz"));
        compare(&metrics.var(), &case.table("qc_var.tsv.gz"));
        let params = &case.json("metrics.json")["params"];
        let whole = |name: &str| params[name].as_u64().unwrap() as usize;
        let names = all.names();
        let Filtered { kept, .. } =
            filter_cells(&run, &mut all.source(), &names, Bound::MinDetected(whole("min_genes")))?;
        let mut some = SelectRows::list(all.source(), kept.indices())?;
        let genes = filter_genes(&run, &mut some, &names, Bound::MinDetected(whole("min_cells")))?.kept.indices();
        // The last two bounds are of measures over the genes that are left.
        let few = all.take(&kept.indices(), &genes);
        let symbols = case.table("qc_var.tsv.gz");
        let flags = symbols.flags("mt");
        let flag = GeneFlag { name: "mt".to_owned(), genes: genes.iter().map(|&gene| flags[gene]).collect() };
        let options = QcOptions { flags: vec![flag], percent_top: Vec::new() };
        let again = qc_metrics(&run, &mut few.source(), &few.names(), &options)?;
        let (most, share) = (whole("max_genes") as f64, params["max_mt"].as_f64().unwrap());
        let percent = again.percent(0);
        let cells: Vec<usize> = kept
            .indices()
            .into_iter()
            .enumerate()
            .filter(|&(i, _)| again.n_genes[i] < most && percent[i] < share)
            .map(|(_, cell)| cell)
            .collect();
        let expected = case.npz("filter.npz");
        assert_eq!(cells, expected.get("cells").indices());
        assert_eq!(genes, expected.get("genes").indices());
    }
    Ok(())
}

#[test]
fn streamed_from_a_file_and_in_memory_are_the_same_bits() -> Result<()> {
    for case in Case::pipelines() {
        let path = data(case.json("metrics.json")["input"].as_str().unwrap());
        let all = Matrix32::read(&path);
        let flags: Vec<bool> = all.genes.iter().map(|g| g.starts_with("MT-")).collect();
        let options =
            QcOptions { flags: vec![GeneFlag { name: "mt".to_owned(), genes: flags }], percent_top: vec![50] };
        let memory = qc_metrics(&Run::new().threads(1), &mut all.source(), &all.names(), &options)?;
        for threads in [1, 2] {
            let run = Run::new().threads(threads).memory(8 << 20);
            let mut file = ferrocyte_io::H5ad::open(&path)?.matrix("X")?;
            assert_eq!(qc_metrics(&run, &mut file, &all.names(), &options)?, memory);
        }
    }
    Ok(())
}

#[test]
fn normalised_logarithms_are_exact() -> Result<()> {
    for case in Case::pipelines() {
        let cells = Matrix32::filtered(&case);
        let found = cells.lognorm(target(&case));
        let expected = case.npz("lognorm_first60.npz");
        let n = expected.get("indptr").values.len() - 1;
        let mut source = found.source();
        let block = source.read(&Run::new(), 0..n)?;
        let columns: Vec<f64> = block.indices().iter().map(|&c| f64::from(c)).collect();
        assert_eq!(columns, expected.get("indices").values);
        let values: Vec<f64> = (0..block.values().len()).map(|k| block.values().get(k)).collect();
        assert_near("lognorm", &values, &expected.get("data").values, 3e-7, 0.0);
    }
    Ok(())
}

/// Counts as 64-bit floats, so that nothing is rounded to 32.
pub(crate) fn in_64_bits(cells: &Matrix32, target: Target) -> Result<(Vec<f64>, Vec<i32>, Vec<i64>)> {
    use ferrocyte_cells::normalize::{Normalized, Then};
    let run = Run::new();
    let (mut values, mut indices, mut pointers) = (Vec::new(), Vec::new(), vec![0]);
    let mut source = cells.source();
    let block = source.read(&run, 0..cells.cells.len())?;
    for row in 0..block.n_rows() {
        for (column, value) in block.row(row) {
            values.push(value);
            indices.push(column as i32);
        }
        pointers.push(values.len() as i64);
    }
    let counts = Csr::new(cells.cells.len(), cells.genes.len(), &values, &indices, &pointers)?;
    let options = NormalizeOptions { target, exclude_highly_expressed: None };
    let factors = size_factors(&run, &mut counts.clone(), &cells.names(), &options)?.factors;
    let mut logged = Normalized::new(counts, Some(factors), Then::Log1p { base: None })?;
    let block = logged.read(&run, 0..cells.cells.len())?;
    let logs = (0..block.values().len()).map(|k| block.values().get(k)).collect();
    Ok((logs, indices, pointers))
}

#[test]
fn moments_of_logarithms_in_64_bits() -> Result<()> {
    for case in Case::with("gene_moments.tsv.gz") {
        let cells = Matrix32::filtered(&case);
        let expected = case.table("gene_moments.tsv.gz");
        for (target, ddof, mean, var) in [
            (target(&case), 1.0, "lognorm_mean", "lognorm_var_ddof1"),
            (Target::Mean, 0.0, "lognorm_meantarget_mean", "lognorm_meantarget_var_ddof0"),
        ] {
            let (values, indices, pointers) = in_64_bits(&cells, target)?;
            let (n, p) = (cells.cells.len(), cells.genes.len());
            let mut sums = vec![(0.0, 0.0); p];
            indices.iter().zip(&values).for_each(|(&c, &v)| {
                sums[c as usize].0 += v;
                sums[c as usize].1 += v * v;
            });
            let n = n as f64;
            let means: Vec<f64> = sums.iter().map(|s| s.0 / n).collect();
            let vars: Vec<f64> = sums.iter().map(|s| (s.1 - s.0 * s.0 / n) / (n - ddof)).collect();
            assert_near(mean, &means, &expected.floats(mean), 1e-11, 0.0);
            assert_near(var, &vars, &expected.floats(var), 1e-10, 0.0);
            assert_eq!(pointers.len(), cells.cells.len() + 1);
        }
    }
    Ok(())
}

#[test]
fn selections_of_a_stream_are_those_of_memory() -> Result<()> {
    for case in Case::pipelines() {
        let cells = Matrix32::filtered(&case);
        let genes: Vec<usize> = (0..cells.genes.len()).step_by(3).collect();
        let rows: Vec<usize> = (0..cells.cells.len()).step_by(2).collect();
        let taken = cells.take(&rows, &genes);
        let mut lazily = SelectGenes::new(SelectRows::list(cells.source(), rows)?, &genes)?;
        let options = QcOptions::default();
        let run = Run::new();
        let found = qc_metrics(&run, &mut lazily, &taken.names(), &options)?;
        assert_eq!(found, qc_metrics(&run, &mut taken.source(), &taken.names(), &options)?);
    }
    Ok(())
}
