//! CPU seconds of each step on one thread, on studies simulated from a real one: run with `--run-ignored only`.
//!
//! A new cell takes a label, averages two cells of it, has a depth and the gene effects of one of three samples, and its
//! counts are Poisson. `FERROCYTE_CELLS` is the number of cells.

use ferrocyte_base::{Result, Run};
use ferrocyte_cells::harmony::{HarmonyOptions, harmony};
use ferrocyte_cells::hvg::{Flavor, HvgOptions, highly_variable_genes};
use ferrocyte_cells::markers::{MarkerOptions, Method, markers};
use ferrocyte_cells::normalize::{NormalizeOptions, Normalized, Target, Then, size_factors};
use ferrocyte_cells::pca::{PcaOptions, pca};
use ferrocyte_cells::qc::{GeneFlag, QcOptions, qc_metrics};
use ferrocyte_cells::sc3::{Sc3Options, sc3};
use ferrocyte_cells::scale::ScaleOptions;
use ferrocyte_cells::scrublet::{ScrubletOptions, scrublet};
use ferrocyte_data::{Factor, RowChunks, fold};
use ferrocyte_learn::Points;
use ferrocyte_math::random::Stream;

use crate::files::{Case, Matrix32};

/// CPU seconds of this process so far.
fn cpu() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |i: usize| fields.get(i).and_then(|t| t.parse::<f64>().ok()).unwrap_or(0.0);
    (ticks(11) + ticks(12)) / 100.0
}

fn timed<T>(what: &str, work: impl FnOnce() -> T) -> T {
    let (before, clock) = (cpu(), std::time::Instant::now());
    let result = work();
    eprintln!("{what:30} {:8.2} s CPU {:8.3} s", cpu() - before, clock.elapsed().as_secs_f64());
    result
}

struct Study {
    cells: Matrix32,
    labels: Factor,
    samples: Factor,
}

fn simulate(n: usize) -> Study {
    let case = Case::with("marker_groups.npz").into_iter().next().expect("a case with labels");
    let pool = Matrix32::filtered(&case);
    let codes = case.npz("marker_groups.npz").get("g").indices();
    let run = Run::new().threads(1);
    let mut source = pool.source();
    let block = source.read(&run, 0..pool.cells.len()).unwrap();
    let p = pool.genes.len();
    let mut members = vec![Vec::new(); codes.iter().max().unwrap() + 1];
    codes.iter().enumerate().for_each(|(cell, &code)| members[code].push(cell));
    let effects: Vec<Vec<f64>> = (0..3)
        .map(|sample| {
            let mut stream = Stream::new(1, 1 << 40 | sample);
            (0..p).map(|_| (0.2 * stream.normal()).exp()).collect()
        })
        .collect();
    let (mut values, mut indices, mut pointers) = (Vec::new(), Vec::new(), vec![0_i64]);
    let (mut labels, mut samples) = (Vec::new(), Vec::new());
    let mut means = vec![0.0; p];
    for cell in 0..n {
        let mut stream = Stream::new(1, cell as u64);
        let code = codes[stream.below(codes.len())];
        let sample = stream.categorical(&[0.5, 0.3, 0.2]).unwrap();
        let depth = (0.3 * stream.normal()).exp();
        let mut used: Vec<usize> = Vec::new();
        for _ in 0..2 {
            for (gene, v) in block.row(members[code][stream.below(members[code].len())]) {
                if means[gene] == 0.0 {
                    used.push(gene);
                }
                means[gene] += 0.5 * v;
            }
        }
        used.sort_unstable();
        for gene in used {
            let count = stream.poisson(means[gene] * depth * effects[sample][gene]).unwrap();
            means[gene] = 0.0;
            if count > 0.0 {
                values.push(count as f32);
                indices.push(gene as i32);
            }
        }
        pointers.push(values.len() as i64);
        labels.push(Some(code.to_string()));
        samples.push(Some(sample.to_string()));
    }
    let names = (0..n).map(|i| i.to_string()).collect();
    let cells = Matrix32::from_arrays(names, pool.genes, values, indices, pointers);
    Study { cells, labels: Factor::from_texts(labels), samples: Factor::from_texts(samples) }
}

#[test]
#[ignore = "measures time"]
fn cpu_seconds_of_each_step() -> Result<()> {
    let n = std::env::var("FERROCYTE_CELLS").ok().and_then(|n| n.parse().ok()).unwrap_or(3000);
    let study = timed("simulate", || simulate(n));
    let cells = &study.cells;
    let names = cells.names();
    let run = Run::new().threads(1).memory(8 << 30);
    let mt = GeneFlag::by_prefix("mt", &cells.genes, &["MT-"]);
    let options = QcOptions { flags: vec![mt], percent_top: vec![50, 100, 200, 500] };
    timed("qc", || qc_metrics(&run, &mut cells.source(), &names, &options))?;
    let options = QcOptions { percent_top: Vec::new(), ..options };
    timed("qc without percent_top", || qc_metrics(&run, &mut cells.source(), &names, &options))?;
    let target = NormalizeOptions { target: Target::Median, exclude_highly_expressed: None };
    timed("size factors", || size_factors(&run, &mut cells.source(), &names, &target))?;
    let logged = timed("normalised, logged, copied", || cells.lognorm(Target::To(1e4)));
    let factors = size_factors(&run, &mut cells.source(), &names, &target)?.factors;
    let mut passing = Normalized::new(cells.source(), Some(factors), Then::Log1p { base: None })?;
    timed("normalised and logged", || fold(&run, &mut passing, &mut []))?;
    let mut v3 = HvgOptions::new(Flavor::SeuratV3);
    v3.n_top = Some(2000);
    let hvg = timed("hvg seurat_v3", || highly_variable_genes(&run, &mut cells.source(), &names, None, &v3))?;
    timed("hvg seurat_v3, batches", || {
        highly_variable_genes(&run, &mut cells.source(), &names, Some(&study.samples), &v3)
    })?;
    let seurat = HvgOptions::new(Flavor::Seurat);
    timed("hvg seurat", || highly_variable_genes(&run, &mut logged.source(), &names, None, &seurat))?;
    let all: Vec<usize> = (0..n).collect();
    let few = logged.take(&all, &hvg.indices());
    let scale = ScaleOptions { max_value: Some(10.0), ..ScaleOptions::default() };
    timed("pca 50, as they are", || pca(&run, &mut few.source(), &few.names(), &PcaOptions::default()))?;
    let options = PcaOptions { n_comps: Some(50), scale: Some(scale) };
    let components = timed("pca 50, scaled", || pca(&run, &mut few.source(), &few.names(), &options))?;
    for method in [Method::TTest, Method::Wilcoxon] {
        let options = MarkerOptions::new(method);
        timed(method.word(), || markers(&run, &mut logged.source(), &names, &study.labels, &options))?;
    }
    let options = MarkerOptions { reference: Some("1".into()), ..MarkerOptions::new(Method::Wilcoxon) };
    timed("wilcoxon, one reference", || markers(&run, &mut logged.source(), &names, &study.labels, &options))?;
    let points = Points::new(components.scores.entries(), n, 50)?;
    let later =
        HarmonyOptions { max_iter_kmeans: 4, eps_cluster: 1e-3, eps_harmony: 1e-2, ..HarmonyOptions::default() };
    let found = timed("harmony, few rounds", || harmony(&run, points, &[&study.samples], &later))?;
    eprintln!("    rounds {:?}", found.rounds);
    let found = timed("harmony", || harmony(&run, points, &[&study.samples], &HarmonyOptions::default()))?;
    eprintln!("    rounds {:?}", found.rounds);
    let basis = Points::new(components.scores.entries(), n, 50)?;
    timed("sc3, 5 10 20 30", || sc3(&run, basis, &Sc3Options::new(&[5, 10, 20, 30], 0)))?;
    let options = ScrubletOptions::default();
    timed("scrublet", || scrublet(&run, &mut cells.source(), &names, &options))?;
    Ok(())
}
