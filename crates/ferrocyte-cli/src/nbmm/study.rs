//! From a study on disk to sums of counts.

use std::ops::Range;
use std::path::Path as FilePath;
use std::sync::Arc;

use ferrocyte_base::Run;
use ferrocyte_design::Model;
use ferrocyte_mixed::lmm::GeneMask;
use ferrocyte_mixed::nbmm::{AliasedChoice, NaChoice, Offset, Path, Sums, SumsOptions, sums};

use super::number;
use crate::config::Settings;
use crate::door;
use crate::faults::Failure;
use crate::lmm::row_range;

/// Sums of a study, or of the cells that `--rows` asks for.
pub(super) fn collect(run: &Run, path: &FilePath, settings: &Settings) -> Result<Sums, Failure> {
    let Some(formula) = settings.one("formula") else {
        return Err(Failure::usage(
            "formula",
            "a study needs a model, none was given",
            "give one, as in --formula \"~ condition + (1 | donor)\"",
        ));
    };
    let model = Model::parse(formula, settings.all("random"))?;
    let study = door::open(run, path, settings)?;
    let layer = settings.one("layer").unwrap_or("X");
    let mut matrix = study.matrix(layer)?;
    let genes = study.var_names(layer)?;
    let groups = settings.one("groups").map(str::to_owned);
    let offset = settings.one("offset").map(str::to_owned);
    let has_libsize = study.obs_columns().iter().any(|(name, _)| name == "libsize");
    let mut names = model.variables();
    names.retain(|name| name != "libsize" || has_libsize);
    for name in [&groups, &offset].into_iter().flatten() {
        if !names.contains(name) {
            names.push(name.clone());
        }
    }
    let obs = study.obs(&names.iter().map(String::as_str).collect::<Vec<_>>())?;
    let mask = match settings.one("mask_var") {
        Some(name) => Some(GeneMask::from_column(name, study.var(&[name])?.column(name)?)?),
        None => None,
    };
    let rows: Option<Range<usize>> = settings.one("rows").map(|rows| row_range(rows, study.n_obs())).transpose()?;
    // Names of cells are read only where a message needs them.
    let named = Arc::clone(&study);
    let cell_name = move |row: usize| {
        let names = named.obs_names().unwrap_or_default();
        names.get(row).cloned().unwrap_or_else(|| row.to_string())
    };
    let options = SumsOptions {
        groups,
        offset: offset.map_or(Offset::Total, Offset::Column),
        path: Some(Path::from_word(settings.word("path"))?),
        nodes: number(settings, "nodes")?,
        aliased: Some(AliasedChoice::from_word(settings.word("aliased"))?),
        na: Some(NaChoice::from_word(settings.word("na"))?),
        mask,
        rows,
        cell_name: Some(Arc::new(cell_name)),
        fingerprint: study.fingerprint(run, layer)?,
    };
    Ok(sums(run, &mut *matrix, &genes, &obs, &model, &options)?)
}
