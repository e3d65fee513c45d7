//! One pass over the cells: how rows become sums.
//!
//! The offset of every cell is known before (from a column of obs, or from a first pass that adds up the totals), so that
//! nodes and strata are those of the whole study whichever rows are observed. In the pass a value is added to the nodes
//! of its stratum, by the same tiles of genes as the sums of [`crate::lmm`], and counted in the histogram of its gene.

use std::collections::HashMap;
use std::ops::Range;

use ferrocyte_base::{Fault, Result, Run, listing};
use ferrocyte_data::{Frame, GuardFinding, ObsColumn, RowBlock, RowChunks, Summary, Transform, fold_rows};
use ferrocyte_design::{Aliased, BindOptions, Coefficients, Design, Model, replication};
use ferrocyte_math::linalg::Matrix;

use super::strata::{NONE, Strata, one_intercept, strata};
use super::{GroupSums, PointSums, Sums};
use crate::lmm::sums::add::{Gathered, GroupRows, HEAD, add_block};
use crate::lmm::sums::cells::cells_by_group;
use crate::lmm::{CellName, GeneMask, SumsInput};
use crate::nbmm::layout::Layout;
use crate::nbmm::options::{AliasedChoice, NaChoice, Path};

/// Counts up to this one have a place of their own in the histograms of a pass.
const SMALL: usize = 16;

/// Where the offset of a cell comes from.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Offset {
    /// The total of the cell over all genes, divided by its mean over cells.
    #[default]
    Total,
    /// A column of obs, positive numbers; their logarithms enter the predictor.
    Column(String),
}

/// What sums say of an offset that is the total of the cell.
const TOTALS: &str = "total of the cell over all genes, divided by its mean";

impl Offset {
    /// From what sums say of their offset.
    pub(in crate::nbmm) fn from_words(words: &str) -> Self {
        let column = words.strip_prefix("obs column `").and_then(|rest| rest.strip_suffix('`'));
        column.map_or(Self::Total, |name| Self::Column(name.to_owned()))
    }
}

/// How the cells are collected into sums.
#[derive(Default)]
pub struct SumsOptions {
    /// The obs column whose levels are fitted apart.
    pub groups: Option<String>,
    /// Where the offset comes from.
    pub offset: Offset,
    /// What stands for the cells.
    pub path: Option<Path>,
    /// Number of nodes of the offset; by default as many as its range asks for.
    pub nodes: Option<usize>,
    /// What to do with dependent fixed effects.
    pub aliased: Option<AliasedChoice>,
    /// What to do with cells that lack a value which the model needs.
    pub na: Option<NaChoice>,
    /// Only these genes are modelled. Totals of cells are those over all genes.
    pub mask: Option<GeneMask>,
    /// Only these rows are observed (a shard). Designs, strata and nodes are those of the whole study.
    pub rows: Option<Range<usize>>,
    /// Gives the name of a cell, for messages.
    pub cell_name: Option<CellName>,
    /// Fingerprint of the source, for provenance.
    pub fingerprint: String,
}

impl std::fmt::Debug for SumsOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SumsOptions")
            .field("groups", &self.groups)
            .field("offset", &self.offset)
            .finish_non_exhaustive()
    }
}

/// Sums of all cells of `source` under `model`.
///
/// `source` is cells × genes, `genes` names its columns, `obs` has a row per cell and the columns that the model and the
/// offset name. Without an offset column the source is read twice. Cells without counts are left out with a warning.
///
/// Refused: values that are not counts, offsets that are not positive, random terms other than one intercept, missing
/// values, dependent columns, fixed effects that tell all donors apart. A group that is refused stops no other.
pub fn sums(
    run: &Run,
    source: &mut dyn RowChunks,
    genes: &[String],
    obs: &Frame,
    model: &Model,
    options: &SumsOptions,
) -> Result<Sums> {
    let n_rows = source.n_rows();
    if n_rows != obs.n_rows() {
        return Err(
            Fault::bad_input(format!("{n_rows} rows of counts, but {} rows of obs", obs.n_rows())).at(source.name())
        );
    }
    if source.n_cols() != genes.len() {
        return Err(Fault::bad_input(format!("{} columns of counts, but {} genes", source.n_cols(), genes.len()))
            .at(source.name()));
    }
    let rows = options.rows.clone().unwrap_or(0..n_rows);
    if rows.start > rows.end || rows.end > n_rows {
        return Err(Fault::bad_input(format!("rows {}:{} of {n_rows}", rows.start, rows.end)).at("rows"));
    }
    let mut collector = Collector::new(run, source, genes, obs, model, options)?;
    collector.reserve(run)?;
    fold_rows(run, source, rows.clone(), &mut [&mut collector])?;
    Ok(collector.into_sums(SumsInput {
        name: source.name(),
        fingerprint: options.fingerprint.clone(),
        rows: (rows.start, rows.end),
        n_rows,
    }))
}

/// Where the cells of a study stand in the sums that it would give.
pub(in crate::nbmm) struct CellPlaces {
    /// Group and stratum of each cell; `u32::MAX` for cells that take no part.
    pub(in crate::nbmm) cells: Vec<(u32, u32)>,
    /// ln of the offset of each cell.
    pub(in crate::nbmm) ln_offset: Vec<f64>,
    /// The groups, without sums.
    pub(in crate::nbmm) groups: Vec<GroupSums>,
}

impl CellPlaces {
    /// The places of the cells of `source`, by the same rules as [`sums`].
    pub(in crate::nbmm) fn find(
        run: &Run,
        source: &mut dyn RowChunks,
        genes: &[String],
        obs: &Frame,
        model: &Model,
        options: &SumsOptions,
    ) -> Result<Self> {
        let collector = Collector::new(run, source, genes, obs, model, options)?;
        let stratum = |&(g, position): &(u32, u32)| {
            let nowhere = (NONE, NONE);
            let Some(group) = collector.groups.get(g as usize).and_then(Option::as_ref) else { return nowhere };
            let place = group.strata.places[position as usize];
            match (&group.strata.nodes, place) {
                (_, NONE) => nowhere,
                (Some(_), stratum) => (g, stratum),
                // Points are cells: the stratum is the one that they lie in.
                (None, point) => {
                    let ends = &group.strata.layout.points;
                    (g, ends.partition_point(|&end| end <= point as usize) as u32 - 1)
                }
            }
        };
        let cells = collector.places.iter().map(stratum).collect();
        Ok(Self { cells, ln_offset: collector.ln_offset, groups: collector.sums.groups })
    }
}

/// Adds up the totals of cells.
struct Totals(Vec<f64>);

impl Summary for Totals {
    fn observe(&mut self, _run: &Run, block: &RowBlock<'_>) -> Result<()> {
        self.0[block.start()..block.start() + block.n_rows()].copy_from_slice(&block.row_sums());
        Ok(())
    }
}

/// ln of the offset of each cell, NaN for cells without counts.
fn ln_offsets(
    obs: &Frame,
    offset: &Offset,
    totals: Option<&[f64]>,
    warnings: &mut Vec<String>,
) -> Result<(Vec<f64>, String)> {
    match (offset, totals) {
        (Offset::Column(name), _) => {
            let ObsColumn::Number(values) = obs.column(name)? else {
                return Err(
                    Fault::bad_input(format!("`{name}` holds texts, an offset is a positive number")).at("offset")
                );
            };
            let bad = values.iter().filter(|v| !(**v > 0.0 && v.is_finite())).count();
            if bad > 0 {
                return Err(Fault::bad_input(format!("`{name}` is not a positive number in {bad} cells"))
                    .at("offset")
                    .hint("leave those cells out, or give another column"));
            }
            Ok((values.iter().map(|v| v.ln()).collect(), format!("obs column `{name}`")))
        }
        (Offset::Total, Some(totals)) => {
            let empty = totals.iter().filter(|t| !(**t > 0.0)).count();
            if empty > 0 {
                warnings.push(format!("{empty} cells have no counts and are left out"));
            }
            let mean = totals.iter().sum::<f64>() / (totals.len() - empty).max(1) as f64;
            let ln = |t: &f64| if *t > 0.0 { (t / mean).ln() } else { f64::NAN };
            Ok((totals.iter().map(ln).collect(), TOTALS.to_owned()))
        }
        (Offset::Total, None) => Err(Fault::internal("the totals of cells were not added up")),
    }
}

/// The accumulators of a group while cells are observed.
#[derive(Debug)]
struct GroupPlan {
    strata: Strata,
    /// Where its accumulators begin within those of a gene.
    offset: usize,
    n_cells: u64,
    /// Genes × [`SMALL`], and the counts beyond.
    small: Vec<u64>,
    large: HashMap<(u32, u64), u64>,
    /// Of cells as points: gene, point and count.
    listed: Vec<(u32, u32, f64)>,
}

impl GroupPlan {
    fn n_atoms(&self) -> usize {
        if self.strata.nodes.is_some() { self.strata.layout.offsets.len() } else { 0 }
    }
}

/// The sums in the making.
struct Collector {
    sums: Sums,
    new_column: Option<Vec<u32>>,
    /// The group of each cell and its position among the cells of the group.
    places: Vec<(u32, u32)>,
    groups: Vec<Option<GroupPlan>>,
    ln_offset: Vec<f64>,
    /// Genes × stride.
    accumulators: Vec<f64>,
    stride: usize,
    source: String,
    cell_name: Option<CellName>,
}

impl Collector {
    fn new(
        run: &Run,
        source: &mut dyn RowChunks,
        genes: &[String],
        obs: &Frame,
        model: &Model,
        options: &SumsOptions,
    ) -> Result<Self> {
        let mut warnings = Vec::new();
        let na = options.na.unwrap_or(NaChoice::Refuse);
        let cells = cells_by_group(obs, model, options.groups.as_deref(), na, &mut warnings)?;
        let (new_column, genes) = match &options.mask {
            Some(mask) => mask.apply(genes).map(|(columns, kept)| (Some(columns), kept))?,
            None => (None, genes.to_vec()),
        };
        let bind = BindOptions {
            aliased: match options.aliased.unwrap_or(AliasedChoice::Refuse) {
                AliasedChoice::Refuse => Aliased::Refuse,
                AliasedChoice::Drop => Aliased::Drop,
            },
            ..BindOptions::default()
        };
        let designs: Vec<Result<Design>> =
            cells.iter().map(|(_, rows)| Design::bind(model, obs, rows.as_deref(), &bind)).collect();
        let needs_totals = designs.iter().flatten().any(Design::needs_totals);
        let totals = if options.offset == Offset::Total || needs_totals {
            let mut totals = Totals(vec![0.0; obs.n_rows()]);
            fold_rows(run, source, 0..obs.n_rows(), &mut [&mut totals])?;
            Some(totals.0)
        } else {
            None
        };
        let (ln_offset, offset) = ln_offsets(obs, &options.offset, totals.as_deref(), &mut warnings)?;
        let mut collector = Self {
            sums: Sums {
                genes,
                formula: model.display(),
                groups_by: options.groups.clone().unwrap_or_default(),
                offset,
                genes_from: options.mask.as_ref().map(|m| m.name.clone()).unwrap_or_default(),
                warnings: Vec::new(),
                replication: Vec::new(),
                inputs: Vec::new(),
                groups: Vec::new(),
            },
            new_column,
            places: vec![(NONE, 0); obs.n_rows()],
            groups: Vec::new(),
            ln_offset,
            accumulators: Vec::new(),
            stride: 0,
            source: source.name(),
            cell_name: options.cell_name.clone(),
        };
        let mut seen = Seen { obs, model, totals: totals.as_deref(), warnings };
        for ((label, rows), design) in cells.iter().zip(designs) {
            let added =
                design.and_then(|design| collector.add_group(&mut seen, label, rows.as_deref(), &design, options));
            if let Err(fault) = added {
                if label.is_empty() {
                    return Err(fault);
                }
                let n_cells = rows.as_ref().map_or(0, Vec::len) as u64;
                seen.warnings.push(format!("group `{label}` cannot be fitted: {fault}"));
                collector.sums.groups.push(GroupSums::refused(label, n_cells, fault.to_string())?);
                collector.groups.push(None);
            }
        }
        if let Some(first) = collector.sums.groups.first().filter(|_| collector.groups.iter().all(Option::is_none)) {
            let message = format!("the model can be fitted to no group; the first says: {}", first.refused);
            return Err(Fault::bad_input(message).at("formula"));
        }
        let mut warnings = seen.warnings;
        warnings.dedup();
        warnings.iter().for_each(|w| run.warn(w));
        collector.sums.warnings = warnings;
        Ok(collector)
    }

    /// Takes the memory of the sums.
    fn reserve(&mut self, run: &Run) -> Result<()> {
        let n = self.stride * self.sums.genes.len();
        run.reserve("the sums", 16 * n as u64)?;
        self.accumulators = vec![0.0; n];
        Ok(())
    }

    /// Lays out the strata of a group.
    fn add_group(
        &mut self,
        seen: &mut Seen<'_>,
        label: &str,
        rows: Option<&[usize]>,
        design: &Design,
        options: &SumsOptions,
    ) -> Result<()> {
        if design.components().len() != 1 {
            return Err(one_intercept());
        }
        let place = if label.is_empty() { String::new() } else { format!("group `{label}`: ") };
        seen.note(design, &place, &mut self.sums.replication);
        let row_of = |i: usize| rows.map_or(i, |rows| rows[i]);
        let n = rows.map_or(seen.obs.n_rows(), <[usize]>::len);
        let ln_offset: Vec<f64> = (0..n).map(|i| self.ln_offset[row_of(i)]).collect();
        let totals = |i: usize| seen.totals.map_or(1.0, |totals| totals[row_of(i)]);
        let strata = strata(design, &ln_offset, totals, options.path.unwrap_or(Path::Auto), options.nodes)?;
        let g = self.groups.len() as u32;
        (0..n).for_each(|i| self.places[row_of(i)] = (g, i as u32));
        let component = &design.components()[0];
        let prefix = component.name.len();
        let donor = |column: &String| column.get(prefix..).filter(|d| !d.is_empty()).unwrap_or(column).to_owned();
        self.sums.groups.push(GroupSums {
            label: label.to_owned(),
            coefficients: design.coefficients().clone(),
            unit: component.name.clone(),
            donors: component.columns.iter().map(donor).collect(),
            n_cells: 0,
            nodes: strata.nodes.clone(),
            refused: String::new(),
            layout: strata.layout.clone(),
            points: PointSums::Dense(Vec::new()),
            histograms: Vec::new(),
        });
        let plan = GroupPlan {
            strata,
            offset: self.stride,
            n_cells: 0,
            small: vec![0; self.sums.genes.len() * SMALL],
            large: HashMap::new(),
            listed: Vec::new(),
        };
        self.stride += if plan.n_atoms() > 0 { HEAD + plan.n_atoms() } else { 0 };
        self.groups.push(Some(plan));
        Ok(())
    }

    fn cell(&self, row: usize) -> String {
        self.cell_name.as_ref().map_or_else(|| row.to_string(), |name| name(row))
    }

    /// Refuses values that are no counts.
    fn check_values(&self, block: &RowBlock<'_>) -> Result<()> {
        if block.values().are_counts() {
            return Ok(());
        }
        let bad = (0..block.values().len()).find(|&k| !block.values().get(k).is_finite());
        let found = match bad {
            Some(k) => {
                let row = block.pointers().partition_point(|&p| p <= k) - 1;
                Some((block.start() + row, block.indices()[k] as usize, block.values().get(k)))
            }
            None => GuardFinding::in_block(block).map(|f| (f.row, f.column, f.value)),
        };
        match found {
            None => Ok(()),
            Some((row, column, value)) => Err(Fault::bad_input(format!(
                "cell `{}` has {value} for gene `{}`, which is not a count",
                self.cell(row),
                self.sums.genes[column]
            ))
            .at(self.source.as_str())
            .hint("give the matrix or layer that holds counts")),
        }
    }

    /// Adds the cells of a block to the points, and gathers how their values do.
    fn gather(&mut self, block: &RowBlock<'_>) -> Vec<GroupRows> {
        let mut gathered: Vec<Gathered> = self.groups.iter().map(|_| Gathered::default()).collect();
        let mut cardinals = Vec::new();
        for i in 0..block.n_rows() {
            let (g, position) = self.places[block.start() + i];
            let Some(group) = self.groups.get_mut(g as usize).and_then(Option::as_mut) else { continue };
            let place = group.strata.places[position as usize];
            if place == NONE {
                continue;
            }
            group.n_cells += 1;
            let Some(nodes) = &group.strata.nodes else {
                group.strata.layout.cells[place as usize] = 1.0;
                continue;
            };
            let m = nodes.len();
            cardinals.resize(m, 0.0);
            nodes.cardinals(self.ln_offset[block.start() + i], &mut cardinals);
            let rows = &mut gathered[g as usize];
            rows.rows.push(i as u32);
            for (k, &l) in cardinals.iter().enumerate() {
                let atom = place as usize * m + k;
                group.strata.layout.cells[atom] += l;
                rows.atoms.push((atom as u32, l));
            }
            rows.ends.push(rows.atoms.len());
        }
        let lay_out = |(group, rows): (&Option<GroupPlan>, Gathered)| {
            group.as_ref().filter(|_| !rows.rows.is_empty()).map(|g| GroupRows::new(g.offset, g.n_atoms(), rows))
        };
        self.groups.iter().zip(gathered).filter_map(lay_out).collect()
    }

    /// Counts the values of a block in the histograms, and lists them where cells are points.
    fn count(&mut self, block: &RowBlock<'_>) {
        for i in 0..block.n_rows() {
            let (g, position) = self.places[block.start() + i];
            let Some(group) = self.groups.get_mut(g as usize).and_then(Option::as_mut) else { continue };
            let place = group.strata.places[position as usize];
            if place == NONE {
                continue;
            }
            let listed = group.strata.nodes.is_none();
            for (gene, y) in block.row(i).filter(|(_, y)| *y > 0.0) {
                if y <= SMALL as f64 {
                    group.small[gene * SMALL + y as usize - 1] += 1;
                } else {
                    *group.large.entry((gene as u32, y as u64)).or_insert(0) += 1;
                }
                if listed {
                    group.listed.push((gene as u32, place, y));
                }
            }
        }
    }

    fn into_sums(mut self, input: SumsInput) -> Sums {
        let n_genes = self.sums.genes.len();
        for (group, plan) in self.sums.groups.iter_mut().zip(&mut self.groups) {
            let Some(plan) = plan else { continue };
            group.n_cells = plan.n_cells;
            group.points = if plan.strata.nodes.is_some() {
                let from = plan.offset + HEAD;
                let of_gene = |gene: &[f64]| gene[from..from + plan.n_atoms()].to_vec();
                PointSums::Dense(self.accumulators.chunks_exact(self.stride.max(1)).flat_map(of_gene).collect())
            } else {
                let mut lists = vec![Vec::new(); n_genes];
                plan.listed.drain(..).for_each(|(gene, point, y)| lists[gene as usize].push((point, y)));
                lists.iter_mut().for_each(|list| list.sort_unstable_by_key(|(point, _)| *point));
                PointSums::Listed(lists)
            };
            let mut histograms: Vec<Vec<(u64, f64)>> = plan
                .small
                .chunks_exact(SMALL)
                .map(|small| (1..).zip(small).filter(|(_, n)| **n > 0).map(|(y, &n)| (y, n as f64)).collect())
                .collect();
            plan.large.iter().for_each(|(&(gene, y), &n)| histograms[gene as usize].push((y, n as f64)));
            histograms.iter_mut().for_each(|h| h.sort_unstable_by_key(|(y, _)| *y));
            group.histograms = histograms;
            group.layout = plan.strata.layout.clone();
        }
        self.sums.inputs.push(input);
        self.sums
    }
}

/// What designs are looked at with, and what is said about them.
struct Seen<'a> {
    obs: &'a Frame,
    model: &'a Model,
    totals: Option<&'a [f64]>,
    warnings: Vec<String>,
}

impl Seen<'_> {
    /// Notes dropped levels, columns left out, and factors without a term for what was treated.
    fn note(&mut self, design: &Design, place: &str, noted: &mut Vec<(String, String)>) {
        for (factor, levels) in design.dropped_levels() {
            self.warnings.push(format!("{place}no cells have {} of `{factor}`; dropped", listing(levels, 5)));
        }
        self.warnings.extend(design.aliased().iter().map(|a| format!("{place}`{}` is left out: it {}", a.name, a.why)));
        let found = replication::warnings(design, self.obs, None);
        self.warnings.extend(found.into_iter().map(|w| format!("{place}{w}")));
        for variable in self.model.variables() {
            let is_factor = matches!(self.obs.get(&variable), Some(ObsColumn::Factor(_)));
            if is_factor && !noted.iter().any(|(name, _)| *name == variable) {
                let found = replication::warnings(design, self.obs, Some(&variable));
                noted.extend(found.into_iter().next().map(|warning| (variable, warning)));
            }
        }
    }
}

impl Summary for Collector {
    fn observe(&mut self, run: &Run, block: &RowBlock<'_>) -> Result<()> {
        let kept = match &self.new_column {
            Some(new_column) => Some(block.with_columns(new_column, self.sums.genes.len())?),
            None => None,
        };
        let block = kept.as_ref().unwrap_or(block);
        self.check_values(block)?;
        let rows = self.gather(block);
        self.count(block);
        let totals = vec![1.0; block.n_rows()];
        add_block(run, &mut self.accumulators, (self.stride, 0), block, &rows, (Transform::None, &totals))
    }
}

impl GroupSums {
    /// A group that cannot be fitted.
    pub(super) fn refused(label: &str, n_cells: u64, why: String) -> Result<Self> {
        Ok(Self {
            label: label.to_owned(),
            coefficients: Coefficients::from_names(&[])?,
            unit: String::new(),
            donors: Vec::new(),
            n_cells,
            nodes: None,
            refused: why,
            layout: Layout {
                x: Matrix::zeros(0, 0),
                donors: vec![0],
                points: vec![0],
                offsets: Vec::new(),
                cells: Vec::new(),
            },
            points: PointSums::Dense(Vec::new()),
            histograms: Vec::new(),
        })
    }
}
