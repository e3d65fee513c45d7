//! Expression of genes in the cells that are drawn, and means of marker genes in clusters.
//!
//! Two passes over the matrix: the first counts the values of each gene, so that it can be told which genes have room,
//! the second takes them. A gene travels as the distances between its cells (seven bits a byte) and a byte for each
//! value, between the gene's least and largest: enough for colours, and for nothing else.

use std::collections::HashMap;

use ferrocyte_base::{Fault, Result, Run, listing, nearest};
use ferrocyte_cells::keys::{Key, Style};
use ferrocyte_data::{Factor, ObsColumn, RowBlock, RowChunks, Summary, fold};
use ferrocyte_io::H5ad;
use serde_json::{Value as Json, json};

use crate::cells::Cells;
use crate::pack::Blobs;

/// Genes that travel together.
const BLOCK: usize = 32;
/// Letters of the page for a value of a gene, about: a byte for where, a byte for how much, compressed and spelt.
const LETTERS: f64 = 2.0;
/// The total to which counts of a cell are scaled before their logarithm is shown.
const TARGET: f64 = 1e4;
/// What stands for a row or gene that is not taken.
const NONE: u32 = u32::MAX;

/// What is asked of a matrix.
pub(crate) struct Question<'a> {
    /// The matrix; `None` lets one be found.
    pub(crate) layer: Option<&'a str>,
    /// Genes that must be there.
    pub(crate) wanted: &'a [String],
    /// Genes that come first, as far as they exist.
    pub(crate) first: Vec<String>,
    /// Genes whose means in clusters are shown, as far as they exist.
    pub(crate) dots: Vec<String>,
    /// The letters that there is room for.
    pub(crate) room: u64,
}

/// Expression as the page has it; nothing where the study has no matrix.
pub(crate) fn expression(
    run: &Run,
    study: &H5ad,
    cells: &Cells,
    question: &Question<'_>,
    blobs: &mut Blobs,
) -> Result<Option<Json>> {
    let Some((name, tally)) = choose(run, study, cells, question.layer)? else { return Ok(None) };
    let genes = study.var_names(&name)?;
    let mut places: HashMap<&str, usize> = HashMap::new();
    for (j, gene) in genes.iter().enumerate() {
        places.entry(gene).or_insert(j);
    }
    if let Some(unknown) = question.wanted.iter().find(|gene| !places.contains_key(gene.as_str())) {
        let near = nearest(unknown, &genes, 3);
        let hint = if near.is_empty() {
            "genes are named as in var".into()
        } else {
            format!("did you mean {}?", listing(&near, 3))
        };
        return Err(Fault::missing(format!("there is no gene `{unknown}`")).at("genes").at(study.place()).hint(hint));
    }
    let dots: Vec<usize> = question.dots.iter().filter_map(|gene| places.get(gene.as_str()).copied()).collect();
    let named = question.wanted.iter().chain(&question.dots).chain(&question.first);
    let named = named.filter_map(|gene| places.get(gene.as_str()).copied());
    let order = in_order(genes.len(), named, variable(study, &name), &tally.stored);
    let chosen = fitting(&order, &tally.stored, question.room);

    let counts = study.looks_like_counts(run, &name)?;
    let mut gather = Gather::new(cells, tally.position, genes.len(), (&chosen, &dots), counts);
    fold(run, &mut study.matrix(&name)?, &mut [&mut gather])?;
    let (stored, kept) = encode(&gather, blobs, question.room)?;
    let names: Vec<&String> = chosen[..kept].iter().map(|&j| &genes[j]).collect();
    Ok(Some(json!({
        "matrix": name,
        "unit": if counts { format!("ln(1 + counts, scaled to {TARGET} a cell)") } else { format!("values of {name}") },
        "genes": blobs.json(&json!(names))?,
        "n_genes": kept,
        "of": genes.len(),
        "stored": stored,
        "dots": gather.dots(&dots, &genes),
    })))
}

/// The matrix that is shown, with how many values of each gene its drawn cells have.
fn choose(run: &Run, study: &H5ad, cells: &Cells, wanted: Option<&str>) -> Result<Option<(String, Tally)>> {
    let known = study.matrices();
    let names: Vec<String> = match wanted {
        Some(name) => vec![name.to_owned()],
        None => ["X", "raw/X"].iter().map(|&name| name.to_owned()).filter(|name| known.contains(name)).collect(),
    };
    let mut fallback = None;
    for name in names {
        let mut matrix = study.matrix(&name)?;
        let mut tally = Tally::new(cells, matrix.n_rows(), matrix.n_cols());
        fold(run, &mut matrix, &mut [&mut tally])?;
        if !tally.negative {
            return Ok(Some((name, tally)));
        }
        fallback.get_or_insert((name, tally));
    }
    Ok(fallback)
}

/// Genes in the order in which they are taken: those that are named, variable ones, those that most cells have.
fn in_order(n_genes: usize, named: impl Iterator<Item = usize>, variable: Vec<usize>, stored: &[u64]) -> Vec<usize> {
    let mut rest: Vec<usize> = (0..n_genes).filter(|&j| stored[j] > 0).collect();
    rest.sort_by_key(|&j| std::cmp::Reverse(stored[j]));
    let mut seen = vec![false; n_genes];
    named.chain(variable).chain(rest).filter(|&j| !std::mem::replace(&mut seen[j], true)).collect()
}

/// The genes that var marks as variable.
fn variable(study: &H5ad, matrix: &str) -> Vec<usize> {
    if matrix == "raw/X" {
        return Vec::new();
    }
    let names = Key::HighlyVariable.either(Style::Scanpy);
    let column = names.iter().find_map(|name| study.var_column(name).ok()).map(|column| column.to_obs());
    let Some(ObsColumn::Factor(factor)) = column else { return Vec::new() };
    (0..factor.codes.len()).filter(|&j| factor.level(j) == Some("TRUE")).collect()
}

/// The genes that there is room for, about; what they really take is seen when they are encoded.
fn fitting(order: &[usize], stored: &[u64], room: u64) -> Vec<usize> {
    // What is held of a gene until it is encoded is some times what it takes on the page.
    let most = 1.5 * room as f64;
    let mut letters = 0.0;
    let fits = |&&j: &&usize| {
        letters += stored[j] as f64 * LETTERS + 16.0;
        letters <= most
    };
    order.iter().take_while(fits).copied().collect()
}

/// The first pass: how many values each gene has among the cells that are drawn.
struct Tally {
    position: Vec<u32>,
    stored: Vec<u64>,
    negative: bool,
}

impl Tally {
    fn new(cells: &Cells, n_rows: usize, n_genes: usize) -> Self {
        let mut position = vec![NONE; n_rows];
        cells.shown.iter().enumerate().for_each(|(at, &row)| position[row] = at as u32);
        Self { position, stored: vec![0; n_genes], negative: false }
    }
}

impl Summary for Tally {
    fn observe(&mut self, _: &Run, block: &RowBlock<'_>) -> Result<()> {
        for i in 0..block.n_rows() {
            if self.position[block.start() + i] == NONE {
                continue;
            }
            for (gene, value) in block.row(i) {
                self.stored[gene] += 1;
                self.negative |= value < 0.0;
            }
        }
        Ok(())
    }
}

/// The second pass: values of chosen genes in the cells that are drawn, and sums of some genes in clusters.
struct Gather<'a> {
    position: Vec<u32>,
    /// Where the values of each gene go.
    slots: Vec<u32>,
    /// Drawn cell and value, of each chosen gene.
    values: Vec<Vec<(u32, f32)>>,
    counts: bool,
    clusters: Option<&'a Factor>,
    /// Where the sums of each gene go.
    dot_slots: Vec<u32>,
    /// Sum and number of cells above zero, by gene and cluster.
    dot_sums: Vec<Vec<(f64, u64)>>,
}

impl<'a> Gather<'a> {
    fn new(
        cells: &'a Cells,
        position: Vec<u32>,
        n_genes: usize,
        (chosen, dots): (&[usize], &[usize]),
        counts: bool,
    ) -> Self {
        let slots = |genes: &[usize]| {
            let mut slots = vec![NONE; n_genes];
            genes.iter().enumerate().for_each(|(slot, &gene)| slots[gene] = slot as u32);
            slots
        };
        let clusters = cells.cluster_factor();
        let n_clusters = clusters.map_or(0, |factor| factor.levels.len());
        Self {
            position,
            slots: slots(chosen),
            values: vec![Vec::new(); chosen.len()],
            counts,
            clusters,
            dot_slots: slots(dots),
            dot_sums: vec![vec![(0.0, 0); n_clusters]; dots.len()],
        }
    }

    /// Mean and share of cells above zero of each gene in each cluster.
    fn dots(&self, dots: &[usize], genes: &[String]) -> Option<Json> {
        let clusters = self.clusters.filter(|_| !dots.is_empty())?;
        let sizes = clusters.counts();
        let per_cell = |x: f64, cluster: usize| (sizes[cluster] > 0).then(|| x / sizes[cluster] as f64);
        let rows = |pick: fn(&(f64, u64)) -> f64| -> Vec<Vec<Option<f64>>> {
            let row = |sums: &Vec<(f64, u64)>| sums.iter().enumerate().map(|(c, sum)| per_cell(pick(sum), c)).collect();
            self.dot_sums.iter().map(row).collect()
        };
        Some(json!({
            "genes": dots.iter().map(|&j| &genes[j]).collect::<Vec<_>>(),
            "means": rows(|sum| sum.0),
            "shares": rows(|sum| sum.1 as f64),
        }))
    }
}

impl Summary for Gather<'_> {
    fn observe(&mut self, _: &Run, block: &RowBlock<'_>) -> Result<()> {
        let totals = if self.counts { block.row_sums() } else { Vec::new() };
        for i in 0..block.n_rows() {
            let row = block.start() + i;
            let (position, scale) = (self.position[row], totals.get(i).map(|&total| TARGET / total));
            let cluster = self.clusters.map(|factor| factor.codes.get(row)).filter(|&code| code != Factor::MISSING);
            for (gene, value) in block.row(i) {
                let value = scale.map_or(value, |scale| (value * scale).ln_1p());
                if position != NONE
                    && let Some(values) = self.values.get_mut(self.slots[gene] as usize)
                {
                    values.push((position, value as f32));
                }
                if let Some(cluster) = cluster
                    && let Some(sums) = self.dot_sums.get_mut(self.dot_slots[gene] as usize)
                {
                    let (sum, above) = &mut sums[cluster as usize];
                    *sum += value;
                    *above += u64::from(value > 0.0);
                }
            }
        }
        Ok(())
    }
}

/// Writes the genes in blocks until there is no room; what the page needs to read them, and how many there are.
fn encode(gather: &Gather<'_>, blobs: &mut Blobs, room: u64) -> Result<(Json, usize)> {
    let begin = blobs.size();
    let (mut blocks, mut ends, mut ranges, mut kept) = (Vec::new(), Vec::new(), Vec::new(), 0);
    for genes in gather.values.chunks(BLOCK) {
        if blobs.size() - begin >= room {
            break;
        }
        let mut bytes = Vec::new();
        for values in genes {
            ranges.push(write_gene(values, &mut bytes));
            ends.push(bytes.len() as u32);
        }
        blocks.push(blobs.bytes(&bytes)?);
        kept += genes.len();
    }
    let stored = json!({
        "block": BLOCK,
        "blocks": blocks,
        "ends": blobs.whole(ends)?,
        "low": blobs.floats(ranges.iter().map(|&(low, _)| f64::from(low)))?,
        "high": blobs.floats(ranges.iter().map(|&(_, high)| f64::from(high)))?,
    });
    Ok((stored, kept))
}

/// The cells of a gene and its values, in bytes; and the range that they lie in. Zero is always within it.
fn write_gene(values: &[(u32, f32)], bytes: &mut Vec<u8>) -> (f32, f32) {
    let finite = |&&(_, value): &&(u32, f32)| value.is_finite() && value != 0.0;
    let low = values.iter().filter(finite).map(|v| v.1).fold(0.0, f32::min);
    let high = values.iter().filter(finite).map(|v| v.1).fold(0.0, f32::max);
    let span = f64::from(high) - f64::from(low);
    let (mut last, mut levels) = (0, Vec::new());
    write_number(values.iter().filter(finite).count() as u32, bytes);
    for &(cell, value) in values.iter().filter(finite) {
        write_number(cell - last, bytes);
        last = cell;
        // What is stored is not zero, and is not shown as zero where nothing is below it.
        let level = ((f64::from(value) - f64::from(low)) / span * 255.0).round() as u8;
        levels.push(if low < 0.0 { level } else { level.max(1) });
    }
    bytes.extend(levels);
    (low, high)
}

/// A whole number in as many bytes as it needs, seven bits in each, the lowest first.
fn write_number(mut number: u32, bytes: &mut Vec<u8>) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn genes_are_written_as_distances_and_levels() {
        let mut bytes = Vec::new();
        let range = write_gene(&[(3, 1.0), (200, 2.0), (201, f32::NAN), (202, 0.001)], &mut bytes);
        assert_eq!(range, (0.0, 2.0));
        assert_eq!(bytes, [3, 3, 0xc5, 1, 2, 128, 255, 1]);
    }

    #[test]
    fn values_below_zero_have_their_level() {
        let mut bytes = Vec::new();
        assert_eq!(write_gene(&[(0, -1.0), (1, 1.0)], &mut bytes), (-1.0, 1.0));
        assert_eq!(bytes, [2, 0, 1, 0, 255]);
        assert_eq!(write_gene(&[], &mut Vec::new()), (0.0, 0.0));
    }

    #[test]
    fn named_genes_come_first_and_no_gene_twice() {
        let order = in_order(5, [3, 3].into_iter(), vec![1, 3], &[5, 1, 0, 2, 9]);
        assert_eq!(order, [3, 1, 4, 0]);
        assert_eq!(fitting(&order, &[5, 1, 0, 2, 9], 30).len(), 2);
    }
}
