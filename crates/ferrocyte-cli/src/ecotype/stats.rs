//! `ferrocyte ecotype stats`: where labelled cells are.

use std::path::{Path, PathBuf};

use clap::ArgMatches;
use ferrocyte_base::{Column, Fault, Input, Provenance, Table};
use ferrocyte_data::{Frame, ObsColumn};
use ferrocyte_ecotype::statistics::{
    AbundanceOptions, BlockTest, ColocalizationOptions, States, abundance, block_test, coassociation, colocalization,
    colocalization_meta, infer_ncells, moran, partition_tissue,
};
use ferrocyte_ecotype::{Draws, Rng, STATS_OPTIONS, fingerprint_of_columns, first_seen};
use ferrocyte_io::{OpenOptions, open_study, read_frame};

use super::study::number;
use crate::config::Settings;
use crate::faults::Failure;
use crate::output::{Results, Target};
use crate::session::{Session, path};

/// The sample of what is over all samples.
const ALL: &str = "all";

/// The options that name columns.
const READ: [&str; 6] = ["cell_type", "ecotype", "sample", "x", "y", "sums"];

/// Runs the verb.
pub(crate) fn run(session: &Session, matches: &ArgMatches) -> Result<(), Failure> {
    let settings = &session.settings;
    let input = path(matches, "cells")?;
    let out = Target::table("output", path(matches, "output")?, &[input])?;
    let tests = matches.get_one::<PathBuf>("tests").map(|path| Target::table("tests", path, &[input])).transpose()?;
    let cells = Cells::read(session, input)?;
    let found = match settings.word("statistic") {
        "colocalization" => near(session, &cells)?,
        "moran" => spread(session, &cells)?,
        "abundance" => (shares(settings, &cells)?, None),
        "partition" => (parts(settings, &cells)?, None),
        "ncells" => (numbers_of_cells(settings, &cells)?, None),
        _ => together(session, &cells)?,
    };
    let mut tables = vec![(out, &found.0)];
    if let Some(target) = tests {
        let what = settings.word("statistic");
        let none = || Failure::usage("tests", format!("there are no tests of {what}"), "leave --tests out");
        tables.push((target, found.1.as_ref().ok_or_else(none)?));
    }
    let rows = found.0.n_rows();
    Results {
        parts: vec![],
        tables,
        provenance: cells.provenance,
        decided: vec![],
        lines: format!("{rows} rows of {} cells", cells.names.len()),
        summary: vec![("rows", rows.into()), ("cells", cells.names.len().into())],
    }
    .write(session)
}

/// One row for each cell.
struct Cells {
    names: Vec<String>,
    frame: Frame,
    provenance: Provenance,
}

impl Cells {
    /// A table, or the columns of a study.
    fn read(session: &Session, input: &Path) -> Result<Self, Failure> {
        let settings = &session.settings;
        let study = input.is_dir() || input.extension().is_some_and(|of| of.eq_ignore_ascii_case("h5ad"));
        let mut provenance = Provenance::new("ecotype.stats");
        for option in STATS_OPTIONS {
            provenance = provenance.option(option.name, settings.one(option.name).unwrap_or_default());
        }
        let (names, frame) = if study {
            let study = open_study(&session.run, input, &OpenOptions::default())?;
            let known = study.obs_columns();
            let wanted: Vec<&str> = READ
                .iter()
                .filter_map(|name| settings.one(name))
                .filter(|name| known.iter().any(|(column, _)| column == name))
                .collect();
            (study.obs_names()?, study.obs(&wanted)?)
        } else {
            read_frame(input)?
        };
        let used: Vec<&str> =
            READ.iter().filter_map(|name| settings.one(name)).filter(|name| frame.get(name).is_some()).collect();
        let name = input.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        provenance.inputs.push(Input { name, fingerprint: fingerprint_of_columns(&names, &frame, &used)? });
        Ok(Self { names, frame, provenance })
    }

    /// A column of words; a missing one is `missing`, or refused.
    fn words(&self, name: &str, missing: Option<&str>) -> Result<Vec<String>, Failure> {
        let column = self.frame.column(name)?;
        let absent = column.n_missing();
        if absent > 0 && missing.is_none() {
            return Err(Fault::bad_input(format!("{absent} cells have no value"))
                .at(format!("column `{name}`"))
                .into());
        }
        let missing = missing.unwrap_or_default();
        Ok(match column {
            ObsColumn::Factor(factor) => {
                (0..column.len()).map(|cell| factor.level(cell).unwrap_or(missing).to_owned()).collect()
            }
            ObsColumn::Number(numbers) => {
                numbers.iter().map(|x| if x.is_nan() { missing.to_owned() } else { x.to_string() }).collect()
            }
        })
    }

    /// A column of numbers.
    fn numbers(&self, name: &str) -> Result<Vec<f64>, Failure> {
        match self.frame.column(name)? {
            ObsColumn::Number(numbers) => Ok(numbers.clone()),
            ObsColumn::Factor(_) => {
                Err(Fault::bad_input("expected numbers, found words").at(format!("column `{name}`")).into())
            }
        }
    }

    fn types(&self, settings: &Settings) -> Result<Vec<String>, Failure> {
        self.words(settings.word("cell_type"), None)
    }

    fn ecotypes(&self, settings: &Settings) -> Result<Vec<String>, Failure> {
        self.words(settings.word("ecotype"), Some(settings.word("non_se")))
    }

    fn places(&self, settings: &Settings) -> Result<(Vec<f64>, Vec<f64>), Failure> {
        Ok((self.numbers(settings.word("x"))?, self.numbers(settings.word("y"))?))
    }

    /// Names of samples and their cells; all cells, without a name, where there are no samples.
    fn samples(&self, settings: &Settings) -> Result<Vec<(String, Vec<usize>)>, Failure> {
        let Some(column) = settings.one("sample") else {
            return Ok(vec![(String::new(), (0..self.names.len()).collect())]);
        };
        let sample = self.words(column, None)?;
        let cells = |name: &String| (0..sample.len()).filter(|&cell| sample[cell] == *name).collect();
        Ok(first_seen(&sample).into_iter().map(|name| (name.clone(), cells(&name))).collect())
    }
}

fn pick<T: Clone>(values: &[T], cells: &[usize]) -> Vec<T> {
    cells.iter().map(|&cell| values[cell].clone()).collect()
}

/// A number among the options, or what is usual.
fn usual(settings: &Settings, name: &str, usual: usize) -> Result<usize, Failure> {
    settings.one(name).map_or(Ok(usual), |_| number(settings, name))
}

fn draws(settings: &Settings, task: &str) -> Result<Draws, Failure> {
    Ok(Draws::new(Rng::from_word(settings.word("rng"))?, number(settings, "seed")?, task))
}

/// Tables and, where there are some, tests.
type Measured = (Table, Option<Table>);

/// Correlations of shares of states over samples.
fn together(session: &Session, cells: &Cells) -> Result<Measured, Failure> {
    let settings = &session.settings;
    let column = settings.one("sample").ok_or_else(|| {
        Failure::usage("sample", "correlations are over samples".to_owned(), "name the column of samples")
    })?;
    let (ecotype, types, sample) = (cells.ecotypes(settings)?, cells.types(settings)?, cells.words(column, None)?);
    let states = coassociation(&ecotype, &types, &sample, settings.word("non_se"))?;
    let test = tested(session, &states)?;
    let mut pairs = Pairs::default();
    pairs.add("", &states, &states);
    Ok((pairs.table(&["correlation"]), Some(test_table(&[(String::new(), test)]))))
}

fn tested(session: &Session, states: &States) -> Result<BlockTest, Failure> {
    let permutations = number(&session.settings, "n_permutations")?;
    Ok(block_test(&session.run, states, permutations, &mut draws(&session.settings, "block test")?)?)
}

/// Which states are near which, sample by sample, and over all.
fn near(session: &Session, cells: &Cells) -> Result<Measured, Failure> {
    let settings = &session.settings;
    let (ecotype, types, (x, y)) = (cells.ecotypes(settings)?, cells.types(settings)?, cells.places(settings)?);
    let states: Vec<String> = ecotype.iter().zip(&types).map(|(ecotype, of)| format!("{ecotype}_{of}")).collect();
    let options = ColocalizationOptions {
        radius: number(settings, "radius")?,
        k: usual(settings, "k", 200)?,
        min_cell: usual(settings, "min_cell", 10)?,
        n_permutations: number(settings, "n_permutations")?,
    };
    let (mut pairs, mut z, mut tests) = (Pairs::default(), Vec::new(), Vec::new());
    let samples = cells.samples(settings)?;
    for (sample, of) in &samples {
        let (x, y, types, states) = (pick(&x, of), pick(&y, of), pick(&types, of), pick(&states, of));
        let mut draws = draws(settings, "colocalization")?;
        let found = colocalization(&session.run, &x, &y, &types, &states, &options, &mut draws)?;
        pairs.add(sample, &found.observed, &found.z);
        tests.push((sample.clone(), tested(session, &found.z)?));
        z.push(found.z);
    }
    let least: usize = number(settings, "min_samples")?;
    if samples.len() >= least.max(2) {
        let of_samples: Vec<BlockTest> = tests.iter().map(|(_, test)| test.clone()).collect();
        let meta = colocalization_meta(&z, &of_samples, number(settings, "cap")?, least)?;
        let mut observed = meta.index.clone();
        observed.values.entries_mut().fill(f64::NAN);
        pairs.add(ALL, &observed, &meta.index);
        let mean = vec![f64::NAN; meta.z.len()];
        tests.push((ALL.to_owned(), BlockTest { ecotypes: meta.ecotypes, mean, z: meta.z, p: meta.p }));
    }
    Ok((pairs.table(&["observed", "z"]), Some(test_table(&tests))))
}

/// Pairs of states of samples.
#[derive(Default)]
struct Pairs {
    sample: Vec<String>,
    state: Vec<String>,
    other: Vec<String>,
    values: [Vec<f64>; 2],
}

impl Pairs {
    fn add(&mut self, sample: &str, first: &States, second: &States) {
        let n = first.names.len();
        for i in 0..n {
            for j in 0..n {
                self.sample.push(sample.to_owned());
                self.state.push(first.names[i].clone());
                self.other.push(first.names[j].clone());
                self.values[0].push(first.values[(i, j)]);
                self.values[1].push(second.values[(i, j)]);
            }
        }
    }

    fn table(self, names: &[&str]) -> Table {
        let start = Table::new("states")
            .with(Column::text("Sample", "the sample, empty for all cells", self.sample))
            .with(Column::text("state", "an ecotype of a cell type", self.state))
            .with(Column::text("other", "another, or the same", self.other));
        let columns = names.iter().zip(self.values);
        columns.fold(start, |table, (name, values)| table.with(Column::float(name, "", "of the pair", values)))
    }
}

fn test_table(tests: &[(String, BlockTest)]) -> Table {
    let sample = tests.iter().flat_map(|(name, test)| test.ecotypes.iter().map(|_| name.clone())).collect();
    let of = |pick: fn(&BlockTest) -> &Vec<f64>| tests.iter().flat_map(|(_, test)| pick(test).clone()).collect();
    Table::new("tests")
        .with(Column::text("Sample", "the sample, empty for all cells", sample))
        .with(Column::text("SE", "the ecotype", tests.iter().flat_map(|(_, test)| test.ecotypes.clone()).collect()))
        .with(Column::float("mean", "", "of the pairs of its states", of(|test| &test.mean)))
        .with(Column::float("Z", "", "against permuted states", of(|test| &test.z)))
        .with(Column::float("P", "", "two-sided", of(|test| &test.p)))
}

/// Moran's I of each ecotype, sample by sample.
fn spread(session: &Session, cells: &Cells) -> Result<Measured, Failure> {
    let settings = &session.settings;
    let (ecotype, types, (x, y)) = (cells.ecotypes(settings)?, cells.types(settings)?, cells.places(settings)?);
    let (k, permutations) = (usual(settings, "k", 3)?, number(settings, "n_permutations")?);
    let (mut sample, mut names, mut i, mut z) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for (name, of) in cells.samples(settings)? {
        let (x, y, types, ecotype) = (pick(&x, &of), pick(&y, &of), pick(&types, &of), pick(&ecotype, &of));
        let mut draws = draws(settings, "moran")?;
        let found = moran(&session.run, &x, &y, &types, &ecotype, k, permutations, &mut draws)?;
        sample.extend(found.ecotypes.iter().map(|_| name.clone()));
        names.extend(found.ecotypes);
        i.extend(found.i);
        z.extend(found.z);
    }
    let table = Table::new("moran")
        .with(Column::text("Sample", "the sample, empty for all cells", sample))
        .with(Column::text("SE", "the ecotype", names))
        .with(Column::float("I", "", "Moran's I", i))
        .with(Column::float("Z", "", "against permuted labels", z));
    Ok((table, None))
}

/// Shares of ecotypes around the squares of a grid, sample by sample.
fn shares(settings: &Settings, cells: &Cells) -> Result<Table, Failure> {
    let (ecotype, (x, y)) = (cells.ecotypes(settings)?, cells.places(settings)?);
    let radius: f64 = number(settings, "radius")?;
    let usual_grid = (1.4 * radius).round_ties_even();
    let options = AbundanceOptions {
        radius,
        grid_size: settings.one("grid_size").map_or(Ok(usual_grid), |_| number(settings, "grid_size"))?,
        k: usual(settings, "k", 200)?,
        min_cells: usual(settings, "min_cell", 5)?,
    };
    let (mut sample, mut names, mut cx, mut cy) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let all = ferrocyte_ecotype::sorted(&ecotype);
    let mut columns = vec![Vec::new(); all.len()];
    for (name, of) in cells.samples(settings)? {
        let found = abundance(&pick(&x, &of), &pick(&y, &of), &pick(&ecotype, &of), &options)?;
        for (ecotype, column) in all.iter().zip(&mut columns) {
            let at = found.ecotypes.iter().position(|known| known == ecotype);
            column.extend((0..found.names.len()).map(|spot| at.map_or(0.0, |at| found.shares[(spot, at)])));
        }
        sample.extend(found.names.iter().map(|_| name.clone()));
        names.extend(found.names);
        cx.extend(found.x);
        cy.extend(found.y);
    }
    let start = Table::new("abundance")
        .with(Column::text("Sample", "the sample, empty for all cells", sample))
        .with(Column::text("spot", "the square", names))
        .with(Column::float("X", "", "its centre", cx))
        .with(Column::float("Y", "", "its centre", cy));
    let named = all.iter().zip(columns);
    Ok(named.fold(start, |table, (name, column)| table.with(Column::float(name, "", "share of cells", column))))
}

/// The part of its tissue that each cell is in.
fn parts(settings: &Settings, cells: &Cells) -> Result<Table, Failure> {
    let ((x, y), rows, columns) = (cells.places(settings)?, number(settings, "nrow")?, number(settings, "ncol")?);
    let mut part = vec![String::new(); cells.names.len()];
    for (_, of) in cells.samples(settings)? {
        let found = partition_tissue(&pick(&x, &of), &pick(&y, &of), rows, columns)?;
        of.into_iter().zip(found).for_each(|(cell, name)| part[cell] = name);
    }
    Ok(Table::new("parts").with(Column::text("CID", "the cell", cells.names.clone())).with(Column::text(
        "part",
        "where it is",
        part,
    )))
}

/// How many cells each spot holds.
fn numbers_of_cells(settings: &Settings, cells: &Cells) -> Result<Table, Failure> {
    let sums = cells.numbers(settings.word("sums"))?;
    let found = infer_ncells(&sums, number(settings, "average")?);
    Ok(Table::new("ncells").with(Column::text("CID", "the spot", cells.names.clone())).with(Column::int(
        "ncells",
        "cells",
        "how many it holds",
        found,
    )))
}
