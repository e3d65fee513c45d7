//! `ferrocyte cells qc`: measures of cells and genes of one sample, doublets, and which are kept.

use clap::ArgMatches;
use ferrocyte_base::{Column, Table};
use ferrocyte_cells::steps::{Quality, quality};

use super::{options, output, provenance, study::Study, table};
use crate::faults::Failure;
use crate::output::Results;
use crate::session::{Session, path};

/// Runs the verb.
pub(crate) fn run(session: &Session, matches: &ArgMatches) -> Result<(), Failure> {
    let (run, input) = (&session.run, path(matches, "study")?);
    let (out, table) = (output(matches, &[input])?, table(matches, &[input])?);
    // Options are read before the study is, so that what is wrong is told at once.
    options::quality(&session.settings, true)?;
    let mut study = Study::open(session, input)?;
    let counts = study.counts(session)?;
    let wanted = options::quality(&session.settings, counts.values().single())?;
    let found = quality(run, &mut *counts.rows()?, &study.names(), &study.symbols(), &wanted)?;
    drop(counts);
    let provenance = provenance(session, &[&study]);
    let told = summary(&[(study.name.clone(), &found)]);
    study.add(found.additions.clone());
    if session.settings.word("keep") == "passing" {
        study.select(run, &found.cells.indices(), &found.genes.indices())?;
    }
    study.write(run, &out)?;
    let (n, kept) = (found.cells.0.len(), found.cells.count());
    Results {
        parts: Vec::new(),
        tables: table.into_iter().map(|target| (target, &told)).collect(),
        provenance,
        decided: Vec::new(),
        lines: format!(
            "{n} cells, {} within the bounds, {} doublets: {kept} kept, with {} of {} genes",
            found.n_within,
            found.n_doublets,
            found.genes.count(),
            found.genes.0.len()
        ),
        summary: vec![
            ("cells", n.into()),
            ("within", found.n_within.into()),
            ("doublets", found.n_doublets.into()),
            ("kept", kept.into()),
            ("genes", found.genes.count().into()),
        ],
    }
    .write_after(session, Some(&out))
}

/// A row for each sample.
pub(super) fn summary(samples: &[(String, &Quality)]) -> Table {
    let int = |name: &str, unit: &str, meaning: &str, of: &dyn Fn(&Quality) -> usize| {
        Column::int(name, unit, meaning, samples.iter().map(|(_, found)| of(found) as i64).collect())
    };
    let float = |name: &str, unit: &str, meaning: &str, which: usize| {
        Column::float(name, unit, meaning, samples.iter().map(|(_, found)| found.medians[which]).collect())
    };
    Table::new("quality")
        .with(Column::text("sample", "the sample", samples.iter().map(|(name, _)| name.clone()).collect()))
        .with(int("n_cells", "cells", "cells before any bound", &|found| found.cells.0.len()))
        .with(int("n_within", "cells", "cells within the bounds", &|found| found.n_within))
        .with(int("n_doublets", "cells", "cells called doublets", &|found| found.n_doublets))
        .with(int("n_kept", "cells", "cells that are kept", &|found| found.cells.count()))
        .with(int("n_genes_kept", "genes", "genes that enough cells have", &|found| found.genes.count()))
        .with(float("median_genes", "genes", "median over the cells that are kept", 0))
        .with(float("median_counts", "counts", "median total of these", 1))
        .with(float("median_pct_mito", "%", "median share of mitochondrial genes of these", 2))
}
