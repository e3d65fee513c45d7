//! A study again, with the ecotypes of its cells in obs, and how they were found in uns.

use std::path::Path;

use ferrocyte_base::{Fault, Provenance};
use ferrocyte_data::Factor;
use ferrocyte_io::{
    ColumnData, Entries, Item, ItemRef, NdArray, NewHdf5, Sink, Storage, json_text, open_store, read_item, rewrite,
};

use crate::faults::Failure;
use crate::session::Session;

/// What stands in uns.
const KEY: &str = "uns/ecotype_discovery";

/// Words of each cell by the name of their column; none where a cell has none.
pub(super) type Columns = Vec<(&'static str, Vec<Option<String>>)>;

/// Writes the .h5ad file `study` again as `out`: obs gains columns (or they are replaced), uns how they came about, and
/// all else stays as it is.
pub(super) fn write(
    session: &Session,
    study: &Path,
    out: &Path,
    columns: Columns,
    cell_types: &[String],
    provenance: &Provenance,
) -> Result<(), Failure> {
    let (run, place) = (&session.run, study.display().to_string());
    if !study.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("h5ad")) {
        return Err(Failure::usage(
            "output",
            format!("`{place}` is no .h5ad file that could be written again with ecotypes"),
            "give OUT a name that ends in .tsv, or convert the study first",
        ));
    }
    let store = open_store(study)?;
    let Item::Frame(mut obs) = read_item(run, &*store, "obs")? else {
        return Err(Fault::unsupported("obs is no data frame").at(place).into());
    };
    for (name, words) in columns {
        let factor = Factor::from_texts(words.iter().map(Option::as_ref));
        let levels = ColumnData::Texts { values: factor.levels.iter().cloned().map(Some).collect(), na: None };
        let codes = factor.codes.iter().collect();
        let column = ColumnData::Categorical { codes, levels: Box::new(levels), ordered: false };
        match obs.columns.iter_mut().find(|(known, _)| known == name) {
            Some((_, old)) => {
                run.warn(&format!("the column `{name}` of obs is replaced"));
                *old = column;
            }
            None => obs.columns.push((name.to_owned(), column)),
        }
    }
    let types = NdArray { shape: vec![cell_types.len()], cells: Entries::Texts(cell_types.to_vec()) };
    let how = Item::Dict(vec![
        ("cell_types".to_owned(), Item::Array(types)),
        ("provenance".to_owned(), Item::Scalar(Entries::Texts(vec![json_text(&provenance.to_value())]))),
    ]);
    let (obs, sink) = (Item::Frame(obs), NewHdf5::create(out, None)?);
    let changes = [("obs", ItemRef::try_from(&obs)?), (KEY, ItemRef::try_from(&how)?)];
    rewrite(run, &*store, &sink, &changes, Storage::default())?;
    Ok(Box::new(sink).finish()?)
}
