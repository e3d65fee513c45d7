//! `ferrocyte cells import`: a sample of any kind as .h5ad, or all samples of a table as the folder of a study.

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::ArgMatches;
use ferrocyte_base::{Fault, Provenance};
use ferrocyte_cells::steps::Values;
use ferrocyte_cells::study::{Layout, Sample, SampleTable};
use ferrocyte_data::Factor;
use ferrocyte_io::{ColumnData, open_study, write_atomically, write_json};

use super::slots::column;
use super::study::Study;
use super::{ENDINGS, provenance};
use crate::door;
use crate::faults::Failure;
use crate::output::{Results, Target, not_printed};
use crate::session::{Session, path};

/// Runs the verb.
pub(crate) fn run(session: &Session, matches: &ArgMatches) -> Result<(), Failure> {
    let (input, place) = (path(matches, "input")?, path(matches, "output")?);
    let to_study =
        place.extension().is_some_and(|ending| ENDINGS.iter().any(|known| ending.eq_ignore_ascii_case(known)));
    if !to_study {
        return folder(session, input, place);
    }
    let out = Target::study("output", place, &[input], &ENDINGS)?;
    let mut study = Study::open(session, input)?;
    if let Some(name) = session.settings.one("sample") {
        let header = ["location", "sample"].map(str::to_owned);
        let row = ("--sample".to_owned(), vec![input.display().to_string(), name.to_owned()]);
        let table = SampleTable::from_rows(&header, &[row])?;
        study.become_sample(&table.samples[0], &table);
    }
    study.write(&session.run, &out)?;
    let (n, p) = (study.cells.len(), study.genes.len());
    Results {
        parts: Vec::new(),
        tables: Vec::new(),
        provenance: provenance(session, &[&study]),
        decided: Vec::new(),
        lines: format!("{n} cells x {p} genes"),
        summary: vec![("cells", n.into()), ("genes", p.into())],
    }
    .write_after(session, Some(&out))
}

/// Every sample of a table, in the folder of a study.
fn folder(session: &Session, input: &Path, place: &Path) -> Result<(), Failure> {
    let (run, source) = (&session.run, Samples::read(input)?);
    let layout = make_folder(place, &source)?;
    let mut studies = Vec::new();
    let mut lines = Vec::new();
    for sample in &source.table.samples {
        let study = source.open(session, sample)?;
        study.write(run, &layout.sample(&sample.modality, &sample.name)?)?;
        lines.push(format!("{:<24} {:>8} cells x {} genes", sample.name, study.cells.len(), study.genes.len()));
        studies.push(study.without_values());
    }
    let provenance: Provenance = provenance(session, &studies.iter().collect::<Vec<_>>());
    let samples: Vec<&str> = source.table.samples.iter().map(|sample| sample.name.as_str()).collect();
    Results {
        parts: Vec::new(),
        tables: Vec::new(),
        provenance,
        decided: Vec::new(),
        lines: lines.join("\n"),
        summary: vec![("samples", samples.into())],
    }
    .write_after(session, Some(&layout.table()))
}

/// A table of samples, and where its locations begin.
pub(super) struct Samples {
    pub(super) table: SampleTable,
    root: PathBuf,
}

impl Samples {
    /// Reads a table; locations are relative to its folder. Refuses it where there is nothing at one of them.
    pub(super) fn read(path: &Path) -> Result<Self, Failure> {
        let shown = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|error| {
            let message = match error.kind() {
                std::io::ErrorKind::NotFound => "there is no such file".to_owned(),
                std::io::ErrorKind::InvalidData => "it is no text: a table of samples is expected".to_owned(),
                _ => format!("cannot be read: {error}"),
            };
            Fault::bad_file(message).at(shown.as_str()).because(error)
        })?;
        let table = SampleTable::parse(&text).map_err(|fault| fault.at(shown.as_str()))?;
        let root = path.parent().map(Path::to_owned).unwrap_or_default();
        table.check_locations(|location| root.join(location).exists()).map_err(|fault| fault.at(shown.as_str()))?;
        Ok(Self { table, root })
    }

    /// A sample with its counts as X, its cells named after it, and what the table says of it.
    pub(super) fn open(&self, session: &Session, sample: &Sample) -> Result<Study, Failure> {
        let at = |fault: Fault| fault.at(format!("sample `{}`", sample.name));
        let location = self.root.join(&sample.location);
        let mut options = door::options(&session.settings)?;
        // Tables in text have genes as rows.
        options.transpose |= sample.is_text();
        let source = open_study(&session.run, &location, &options).map_err(at)?;
        let mut study = Study::read(&session.run, &*source).map_err(at)?;
        study.become_sample(sample, &self.table);
        Ok(study)
    }
}

/// Makes the folder of a study, with its table and what says of which version it is.
pub(super) fn make_folder(place: &Path, source: &Samples) -> Result<Layout, Failure> {
    let refused = |message: String, hint: &str| Failure::usage("output", message, hint);
    if place == Path::new("-") || place.is_file() {
        return Err(refused(format!("`{}` is no folder", place.display()), "name a folder"));
    }
    if place.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("tsv")) {
        return Err(refused(format!("`{}` is the name of a table", place.display()), "name a folder"));
    }
    let parent = place.parent().filter(|folder| !folder.as_os_str().is_empty());
    if let Some(folder) = parent.filter(|folder| !folder.is_dir()) {
        return Err(refused(format!("there is no folder `{}`", folder.display()), "make it first"));
    }
    let layout = Layout::new(place);
    let modalities = source.table.modalities();
    for folder in modalities.iter().map(|modality| layout.modality(modality)) {
        std::fs::create_dir_all(&folder)
            .map_err(|error| refused(format!("cannot make `{}`: {error}", folder.display()), "choose another"))?;
    }
    let text = source.table.to_tsv();
    write_atomically(&layout.table(), |file| file.write_all(text.as_bytes()).map_err(not_printed))?;
    write_json(&layout.spec(), &Layout::sidecar())?;
    Ok(layout)
}

impl Study {
    /// Names cells `SAMPLE:1`, `SAMPLE:2`, ..., keeps their barcodes, and adds what the table says of the sample.
    pub(super) fn become_sample(&mut self, sample: &Sample, table: &SampleTable) {
        let barcodes = std::mem::take(&mut self.cells);
        self.cells = (0..barcodes.len()).map(|i| sample.cell_name(i)).collect();
        let texts =
            |names: &[String]| ColumnData::Texts { values: names.iter().cloned().map(Some).collect(), na: None };
        self.tree.obs.index = texts(&self.cells);
        for (name, value) in sample.obs(table) {
            let codes = vec![0; barcodes.len()].into_iter().collect();
            self.set_obs(name, column(Values::Labels(Factor { levels: vec![value.to_owned()], codes })));
        }
        let named: Vec<String> = barcodes.iter().map(|barcode| sample.barcode(barcode)).collect();
        self.set_obs("barcode", texts(&named));
        self.set_obs("ubc", texts(&barcodes));
        self.name.clone_from(&sample.name);
    }

    /// The study without its matrices: what provenance needs of it.
    pub(super) fn without_values(mut self) -> Self {
        self.x = None;
        self.layers.clear();
        self.tree.layers.clear();
        self
    }
}
