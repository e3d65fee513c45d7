//! Models in a folder: a table of weights for each cell type, and `models.json`, which names them.

use std::path::{Path, PathBuf};

use ferrocyte_base::{Column, Fault, Result, Table, Value};
use ferrocyte_ecotype::{Feature, Model, Skipped};
use ferrocyte_io::{parse_json, read_matrix_tsv, write_json};
use ferrocyte_math::linalg::Matrix;

use crate::faults::Failure;
use crate::output::Target;

/// The file that names the tables.
const HEAD: &str = "models.json";

/// The word by which the file is known.
const FORMAT: &str = "ferrocyte.ecotype.models";

/// A folder for models, made if its parent exists.
pub(super) fn made(path: &Path) -> std::result::Result<PathBuf, Failure> {
    if !path.is_dir() {
        std::fs::create_dir(path).map_err(|error| {
            Failure::usage("output", format!("cannot make the folder `{}`: {error}", path.display()), "choose another")
        })?;
    }
    Ok(path.to_owned())
}

/// The tables of models, with their places in a folder.
pub(super) fn tables(folder: &Path, models: &[Model]) -> Vec<(Target, Table)> {
    let at = |i: usize| Target::Table(folder.join(file(i)));
    models.iter().enumerate().map(|(i, model)| (at(i), table(model, &model.weights))).collect()
}

/// Features × classes as a table.
pub(super) fn table(model: &Model, values: &Matrix) -> Table {
    let names = model.features.iter().map(ToString::to_string).collect();
    let start = Table::new("weights").with(Column::text("feature", "gene and sign", names));
    model.classes.iter().enumerate().fold(start, |table, (k, class)| {
        let column = (0..values.n_rows()).map(|row| values[(row, k)]).collect();
        table.with(Column::float(class, "", "weight", column))
    })
}

fn file(i: usize) -> String {
    format!("W_{i}.tsv")
}

/// Writes the file that names the tables.
pub(super) fn write_head(folder: &Path, models: &[Model], skipped: &[Skipped]) -> Result<()> {
    let names = models.iter().enumerate().map(|(i, model)| (model.cell_type.clone(), Value::from(file(i))));
    let reasons = skipped.iter().map(|one| (one.cell_type.clone(), Value::from(one.reason.as_str())));
    let head = Value::map([
        ("format", Value::from(FORMAT)),
        ("models", Value::Map(names.collect())),
        ("skipped", Value::Map(reasons.collect())),
    ]);
    write_json(&folder.join(HEAD), &head)
}

/// The models of a folder, which this program or the package wrote, or of tables `TYPE.tsv` in it.
pub(super) fn read(folder: &Path) -> Result<Vec<Model>> {
    let place = folder.display().to_string();
    let head = folder.join(HEAD);
    let files: Vec<(String, PathBuf)> = if head.is_file() {
        let text = std::fs::read_to_string(&head)
            .map_err(|error| Fault::bad_file("cannot be read").because(error).at(head.display().to_string()))?;
        let value = parse_json(&text).map_err(|fault| fault.at(head.display().to_string()))?;
        match value.get("models") {
            Some(Value::Map(pairs)) => {
                pairs.iter().filter_map(|(name, file)| Some((name.clone(), folder.join(file.as_str()?)))).collect()
            }
            _ => return Err(Fault::bad_file("there is no entry `models`").at(head.display().to_string())),
        }
    } else {
        listed(folder)?
    };
    if files.is_empty() {
        return Err(Fault::bad_file("no models given: there is no table of weights")
            .at(place)
            .hint("each is TYPE.tsv: features, then one column an ecotype"));
    }
    files.iter().map(|(name, path)| weights(name, path)).collect()
}

/// Tables `TYPE.tsv` and `TYPE.tsv.gz`, sorted.
fn listed(folder: &Path) -> Result<Vec<(String, PathBuf)>> {
    let entries = std::fs::read_dir(folder)
        .map_err(|error| Fault::bad_file("cannot be read").because(error).at(folder.display().to_string()))?;
    let mut found: Vec<(String, PathBuf)> = entries
        .filter_map(|entry| {
            let path = entry.ok()?.path();
            let name = path.file_name()?.to_str()?;
            let stem = name.strip_suffix(".gz").unwrap_or(name).strip_suffix(".tsv")?.to_owned();
            Some((stem, path))
        })
        .collect();
    found.sort();
    Ok(found)
}

/// The weights of a table.
pub(super) fn weights(name: &str, path: &Path) -> Result<Model> {
    let table = read_matrix_tsv(path)?;
    let features = table.row_names.iter().map(|name| Feature::parse(name)).collect();
    let weights = Matrix::from_rows(table.row_names.len(), table.column_names.len(), table.values);
    Model::new(name, table.column_names, features, weights)
        .map(|(model, _)| model)
        .map_err(|fault| fault.at(path.display().to_string()))
}
