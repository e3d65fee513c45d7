//! Tables of individuals, as columns of numbers.

use std::ops::Range;
use std::path::Path;

use ferrocyte_base::{Fault, Result, Run};
use ferrocyte_data::{Frame, ObsColumn};
use ferrocyte_io::{Plink, Variant, read_frame, read_kinship};
use ferrocyte_math::linalg::Matrix;
use ferrocyte_mixed::gxemm::{Genotypes, Kinship, KinshipOptions, Markers, align, kinship_of};

/// The traits of a table: names of individuals, names of traits, values traits × individuals.
pub(super) fn traits(path: &Path, wanted: &[String]) -> Result<(Vec<String>, Vec<String>, Vec<f64>)> {
    let (individuals, frame) = read_frame(path)?;
    let all: Vec<String> = frame.names().into_iter().map(str::to_owned).collect();
    let names = if wanted.is_empty() { all } else { wanted.to_vec() };
    let mut values = Vec::with_capacity(names.len() * individuals.len());
    for name in &names {
        let ObsColumn::Number(numbers) = frame.column(name).map_err(|f| f.at(shown(path)))? else {
            return Err(Fault::bad_input("a trait is a column of numbers, this one has texts")
                .at(format!("column `{name}`"))
                .at(shown(path))
                .hint("name the traits with --trait"));
        };
        values.extend(numbers);
    }
    Ok((individuals, names, values))
}

/// Columns of a table in the order of the individuals. Texts become a column of 0 and 1 for each level, with `every` of
/// all levels, else without the first.
pub(super) fn columns(
    run: &Run,
    path: Option<&Path>,
    what: &str,
    individuals: &[String],
    every: bool,
) -> Result<(Vec<String>, Matrix)> {
    let Some(path) = path else { return Ok((Vec::new(), Matrix::zeros(individuals.len(), 0))) };
    let (ids, frame) = read_frame(path)?;
    let frame = frame.take(&align(run, individuals, &ids, what)?);
    let (mut names, mut columns) = (Vec::new(), Vec::new());
    for name in frame.names() {
        add(&frame, name, every, &mut names, &mut columns).map_err(|f| f.at(shown(path)))?;
    }
    let n = individuals.len();
    let entries = (0..n).flat_map(|i| columns.iter().map(move |c: &Vec<f64>| c[i])).collect();
    Ok((names, Matrix::from_rows(n, columns.len(), entries)))
}

fn add(frame: &Frame, name: &str, every: bool, names: &mut Vec<String>, columns: &mut Vec<Vec<f64>>) -> Result<()> {
    let column = frame.column(name)?;
    if column.n_missing() > 0 {
        return Err(Fault::bad_input(format!("{} individuals have no value", column.n_missing()))
            .at(format!("column `{name}`"))
            .hint("leave these individuals out of the traits, or leave the column out"));
    }
    match column {
        ObsColumn::Number(numbers) => {
            names.push(name.to_owned());
            columns.push(numbers.clone());
        }
        ObsColumn::Factor(factor) => {
            for (level, label) in factor.levels.iter().enumerate().skip(usize::from(!every)) {
                names.push(format!("{name}[{label}]"));
                let inside = |i| f64::from(u8::from(factor.codes.get(i) as usize == level));
                columns.push((0..frame.n_rows()).map(inside).collect());
            }
        }
    }
    Ok(())
}

/// The kinship of the individuals: from a file of it, or from PLINK genotypes.
pub(super) fn kinship(run: &Run, path: &Path, individuals: &[String], options: KinshipOptions) -> Result<Kinship> {
    let (names, values) = if is_plink(path) {
        of_genotypes(run, path, options)?
    } else {
        let read = read_kinship(path)?;
        (read.individuals, read.values)
    };
    let rows = align(run, individuals, &names, "K")?;
    let whole = Kinship::new(names.len(), values, &names).map_err(|f| f.at(shown(path)))?;
    let as_it_is = rows.len() == names.len() && rows.iter().enumerate().all(|(i, &row)| i == row);
    Ok(if as_it_is { whole } else { whole.take(&rows) })
}

/// Whether a path is that of PLINK genotypes, or their prefix.
fn is_plink(path: &Path) -> bool {
    let mut bed = path.as_os_str().to_owned();
    bed.push(".bed");
    path.extension().is_some_and(|ending| ending == "bed") || (!path.is_file() && Path::new(&bed).is_file())
}

fn of_genotypes(run: &Run, path: &Path, options: KinshipOptions) -> Result<(Vec<String>, Vec<f64>)> {
    let mut markers = OnDisk(Plink::open(path)?);
    let linked: Vec<bool> = markers.0.variants.iter().map(Variant::is_sex_linked).collect();
    let n_linked = linked.iter().filter(|&&l| l).count();
    let chosen = |j: usize| options.sex_linked || !linked[j];
    let (values, used) = kinship_of(run, &mut markers, chosen, options.standardize)?;
    let left_out = if options.sex_linked { 0 } else { n_linked };
    run.info(&format!(
        "kinship of {} individuals from {used} of {} markers ({left_out} of sex chromosomes left out)",
        markers.0.individuals.len(),
        linked.len()
    ));
    Ok((markers.0.individuals, values))
}

/// Genotypes that are read as they are needed.
pub(super) struct Streamed {
    markers: OnDisk,
    people: Vec<usize>,
    options: KinshipOptions,
    chosen: Box<dyn Fn(usize) -> bool>,
}

impl Streamed {
    /// PLINK genotypes of the individuals.
    pub(super) fn open(run: &Run, path: &Path, individuals: &[String], options: KinshipOptions) -> Result<Self> {
        if !is_plink(path) {
            return Err(Fault::bad_input("rhe reads PLINK genotypes (.bed), not a kinship").at(shown(path)));
        }
        let markers = OnDisk(Plink::open(path)?);
        let people = align(run, individuals, &markers.0.individuals, "genotypes")?;
        let linked: Vec<bool> = markers.0.variants.iter().map(Variant::is_sex_linked).collect();
        let every = options.sex_linked;
        Ok(Self { markers, people, options, chosen: Box::new(move |j| every || !linked[j]) })
    }

    /// As the fit takes them.
    pub(super) fn borrowed(&mut self) -> Genotypes<'_> {
        Genotypes {
            markers: &mut self.markers,
            chosen: &self.chosen,
            standardize: self.options.standardize,
            people: self.people.clone(),
        }
    }
}

/// Genotypes of a file as those of the family.
struct OnDisk(Plink);

impl Markers for OnDisk {
    fn n_individuals(&self) -> usize {
        self.0.individuals.len()
    }

    fn n_markers(&self) -> usize {
        self.0.variants.len()
    }

    fn read(&mut self, markers: Range<usize>) -> Result<Vec<i8>> {
        self.0.read(markers)
    }
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}
