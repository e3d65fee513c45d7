//! `ferrocyte simulate rnaseq`: counts like those of a reference.

use std::path::{Path, PathBuf};

use clap::ArgMatches;
use ferrocyte_base::Input;
use ferrocyte_io::{Annotation, ColumnData, Numbers, OpenOptions, open_study};
use ferrocyte_mixed::lmm::{ReferenceMoments, RnaseqOptions, simulate_rnaseq};

use super::{Whole, file_options, finish, number, optional, provenance, target};
use crate::faults::Failure;
use crate::session::Session;

/// Runs the verb.
pub(crate) fn run(session: &Session, matches: &ArgMatches) -> Result<(), Failure> {
    let settings = &session.settings;
    let reference = matches.get_one::<PathBuf>("reference").map(PathBuf::as_path);
    let out = target(matches, &reference.into_iter().collect::<Vec<_>>())?;
    let file = file_options(settings)?;
    let moments = reference.map(|path| learn(session, path)).transpose()?;
    let size_of = |name: &str, of_reference: Option<usize>| {
        optional(settings, name)?
            .or(of_reference)
            .ok_or_else(|| Failure::usage(name, "there is neither a reference nor a number", "give it, or --reference"))
    };
    let n_clusters = number(settings, "n_clusters")?;
    let options = RnaseqOptions {
        n_genes: size_of("n_genes", moments.as_ref().map(|(m, _)| m.mean.len()))?,
        n_cells: size_of("n_cells", moments.as_ref().map(|(m, _)| m.libsize.len()))?,
        samples_nested: settings.word("samples_nested") == "true",
        n_samples: number(settings, "n_samples")?,
        n_clusters,
        n_treatments: number(settings, "n_treatments")?,
        n_de_genes: optional(settings, "n_de_genes")?.unwrap_or(n_clusters),
        beta: (number(settings, "effect_min")?, number(settings, "effect_max")?),
        both_directions: settings.word("direction") == "both",
        sample_variance: number(settings, "sample_variance")?,
        adjust_library_size: settings.word("adjust_library_size") == "true",
        seed: number(settings, "seed")?,
    };
    let made = simulate_rnaseq(&session.run, &options, moments.as_ref().map(|(m, _)| m))?;
    let (mean, size): (Vec<f64>, Vec<f64>) = made.mean_and_size.iter().copied().unzip();
    let truth = made.truth();
    let whole = Whole {
        pointers: &made.pointers,
        indices: &made.indices,
        counts: &made.counts,
        obs: &made.obs,
        var: Annotation::new(made.genes.clone())
            .with("mean", ColumnData::Numbers(Numbers::F64(mean)))
            .with("size", ColumnData::Numbers(Numbers::F64(size))),
        truth: &truth,
    };
    whole.write(session, &out, file)?;
    let mut provenance = provenance(session, "rnaseq", options.seed);
    provenance.inputs.extend(moments.map(|(_, input)| input));
    finish(session, &out, (options.n_cells, options.n_genes), options.n_samples, &truth, provenance)
}

/// The moments of a reference on disk.
fn learn(session: &Session, path: &Path) -> Result<(ReferenceMoments, Input), Failure> {
    let layer = session.settings.one("layer").unwrap_or("X");
    let study = open_study(&session.run, path, &OpenOptions::default())?;
    let mut matrix = study.matrix(layer)?;
    let input = Input { name: matrix.name(), fingerprint: study.fingerprint(&session.run, layer)? };
    Ok((ReferenceMoments::of(&session.run, &mut *matrix)?, input))
}
