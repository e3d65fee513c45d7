//! Runs the limma part of edge-rs on a study that `benches/limma.py` wrote, through its public functions.
//!
//! `rivals-limma FOLDER VERB REPEATS`, in the words of `limma_work.py`: prints lines `cpu S`, `wall S`, `memory BYTES`
//! (the least seconds of several runs without reading, the peak memory of the first above what was held before) and
//! writes what was found to `FOLDER/edge-rs-VERB.f64`.

use std::fs;
use std::time::{Duration, Instant};

use cpu_time::ProcessTime;
use edge_rs::core::filtering::filter_by_expr;
use edge_rs::core::normalisation::{NormMethod, calc_norm_factors};
use edge_rs::limma::array_weights::{ArrayWeightMethod, ArrayWeightParams, array_weights, duplicate_correlation};
use edge_rs::limma::contrasts::contrasts_fit;
use edge_rs::limma::ebayes::{EBayesParams, EBayesTrend, ebayes};
use edge_rs::limma::lm_fit::lm_fit;
use edge_rs::limma::marray::MArrayLm;
use edge_rs::limma::toptable::top_table;
use edge_rs::limma::voom::{VoomParams, VoomResult, voom, voom_lmfit};
use edge_rs::utils::recycled::Recycled;
use rivals::Result;
use rivals::study::Study;

/// Work that is measured: gives what was found.
type Work<'a> = Box<dyn Fn() -> Result<Vec<f64>> + 'a>;

/// Repeats end after this time.
const ENOUGH: Duration = Duration::from_secs(6);

/// The share of the genes that the consensus correlation leaves out at each end, as in limma.
const TRIM: f64 = 0.15;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [folder, verb, repeats] = arguments.as_slice() else {
        return Err("usage: rivals-limma FOLDER VERB REPEATS".into());
    };
    let study = Study::read(folder.as_ref())?;
    let work = prepared(&study, verb)?;
    let measured = measure(&work, repeats.parse()?)?;
    let bytes: Vec<u8> = measured.found.iter().flat_map(|x| x.to_le_bytes()).collect();
    fs::write(format!("{folder}/edge-rs-{verb}.f64"), bytes)?;
    println!("cpu {}\nwall {}\nmemory {}", measured.cpu, measured.wall, measured.memory);
    Ok(())
}

/// What the verb starts from is made here; what is returned does the rest.
fn prepared<'a>(study: &'a Study, verb: &str) -> Result<Work<'a>> {
    Ok(match verb {
        "pipeline" => Box::new(|| tested(study, weighted(study)?)),
        "quality" => Box::new(|| tested(study, quality(study)?)),
        "fused" => Box::new(|| tested(study, fused(study, &study.counts, study.n_genes, None)?)),
        "de" => Box::new(|| de(study)),
        "robust" => moderation(study, EBayesParams { robust: true, ..EBayesParams::default() })?,
        "trend" => moderation(study, EBayesParams { trend: EBayesTrend::Amean, ..EBayesParams::default() })?,
        "dupcor" => {
            let values = study.log_values();
            Box::new(move || correlation(study, &values, None))
        }
        "dupcor_weighted" => {
            let VoomResult { e, weights, .. } = voomed(study, None)?;
            let weights = Recycled::Full(weights);
            Box::new(move || correlation(study, &e, Some(&weights)))
        }
        "tmm" => Box::new(|| factors(study, &study.counts, study.n_genes)),
        other => return Err(format!("edge-rs has no `{other}`").into()),
    })
}

/// voom with the span of older limma.
fn span() -> Option<VoomParams> {
    Some(VoomParams { span: 0.5, adaptive_span: false, ..VoomParams::default() })
}

fn voomed(study: &Study, weights: Option<&Recycled<f64>>) -> Result<VoomResult> {
    let Study { n_genes, n_samples, n_coefficients, counts, design, .. } = study;
    Ok(voom(counts, *n_genes, *n_samples, design, *n_coefficients, None, weights, span())?)
}

/// The weighted fit of values.
fn fitted(study: &Study, values: &[f64], weights: Vec<f64>, means: Vec<f64>) -> Result<MArrayLm> {
    let Study { n_genes, n_samples, n_coefficients, design, .. } = study;
    let weights = Recycled::Full(weights);
    let fit = lm_fit(values, *n_genes, *n_samples, design, *n_coefficients, Some(&weights), None, None)?;
    Ok(MArrayLm::from_lm_fit(fit, design, *n_coefficients, *n_samples, Some(means))?)
}

/// voom, then the weighted fit.
fn weighted(study: &Study) -> Result<MArrayLm> {
    let found = voomed(study, None)?;
    fitted(study, &found.e, found.weights, found.amean)
}

/// voom and weights of samples, twice in turn; then the fit with the product of both.
fn quality(study: &Study) -> Result<MArrayLm> {
    let samples = |found: &VoomResult| {
        let Study { n_genes, n_samples, n_coefficients, design, .. } = study;
        let weights = Recycled::Full(found.weights.clone());
        let gene_by_gene = ArrayWeightParams { method: ArrayWeightMethod::GeneByGene, ..ArrayWeightParams::default() };
        array_weights(&found.e, *n_genes, *n_samples, design, *n_coefficients, Some(&weights), Some(gene_by_gene))
    };
    let first = samples(&voomed(study, None)?)?;
    let mut found = voomed(study, Some(&Recycled::BySample(first)))?;
    let second = samples(&found)?;
    for row in found.weights.chunks_exact_mut(study.n_samples) {
        row.iter_mut().zip(&second).for_each(|(weight, sample)| *weight *= sample);
    }
    fitted(study, &found.e, found.weights, found.amean)
}

/// voom and the fit in one.
fn fused(study: &Study, counts: &[f64], n_genes: usize, sizes: Option<&[f64]>) -> Result<MArrayLm> {
    let Study { n_samples, n_coefficients, design, .. } = study;
    let (found, fit) = voom_lmfit(counts, n_genes, *n_samples, design, *n_coefficients, sizes, None, span())?;
    Ok(MArrayLm::from_lm_fit(fit, design, *n_coefficients, *n_samples, Some(found.amean))?)
}

/// The contrast, moderated and in a table; gives t by gene.
fn tested(study: &Study, fit: MArrayLm) -> Result<Vec<f64>> {
    let fit = ebayes(contrasts_fit(fit, &study.contrast(), 1)?, None)?;
    top_table(&fit, 0, None)?;
    Ok(fit.t.unwrap_or_default())
}

/// Filter, factors, voom and fit in one, contrast, table; gives the number of genes.
fn de(study: &Study) -> Result<Vec<f64>> {
    let Study { n_genes, n_samples, counts, groups, .. } = study;
    let keep = filter_by_expr(counts, *n_genes, *n_samples, None, Some(groups), None, None)?;
    let rows = counts.chunks_exact(*n_samples).zip(&keep).filter(|(_, keep)| **keep);
    let kept: Vec<f64> = rows.flat_map(|(row, _)| row.iter().copied()).collect();
    let n_kept = kept.len() / n_samples;
    let mut sizes = factors(study, &kept, n_kept)?;
    let mut totals = vec![0.0; *n_samples];
    for row in kept.chunks_exact(*n_samples) {
        totals.iter_mut().zip(row).for_each(|(total, count)| *total += count);
    }
    sizes.iter_mut().zip(totals).for_each(|(size, total)| *size *= total);
    Ok(vec![tested(study, fused(study, &kept, n_kept, Some(&sizes))?)?.len() as f64])
}

/// Moderation of one contrast; gives t.
fn moderation(study: &Study, how: EBayesParams) -> Result<Work<'_>> {
    let fit = contrasts_fit(weighted(study)?, &study.contrast(), 1)?;
    Ok(Box::new(move || Ok(ebayes(fit.clone(), Some(how.clone()))?.t.unwrap_or_default())))
}

/// The correlation within blocks.
fn correlation(study: &Study, values: &[f64], weights: Option<&Recycled<f64>>) -> Result<Vec<f64>> {
    let Study { n_genes, n_samples, n_coefficients, design, blocks, .. } = study;
    let found = duplicate_correlation(values, *n_genes, *n_samples, design, *n_coefficients, blocks, weights, TRIM)?;
    Ok(vec![found])
}

/// Trimmed means of M-values.
fn factors(study: &Study, counts: &[f64], n_genes: usize) -> Result<Vec<f64>> {
    Ok(calc_norm_factors(counts, n_genes, study.n_samples, None, NormMethod::Tmm, None, None)?)
}

/// What was found, and what it took.
struct Measured {
    found: Vec<f64>,
    cpu: f64,
    wall: f64,
    memory: u64,
}

fn measure(work: &Work<'_>, repeats: usize) -> Result<Measured> {
    // Starts the peak anew, where the system can.
    let _ = fs::write("/proc/self/clear_refs", "5");
    let (before, began) = (memory("VmRSS:"), Instant::now());
    let mut out = Measured { found: Vec::new(), cpu: f64::INFINITY, wall: f64::INFINITY, memory: 0 };
    for run in 0..repeats.max(1) {
        if run > 0 && began.elapsed() > ENOUGH {
            break;
        }
        let (at, cpu) = (Instant::now(), ProcessTime::now());
        out.found = work()?;
        out.wall = out.wall.min(at.elapsed().as_secs_f64());
        out.cpu = out.cpu.min(cpu.elapsed().as_secs_f64());
        if run == 0 {
            out.memory = memory("VmHWM:").saturating_sub(before);
        }
    }
    Ok(out)
}

/// Bytes of this process; 0 where the system does not tell.
fn memory(name: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with(name));
    line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok()).unwrap_or(0) * 1024
}
