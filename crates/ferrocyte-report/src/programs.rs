//! Programs of gene expression: usages of cells (obsm `cnmf.K`) and the genes of each (varm `cnmf.coef.K`, `cnmf.K`).

use ferrocyte_base::{Result, Run};
use ferrocyte_data::Factor;
use ferrocyte_io::{H5ad, Item};
use serde_json::{Value as Json, json};

use crate::cells::Cells;
use crate::layouts::columns;
use crate::pack::Blobs;

/// Genes that are named of a program.
const GENES: usize = 12;
/// The most programs of one factorisation.
const MOST: usize = 200;

/// The factorisations of a study, each with its programs; and their first genes, which the page should have.
pub(crate) fn programs(run: &Run, study: &H5ad, cells: &Cells, blobs: &mut Blobs) -> Result<(Vec<Json>, Vec<String>)> {
    let (mut found, mut genes) = (Vec::new(), Vec::new());
    let (obsm, varm) = (study.children("obsm")?, study.children("varm")?);
    let names = study.var_names("X")?;
    for key in obsm {
        let Some((stem, k)) = key.rsplit_once('.').filter(|(_, k)| k.parse::<usize>().is_ok()) else { continue };
        let scores = format!("{stem}.coef.{k}");
        let Some(weights) = [scores, key.clone()].into_iter().find(|name| varm.contains(name)) else { continue };
        let usages = study.item(run, &format!("obsm/{key}")).ok().and_then(|item| columns(&item, MOST));
        let weights = study.item(run, &format!("varm/{weights}")).ok().and_then(|item| columns(&item, MOST));
        let (Some(usages), Some(weights)) = (usages, weights) else { continue };
        let mut programs = Vec::with_capacity(usages.len());
        for ((label, usage), (_, weights)) in usages.iter().zip(&weights) {
            let first = first_genes(weights, &names);
            genes.extend(first.iter().cloned());
            programs.push(json!({
                "name": if label.starts_with('C') { label.clone() } else { format!("C{label}") },
                "genes": first,
                "usage": blobs.floats(cells.shown.iter().map(|&row| usage[row]))?,
                "means": cells.cluster_factor().map(|factor| means(usage, factor)),
            }));
        }
        found.push(json!({"name": key, "programs": programs}));
    }
    Ok((found, genes))
}

/// The genes with the largest weights, which are above zero.
fn first_genes(weights: &[f64], names: &[String]) -> Vec<String> {
    let mut order: Vec<usize> = (0..weights.len()).filter(|&j| weights[j] > 0.0).collect();
    order.sort_by(|&a, &b| weights[b].total_cmp(&weights[a]));
    order.into_iter().take(GENES).map(|j| names[j].clone()).collect()
}

/// The mean of each level; nothing where it has no cells.
fn means(values: &[f64], factor: &Factor) -> Vec<Option<f64>> {
    let mut sums = vec![(0.0, 0_usize); factor.levels.len()];
    for (value, code) in values.iter().zip(factor.codes.iter()) {
        if let Some((sum, n)) = sums.get_mut(code as usize) {
            *sum += value;
            *n += 1;
        }
    }
    sums.into_iter().map(|(sum, n)| (n > 0).then(|| sum / n as f64)).collect()
}

/// Whether an item below uns belongs to factorisations, so that it is no table of tests.
pub(crate) fn is_of_programs(name: &str, item: &Item) -> bool {
    name.starts_with("cnmf") && !matches!(item, Item::Scalar(_))
}
