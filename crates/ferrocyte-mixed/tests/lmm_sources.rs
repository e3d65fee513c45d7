//! The sums of a study are the same to the bit however its counts are laid out and read.

use std::ops::Range;

use ferrocyte_base::{Fault, Result, Run};
use ferrocyte_data::{Csc, Csr, Dense, RowBlock, RowChunks, SelectRows};
use ferrocyte_design::Model;
use ferrocyte_mixed::lmm::{GeneMask, GroupSums, Study, StudyOptions, Sums, SumsOptions, simulate_study, sums};

const CELLS: usize = 700;
const GENES: usize = 300;
const MODELS: [&str; 3] = [
    "~ log(libsize) + treatment + (1 | sample)",
    "~ log(libsize) + cluster + cluster:treatment + (1 | sample)",
    "~ treatment + (1 | sample) + (1 | cluster:treatment)",
];

fn study() -> Result<Study> {
    let options = StudyOptions {
        n_genes: GENES,
        n_cells: CELLS,
        n_samples: 9,
        n_clusters: 3,
        de_share: 0.1,
        sample_variance: None,
        seed: 5,
    };
    simulate_study(&Run::new(), &options)
}

/// The counts of a study, once for each layout.
struct Layouts {
    study: Study,
    dense: Vec<f32>,
    columns: (Vec<f32>, Vec<u32>, Vec<usize>),
}

impl Layouts {
    fn new() -> Result<Self> {
        let study = study()?;
        let mut dense = vec![0.0; CELLS * GENES];
        let mut csr = Csr::new(CELLS, GENES, &study.counts, &study.indices, &study.pointers)?;
        let run = Run::new();
        let block = csr.read(&run, 0..CELLS)?;
        for i in 0..CELLS {
            block.row(i).for_each(|(gene, v)| dense[i * GENES + gene] = v as f32);
        }
        let mut columns = (Vec::new(), Vec::new(), vec![0]);
        for gene in 0..GENES {
            for i in (0..CELLS).filter(|i| dense[i * GENES + gene] != 0.0) {
                columns.0.push(dense[i * GENES + gene]);
                columns.1.push(i as u32);
            }
            columns.2.push(columns.0.len());
        }
        Ok(Self { study, dense, columns })
    }

    fn source(&self, layout: &str) -> Result<Box<dyn RowChunks + '_>> {
        let csr = || Csr::new(CELLS, GENES, &self.study.counts, &self.study.indices, &self.study.pointers);
        let (values, rows, pointers) = (&self.columns.0, &self.columns.1, &self.columns.2);
        Ok(match layout {
            "csr" => Box::new(csr()?),
            "read ahead" => Box::new(Other { source: csr()?, blocks: None }),
            "csc" => Box::new(Csc::new(CELLS, GENES, values, rows, pointers)?),
            "by genes" => {
                let blocks = Some(vec![0..1, 1..120, 120..250, 250..GENES]);
                Box::new(Other { source: Csc::new(CELLS, GENES, values, rows, pointers)?, blocks })
            }
            "dense" => Box::new(Dense::row_major(CELLS, GENES, &self.dense)?),
            other => return Err(Fault::internal(format!("layout {other}"))),
        })
    }

    fn sums(&self, run: &Run, layout: &str, formula: &str, options: &SumsOptions) -> Result<Sums> {
        let mut source = self.source(layout)?;
        sums(run, &mut *source, &self.study.genes, &self.study.obs, &Model::parse(formula, &[])?, options)
    }
}

/// A source that behaves as files do: it is read ahead, or by genes.
struct Other<S> {
    source: S,
    blocks: Option<Vec<Range<usize>>>,
}

impl<S: RowChunks> RowChunks for Other<S> {
    fn n_rows(&self) -> usize {
        self.source.n_rows()
    }
    fn n_cols(&self) -> usize {
        self.source.n_cols()
    }
    fn n_stored(&self) -> Option<u64> {
        self.source.n_stored()
    }
    fn name(&self) -> String {
        self.source.name()
    }
    fn reads_ahead(&self) -> bool {
        true
    }
    fn read(&mut self, run: &Run, rows: Range<usize>) -> Result<RowBlock<'_>> {
        self.source.read(run, rows)
    }
    fn gene_blocks(&self, _run: &Run) -> Option<Vec<Range<usize>>> {
        self.blocks.clone()
    }
    fn read_genes(&mut self, run: &Run, genes: Range<usize>) -> Result<Box<dyn RowChunks + '_>> {
        let (mut values, mut rows, mut pointers) = (Vec::new(), Vec::new(), vec![0]);
        let block = self.source.read(run, 0..CELLS)?;
        for gene in genes {
            for i in 0..CELLS {
                for (_, v) in block.row(i).filter(|&(column, _)| column == gene) {
                    values.push(v as f32);
                    rows.push(i as u32);
                }
            }
            pointers.push(values.len());
        }
        Ok(Box::new(Csc::owned(CELLS, values, rows, &pointers)?))
    }
}

/// The bits of all numbers of a group.
fn bits(group: &GroupSums) -> Vec<u64> {
    let matrices = [&group.xx, &group.zx, &group.zz].map(|m| m.entries().to_vec());
    let arrays = [&group.xy, &group.zy, &group.y_norm, &group.y_sum, &group.n_expressing];
    matrices.iter().chain(arrays).flatten().map(|x| x.to_bits()).chain([group.n_cells]).collect()
}

fn expect_same(a: &Sums, b: &Sums, what: &str) {
    assert_eq!(a.groups.len(), b.groups.len(), "{what}");
    for (a, b) in a.groups.iter().zip(&b.groups) {
        assert!(bits(a) == bits(b), "{what}, group `{}`", a.label);
    }
}

#[test]
fn every_layout_gives_the_same_bits() -> Result<()> {
    let layouts = Layouts::new()?;
    for formula in MODELS {
        for groups in [None, Some("cluster".to_owned())] {
            if groups.is_some() && formula.contains("cluster") {
                continue;
            }
            for rows in [None, Some(100..356), Some(699..700)] {
                let options = || SumsOptions { groups: groups.clone(), rows: rows.clone(), ..SumsOptions::default() };
                let expected = layouts.sums(&Run::new().threads(1), "csr", formula, &options())?;
                for layout in ["csr", "read ahead", "csc", "by genes", "dense"] {
                    for threads in [1, 2] {
                        // Much memory; blocks of 256 rows, and genes in several passes.
                        for memory in [2 << 30, if groups.is_some() { 160_000 } else { 64_000 }] {
                            let run = Run::new().threads(threads).memory(memory);
                            let found = layouts.sums(&run, layout, formula, &options())?;
                            let what = format!("{formula} by {groups:?}, rows {rows:?}: {layout}, {threads}, {memory}");
                            expect_same(&found, &expected, &what);
                        }
                    }
                }
            }
        }
    }
    Ok(())
}

/// A source that is read in blocks of a number of rows.
struct InBlocks<S> {
    source: S,
    rows: usize,
}

/// Values that runs that read [`InBlocks`] have room for at a time, and their memory.
const VALUES: u64 = 4_096_000;
const MEMORY: u64 = VALUES * 8 * 24;

impl<S: RowChunks> RowChunks for InBlocks<S> {
    fn n_rows(&self) -> usize {
        self.source.n_rows()
    }
    fn n_cols(&self) -> usize {
        self.source.n_cols()
    }
    fn n_stored(&self) -> Option<u64> {
        // So many values a row that the wanted number of rows fills the memory.
        Some((VALUES / self.rows as u64 - 1) * self.n_rows() as u64)
    }
    fn name(&self) -> String {
        self.source.name()
    }
    fn read(&mut self, run: &Run, rows: Range<usize>) -> Result<RowBlock<'_>> {
        assert!(rows.len() <= self.rows, "{} rows at once", rows.len());
        self.source.read(run, rows)
    }
}

#[test]
fn blocks_of_any_number_of_rows_give_the_same_bits() -> Result<()> {
    let options = StudyOptions { n_genes: 80, n_cells: 9_000, ..StudyOptions::size("S", 3)? };
    let study = simulate_study(&Run::new(), &options)?;
    let model = Model::parse("~ cluster + treatment + (1 | sample)", &[])?;
    let in_blocks = |rows: usize, threads: usize| -> Result<Sums> {
        let source = Csr::new(9_000, 80, &study.counts, &study.indices, &study.pointers)?;
        let mut source = InBlocks { source, rows };
        let run = Run::new().threads(threads).memory(MEMORY);
        assert_eq!(ferrocyte_data::rows_per_block(&run, &source), rows);
        sums(&run, &mut source, &study.genes, &study.obs, &model, &SumsOptions::default())
    };
    let expected = in_blocks(1_000, 1)?;
    for rows in [300, 1_000, 4_096] {
        for threads in [1, 2] {
            expect_same(&in_blocks(rows, threads)?, &expected, &format!("{rows} rows, {threads} threads"));
        }
    }
    Ok(())
}

#[test]
fn passes_over_genes_and_cuts_of_cells_give_the_same_bits() -> Result<()> {
    let n_cells = ferrocyte_data::CUT + 3_000;
    let options = StudyOptions { n_genes: 100, n_cells, ..StudyOptions::size("S", 3)? };
    let study = simulate_study(&Run::new(), &options)?;
    let model = Model::parse("~ treatment + (1 | sample)", &[])?;
    let with_memory = |memory: u64| -> Result<Sums> {
        let mut source = Csr::new(n_cells, 100, &study.counts, &study.indices, &study.pointers)?;
        let run = Run::new().memory(memory);
        sums(&run, &mut source, &study.genes, &study.obs, &model, &SumsOptions::default())
    };
    // In 90,000 bytes there is no room for all genes at a time.
    expect_same(&with_memory(90_000)?, &with_memory(2 << 30)?, "passes over a cut");
    Ok(())
}

#[test]
fn masked_genes_have_the_bits_that_they_have_among_all() -> Result<()> {
    let layouts = Layouts::new()?;
    // The first block of genes has none that is kept.
    let kept: Vec<bool> = (0..GENES).map(|gene| gene % 3 == 1).collect();
    let whole = layouts.sums(&Run::new(), "csr", MODELS[0], &SumsOptions::default())?;
    let p = whole.groups[0].n_fixed();
    for layout in ["csr", "read ahead", "csc", "by genes", "dense"] {
        for memory in [2 << 30, 40_000] {
            let mask = GeneMask { kept: kept.clone(), name: String::new() };
            let options = SumsOptions { mask: Some(mask), ..SumsOptions::default() };
            let some = layouts.sums(&Run::new().memory(memory), layout, MODELS[0], &options)?;
            assert_eq!(some.n_genes(), GENES / 3, "{layout}");
            let (all, found) = (&whole.groups[0], &some.groups[0]);
            assert_eq!((found.n_cells, &found.xx), (all.n_cells, &all.xx), "{layout}, {memory}");
            for (i, gene) in (0..GENES).filter(|&g| kept[g]).enumerate() {
                assert_eq!(some.genes[i], whole.genes[gene]);
                assert_eq!(
                    found.xy[i * p..(i + 1) * p],
                    all.xy[gene * p..(gene + 1) * p],
                    "{layout}, {memory}, {gene}"
                );
                assert_eq!(found.y_norm[i].to_bits(), all.y_norm[gene].to_bits());
            }
        }
    }
    Ok(())
}

#[test]
fn a_range_of_rows_is_that_of_the_selected_rows() -> Result<()> {
    let layouts = Layouts::new()?;
    let run = Run::new();
    let whole = layouts.sums(&run, "csr", MODELS[0], &SumsOptions::default())?;
    // Rows in their order, selected from more.
    let mut all = SelectRows::range(layouts.source("csc")?, 0..CELLS)?;
    let found = sums(
        &run,
        &mut all,
        &layouts.study.genes,
        &layouts.study.obs,
        &Model::parse(MODELS[0], &[])?,
        &SumsOptions::default(),
    )?;
    expect_same(&found, &whole, "selected rows");
    Ok(())
}

#[test]
fn passes_are_told_and_what_cannot_fit_is_refused() -> Result<()> {
    #[derive(Default)]
    struct Listening(std::sync::Mutex<Vec<String>>);
    impl ferrocyte_base::Monitor for Listening {
        fn say(&self, _level: ferrocyte_base::Level, message: &str) {
            if let Ok(mut said) = self.0.lock() {
                said.push(message.to_owned());
            }
        }
    }
    let layouts = Layouts::new()?;
    for (layout, words) in [("csr", "passes over the cells"), ("by genes", "read in 4 blocks of genes")] {
        let listening = std::sync::Arc::new(Listening::default());
        let run = Run::new().memory(50_000).monitor(std::sync::Arc::clone(&listening) as _);
        layouts.sums(&run, layout, MODELS[0], &SumsOptions::default())?;
        let said = listening.0.lock().map(|said| said.join("\n")).unwrap_or_default();
        assert!(said.contains(words), "{layout}: {said}");
    }
    let refused = layouts.sums(&Run::new().memory(10_000), "csr", MODELS[0], &SumsOptions::default());
    assert!(refused.is_err_and(|f| f.kind() == ferrocyte_base::Kind::TooLarge));
    Ok(())
}
