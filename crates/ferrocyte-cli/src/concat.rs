//! `ferrocyte concat`: several studies as one .h5ad file, streamed.

use clap::ArgMatches;
use ferrocyte_base::{Input, Provenance};
use ferrocyte_data::Join;
use ferrocyte_io::{Annotation, ColumnKind, ConcatOptions, H5adOptions, MatrixType, Rule, Storage, concat, write_h5ad};

use crate::door;
use crate::faults::Failure;
use crate::output::{Results, Target};
use crate::session::{Session, path, paths};

/// Runs the command.
pub(crate) fn run(session: &Session, matches: &ArgMatches) -> Result<(), Failure> {
    let (run, settings) = (&session.run, &session.settings);
    let inputs = paths(matches, "studies");
    let out = Target::h5ad("output", path(matches, "output")?, &inputs)?;
    let parts = inputs.iter().map(|file| door::open(run, file, settings)).collect::<Result<Vec<_>, _>>()?;
    let layer = settings.one("layer").unwrap_or("X").to_owned();
    let labels = settings.all("label");
    let options = ConcatOptions {
        join: Join::from_word(settings.word("join"))?,
        key: settings.one("key").map(str::to_owned),
        labels: (!labels.is_empty()).then(|| labels.to_vec()),
        index_unique: settings.one("index_unique").map(str::to_owned),
        var: settings.all("var").iter().map(|text| var(text)).collect::<Result<Vec<_>, _>>()?,
    };
    let mut provenance = Provenance::new("concat");
    for option in ["join", "key", "layer", "index_unique"] {
        provenance = provenance.option(option, settings.word(option));
    }
    for part in &parts {
        let name = part.matrix(&layer)?.name();
        provenance.inputs.push(Input { name, fingerprint: part.fingerprint(run, &layer)? });
    }
    let whole = concat(parts, options)?;
    let mut obs = Annotation::new(whole.obs_names()?);
    for (name, kind) in whole.obs_columns() {
        match kind {
            ColumnKind::Unreadable(why) => run.warn(&format!("column `{name}` of obs is left out: {why}")),
            _ => obs = obs.with(name.as_str(), whole.obs_column(&name)?),
        }
    }
    let mut genes = Annotation::new(whole.var_names(&layer)?);
    for (name, _) in whole.var_columns() {
        genes = genes.with(name.as_str(), whole.var_column(&name)?);
    }
    let values = if settings.word("values") == "float64" { MatrixType::F64 } else { MatrixType::F32 };
    let file = H5adOptions { values, storage: Storage::default() };
    write_h5ad(run, &out, &mut *whole.matrix(&layer)?, &obs, &genes, file)?;
    let (cells, genes) = (whole.n_obs(), whole.n_var());
    Results {
        parts: Vec::new(),
        tables: Vec::new(),
        provenance,
        decided: Vec::new(),
        lines: format!("{cells} cells of {} studies, {genes} genes", inputs.len()),
        summary: vec![("studies", inputs.len().into()), ("cells", cells.into()), ("genes", genes.into())],
    }
    .write_after(session, Some(&out))
}

/// `NAME[=RULE]`.
fn var(text: &str) -> Result<(String, Option<Rule>), Failure> {
    match text.split_once('=') {
        Some((name, rule)) => Ok((name.trim().to_owned(), Some(Rule::from_word(rule.trim())?))),
        None => Ok((text.trim().to_owned(), None)),
    }
}
