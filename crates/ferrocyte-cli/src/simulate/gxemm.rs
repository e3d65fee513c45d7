//! `ferrocyte simulate gxemm`: genotypes of people in environments, and a trait.

use std::path::PathBuf;

use clap::ArgMatches;
use ferrocyte_base::{Column, Provenance, Table};
use ferrocyte_io::{Variant, write_plink};
use ferrocyte_mixed::gxemm::{SIMULATE_OPTIONS, SimulateOptions, simulate};

use super::number;
use crate::config::Settings;
use crate::faults::Failure;
use crate::output::{Results, Target};
use crate::session::{Session, path};

/// Runs the verb.
pub(crate) fn run(session: &Session, matches: &ArgMatches) -> Result<(), Failure> {
    let settings = &session.settings;
    let prefix = path(matches, "output")?;
    let beside = |ending: &str| {
        let mut name = prefix.as_os_str().to_owned();
        name.push(ending);
        PathBuf::from(name)
    };
    let target = |ending: &str| Target::table("output", &beside(ending), &[]);
    let places = (target(".traits.tsv")?, target(".environments.tsv")?, target(".covariates.tsv")?);
    let options = SimulateOptions {
        n_individuals: number(settings, "n_individuals")?,
        n_snps: number(settings, "n_snps")?,
        frequency: number(settings, "frequency")?,
        hom: number(settings, "hom")?,
        specific: several(settings, "specific")?,
        noise: several(settings, "noise")?,
        effect: number(settings, "effect")?,
        seed: number(settings, "seed")?,
    };
    let made = simulate(&session.run, &options)?;
    let (n, m, e) = (options.n_individuals, options.n_snps, options.specific.len());
    let by_marker: Vec<i8> = (0..m).flat_map(|j| made.genotypes.iter().skip(j).step_by(m).copied()).collect();
    let variants: Vec<Variant> = (0..m).map(variant).collect();
    write_plink(prefix, &made.individuals, &variants, &by_marker)?;
    let table = |name: &str| Table::new(name).with(Column::text("individual", "its name", made.individuals.clone()));
    let inside = |k: usize| made.environment.iter().map(|&of| f64::from(u8::from(of == k))).collect::<Vec<f64>>();
    let traits = table("traits").with(Column::float("trait", "", "the trait", made.values.clone()));
    let (mut environments, mut covariates) = (table("environments"), table("covariates"));
    for k in 0..e {
        let name = format!("env{}", k + 1);
        environments = environments.with(Column::float(&name, "", "whether the individual is in it", inside(k)));
        if k + 1 < e {
            covariates = covariates.with(Column::float(&name, "", "whether the individual is in it", inside(k)));
        }
    }
    let mut provenance = Provenance::new("simulate.gxemm");
    for option in SIMULATE_OPTIONS.iter().filter(|option| option.name != "seed") {
        provenance = provenance.option(option.name, settings.word(option.name));
    }
    provenance.seed = Some(options.seed);
    Results {
        parts: Vec::new(),
        tables: vec![(places.0, &traits), (places.1, &environments), (places.2, &covariates)],
        provenance,
        decided: Vec::new(),
        lines: format!("{n} individuals, {m} markers, {e} environments"),
        summary: vec![("individuals", n.into()), ("markers", m.into()), ("environments", e.into())],
    }
    .write(session)
}

fn variant(j: usize) -> Variant {
    Variant {
        chromosome: "1".to_owned(),
        name: format!("snp{}", j + 1),
        position: j as i64 + 1,
        counted: "A".to_owned(),
        other: "G".to_owned(),
    }
}

/// Numbers between commas.
fn several(settings: &Settings, name: &str) -> Result<Vec<f64>, Failure> {
    let one = |word: &str| {
        word.trim()
            .parse()
            .map_err(|_| Failure::usage(name, format!("expected a number, found `{word}`"), "write 0.1,0.4"))
    };
    settings.word(name).split(',').map(one).collect()
}
