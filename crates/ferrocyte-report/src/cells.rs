//! What is known of each cell: the columns of obs that colour a picture, and which of them are clusters and samples.

use ferrocyte_base::{Fault, Result, listing, nearest};
use ferrocyte_cells::keys::{Key, Style};
use ferrocyte_data::{Factor, ObsColumn};
use ferrocyte_io::{Entries, H5ad, Item};
use serde_json::{Value as Json, json};

use crate::pack::Blobs;

/// Columns of more levels than this tell cells apart rather than groups of them, and are left out.
const MOST_LEVELS: usize = 2_000;

/// Names that columns of clusters go by, besides those of the keys; in small letters or large ones.
const CLUSTERS: [&str; 7] = ["cell_type", "celltype", "annotation", "cell.type", "louvain", "cluster", "clusters"];

/// Names that columns of samples go by, in small letters or large ones.
const SAMPLES: [&str; 8] = ["sample", "sample_id", "donor", "individual", "patient", "library", "orig.ident", "batch"];

/// A column of obs that is on the page.
#[derive(Debug)]
pub(crate) struct Column {
    pub(crate) name: String,
    pub(crate) values: ObsColumn,
    /// A colour for each level, where the study has them.
    pub(crate) colours: Option<Vec<String>>,
}

/// The cells of a study and those of them that are drawn.
#[derive(Debug)]
pub(crate) struct Cells {
    pub(crate) columns: Vec<Column>,
    /// The column with clusters, by its place.
    pub(crate) clusters: Option<usize>,
    /// The column with samples, by its place.
    pub(crate) samples: Option<usize>,
    /// The rows that are drawn, rising.
    pub(crate) shown: Vec<usize>,
    /// Columns that are left out, with the reason.
    pub(crate) left_out: Vec<String>,
}

impl Cells {
    /// Reads the columns of obs; `groupby` is the column by which markers were looked for.
    pub(crate) fn read(
        study: &H5ad,
        shown: Vec<usize>,
        (clusters, samples): (Option<&str>, Option<&str>),
        groupby: Option<&str>,
        uns: &[(String, Item)],
    ) -> Result<Self> {
        let (mut columns, mut left_out) = (Vec::new(), Vec::new());
        for (name, _) in study.obs_columns() {
            let values = match study.obs_column(&name) {
                Ok(column) => column.to_obs(),
                Err(fault) => {
                    left_out.push(format!("{name}: {}", fault.message()));
                    continue;
                }
            };
            match &values {
                ObsColumn::Factor(factor) if factor.levels.len() > MOST_LEVELS => {
                    left_out.push(format!("{name}: {} levels", factor.levels.len()));
                }
                _ => {
                    let colours = colours(&name, &values, uns);
                    columns.push(Column { name, values, colours });
                }
            }
        }
        let groups = |column: &Column| match &column.values {
            ObsColumn::Factor(factor) => (2..=200).contains(&factor.levels.len()),
            ObsColumn::Number(_) => false,
        };
        let named = |names: &[&str]| {
            let is = |column: &Column, name: &str| column.name.eq_ignore_ascii_case(name) && groups(column);
            names.iter().find_map(|name| columns.iter().position(|column| is(column, name)))
        };
        let known: Vec<&str> = groupby
            .into_iter()
            .chain(Key::CellType.either(Style::Scanpy))
            .chain(CLUSTERS)
            .chain(Key::Leiden.either(Style::Scanpy))
            .collect();
        let clusters = match clusters {
            Some(name) => Some(place_of(&columns, name, "clusters")?),
            None => named(&known).or_else(|| columns.iter().position(groups)),
        };
        let samples = match samples {
            Some(name) => Some(place_of(&columns, name, "samples")?),
            None => named(&SAMPLES),
        };
        Ok(Self { columns, clusters, samples, shown, left_out })
    }

    /// The clusters, if there are any.
    pub(crate) fn cluster_factor(&self) -> Option<&Factor> {
        match &self.columns[self.clusters?].values {
            ObsColumn::Factor(factor) => Some(factor),
            ObsColumn::Number(_) => None,
        }
    }

    /// The columns as the page has them: values of the cells that are drawn, and counts of all of them.
    pub(crate) fn to_json(&self, blobs: &mut Blobs) -> Result<Json> {
        let mut columns = Vec::with_capacity(self.columns.len());
        for column in &self.columns {
            columns.push(match &column.values {
                ObsColumn::Number(values) => json!({
                    "name": column.name,
                    "values": blobs.floats(self.shown.iter().map(|&row| values[row]))?,
                }),
                ObsColumn::Factor(factor) => json!({
                    "name": column.name,
                    "levels": factor.levels,
                    "counts": factor.counts(),
                    "colours": column.colours,
                    "values": blobs.codes(self.shown.iter().map(|&row| factor.codes.get(row)), factor.levels.len())?,
                }),
            });
        }
        Ok(json!({
            "columns": columns,
            "clusters": self.clusters,
            "samples": self.samples,
            "shown": self.shown.len(),
            "quality": self.quality(),
            "composition": self.composition(),
            "left_out": self.left_out,
        }))
    }

    /// The columns that measure the quality of cells, by their places.
    fn quality(&self) -> Vec<usize> {
        [Key::NUmi, Key::NGenes, Key::PctMito, Key::PctRibo, Key::DoubletScore]
            .iter()
            .filter_map(|key| {
                let names = key.either(Style::Scanpy);
                self.columns.iter().position(|column| {
                    names.contains(&column.name.as_str()) && matches!(column.values, ObsColumn::Number(_))
                })
            })
            .collect()
    }

    /// How many cells of each sample each cluster has, of all cells: a row for each sample.
    fn composition(&self) -> Option<Vec<Vec<usize>>> {
        let (samples, clusters) = (&self.columns[self.samples?].values, self.cluster_factor()?);
        let ObsColumn::Factor(samples) = samples else { return None };
        let mut counts = vec![vec![0; clusters.levels.len()]; samples.levels.len()];
        for (sample, cluster) in samples.codes.iter().zip(clusters.codes.iter()) {
            if sample != Factor::MISSING && cluster != Factor::MISSING {
                counts[sample as usize][cluster as usize] += 1;
            }
        }
        Some(counts)
    }
}

/// Where the column of groups with this name is.
fn place_of(columns: &[Column], name: &str, option: &str) -> Result<usize> {
    let factors: Vec<String> = columns
        .iter()
        .filter(|column| matches!(column.values, ObsColumn::Factor(_)))
        .map(|column| column.name.clone())
        .collect();
    let Some(place) = columns.iter().position(|column| column.name == name) else {
        let near = nearest(name, &factors, 2);
        let way = if near.is_empty() {
            format!("columns of groups: {}", listing(&factors, 20))
        } else {
            format!("did you mean {}?", listing(&near, 2))
        };
        return Err(Fault::missing(format!("obs has no column `{name}`")).at(option).hint(way));
    };
    if matches!(columns[place].values, ObsColumn::Number(_)) {
        return Err(Fault::bad_input(format!("column `{name}` has numbers, expected groups"))
            .at(option)
            .hint(format!("columns of groups: {}", listing(&factors, 20))));
    }
    Ok(place)
}

/// The colours that uns has for the levels of a column, in either dialect.
fn colours(name: &str, values: &ObsColumn, uns: &[(String, Item)]) -> Option<Vec<String>> {
    let ObsColumn::Factor(factor) = values else { return None };
    Key::Colours.either(Style::Scanpy).iter().find_map(|form| {
        let key = form.replace("{}", name);
        let (_, item) = uns.iter().find(|(found, _)| *found == key)?;
        let Item::Array(array) = item else { return None };
        let (Entries::Texts(colours) | Entries::Fixed { texts: colours, .. }) = &array.cells else { return None };
        let plain = |colour: &String| {
            // `#rrggbb`, or what scanpy writes too: with two more digits for how opaque it is.
            let digits = colour.strip_prefix('#').unwrap_or_default();
            matches!(digits.len(), 6 | 8) && digits.chars().all(|c| c.is_ascii_hexdigit())
        };
        (colours.len() >= factor.levels.len() && colours.iter().all(plain))
            .then(|| colours.iter().take(factor.levels.len()).map(|colour| colour.chars().take(7).collect()).collect())
    })
}
