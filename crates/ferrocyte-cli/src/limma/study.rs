//! From files to a study of samples: a table of counts and one of samples, or cells that become samples.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use ferrocyte_base::{Fault, Kind, Result, listing};
use ferrocyte_data::{Aggregate, Factor, Frame, RowChunks, Samples, pseudobulk};
use ferrocyte_io::{AnnotatedSource, read_frame, read_value_table};
use ferrocyte_limma::DeStudy;
use ferrocyte_math::linalg::MatrixRef;

use crate::config::Settings;
use crate::door;
use crate::faults::Failure;
use crate::session::Session;

/// Values of genes × samples, and what is known of both.
pub(super) struct Loaded {
    pub(super) genes: Vec<String>,
    pub(super) samples: Vec<String>,
    pub(super) values: Vec<f64>,
    pub(super) table: Frame,
    pub(super) groups: Option<Factor>,
    pub(super) annotation: Vec<(String, Vec<String>)>,
    pub(super) name: String,
    pub(super) fingerprint: String,
}

impl Loaded {
    /// The study, as the family takes it.
    pub(super) fn study(&self) -> Result<DeStudy<'_>> {
        let matrix = MatrixRef::from_rows(self.genes.len(), self.samples.len(), &self.values);
        Ok(DeStudy {
            values: ferrocyte_limma::Expression::new(matrix, &self.genes, &self.samples)?,
            samples: &self.table,
            groups: self.groups.as_ref(),
            annotation: &self.annotation,
            name: &self.name,
            fingerprint: &self.fingerprint,
        })
    }
}

/// The options that only cells have.
const OF_CELLS: [&str; 5] = ["by", "groups", "layer", "mode", "min_cells"];

/// Reads what the command line names.
pub(super) fn load(session: &Session, input: &Path, samples: Option<&Path>) -> std::result::Result<Loaded, Failure> {
    match (door::is_study(input), samples) {
        (true, None) if session.settings.all("by").is_empty() => bulk(session, input),
        (true, None) => cells(session, input),
        (true, Some(_)) => Err(Failure::usage(
            "samples",
            "a study has its samples in obs, and a table of samples is given",
            "leave the table out; --obs joins a table of its observations",
        )),
        (false, None) => Err(Failure::usage(
            "samples",
            "a table of counts needs a table of samples",
            "give it as the second argument: ferrocyte limma de counts.tsv.gz samples.tsv ...",
        )),
        (false, Some(samples)) => {
            if let Some(option) = session.settings.given(OF_CELLS).first() {
                return Err(Failure::usage(option, "only a study of cells has this", "leave it out"));
            }
            Ok(tables(session, input, samples)?)
        }
    }
}

/// A table of counts and one of samples, matched by the names in its first column, in the order of the counts: sums
/// over samples are rounded in that order, here as in the package.
fn tables(session: &Session, counts: &Path, samples: &Path) -> Result<Loaded> {
    let (names, table) = read_frame(samples)?;
    let read = read_value_table(counts, Some(&names)).map_err(|fault| match fault.kind() {
        Kind::MissingKey => fault.at(format!("samples of {}", samples.display())),
        _ => fault,
    })?;
    let texts: Vec<&String> = read.annotation.iter().map(|(name, _)| name).collect();
    if !texts.is_empty() {
        session.run.info(&format!(
            "{} of {} are no samples of {} and go with the genes: {}",
            texts.len(),
            counts.display(),
            samples.display(),
            listing(&texts, 6)
        ));
    }
    let row: HashMap<&String, usize> = names.iter().enumerate().map(|(i, name)| (name, i)).collect();
    let order: Vec<usize> = read.samples.iter().filter_map(|name| row.get(name).copied()).collect();
    Ok(Loaded {
        fingerprint: read.fingerprint(),
        genes: read.genes,
        samples: read.samples,
        values: read.values,
        annotation: read.annotation,
        table: table.take(&order),
        groups: None,
        name: "counts".to_owned(),
    })
}

/// An .h5ad file whose observations are the samples.
fn bulk(session: &Session, path: &Path) -> std::result::Result<Loaded, Failure> {
    let study = door::open(&session.run, path, &session.settings)?;
    let layer = session.settings.one("layer").unwrap_or("X");
    let mut matrix = study.matrix(layer)?;
    let (genes, samples) = (study.var_names(layer)?, study.obs_names()?);
    if samples.len() > MOST_SAMPLES {
        return Err(Fault::bad_input(format!("{} observations are cells rather than samples", samples.len()))
            .at(path.display().to_string())
            .hint("say which columns make the samples: --by donor --by condition")
            .into());
    }
    let mut values = vec![0.0; genes.len() * samples.len()];
    let rows = 0..samples.len();
    let block = matrix.read(&session.run, rows)?;
    for i in 0..samples.len() {
        for (gene, value) in block.row(i) {
            values[gene * samples.len() + i] = value;
        }
    }
    let table = every_column(&*study)?;
    let groups = match session.settings.one("groups") {
        Some(name) => Some(table.factor(name)?.clone()),
        None => None,
    };
    Ok(Loaded {
        name: matrix_name(path, layer),
        fingerprint: study.fingerprint(&session.run, layer)?,
        genes,
        samples,
        values,
        table,
        groups,
        annotation: Vec::new(),
    })
}

/// More observations than this are taken for cells.
const MOST_SAMPLES: usize = 20_000;

/// An .h5ad file of cells that become samples.
fn cells(session: &Session, path: &Path) -> std::result::Result<Loaded, Failure> {
    let (samples, study, layer) = grouped(session, path)?;
    let mut matrix = study.matrix(&layer)?;
    let mode = Aggregate::from_word(session.settings.word("mode"))?;
    let values = pseudobulk(&session.run, &mut *matrix, &samples, mode)?;
    let names = match &samples.groups {
        Some(groups) => samples
            .names
            .iter()
            .enumerate()
            .map(|(i, name)| format!("{name}_{}", groups.level(i).unwrap_or_default()))
            .collect(),
        None => samples.names.clone(),
    };
    let fingerprint = study.fingerprint(&session.run, &layer)?;
    Ok(Loaded {
        name: matrix_name(path, &layer),
        fingerprint,
        genes: study.var_names(&layer)?,
        samples: names,
        values,
        table: samples.table,
        groups: samples.groups,
        annotation: Vec::new(),
    })
}

/// Cells in samples, the open study, and the name of its matrix.
pub(super) type Grouped = (Samples, Arc<dyn AnnotatedSource>, String);

/// Which cell belongs to which sample, the open study, and the matrix that is asked for.
pub(super) fn grouped(session: &Session, path: &Path) -> std::result::Result<Grouped, Failure> {
    let settings = &session.settings;
    let study = door::open(&session.run, path, settings)?;
    let by = by(settings);
    if by.is_empty() {
        return Err(Failure::usage(
            "by",
            "nothing says which cells make a sample",
            "name columns of obs: --by donor --by condition",
        ));
    }
    let word = settings.word("min_cells");
    let min_cells = word.parse().map_err(|_| {
        Failure::usage("min_cells", format!("expected a whole number, found `{word}`"), "1 keeps every sample")
    })?;
    let obs = every_column(&*study)?;
    let samples = Samples::of(&obs, &by, settings.one("groups"), min_cells)?;
    if !samples.left_out.is_empty() {
        let shown: Vec<String> = samples
            .left_out
            .iter()
            .map(|t| format!("{} ({})", [t.group.as_str(), t.sample.as_str()].join(" ").trim(), t.n_cells))
            .collect();
        session.run.warn(&format!(
            "{} samples with fewer than {min_cells} cells are left out: {}",
            shown.len(),
            listing(&shown, 5)
        ));
    }
    if samples.n_unassigned > 0 {
        session.run.warn(&format!("{} cells lack a value that makes samples and belong to none", samples.n_unassigned));
    }
    Ok((samples, study, settings.one("layer").unwrap_or("X").to_owned()))
}

/// The columns that make samples: `--by donor --by condition`, or `--by donor,condition`.
pub(super) fn by(settings: &Settings) -> Vec<String> {
    settings.all("by").iter().flat_map(|text| text.split(',')).map(|name| name.trim().to_owned()).collect()
}

/// Every column of obs that can be read.
fn every_column(study: &dyn AnnotatedSource) -> Result<Frame> {
    let columns = study.obs_columns();
    let readable = columns.iter().filter(|(_, kind)| !matches!(kind, ferrocyte_io::ColumnKind::Unreadable(_)));
    study.obs(&readable.map(|(name, _)| name.as_str()).collect::<Vec<_>>())
}

fn matrix_name(path: &Path, layer: &str) -> String {
    let file = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    format!("{layer} of {file}")
}
