//! Where cells stand: the layouts and positions of obsm, two coordinates for each cell.

use ferrocyte_base::{Result, Run};
use ferrocyte_cells::keys::{Key, Style};
use ferrocyte_io::{ColumnData, Entries, H5ad, Item};
use serde_json::{Value as Json, json};

use crate::pack::Blobs;

/// Names of positions in a tissue.
const SPACE: [&str; 3] = ["spatial", "X_spatial", "space"];

/// The layouts of a study, the one to begin with first.
pub(crate) fn layouts(run: &Run, study: &H5ad, shown: &[usize], blobs: &mut Blobs) -> Result<Vec<Json>> {
    let mut found = Vec::new();
    let mut names = study.children("obsm")?;
    names.sort_by_key(|name| (rank(name), name.clone()));
    for name in names {
        if rank(&name) == LAST {
            continue;
        }
        let Ok(item) = study.item(run, &format!("obsm/{name}")) else { continue };
        let Some([x, y]) = coordinates(&item) else { continue };
        found.push(json!({
            "name": name,
            "space": SPACE.contains(&name.as_str()),
            "x": blobs.floats(shown.iter().map(|&row| x[row]))?,
            "y": blobs.floats(shown.iter().map(|&row| y[row]))?,
        }));
    }
    Ok(found)
}

/// What is no layout.
const LAST: u32 = 9;

/// Which layout is shown first; principal components are the last resort.
fn rank(name: &str) -> u32 {
    let lower = name.to_lowercase();
    if Key::Umap.either(Style::Scanpy).contains(&name) || lower.contains("umap") {
        0
    } else if lower.contains("tsne") || lower.contains("phate") || lower.contains("draw_graph") {
        1
    } else if SPACE.contains(&name) {
        2
    } else if Key::Pca.either(Style::Scanpy).contains(&name) {
        3
    } else {
        LAST
    }
}

/// The first two columns of an array or a data frame.
pub(crate) fn coordinates(item: &Item) -> Option<[Vec<f64>; 2]> {
    let mut columns = columns(item, 2)?.into_iter();
    Some([columns.next()?.1, columns.next()?.1])
}

/// The first columns of an array or a data frame, with their names.
pub(crate) fn columns(item: &Item, most: usize) -> Option<Vec<(String, Vec<f64>)>> {
    match item {
        Item::Array(array) => {
            let (&[_, width], Entries::Numbers(numbers)) = (array.shape.as_slice(), &array.cells) else { return None };
            let values = numbers.to_f64();
            let column = |j: usize| values.iter().skip(j).step_by(width.max(1)).copied().collect();
            Some((0..width.min(most)).map(|j| ((j + 1).to_string(), column(j))).collect())
        }
        Item::Frame(frame) => frame
            .columns
            .iter()
            .take(most)
            .map(|(name, column)| match column {
                ColumnData::Numbers(numbers) => Some((name.clone(), numbers.to_f64())),
                _ => None,
            })
            .collect(),
        _ => None,
    }
}
