//! From a study on disk to sums: opens the file, looks at it, and makes the one pass.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use ferrocyte_base::{Result, Run};
use ferrocyte_data::{Frame, RowChunks, Transform, guard_counts};
use ferrocyte_design::{LIBSIZE, Model};
use ferrocyte_io::{AnnotatedSource, ColumnKind};
use ferrocyte_mixed::lmm::{self, AliasedChoice, Check, CheckOptions, GeneMask, NaChoice, Sums, SumsOptions, sums};

use super::plan;
use crate::config::Settings;
use crate::door;
use crate::faults::Failure;

/// Sums of a study, or of the cells that `--rows` or `--shard` ask for.
pub(super) fn collect(run: &Run, path: &Path, settings: &Settings) -> std::result::Result<Sums, Failure> {
    let model = model(settings)?;
    let transform = Transform::from_word(settings.word("transform"))?;
    let aliased = AliasedChoice::from_word(settings.word("aliased"))?;
    let groups = settings.one("groups").map(str::to_owned);

    let study = door::open(run, path, settings)?;
    let layer = settings.one("layer").unwrap_or("X");
    let mut matrix = study.matrix(layer)?;
    let genes = study.var_names(layer)?;
    let obs = read_obs(&*study, &model, groups.as_deref())?;
    let mask = settings.one("mask_var").map(|name| mask(&*study, name)).transpose()?;
    let rows = rows(settings, study.n_obs())?;
    // Names of cells are read only where a message needs them.
    let named = Arc::clone(&study);
    let cell_name = move |row: usize| {
        let names = named.obs_names().unwrap_or_default();
        names.get(row).cloned().unwrap_or_else(|| row.to_string())
    };
    if transform.wants_counts() {
        let mut others = other_matrices(&*study, &matrix.name(), genes.len());
        guard_counts(run, &mut *matrix, &genes, &cell_name, &mut others)?;
    }
    let options = SumsOptions {
        groups,
        transform: Some(transform),
        aliased: Some(aliased),
        na: Some(NaChoice::from_word(settings.word("na"))?),
        mask,
        rows,
        cell_name: Some(Arc::new(cell_name)),
        fingerprint: study.fingerprint(run, layer)?,
        ..SumsOptions::default()
    };
    Ok(sums(run, &mut *matrix, &genes, &obs, &model, &options)?)
}

/// The model that the settings ask for.
fn model(settings: &Settings) -> std::result::Result<Model, Failure> {
    let Some(formula) = settings.one("formula") else {
        return Err(Failure::usage(
            "formula",
            "a study needs a model, none was given",
            "give one, as in --formula \"~ condition + (1 | sample)\"",
        ));
    };
    Ok(Model::parse(formula, settings.all("random"))?)
}

/// A look at the design of a study, without its counts.
pub(super) fn check(run: &Run, path: &Path, settings: &Settings) -> std::result::Result<Check, Failure> {
    let model = model(settings)?;
    let study = door::open(run, path, settings)?;
    let groups = settings.one("groups").map(str::to_owned);
    let mut obs = read_obs(&*study, &model, groups.as_deref())?;
    // Labels may name the unit that a random term lacks.
    for (name, kind) in study.obs_columns() {
        if matches!(kind, ColumnKind::Category { .. }) && obs.get(&name).is_none() {
            obs.insert(name.as_str(), study.obs(&[&name])?.column(&name)?.clone())?;
        }
    }
    let options = CheckOptions { groups, na: Some(NaChoice::from_word(settings.word("na"))?) };
    Ok(lmm::check(run, &obs, &model, &options)?)
}

/// The genes that a column of var chooses.
fn mask(study: &dyn AnnotatedSource, name: &str) -> Result<GeneMask> {
    GeneMask::from_column(name, study.var(&[name])?.column(name)?)
}

/// The rows of a part of the study; `None` is all of it.
fn rows(settings: &Settings, total: usize) -> std::result::Result<Option<Range<usize>>, Failure> {
    match (settings.one("rows"), settings.one("shard")) {
        (Some(_), Some(_)) => {
            Err(Failure::usage("shard", "rows and a shard are both asked for", "give --rows or --shard"))
        }
        (Some(rows), None) => row_range(rows, total).map(Some),
        (None, Some(shard)) => plan::shard(shard, total).map(Some),
        (None, None) => Ok(None),
    }
}

/// The rows of `A:B`, of which either may be left out.
pub(crate) fn row_range(text: &str, total: usize) -> std::result::Result<Range<usize>, Failure> {
    let end = |part: &str, otherwise: usize| if part.is_empty() { Some(otherwise) } else { part.parse().ok() };
    match text.split_once(':').and_then(|(a, b)| Some(end(a, 0)?..end(b, total)?)) {
        Some(rows) if rows.start < rows.end && rows.end <= total => Ok(rows),
        Some(_) => {
            let hint = format!("write A:B with 0 <= A < B <= {total}");
            Err(Failure::usage("rows", format!("`{text}` are no rows of {total}"), hint))
        }
        None => {
            Err(Failure::usage("rows", format!("expected A:B, found `{text}`"), "0:65536 are the first 65,536 cells"))
        }
    }
}

/// The columns of obs that the model and the groups need, and no others. `libsize` may be absent.
fn read_obs(study: &dyn AnnotatedSource, model: &Model, groups: Option<&str>) -> Result<Frame> {
    let has_libsize = study.obs_columns().iter().any(|(name, _)| name == LIBSIZE);
    let mut names = model.variables();
    names.retain(|name| name != LIBSIZE || has_libsize);
    names.extend(groups.filter(|g| !names.iter().any(|n| n == g)).map(str::to_owned));
    study.obs(&names.iter().map(String::as_str).collect::<Vec<_>>())
}

/// The other matrices of the file with as many genes: where the counts may be, if not here.
fn other_matrices(study: &dyn AnnotatedSource, source: &str, n_genes: usize) -> Vec<Box<dyn RowChunks>> {
    let all = study.matrices().into_iter().filter_map(|element| study.matrix(&element).ok());
    all.filter(|m| m.name() != source && m.n_cols() == n_genes).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_read_or_refused() {
        assert_eq!(row_range("10:20", 90).ok(), Some(10..20));
        assert_eq!(row_range(":20", 90).ok(), Some(0..20));
        assert_eq!(row_range("80:", 90).ok(), Some(80..90));
        for text in ["", "5", "20:10", "10:10", "0:91", "a:b", "-1:5"] {
            assert!(matches!(row_range(text, 90), Err(Failure::Usage(_))), "{text}");
        }
    }
}
