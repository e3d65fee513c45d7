//! `ferrocyte simulate cohort`: donors, samples, batches, cell types. Rows are written as they are drawn.

use std::path::Path;

use clap::ArgMatches;
use ferrocyte_base::Table;
use ferrocyte_data::RowChunks;
use ferrocyte_io::{Annotation, H5adOptions, H5adWriter};
use ferrocyte_mixed::lmm::{Affected, BatchOf, Cohort, CohortOptions, Direction, simulate_cohort};

use super::{cell_names, file_options, finish, number, provenance, target};
use crate::config::Settings;
use crate::faults::Failure;
use crate::session::Session;

/// Runs the verb.
pub(crate) fn run(session: &Session, matches: &ArgMatches) -> Result<(), Failure> {
    let (out, file) = (target(matches, &[])?, file_options(&session.settings)?);
    let options = cohort_options(&session.settings)?;
    let seed = options.seed;
    let mut cohort = simulate_cohort(&session.run, options)?;
    let truth = cohort.truth();
    write(session, &mut cohort, &truth, &out, file)?;
    let shape = (cohort.n_rows(), cohort.n_cols());
    finish(session, &out, shape, cohort.samples.len(), &truth, provenance(session, "cohort", seed))
}

fn cohort_options(settings: &Settings) -> Result<CohortOptions, Failure> {
    Ok(CohortOptions {
        n_genes: number(settings, "n_genes")?,
        n_cells: number(settings, "n_cells")?,
        n_donors: number(settings, "n_donors")?,
        arms: settings.word("arms").split(',').map(|name| name.trim().to_owned()).collect(),
        paired: settings.word("paired") == "true",
        samples_per_donor: number(settings, "samples_per_donor")?,
        n_batches: number(settings, "n_batches")?,
        batch_of: BatchOf::from_word(settings.word("batch_of"))?,
        n_cell_types: number(settings, "n_cell_types")?,
        type_concentration: number(settings, "type_concentration")?,
        sample_concentration: number(settings, "sample_concentration")?,
        cells_sd: number(settings, "cells_sd")?,
        depth_sd: number(settings, "depth_sd")?,
        log_mean: number(settings, "log_mean")?,
        log_mean_sd: number(settings, "log_mean_sd")?,
        type_share: number(settings, "type_share")?,
        type_sd: number(settings, "type_sd")?,
        donor_variance: number(settings, "donor_variance")?,
        sample_variance: number(settings, "sample_variance")?,
        batch_variance: number(settings, "batch_variance")?,
        flat_share: number(settings, "flat_share")?,
        de_share: number(settings, "de_share")?,
        effect_min: number(settings, "effect_min")?,
        effect_max: number(settings, "effect_max")?,
        direction: Direction::from_word(settings.word("direction"))?,
        affected: Affected::from_word(settings.word("affected")),
        seed: number(settings, "seed")?,
    })
}

fn write(
    session: &Session,
    cohort: &mut Cohort,
    truth: &Table,
    out: &Path,
    options: H5adOptions,
) -> Result<(), Failure> {
    let (run, n) = (&session.run, cohort.n_rows());
    let obs = Annotation::of(cell_names(n), &cohort.obs);
    let var = Annotation::of(cohort.gene_names.clone(), &cohort.var()?);
    let mut writer = H5adWriter::create(run, out, &obs, &var, options)?;
    drop(obs);
    writer.uns(run, "truth", truth)?;
    let task = run.task("simulating", n as u64);
    let (step, mut start) = (cohort.rows_at_once(run), 0);
    while start < n {
        run.check()?;
        let end = (start + step).min(n);
        writer.append(run, &cohort.read(run, start..end)?)?;
        task.advance((end - start) as u64);
        start = end;
    }
    Ok(writer.finish(run)?)
}
