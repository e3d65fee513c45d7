//! One pass over the cells: how a block of rows becomes sums.
//!
//! A cell adds `t · d` for each stored value t and each entry d of its design row, which has one entry per model term.
//! Most of those entries are indicators that repeat from cell to cell. Where the cells of a group show few distinct
//! indicator *patterns* (samples × clusters, say), a value is added once, to its pattern, and the columns are recovered
//! at the end as sums over patterns; only covariates are added one by one. Where there are too many, the patterns are
//! those of the fixed effects alone; where even these are too many, every entry is added as it stands. What a value is
//! added to is called an *atom* here.
//!
//! How the values of a block are added to the atoms of their genes is the matter of [`super::add`].
//! At every multiple of [`CUT`] rows the sums so far are added to the totals exactly ([`super::merge`]) and begin anew,
//! so that a study cut there into shards gives the same bits as the whole.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use ferrocyte_base::{Fault, Result, Run, listing};
use ferrocyte_data::{
    CUT, Codes, Frame, GuardFinding, ObsColumn, RowBlock, RowChunks, Summary, Transform, Values, fold_rows,
};
use ferrocyte_design::{Aliased, BindOptions, Coefficients, Design, Model, replication};
use ferrocyte_math::linalg::Matrix;

use crate::lmm::canonical::Canonical;
use crate::lmm::options::{AliasedChoice, NaChoice};
use crate::lmm::sums::add::{Gathered, GroupRows, HEAD, add_block};
use crate::lmm::sums::cells::cells_by_group;
use crate::lmm::sums::mask::GeneMask;
use crate::lmm::sums::merge::GeneSums;
use crate::lmm::sums::{Component, GroupSums, Sums, SumsInput};

/// No group.
const NONE: u32 = u32::MAX;

/// Gives the name of a cell by its row.
pub type CellName = Arc<dyn Fn(usize) -> String + Send + Sync>;

/// How the cells are collected into sums.
#[derive(Default)]
pub struct SumsOptions {
    /// The obs column whose levels are fitted apart.
    pub groups: Option<String>,
    /// What is done to each count.
    pub transform: Option<Transform>,
    /// What to do with dependent fixed effects.
    pub aliased: Option<AliasedChoice>,
    /// What to do with cells that lack a value which the model needs.
    pub na: Option<NaChoice>,
    /// Only these genes (true) are modelled, and how they were chosen. Totals of cells are those over all genes.
    pub mask: Option<GeneMask>,
    /// Whether values are taken on trust where a count transform expects counts.
    pub trust_values: bool,
    /// Only these rows are observed (a shard). Designs and levels are those of the whole study, so that parts of one
    /// study made of any rows can be merged.
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
            .field("transform", &self.transform)
            .finish_non_exhaustive()
    }
}

/// Sums of all cells of `source` under `model`, in one pass.
///
/// `source` is cells × genes, `genes` names its columns, `obs` has a row per cell and the columns that the model
/// names. With `groups`, each level of that column has its own design, in which levels without cells are dropped,
/// and its own sums; a level to which the model cannot be fitted is refused with a reason and stops no other.
///
/// Checked before the pass: names, missing values, rank of the design. Checked during it: values that are not
/// finite, values that cannot be counts (for count transforms), cells without counts under `log(libsize)`.
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
    let mut collector = collector(run, genes, obs, model, options)?;
    collector.sums.inputs.push(SumsInput {
        name: source.name(),
        fingerprint: options.fingerprint.clone(),
        rows: (rows.start, rows.end),
        n_rows,
    });
    let whole = rows == (0..n_rows);
    collector.several_cuts = rows.start / CUT != rows.end.saturating_sub(1) / CUT;
    collect(run, source, rows, &mut collector)?;
    let mut sums = collector.sums;
    sums.settle();
    if whole {
        refuse_singular(run, &mut sums)?;
    }
    Ok(sums)
}

/// Feeds the rows to the collector: in one pass, if the accumulators of all genes fit the memory of the run and the
/// source is stored by rows or fits too, else genes after genes. No bit depends on that.
fn collect(run: &Run, source: &mut dyn RowChunks, rows: Range<usize>, collector: &mut Collector) -> Result<()> {
    let n_genes = collector.sums.n_genes();
    let at_once = collector.genes_at_once(run)?;
    let Some(blocks) = source.gene_blocks(run) else {
        if at_once < n_genes {
            let passes = n_genes.div_ceil(at_once);
            run.info(&format!(
                "the sums take {passes} passes over the cells, {at_once} of {n_genes} genes in each: more need more memory \
                 (max_memory)"
            ));
        }
        let all = 0..source.n_cols();
        return collect_genes(run, source, rows, collector, (all, at_once));
    };
    run.info(&format!(
        "the matrix is stored by columns and does not fit the memory: it is read in {} blocks of genes",
        blocks.len()
    ));
    if collector.needs_totals() {
        let mut totals = Totals { collector, origin: 0, of_cells: vec![0.0; source.n_rows()] };
        for genes in blocks.iter().cloned() {
            totals.origin = genes.start;
            fold_rows(run, &mut *source.read_genes(run, genes)?, rows.clone(), &mut [&mut totals])?;
        }
        let totals = totals.of_cells;
        collector.totals = Some(totals);
    }
    blocks.into_iter().try_for_each(|genes| {
        let mut part = source.read_genes(run, genes.clone())?;
        collect_genes(run, &mut *part, rows.clone(), collector, (genes, at_once))
    })
}

/// A pass over `source`, which has a range of the matrix's genes, for every `at_once` of those that are modelled.
fn collect_genes(
    run: &Run,
    source: &mut dyn RowChunks,
    rows: Range<usize>,
    collector: &mut Collector,
    (columns, at_once): (Range<usize>, usize),
) -> Result<()> {
    let genes = collector.modelled(&columns);
    if genes.is_empty() && collector.sums.n_genes() > 0 {
        return Ok(());
    }
    let mut start = genes.start;
    loop {
        let end = (start + at_once).min(genes.end);
        collector.begin(columns.start, start..end);
        fold_rows(run, source, rows.clone(), &mut [&mut *collector])?;
        start = end;
        if start == genes.end {
            return Ok(());
        }
    }
}

/// The total of each cell, from genes that come range by range. Added in the order of genes, as
/// [`RowBlock::row_sums`] does.
struct Totals<'a> {
    /// Who checks the values.
    collector: &'a Collector,
    /// The gene of the first column of the blocks.
    origin: usize,
    of_cells: Vec<f64>,
}

impl Summary for Totals<'_> {
    fn observe(&mut self, _run: &Run, block: &RowBlock<'_>) -> Result<()> {
        let (kept, origin) = self.collector.modelled_columns(self.origin, block)?;
        self.collector.check_values(origin, kept.as_ref().unwrap_or(block))?;
        for (i, total) in self.of_cells[block.start()..block.start() + block.n_rows()].iter_mut().enumerate() {
            *total = block.row(i).fold(*total, |sum, (_, v)| sum + v);
        }
        Ok(())
    }
}

/// Refuses groups whose fixed effects turn out to be dependent, now that all columns are known.
fn refuse_singular(run: &Run, sums: &mut Sums) -> Result<()> {
    for group in sums.groups.iter_mut().filter(|g| g.refused.is_empty()) {
        let Err(fault) = Canonical::new(group) else { continue };
        if sums.groups_by.is_empty() {
            return Err(fault);
        }
        group.refused = fault.to_string();
        let warning = format!("group `{}` cannot be fitted: {fault}", group.label);
        run.warn(&warning);
        sums.warnings.push(warning);
    }
    Ok(())
}

/// Binds the model to every group and lays out the accumulators.
fn collector(run: &Run, genes: &[String], obs: &Frame, model: &Model, options: &SumsOptions) -> Result<Collector> {
    let n_cells = obs.n_rows();
    let mut warnings: Vec<String> = Vec::new();
    let na = options.na.unwrap_or(NaChoice::Refuse);
    let rows_of = cells_by_group(obs, model, options.groups.as_deref(), na, &mut warnings)?;
    let (new_column, genes) = match &options.mask {
        Some(mask) => mask.apply(genes).map(|(columns, kept)| (Some(columns), kept))?,
        None => (None, genes.to_vec()),
    };
    let n_genes = genes.len();
    let bind = BindOptions {
        aliased: match options.aliased.unwrap_or(AliasedChoice::Refuse) {
            AliasedChoice::Refuse => Aliased::Refuse,
            AliasedChoice::Drop => Aliased::Drop,
        },
        ..BindOptions::default()
    };
    let mut collector = Collector {
        sums: Sums {
            genes,
            transform: options.transform.unwrap_or(Transform::Log1p),
            formula: model.display(),
            groups_by: options.groups.clone().unwrap_or_default(),
            libsize: String::new(),
            genes_from: options.mask.as_ref().map(|m| m.name.clone()).unwrap_or_default(),
            warnings: Vec::new(),
            replication: Vec::new(),
            inputs: Vec::new(),
            groups: Vec::new(),
        },
        new_column,
        trust_values: options.trust_values,
        // Where all cells are one group, a cell's position is its row.
        places: rows_of.iter().any(|(_, rows)| rows.is_some()).then(|| vec![(NONE, 0); n_cells]),
        groups: Vec::new(),
        accumulators: Vec::new(),
        stride: 0,
        genes: 0..0,
        origin: 0,
        totals: None,
        begun: false,
        several_cuts: false,
        cell_name: options.cell_name.clone(),
        bad_cells: Vec::new(),
        n_bad_cells: 0,
    };
    let mut needs_totals = false;
    for (label, rows) in &rows_of {
        let place = if label.is_empty() { String::new() } else { format!("group `{label}`: ") };
        match Design::bind(model, obs, rows.as_deref(), &bind) {
            Ok(design) => {
                for (factor, levels) in design.dropped_levels() {
                    warnings.push(format!("{place}no cells have {} of `{factor}`; dropped", listing(levels, 5)));
                }
                warnings.extend(
                    design
                        .aliased()
                        .iter()
                        .map(|alias| format!("{place}`{}` is left out: it {}", alias.name, alias.why)),
                );
                warnings.extend(replication::warnings(&design, obs, None).into_iter().map(|w| format!("{place}{w}")));
                note_replication(&design, obs, model, &mut collector.sums.replication);
                if design.components().is_empty() {
                    return Err(Fault::bad_input("the model has no random term")
                        .at("formula")
                        .hint("add the unit that was sampled or treated, e.g. (1 | sample)"));
                }
                needs_totals |= design.needs_totals();
                collector.sums.groups.push(GroupSums::empty(
                    label,
                    design.coefficients().clone(),
                    components(&design),
                    n_genes,
                ));
                let g = collector.groups.len() as u32;
                if let (Some(places), Some(rows)) = (&mut collector.places, rows) {
                    rows.iter().enumerate().for_each(|(i, &row)| places[row] = (g, i as u32));
                }
                let n_rows = rows.as_ref().map_or(n_cells, Vec::len);
                collector.groups.push(Some(GroupPlan::new(design, n_rows, collector.stride)));
                collector.stride += collector.groups.last().and_then(Option::as_ref).map_or(0, |g| HEAD + g.n_atoms);
            }
            Err(fault) if !label.is_empty() => {
                let mut group = GroupSums::empty(label, Coefficients::from_names(&[])?, Vec::new(), n_genes);
                group.refused = fault.to_string();
                group.n_cells = rows.as_ref().map_or(n_cells, Vec::len) as u64;
                warnings.push(format!("group `{label}` cannot be fitted: {fault}"));
                collector.sums.groups.push(group);
                collector.groups.push(None);
            }
            Err(fault) => return Err(fault),
        }
    }
    if collector.groups.iter().all(Option::is_none) {
        let first = collector.sums.groups.first().map_or("there are no cells", |g| g.refused.as_str());
        return Err(
            Fault::bad_input(format!("the model can be fitted to no group; the first says: {first}")).at("formula")
        );
    }
    let uses_libsize = model.variables().iter().any(|v| v == "libsize");
    let libsize = match (uses_libsize, needs_totals) {
        (false, _) => "",
        (true, true) => "total of the cell over all genes of the matrix",
        (true, false) => "obs column `libsize`",
    };
    if uses_libsize {
        run.info(&format!("`libsize` is the {libsize}"));
    }
    warnings.dedup();
    warnings.iter().for_each(|w| run.warn(w));
    libsize.clone_into(&mut collector.sums.libsize);
    collector.sums.warnings = warnings;
    Ok(collector)
}

fn components(design: &Design) -> Vec<Component> {
    design.components().iter().map(|c| Component { name: c.name.clone(), columns: c.columns.clone() }).collect()
}

/// Remembers, for each factor of the model, what testing it would cost without a term for the unit treated.
fn note_replication(design: &Design, obs: &Frame, model: &Model, noted: &mut Vec<(String, String)>) {
    for variable in model.variables() {
        if matches!(obs.get(&variable), Some(ObsColumn::Factor(_))) && !noted.iter().any(|(name, _)| *name == variable)
        {
            let found = replication::warnings(design, obs, Some(&variable));
            noted.extend(found.into_iter().next().map(|warning| (variable, warning)));
        }
    }
}

/// The entries of a design row that depend on factors only.
type Pattern = Vec<(u32, f64)>;

/// The layout of one group's accumulators and the way to its design rows.
#[derive(Debug)]
struct GroupPlan {
    design: Design,
    /// Where this group's accumulators begin within those of a gene.
    offset: usize,
    n_atoms: usize,
    /// The pattern of each of its cells, where patterns are used.
    pattern_of: Option<Codes>,
    /// For each pattern, the entries of its columns that depend on factors only.
    patterns: Vec<Pattern>,
    /// The atom of each column that is added one by one; `NONE` for those recovered from patterns.
    atom_of: Vec<u32>,
    n_cells: u64,
    /// [X Z]'[X Z], (p + q) × (p + q), lower triangle.
    cross: Matrix,
}

impl GroupPlan {
    fn new(design: Design, n_rows: usize, offset: usize) -> Self {
        let (n_fixed, n_columns) = (design.n_fixed(), design.n_fixed() + design.n_random());
        let mut plan = Self {
            offset,
            // The columns one by one, and the sum.
            n_atoms: n_columns + 1,
            pattern_of: None,
            patterns: Vec::new(),
            atom_of: (0..n_columns as u32).collect(),
            n_cells: 0,
            cross: Matrix::zeros(n_columns, n_columns),
            design,
        };
        // All indicators in one pattern where that makes few of them; else those of the fixed effects, which repeat each
        // other most.
        for scope in [n_columns, n_fixed] {
            let covered = |column: usize| column < scope && !plan.design.is_numeric(column);
            let Some((pattern_of, patterns)) = find_patterns(&plan.design, n_rows, 4 * n_columns, &covered) else {
                continue;
            };
            let mut next = patterns.len() as u32;
            let mut own_atom = || {
                next += 1;
                next - 1
            };
            plan.atom_of = (0..n_columns).map(|c| if covered(c) { NONE } else { own_atom() }).collect();
            plan.n_atoms = next as usize;
            plan.pattern_of = Some(pattern_of);
            plan.patterns = patterns;
            break;
        }
        plan
    }

    /// Adds a design row to the cross-products.
    fn add_row(&mut self, row: &[(u32, f64)]) {
        self.n_cells += 1;
        for &(i, x) in row {
            for &(j, y) in row {
                if j <= i {
                    self.cross[(i as usize, j as usize)] += x * y;
                }
            }
        }
    }

    /// Lists the atoms of a design row.
    fn gather(&self, block_row: usize, position: usize, row: &[(u32, f64)], gathered: &mut Gathered) {
        let one = self.pattern_of.as_ref().map_or(self.n_atoms as u32 - 1, |pattern_of| pattern_of.get(position));
        gathered.rows.push(block_row as u32);
        gathered.atoms.push((one, 1.0));
        gathered.atoms.extend(row.iter().filter_map(|&(column, x)| {
            let atom = self.atom_of[column as usize];
            (atom != NONE).then_some((atom, x))
        }));
        gathered.ends.push(gathered.atoms.len());
    }

    /// The cells that were added since the last call, and their cross-products: sums without genes.
    fn take_cross(&mut self) -> GroupSums {
        let (p, q) = (self.design.n_fixed(), self.design.n_random());
        let mut out = GroupSums::empty("", self.design.coefficients().clone(), components(&self.design), 0);
        out.n_cells = std::mem::take(&mut self.n_cells);
        let cross = std::mem::replace(&mut self.cross, Matrix::zeros(p + q, p + q));
        for i in 0..p + q {
            for j in 0..=i {
                let x = cross[(i, j)];
                match (i < p, j < p) {
                    (true, _) => {
                        out.xx[(i, j)] = x;
                        out.xx[(j, i)] = x;
                    }
                    (false, true) => out.zx[(i - p, j)] = x,
                    (false, false) => {
                        out.zz[(i - p, j - p)] = x;
                        out.zz[(j - p, i - p)] = x;
                    }
                }
            }
        }
        out
    }

    /// The sums of a gene from its accumulators, those of all groups: columns (written to `columns`) recovered from the
    /// atoms.
    fn gene<'a>(&self, accumulators: &[f64], columns: &'a mut Vec<f64>) -> GeneSums<'a> {
        let (head, atoms) = accumulators[self.offset..self.offset + HEAD + self.n_atoms].split_at(HEAD);
        columns.clear();
        columns.resize(self.atom_of.len(), 0.0);
        for (pattern, &sum) in self.patterns.iter().zip(atoms) {
            for &(column, x) in pattern {
                columns[column as usize] += x * sum;
            }
        }
        for (column, &atom) in columns.iter_mut().zip(&self.atom_of) {
            if atom != NONE {
                *column = atoms[atom as usize];
            }
        }
        let (xy, zy) = columns.split_at(self.design.n_fixed());
        // Every cell has one pattern; without patterns the last atom is the sum.
        let y_sum = match self.pattern_of {
            Some(_) => atoms[..self.patterns.len()].iter().sum(),
            None => atoms[self.n_atoms - 1],
        };
        GeneSums { xy, zy, y_norm: head[0], y_sum, n_expressing: head[1] }
    }
}

/// The distinct rows of the covered columns, which depend on factors only, unless there are more than `most`.
fn find_patterns(
    design: &Design,
    n_rows: usize,
    most: usize,
    covered: &dyn Fn(usize) -> bool,
) -> Option<(Codes, Vec<Pattern>)> {
    let mut ids: HashMap<Vec<(u32, u64)>, u32> = HashMap::new();
    let mut patterns = Vec::new();
    let (mut row, mut key) = (Vec::new(), Vec::new());
    let pattern = |i: usize| {
        design.row(i, 1.0, &mut row);
        row.retain(|&(column, _)| covered(column as usize));
        key.clear();
        key.extend(row.iter().map(|&(column, x)| (column, x.to_bits())));
        match ids.get(&key) {
            Some(&id) => Some(id),
            None if patterns.len() == most => None,
            None => {
                let id = patterns.len() as u32;
                ids.insert(key.clone(), id);
                patterns.push(row.clone());
                Some(id)
            }
        }
    };
    let pattern_of = (0..n_rows).map(pattern).collect::<Option<Codes>>()?;
    Some((pattern_of, patterns))
}

/// The sums in the making: designs, layout and accumulators while cells are observed.
struct Collector {
    /// Everything but the numbers, until the end.
    sums: Sums,
    /// The new column of each gene of the matrix where some are left out.
    new_column: Option<Vec<u32>>,
    trust_values: bool,
    /// The group of each cell and its position among the cells of the group; none where all cells are one group.
    places: Option<Vec<(u32, u32)>>,
    groups: Vec<Option<GroupPlan>>,
    /// The genes of this pass × stride.
    accumulators: Vec<f64>,
    stride: usize,
    /// The genes of this pass, among those modelled.
    genes: Range<usize>,
    /// The gene of the matrix in the first column of the blocks.
    origin: usize,
    /// The total of each cell over all genes, where blocks do not have all of them.
    totals: Option<Vec<f64>>,
    /// Whether anything was observed.
    begun: bool,
    /// Whether the rows reach over a cut, so that sums are added up from several blocks.
    several_cuts: bool,
    cell_name: Option<CellName>,
    /// The first cells whose design row is not finite with their totals, and how many there are.
    bad_cells: Vec<(String, f64)>,
    n_bad_cells: usize,
}

impl Collector {
    fn cell(&self, row: usize) -> String {
        self.cell_name.as_ref().map_or_else(|| row.to_string(), |name| name(row))
    }

    /// For how many genes there is memory for accumulators, beside the sums that are made of them. Fails if it is for
    /// none.
    fn genes_at_once(&self, run: &Run) -> Result<usize> {
        // Fewer at once would read the cells very often.
        const LEAST: usize = 64;
        let n_genes = self.sums.genes.len();
        let columns: usize = self.groups.iter().flatten().map(|g| g.atom_of.len() + HEAD + 1).sum();
        // Totals of several blocks have a high and a low part.
        let parts = if self.several_cuts { 2 } else { 1 };
        let (sums, per_gene) = (8 * (parts * columns * n_genes) as u64, 8 * self.stride as u64);
        run.reserve("the sums", sums + per_gene * n_genes.min(LEAST) as u64)?;
        let fitting = (run.memory_bytes() - sums) / per_gene.max(1);
        Ok(usize::try_from(fitting).unwrap_or(usize::MAX).min(n_genes).max(1))
    }

    /// The genes that are modelled among those of a range of the matrix, numbered as the sums have them.
    fn modelled(&self, columns: &Range<usize>) -> Range<usize> {
        let Some(new_column) = &self.new_column else { return columns.clone() };
        let kept = |range: &[u32]| range.iter().filter(|&&c| c != NONE).count();
        let start = kept(&new_column[..columns.start]);
        start..start + kept(&new_column[columns.clone()])
    }

    /// A block, whose first column is the gene `origin` of the matrix, without the genes that are not modelled (nothing
    /// where all are), and which of those modelled its first column then is.
    fn modelled_columns(&self, origin: usize, block: &RowBlock<'_>) -> Result<(Option<RowBlock<'static>>, usize)> {
        let Some(new_column) = &self.new_column else { return Ok((None, origin)) };
        let columns = origin..origin + block.n_cols();
        let genes = self.modelled(&columns);
        let shift = genes.start as u32;
        let local: Vec<u32> = new_column[columns].iter().map(|&c| if c == NONE { NONE } else { c - shift }).collect();
        Ok((Some(block.with_columns(&local, genes.len())?), genes.start))
    }

    /// Begins a pass for some genes, over blocks whose first column is the gene `origin` of the matrix.
    fn begin(&mut self, origin: usize, genes: Range<usize>) {
        // The old accumulators go first: there is room for one of them.
        self.accumulators = Vec::new();
        self.accumulators = vec![0.0; self.stride * genes.len()];
        (self.origin, self.genes, self.begun) = (origin, genes, false);
    }

    /// Refuses values that are not finite, and values that cannot be counts where counts are expected. `origin` is the
    /// gene of the first column.
    fn check_values(&self, origin: usize, block: &RowBlock<'_>) -> Result<()> {
        if block.values().are_counts() {
            return Ok(());
        }
        let source = || self.sums.inputs.first().map_or_else(|| "the matrix".to_owned(), |input| input.name.clone());
        let bad = match block.values() {
            Values::F32(v) => v.iter().position(|v| !v.is_finite()),
            Values::F64(v) => v.iter().position(|v| !v.is_finite()),
        };
        if let Some(k) = bad {
            let row = block.start() + block.pointers().partition_point(|&p| p <= k) - 1;
            let gene = &self.sums.genes[origin + block.indices()[k] as usize];
            let total = (0..block.values().len()).filter(|&k| !block.values().get(k).is_finite()).count();
            return Err(Fault::bad_input(format!(
                "gene `{gene}` has {} in cell `{}` ({total} such values in these rows)",
                block.values().get(k),
                self.cell(row)
            ))
            .at(source())
            .hint("replace or leave out values that are not finite"));
        }
        let finding = if self.sums.transform.wants_counts() { GuardFinding::in_block(block) } else { None };
        match finding {
            Some(f) if !self.trust_values || f.value < 0.0 => {
                Err(f.fault(&source(), &self.cell(f.row), &self.sums.genes[origin + f.column], None))
            }
            _ => Ok(()),
        }
    }

    /// The design rows of a block, group by group, as atoms.
    fn design_rows(&mut self, block: &RowBlock<'_>, totals: &[f64]) -> Vec<GroupRows> {
        let mut gathered: Vec<Gathered> = self.groups.iter().map(|_| Gathered::default()).collect();
        let mut row = Vec::new();
        for (i, &total) in totals.iter().enumerate() {
            let cell = block.start() + i;
            let (g, position) = self.places.as_ref().map_or((0, cell as u32), |places| places[cell]);
            let (g, position) = (g as usize, position as usize);
            let Some(group) = self.groups.get_mut(g).and_then(Option::as_mut) else { continue };
            group.design.row(position, total, &mut row);
            if row.iter().all(|(_, x)| x.is_finite()) {
                // The cross-products do not depend on genes: the first pass has them.
                if self.genes.start == 0 {
                    group.add_row(&row);
                }
                group.gather(i, position, &row, &mut gathered[g]);
            } else {
                self.note_bad_cell(cell, total);
            }
        }
        let lay_out = |(group, rows): (&Option<GroupPlan>, Gathered)| {
            group.as_ref().filter(|_| !rows.rows.is_empty()).map(|g| GroupRows::new(g.offset, g.n_atoms, rows))
        };
        self.groups.iter().zip(gathered).filter_map(lay_out).collect()
    }

    fn needs_totals(&self) -> bool {
        matches!(self.sums.transform, Transform::LogNorm { .. })
            || self.groups.iter().flatten().any(|g| g.design.needs_totals())
    }

    fn note_bad_cell(&mut self, cell: usize, total: f64) {
        self.n_bad_cells += 1;
        if self.bad_cells.len() < 5 {
            self.bad_cells.push((self.cell(cell), total));
        }
    }
}

impl Collector {
    /// Adds what was observed since the last flush to the totals, and begins anew.
    fn flush(&mut self) {
        let mut columns = Vec::new();
        for (plan, total) in self.groups.iter_mut().zip(&mut self.sums.groups) {
            let Some(plan) = plan else { continue };
            // The cross-products do not depend on genes: the first pass has them.
            if self.genes.start == 0 {
                total.add_cross(&plan.take_cross(), self.several_cuts);
            }
            for (gene, accumulators) in self.genes.clone().zip(self.accumulators.chunks_exact(self.stride)) {
                total.add_gene(gene, &plan.gene(accumulators, &mut columns), self.several_cuts);
            }
        }
        self.accumulators.fill(0.0);
    }
}

impl Summary for Collector {
    fn observe(&mut self, run: &Run, block: &RowBlock<'_>) -> Result<()> {
        if self.begun && block.start() % CUT == 0 {
            self.flush();
        }
        self.begun = true;
        let cells = block.start()..block.start() + block.n_rows();
        // Totals count all genes, also those that are not modelled.
        let totals = match &self.totals {
            Some(totals) => totals[cells].to_vec(),
            None if self.needs_totals() => block.row_sums(),
            None => vec![1.0; cells.len()],
        };
        let (kept, origin) = self.modelled_columns(self.origin, block)?;
        let block = kept.as_ref().unwrap_or(block);
        self.check_values(origin, block)?;
        let rows = self.design_rows(block, &totals);
        let layout = (self.stride, self.genes.start - origin);
        add_block(run, &mut self.accumulators, layout, block, &rows, (self.sums.transform, &totals))
    }

    /// Hands the sums over, unless a design row was not finite.
    fn finish(&mut self, _run: &Run) -> Result<()> {
        if self.n_bad_cells > 0 {
            let design = self.groups.iter().flatten().map(|g| &g.design).find(|d| d.needs_totals());
            return Err(design.map_or_else(
                || Fault::internal("a design row is not finite"),
                |design| design.totals_fault(&self.bad_cells, self.n_bad_cells),
            ));
        }
        self.flush();
        Ok(())
    }
}
