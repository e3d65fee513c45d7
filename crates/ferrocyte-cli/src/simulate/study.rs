//! `ferrocyte simulate study`: cells of samples in two treatments.

use clap::ArgMatches;
use ferrocyte_io::{Annotation, ColumnData, Numbers};
use ferrocyte_mixed::lmm::{StudyOptions, simulate_study};

use super::{Whole, file_options, finish, number, optional, provenance, target};
use crate::faults::Failure;
use crate::session::Session;

/// Runs the verb.
pub(crate) fn run(session: &Session, matches: &ArgMatches) -> Result<(), Failure> {
    let settings = &session.settings;
    let (out, file) = (target(matches, &[])?, file_options(settings)?);
    let options = StudyOptions {
        n_genes: number(settings, "n_genes")?,
        n_cells: number(settings, "n_cells")?,
        n_samples: number(settings, "n_samples")?,
        n_clusters: number(settings, "n_clusters")?,
        de_share: number(settings, "de_share")?,
        sample_variance: optional(settings, "sample_variance")?,
        seed: number(settings, "seed")?,
    };
    let study = simulate_study(&session.run, &options)?;
    let effects = study.effect.iter().map(|&(effect, _)| effect).collect();
    let var = Annotation::new(study.genes.clone()).with("effect", ColumnData::Numbers(Numbers::F64(effects)));
    let truth = study.truth()?;
    let whole = Whole {
        pointers: &study.pointers,
        indices: &study.indices,
        counts: &study.counts,
        obs: &study.obs,
        var,
        truth: &truth,
    };
    whole.write(session, &out, file)?;
    let shape = (options.n_cells, options.n_genes);
    finish(session, &out, shape, options.n_samples, &truth, provenance(session, "study", options.seed))
}
