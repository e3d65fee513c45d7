//! Ecotypes: which column of cells has them, and which says why others have none.

use ferrocyte_data::ObsColumn;
use ferrocyte_io::{Entries, Item};
use serde_json::{Value as Json, json};

use crate::cells::Cells;

/// What results of ecotypes store below uns: of recovery in new cells, and of discovery.
const STORED: [&str; 2] = ["ecotype", "ecotype_discovery"];

/// The name of the column where a result does not say it.
const COLUMN: &str = "SE";

/// The places of the columns with ecotypes and with reasons, where a result has stored them.
pub(crate) fn ecotypes(uns: &[(String, Item)], cells: &Cells) -> Option<Json> {
    let stored = STORED.iter().find_map(|name| match uns.iter().find(|(found, _)| found == name) {
        Some((_, Item::Dict(items))) => Some(items),
        _ => None,
    })?;
    let key = stored.iter().find_map(|(name, item)| match item {
        Item::Scalar(Entries::Texts(words)) if name == "key" => words.first().map(String::as_str),
        _ => None,
    });
    let key = key.unwrap_or(COLUMN);
    let place = |name: &str| {
        let is_it =
            |column: &crate::cells::Column| column.name == name && matches!(column.values, ObsColumn::Factor(_));
        cells.columns.iter().position(is_it)
    };
    Some(json!({"column": place(key)?, "reason": place(&format!("{key}_reason"))}))
}
