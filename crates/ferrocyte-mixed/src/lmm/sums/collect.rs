//! One pass over the cells: how a block of rows becomes sums.
//!
//! A cell adds `t · d` for each stored value t and each entry d of its design row, which has one entry per model term.
//! Most of those entries are indicators that repeat from cell to cell. Where the cells of a group show few distinct
//! indicator *patterns* (samples × clusters, say), a value is added once, to its pattern, and the columns are recovered
//! at the end as sums over patterns; only covariates are added one by one. Where there are too many, the patterns are
//! those of the fixed effects alone; where even these are too many, every entry is added as it stands. What a value is
//! added to is called an *atom* here.
//!
//! Work is divided by genes: each thread owns a tile of genes whose accumulators fit its cache, and adds the rows in
//! their order. So the bits depend on neither threads, tiles nor blocks, and no partial sums are merged.

use std::collections::HashMap;
use std::sync::Arc;

use ferrocyte_base::{Fault, Result, Run, listing};
use ferrocyte_data::{Frame, GuardFinding, ObsColumn, RowBlock, RowChunks, Summary, Transform, Values, fold_rows};
use ferrocyte_design::{Aliased, BindOptions, Coefficients, Design, Model, replication};
use ferrocyte_math::linalg::Matrix;

use crate::lmm::canonical::Canonical;
use crate::lmm::options::{AliasedChoice, NaChoice};
use crate::lmm::sums::cells::cells_by_group;
use crate::lmm::sums::mask::GeneMask;
use crate::lmm::sums::{Component, GroupSums, Sums, SumsInput};

/// Bytes of accumulators that one thread works on at a time: a share of the second-level cache.
const TILE_BYTES: usize = 512 * 1024;

/// Accumulators of a gene and group before its atoms: y'y, cells with a value.
const HEAD: usize = 2;

/// Values up to this one are transformed through a table.
const TABLE: usize = 1024;

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
    pub rows: Option<std::ops::Range<usize>>,
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
    run.reserve("the sums", collector.bytes(collector.sums.n_genes()))?;
    let whole = rows == (0..n_rows);
    fold_rows(run, source, rows, &mut [&mut collector])?;
    let mut sums = collector.sums;
    if whole {
        refuse_singular(run, &mut sums)?;
    }
    Ok(sums)
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
    let bind = BindOptions {
        aliased: match options.aliased.unwrap_or(AliasedChoice::Refuse) {
            AliasedChoice::Refuse => Aliased::Refuse,
            AliasedChoice::Drop => Aliased::Drop,
        },
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
        group_of: vec![NONE; n_cells],
        position: vec![0; n_cells],
        groups: Vec::new(),
        accumulators: Vec::new(),
        stride: 0,
        cell_name: options.cell_name.clone(),
        bad_cells: Vec::new(),
        n_bad_cells: 0,
    };
    let n_genes = collector.sums.n_genes();
    let mut needs_totals = false;
    for (label, rows) in &rows_of {
        let place = if label.is_empty() { String::new() } else { format!("group `{label}`: ") };
        match Design::bind(model, obs, Some(rows), &bind) {
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
                for (i, &row) in rows.iter().enumerate() {
                    collector.group_of[row] = g;
                    collector.position[row] = i as u32;
                }
                collector.groups.push(Some(GroupPlan::new(design, rows.len(), collector.stride)));
                collector.stride += collector.groups.last().and_then(Option::as_ref).map_or(0, |g| HEAD + g.n_atoms);
            }
            Err(fault) if !label.is_empty() => {
                let mut group = GroupSums::empty(label, Coefficients::from_names(&[])?, Vec::new(), n_genes);
                group.refused = fault.to_string();
                group.n_cells = rows.len() as u64;
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
    collector.accumulators = vec![0.0; collector.stride * n_genes];
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
    pattern_of: Option<Vec<u32>>,
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

    /// Adds a design row to the cross-products and lists its atoms.
    fn add_row(&mut self, position: usize, row: &[(u32, f64)], atoms: &mut Vec<(u32, f64)>) {
        self.n_cells += 1;
        for &(i, x) in row {
            for &(j, y) in row {
                if j <= i {
                    self.cross[(i as usize, j as usize)] += x * y;
                }
            }
        }
        let one = self.pattern_of.as_ref().map_or(self.n_atoms as u32 - 1, |pattern_of| pattern_of[position]);
        atoms.push((one, 1.0));
        atoms.extend(row.iter().filter_map(|&(column, x)| {
            let atom = self.atom_of[column as usize];
            (atom != NONE).then_some((atom, x))
        }));
    }
}

/// The distinct rows of the covered columns, which depend on factors only, unless there are more than `most`.
fn find_patterns(
    design: &Design,
    n_rows: usize,
    most: usize,
    covered: &dyn Fn(usize) -> bool,
) -> Option<(Vec<u32>, Vec<Pattern>)> {
    let mut ids: HashMap<Vec<(u32, u64)>, u32> = HashMap::new();
    let mut patterns = Vec::new();
    let mut pattern_of = Vec::with_capacity(n_rows);
    let (mut row, mut key) = (Vec::new(), Vec::new());
    for i in 0..n_rows {
        design.row(i, 1.0, &mut row);
        row.retain(|&(column, _)| covered(column as usize));
        key.clear();
        key.extend(row.iter().map(|&(column, x)| (column, x.to_bits())));
        let id = match ids.get(&key) {
            Some(&id) => id,
            None => {
                if patterns.len() == most {
                    return None;
                }
                let id = patterns.len() as u32;
                ids.insert(key.clone(), id);
                patterns.push(row.clone());
                id
            }
        };
        pattern_of.push(id);
    }
    Some((pattern_of, patterns))
}

/// The sums in the making: designs, layout and accumulators while cells are observed.
struct Collector {
    /// Everything but the numbers, until the end.
    sums: Sums,
    /// The new column of each gene where some are left out.
    new_column: Option<Vec<u32>>,
    trust_values: bool,
    /// The group of each cell, and its position among the cells of the group.
    group_of: Vec<u32>,
    position: Vec<u32>,
    groups: Vec<Option<GroupPlan>>,
    /// genes × stride.
    accumulators: Vec<f64>,
    stride: usize,
    cell_name: Option<CellName>,
    /// The first cells whose design row is not finite with their totals, and how many there are.
    bad_cells: Vec<(String, f64)>,
    n_bad_cells: usize,
}

/// The atoms of the rows of a block.
struct BlockAtoms {
    /// Where the accumulators of each row's group begin; `NONE` for rows that take no part.
    offsets: Vec<u32>,
    pointers: Vec<usize>,
    atoms: Vec<(u32, f64)>,
    totals: Vec<f64>,
}

impl Collector {
    fn cell(&self, row: usize) -> String {
        self.cell_name.as_ref().map_or_else(|| row.to_string(), |name| name(row))
    }

    /// Bytes of the accumulators and of the sums that are made of them.
    fn bytes(&self, n_genes: usize) -> u64 {
        let columns: usize = self.groups.iter().flatten().map(|g| g.atom_of.len() + HEAD).sum();
        8 * (self.stride + columns) as u64 * n_genes as u64
    }

    /// Refuses values that are not finite, and values that cannot be counts where counts are expected.
    fn check_values(&self, block: &RowBlock<'_>) -> Result<()> {
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
            let gene = &self.sums.genes[block.indices()[k] as usize];
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
                Err(f.fault(&source(), &self.cell(f.row), &self.sums.genes[f.column], None))
            }
            _ => Ok(()),
        }
    }

    fn atoms(&mut self, block: &RowBlock<'_>) -> BlockAtoms {
        let needs_totals = matches!(self.sums.transform, Transform::LogNorm { .. })
            || self.groups.iter().flatten().any(|g| g.design.needs_totals());
        let n_rows = block.n_rows();
        let totals = if needs_totals { block.row_sums() } else { vec![1.0; n_rows] };
        let mut out = BlockAtoms { offsets: Vec::with_capacity(n_rows), pointers: vec![0], atoms: Vec::new(), totals };
        let mut row = Vec::new();
        for i in 0..n_rows {
            let cell = block.start() + i;
            let mut offset = NONE;
            if let Some(group) = self.groups.get_mut(self.group_of[cell] as usize).and_then(Option::as_mut) {
                let position = self.position[cell] as usize;
                group.design.row(position, out.totals[i], &mut row);
                if row.iter().all(|(_, x)| x.is_finite()) {
                    offset = group.offset as u32;
                    group.add_row(position, &row, &mut out.atoms);
                } else {
                    self.note_bad_cell(cell, out.totals[i]);
                }
            }
            out.offsets.push(offset);
            out.pointers.push(out.atoms.len());
        }
        out
    }

    fn note_bad_cell(&mut self, cell: usize, total: f64) {
        self.n_bad_cells += 1;
        if self.bad_cells.len() < 5 {
            self.bad_cells.push((self.cell(cell), total));
        }
    }
}

impl Summary for Collector {
    fn observe(&mut self, run: &Run, block: &RowBlock<'_>) -> Result<()> {
        // Totals count all genes, also those that are not modelled.
        let atoms = self.atoms(block);
        let kept = match &self.new_column {
            Some(columns) => Some(block.with_columns(columns, self.sums.n_genes())?),
            None => None,
        };
        let block = kept.as_ref().unwrap_or(block);
        self.check_values(block)?;
        let (stride, transform) = (self.stride, self.sums.transform);
        if stride == 0 {
            return Ok(());
        }
        let table: Vec<f64> = match transform {
            Transform::LogNorm { .. } | Transform::None => Vec::new(),
            _ => (0..TABLE).map(|v| transform.apply(v as f64, 1.0)).collect(),
        };
        let value = |v: f64, total: f64| {
            let whole = v as usize;
            if whole < table.len() && whole as f64 == v { table[whole] } else { transform.apply(v, total) }
        };
        let tile = (TILE_BYTES / (8 * stride)).max(16);
        run.for_each_chunk(&mut self.accumulators, tile * stride, |i, part| {
            let genes = i * tile..i * tile + part.len() / stride;
            match block.values() {
                Values::F32(v) => add_tile(part, stride, genes, block, v, &atoms, &value),
                Values::F64(v) => add_tile(part, stride, genes, block, v, &atoms, &value),
            }
        })
    }

    /// Recovers the columns from the atoms and hands the sums over.
    fn finish(&mut self, _run: &Run) -> Result<()> {
        if self.n_bad_cells > 0 {
            let design = self.groups.iter().flatten().map(|g| &g.design).find(|d| d.needs_totals());
            return Err(design.map_or_else(
                || Fault::internal("a design row is not finite"),
                |design| design.totals_fault(&self.bad_cells, self.n_bad_cells),
            ));
        }
        let n_genes = self.sums.genes.len();
        for (group, out) in self.groups.iter_mut().zip(&mut self.sums.groups) {
            let Some(group) = group else { continue };
            let (p, q) = (group.design.n_fixed(), group.design.n_random());
            out.n_cells = group.n_cells;
            for i in 0..p + q {
                for j in 0..=i {
                    let x = group.cross[(i, j)];
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
            let mut columns = vec![0.0; p + q];
            for gene in 0..n_genes {
                let start = gene * self.stride + group.offset;
                let (head, atoms) = self.accumulators[start..start + HEAD + group.n_atoms].split_at(HEAD);
                columns.fill(0.0);
                for (pattern, &sum) in group.patterns.iter().zip(atoms) {
                    for &(column, x) in pattern {
                        columns[column as usize] += x * sum;
                    }
                }
                for (column, &atom) in columns.iter_mut().zip(&group.atom_of) {
                    if atom != NONE {
                        *column = atoms[atom as usize];
                    }
                }
                out.xy[gene * p..(gene + 1) * p].copy_from_slice(&columns[..p]);
                out.zy[gene * q..(gene + 1) * q].copy_from_slice(&columns[p..]);
                out.y_norm[gene] = head[0];
                out.n_expressing[gene] = head[1];
                // Every cell has one pattern; without patterns the last atom is the sum.
                out.y_sum[gene] = match group.pattern_of {
                    Some(_) => atoms[..group.patterns.len()].iter().sum(),
                    None => atoms[group.n_atoms - 1],
                };
            }
        }
        Ok(())
    }
}

/// Adds the values of a tile of genes, row after row.
fn add_tile<V: Copy + Into<f64>>(
    part: &mut [f64],
    stride: usize,
    genes: std::ops::Range<usize>,
    block: &RowBlock<'_>,
    values: &[V],
    rows: &BlockAtoms,
    value: &impl Fn(f64, f64) -> f64,
) {
    for i in 0..block.n_rows() {
        if rows.offsets[i] == NONE {
            continue;
        }
        let (low, high) = (block.pointers()[i], block.pointers()[i + 1]);
        let columns = &block.indices()[low..high];
        let from = low + columns.partition_point(|&c| (c as usize) < genes.start);
        let to = low + columns.partition_point(|&c| (c as usize) < genes.end);
        let (offset, total) = (rows.offsets[i] as usize, rows.totals[i]);
        let atoms = &rows.atoms[rows.pointers[i]..rows.pointers[i + 1]];
        for k in from..to {
            let v: f64 = values[k].into();
            if v == 0.0 {
                continue;
            }
            let t = value(v, total);
            let start = (block.indices()[k] as usize - genes.start) * stride + offset;
            let slots = &mut part[start..];
            slots[0] += t * t;
            slots[1] += 1.0;
            for &(atom, x) in atoms {
                slots[HEAD + atom as usize] += t * x;
            }
        }
    }
}
