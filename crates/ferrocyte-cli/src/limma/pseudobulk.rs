//! `ferrocyte limma pseudobulk`: the cells of each sample as one observation of an .h5ad file.

use clap::ArgMatches;
use ferrocyte_base::Provenance;
use ferrocyte_data::{Aggregate, Dense, pseudobulk};
use ferrocyte_io::{Annotation, ColumnData, H5adOptions, MatrixType, Numbers, Storage, write_h5ad};

use super::study::{by, grouped};
use crate::faults::Failure;
use crate::output::{Results, Target};
use crate::session::{Session, path};

/// Runs the verb.
pub(crate) fn run(session: &Session, matches: &ArgMatches) -> Result<(), Failure> {
    let (run, settings) = (&session.run, &session.settings);
    let input = path(matches, "study")?;
    let out = Target::h5ad("output", path(matches, "output")?, &[input])?;
    let mode = Aggregate::from_word(settings.word("mode"))?;
    let (samples, study, layer) = grouped(session, input)?;
    let mut matrix = study.matrix(&layer)?;
    let values = pseudobulk(run, &mut *matrix, &samples, mode)?;
    let genes = study.var_names(&layer)?;
    let names: Vec<String> = match &samples.groups {
        Some(groups) => (0..samples.len())
            .map(|i| format!("{}_{}", samples.names[i], groups.level(i).unwrap_or_default()))
            .collect(),
        None => samples.names.clone(),
    };
    let n_cells = samples.n_cells.iter().map(|&n| n as i64).collect();
    let obs = Annotation::of(names, &samples.table).with("n_cells", ColumnData::Numbers(Numbers::I64(n_cells)));
    // Genes × samples, column by column, are samples × genes.
    let mut source = Dense::column_major(samples.len(), genes.len(), &values)?;
    let options = H5adOptions { values: MatrixType::F64, storage: Storage::gzip(1) };
    write_h5ad(run, &out, &mut source, &obs, &Annotation::new(genes.clone()), options)?;
    let mut provenance = Provenance::new("limma.pseudobulk");
    for option in ["groups", "layer", "mode", "min_cells"] {
        provenance = provenance.option(option, settings.word(option));
    }
    provenance = provenance.option("by", by(settings).join(","));
    provenance
        .inputs
        .push(ferrocyte_base::Input { name: layer.clone(), fingerprint: study.fingerprint(&session.run, &layer)? });
    Results {
        parts: Vec::new(),
        tables: Vec::new(),
        provenance,
        decided: Vec::new(),
        lines: format!("{} samples, {} genes", samples.len(), genes.len()),
        summary: vec![("samples", samples.len().into()), ("genes", genes.len().into())],
    }
    .write_after(session, Some(&out))
}
