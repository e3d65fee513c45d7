//! `ferrocyte cells run`: a table of samples to an integrated, clustered study with its tables.

use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};

use clap::ArgMatches;
use ferrocyte_base::{Level, Monitor, Run, Table};
use ferrocyte_cells::keys::COUNTS;
use ferrocyte_cells::proportion::{Within, proportion};
use ferrocyte_cells::steps::{Analysis, AnalysisOptions, Quality, analyse, marker_table, quality};
use ferrocyte_cells::study::Layout;
use ferrocyte_data::{Factor, Join};
use ferrocyte_io::{
    AnnotatedSource, ColumnKind, ConcatOptions, OpenOptions, concat, open_study, select_study, write_atomically,
};

use super::import::{Samples, make_folder};
use super::qc::summary;
use super::study::Study;
use super::{options, provenance};
use crate::faults::Failure;
use crate::output::{Results, Target, not_printed};
use crate::session::{Session, path};

/// The column of the clusters.
const CLUSTERS: &str = "leiden";
/// The column of the samples.
const SAMPLE: &str = "sample";

/// Runs the verb.
pub(crate) fn run(session: &Session, matches: &ArgMatches) -> Result<(), Failure> {
    let (input, place) = (path(matches, "samples")?, path(matches, "output")?);
    let settings = &session.settings;
    // Everything that can be wrong with options is told before any count is read.
    options::quality(settings, true)?;
    let wanted = AnalysisOptions {
        embed: options::embed(settings)?,
        leiden: options::leiden(settings)?,
        rank: options::rank(settings, CLUSTERS)?,
    };
    let source = Samples::read(input)?;
    let layout = make_folder(place, &source)?;
    let log = Arc::new(Log { console: Arc::clone(&session.console) as _, lines: Mutex::new(Vec::new()) });
    let run =
        Run::new().threads(session.run.n_threads()).memory(session.run.memory_bytes()).monitor(Arc::clone(&log) as _);

    let judged = judge(session, &run, &log, &source, &layout)?;
    let mut study = merge(session, &run, &source, &layout, &judged)?;
    log.line(&format!("integrated: {} cells x {} genes", study.cells.len(), study.genes.len()));
    let provenance = provenance(session, &judged.iter().map(|one| &one.study).collect::<Vec<_>>());
    let batches = batches(session, &run, &study)?;
    let counts = study.x()?.clone();
    let batches = batches.as_ref().map(|(key, labels)| (key.as_str(), labels));
    let Analysis { embedding, clusters, markers } = analyse(&run, &counts, &study.names(), batches, &wanted)?;
    log.line(&format!("{} variable genes", embedding.n_variable));
    log.line(&format!("{} clusters: {}", clusters.levels.len(), counted(&clusters)));
    study.layers.push((COUNTS.to_owned(), counts));
    study.x = Some(embedding.logged);
    study.add(embedding.additions);
    let integrated = layout.integrated();
    study.write(&run, &integrated)?;

    let markers = marker_table(&markers, &study.names(), &wanted.rank)?;
    let samples = study.labels(SAMPLE, "proportion")?;
    let shares = proportion(&samples, &clusters, Within::Major, false)?.table(SAMPLE);
    let cells = proportion(&samples, &clusters, Within::Nothing, false)?.table(SAMPLE);
    let quality: Vec<(String, &Quality)> = judged.iter().map(|one| (one.study.name.clone(), &one.quality)).collect();
    let quality = summary(&quality);
    let text = log.text();
    write_atomically(&place.join("log.txt"), |file| file.write_all(text.as_bytes()).map_err(not_printed))?;
    let at = |name: &str, table| (Target::Table(place.join(name)), table);
    let tables: Vec<(Target, &Table)> = vec![
        at("markers.tsv", &markers),
        at("proportions.tsv", &shares),
        at("cells.tsv", &cells),
        at("qc.tsv", &quality),
    ];
    Results {
        parts: Vec::new(),
        tables,
        provenance,
        decided: Vec::new(),
        lines: log.results(),
        summary: vec![
            ("samples", judged.iter().map(|one| one.study.name.clone()).collect::<Vec<_>>().into()),
            ("cells", study.cells.len().into()),
            ("genes", study.genes.len().into()),
            ("clusters", clusters.counts().into()),
        ],
    }
    .write_after(session, Some(&integrated))
}

/// A sample whose cells have been judged; its matrix is in its file.
struct Judged {
    study: Study,
    quality: Quality,
}

/// Reads each sample, judges its cells, and writes it with all of them into its place.
fn judge(session: &Session, run: &Run, log: &Log, source: &Samples, layout: &Layout) -> Result<Vec<Judged>, Failure> {
    let mut judged = Vec::new();
    for sample in &source.table.samples {
        let mut study = source.open(session, sample)?;
        let wanted = options::quality(&session.settings, study.x()?.values().single())?;
        let found = quality(run, &mut *study.x()?.rows()?, &study.names(), &study.symbols(), &wanted)
            .map_err(|fault| fault.at(format!("sample `{}`", sample.name)))?;
        study.add(found.additions.clone());
        study.write(run, &layout.sample(&sample.modality, &sample.name)?)?;
        log.line(&format!(
            "{}: {} cells, {} within the bounds, {} doublets, {} kept; {} of {} genes",
            sample.name,
            found.cells.0.len(),
            found.n_within,
            found.n_doublets,
            found.cells.count(),
            found.genes.count(),
            found.genes.0.len()
        ));
        judged.push(Judged { study: study.without_values(), quality: found });
    }
    Ok(judged)
}

/// The cells and genes of all samples that are kept, as one study; counts are streamed from the files of the samples.
fn merge(session: &Session, run: &Run, source: &Samples, layout: &Layout, judged: &[Judged]) -> Result<Study, Failure> {
    let mut parts: Vec<Arc<dyn AnnotatedSource>> = Vec::new();
    for (sample, one) in source.table.samples.iter().zip(judged) {
        let file = layout.sample(&sample.modality, &sample.name)?;
        let whole = open_study(run, &file, &OpenOptions::default())?;
        parts.push(select_study(whole, one.quality.cells.indices(), one.quality.genes.indices())?);
    }
    // What genes are is kept: identifiers, types, flags. What was measured of them in one sample is not.
    let mut var: Vec<(String, Option<_>)> = Vec::new();
    for (name, kind) in parts.iter().flat_map(|part| part.var_columns()) {
        let described = matches!(kind, ColumnKind::Text | ColumnKind::Bool | ColumnKind::Category { .. });
        if described && name != "qc" && !var.iter().any(|(known, _)| *known == name) {
            var.push((name, None));
        }
    }
    let options = ConcatOptions {
        join: Join::from_word(session.settings.word("join"))?,
        key: None,
        var,
        ..ConcatOptions::default()
    };
    let whole = concat(parts, options)?;
    let mut study = Study::read(run, &*whole)?;
    "integrated".clone_into(&mut study.name);
    Ok(study)
}

/// The column that tells batches, if it tells several.
fn batches(session: &Session, run: &Run, study: &Study) -> Result<Option<(String, Factor)>, Failure> {
    let Some(key) = session.settings.one("batch_key") else { return Ok(None) };
    let labels = study.labels(key, "batch_key")?;
    if labels.counts().iter().filter(|&&n| n > 0).count() < 2 {
        run.info(&format!("all cells are of one `{key}`: there is nothing to bring together"));
        return Ok(None);
    }
    Ok(Some((key.to_owned(), labels)))
}

fn counted(labels: &Factor) -> String {
    let sizes: Vec<String> = labels.counts().iter().map(ToString::to_string).collect();
    format!("{} cells", sizes.join(", "))
}

/// Messages as they are said, kept for the log. The log has no times, so that the same input gives the same log.
struct Log {
    console: Arc<dyn Monitor>,
    /// Each with how often it was said: samples share their warnings.
    lines: Mutex<Vec<(String, usize)>>,
}

/// How warnings begin in the log.
const WARNING: &str = "warning: ";

impl Log {
    /// A line that only the log has.
    fn line(&self, text: &str) {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        match lines.iter_mut().find(|(line, _)| line == text) {
            Some((_, times)) => *times += 1,
            None => lines.push((text.to_owned(), 1)),
        }
    }

    fn text(&self) -> String {
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let told = |(line, times): &(String, usize)| match times {
            1 => format!("{line}\n"),
            _ => format!("{line} ({times} times)\n"),
        };
        lines.iter().map(told).collect()
    }

    /// What was found, without the warnings, which the console has said.
    fn results(&self) -> String {
        let text = self.text();
        text.lines().filter(|line| !line.starts_with(WARNING)).collect::<Vec<_>>().join("\n")
    }
}

impl Monitor for Log {
    fn begin(&self, task: &str, total: u64) {
        self.console.begin(task, total);
    }
    fn tick(&self, done: u64) {
        self.console.tick(done);
    }
    fn end(&self) {
        self.console.end();
    }
    fn say(&self, level: Level, message: &str) {
        if level == Level::Warning {
            self.line(&format!("{WARNING}{message}"));
        }
        self.console.say(level, message);
    }
    fn cancelled(&self) -> bool {
        self.console.cancelled()
    }
}
