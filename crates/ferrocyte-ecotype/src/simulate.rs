//! Spatial samples with planted ecotypes, of which the truth is known.
//!
//! A sample is a square in which random centres each carry an ecotype; a cell belongs to the ecotype of the nearest centre,
//! and its type follows the composition of that ecotype. The log rate of a gene is a base, markers of the type, the programme
//! of type and ecotype, and a shift of the sample; counts are Poisson with gamma noise.

use ferrocyte_base::{Fault, Result, Run};
use ferrocyte_math::random::Stream;

use crate::expression::Expression;
use crate::statistics::Tree;

/// Room of a cell along each axis.
const SPACING: f64 = 9.0;

/// Concentration of the composition of an ecotype, and its weight against equal shares of all types.
const CONCENTRATION: f64 = 1.5;
const OWN: f64 = 0.8;

/// Shape of the bases of genes.
const BASE: f64 = 0.6;

/// What the effects of a programme are at least, whatever their sign.
const LEAST: f64 = 0.4;

/// Standard deviations of shifts of samples, and of the logarithm of the depth of cells.
const BATCH: f64 = 0.25;
const DEPTH_SD: f64 = 0.35;

/// Shape of the noise of each count.
const NOISE: f64 = 4.0;

/// What is simulated.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SimulateOptions {
    /// The seed.
    pub seed: u64,
    /// Number of samples.
    pub samples: usize,
    /// Cells of each sample.
    pub cells: usize,
    /// Number of genes.
    pub genes: usize,
    /// Number of cell types.
    pub types: usize,
    /// Number of ecotypes.
    pub ecotypes: usize,
    /// The share of cells without an ecotype.
    pub nonse: f64,
    /// Centres of each ecotype in a sample.
    pub patches: usize,
    /// Counts of a cell, typically.
    pub depth: f64,
    /// By what the effects of programmes are multiplied.
    pub strength: f64,
}

impl Default for SimulateOptions {
    /// Three samples of 1,000 cells, 300 genes, 4 types, 4 ecotypes, a tenth without, 3 patches, 250 counts.
    fn default() -> Self {
        Self {
            seed: 1,
            samples: 3,
            cells: 1000,
            genes: 300,
            types: 4,
            ecotypes: 4,
            nonse: 0.1,
            patches: 3,
            depth: 250.0,
            strength: 1.0,
        }
    }
}

/// One effect of a programme.
#[derive(Debug, Clone, PartialEq)]
pub struct Effect {
    /// The cell type.
    pub cell_type: String,
    /// The ecotype.
    pub ecotype: String,
    /// The gene.
    pub gene: String,
    /// What its log rate gains.
    pub effect: f64,
}

/// Cells of which the truth is known.
#[derive(Debug, Clone, PartialEq)]
pub struct Simulated {
    /// Counts.
    pub counts: Expression,
    /// The sample of each cell: `S1`, ...
    pub sample: Vec<String>,
    /// The type of each cell: `type1`, ...
    pub cell_type: Vec<String>,
    /// The ecotype of each cell: `SE1`, ..., or `nonSE`.
    pub ecotype: Vec<String>,
    /// Coordinates.
    pub x: Vec<f64>,
    /// Coordinates.
    pub y: Vec<f64>,
    /// The planted programmes.
    pub programmes: Vec<Effect>,
}

/// What all samples share.
struct Design {
    /// Ecotypes × types.
    composition: Vec<Vec<f64>>,
    /// Log rates of types × genes.
    base: Vec<Vec<f64>>,
    /// What (type, ecotype) adds: genes and effects.
    programme: Vec<Vec<(usize, f64)>>,
}

/// A simulated cell.
struct Placed {
    x: f64,
    y: f64,
    cell_type: usize,
    ecotype: Option<usize>,
    counts: Vec<f64>,
}

/// Simulates samples; the same seed gives the same bits with any number of threads.
pub fn simulate(run: &Run, options: &SimulateOptions) -> Result<Simulated> {
    check(options)?;
    let design = design(options)?;
    let samples = run.map_blocks("simulating", options.samples, 1, |s| sample(options, &design, s))?;
    let genes: Vec<String> = (1..=options.genes).map(|g| format!("gene{g:04}")).collect();
    let (mut names, mut rows) = (Vec::new(), Vec::new());
    let (mut of, mut cell_type, mut ecotype) = (Vec::new(), Vec::new(), Vec::new());
    let (mut x, mut y) = (Vec::new(), Vec::new());
    for (s, cells) in samples.into_iter().enumerate() {
        for (i, cell) in cells.into_iter().enumerate() {
            names.push(format!("S{}_cell{}", s + 1, i + 1));
            of.push(format!("S{}", s + 1));
            cell_type.push(type_name(cell.cell_type));
            ecotype.push(cell.ecotype.map_or_else(|| "nonSE".to_owned(), ecotype_name));
            x.push(cell.x);
            y.push(cell.y);
            rows.push(cell.counts);
        }
    }
    let programmes = design.programme.iter().enumerate().flat_map(|(pair, effects)| {
        let (t, e) = (pair / options.ecotypes, pair % options.ecotypes);
        let genes = &genes;
        effects.iter().map(move |&(gene, effect)| Effect {
            cell_type: type_name(t),
            ecotype: ecotype_name(e),
            gene: genes[gene].clone(),
            effect,
        })
    });
    let programmes = programmes.collect();
    let counts = Expression::from_rows(names, genes, &rows)?;
    Ok(Simulated { counts, sample: of, cell_type, ecotype, x, y, programmes })
}

fn type_name(t: usize) -> String {
    format!("type{}", t + 1)
}

fn ecotype_name(e: usize) -> String {
    format!("SE{}", e + 1)
}

fn check(options: &SimulateOptions) -> Result<()> {
    let SimulateOptions { samples, cells, genes, types, ecotypes, patches, .. } = *options;
    let least = [("samples", samples, 1), ("cells", cells, 1), ("types", types, 1), ("ecotypes", ecotypes, 1)];
    let least = least.into_iter().chain([("patches", patches, 1), ("genes", genes, 4 * types.max(5))]);
    for (name, found, least) in least {
        if found < least {
            return Err(Fault::bad_input(format!("at least {least} are needed, found {found}")).at(name));
        }
    }
    if !(0.0..=1.0).contains(&options.nonse) {
        return Err(Fault::bad_input(format!("a share lies between 0 and 1, found {}", options.nonse)).at("nonse"));
    }
    for (name, value) in [("depth", options.depth), ("strength", options.strength)] {
        if !(value >= 0.0 && value.is_finite()) {
            return Err(Fault::bad_input(format!("{name} is finite and >= 0, found {value}")).at(name));
        }
    }
    Ok(())
}

fn design(options: &SimulateOptions) -> Result<Design> {
    let SimulateOptions { genes, types, ecotypes, .. } = *options;
    let mut draws = Stream::new(options.seed, 0);
    let equal = 1.0 / types as f64;
    let mixed = |own: Vec<f64>| own.into_iter().map(|p| OWN * p + (1.0 - OWN) * equal).collect();
    let composition =
        (0..ecotypes).map(|_| draws.dirichlet(&vec![CONCENTRATION; types]).map(mixed)).collect::<Result<_>>()?;
    let common = (0..genes).map(|_| draws.gamma(BASE, 1.0)).collect::<Result<Vec<f64>>>()?;
    let base = (0..types)
        .map(|_| {
            let mut rates = common.clone();
            let markers = draws.permutation(genes).into_iter().take(genes / (4 * types));
            let markers: Vec<usize> = markers.collect();
            markers.into_iter().for_each(|gene| rates[gene] += 1.0 + 1.5 * draws.uniform());
            rates
        })
        .collect();
    let programme = (0..types * ecotypes)
        .map(|_| {
            let chosen: Vec<usize> = draws.permutation(genes).into_iter().take(genes / 20).collect();
            let effect = |z: f64| options.strength * (z + LEAST.copysign(z));
            chosen.into_iter().map(|gene| (gene, effect(draws.normal()))).collect()
        })
        .collect();
    Ok(Design { composition, base, programme })
}

/// The cells of a sample.
fn sample(options: &SimulateOptions, design: &Design, s: usize) -> Result<Vec<Placed>> {
    let mut draws = Stream::new(options.seed, 1 + s as u64);
    let side = SPACING * (options.cells as f64).sqrt();
    let centres: Vec<f64> = (0..2 * options.ecotypes * options.patches).map(|_| side * draws.uniform()).collect();
    let tree = Tree::new(centres, 2);
    let shift: Vec<f64> = (0..options.genes).map(|_| BATCH * draws.normal()).collect();
    let mut rates = vec![0.0; options.genes];
    let mut cells = Vec::with_capacity(options.cells);
    for _ in 0..options.cells {
        let (x, y) = (side * draws.uniform(), side * draws.uniform());
        let home = tree.nearest(&[x, y], 1).first().map_or(0, |(centre, _)| centre % options.ecotypes);
        let cell_type = draws.categorical(&design.composition[home])?;
        let ecotype = (!draws.chance(options.nonse)).then_some(home);
        rates.iter_mut().zip(&design.base[cell_type]).zip(&shift).for_each(|((rate, b), s)| *rate = b + s);
        if let Some(ecotype) = ecotype {
            let effects = &design.programme[cell_type * options.ecotypes + ecotype];
            effects.iter().for_each(|&(gene, effect)| rates[gene] += effect);
        }
        rates.iter_mut().for_each(|rate| *rate = rate.exp());
        let scale = options.depth * (DEPTH_SD * draws.normal()).exp() / rates.iter().sum::<f64>();
        let count = |rate: &f64| {
            let noise = draws.gamma(NOISE, 1.0 / NOISE)?;
            draws.poisson(rate * scale * noise)
        };
        let counts = rates.iter().map(count).collect::<Result<_>>()?;
        cells.push(Placed { x, y, cell_type, ecotype, counts });
    }
    Ok(cells)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_cells() -> Result<()> {
        let options = SimulateOptions { cells: 200, genes: 60, ..SimulateOptions::default() };
        let found = simulate(&Run::new().threads(1), &options)?;
        assert_eq!(found, simulate(&Run::new().threads(3), &options)?);
        assert_ne!(found, simulate(&Run::new(), &SimulateOptions { seed: 2, ..options })?);
        assert_eq!((found.counts.n_cells(), found.programmes.len()), (600, 16 * 3));
        let none = found.ecotype.iter().filter(|e| *e == "nonSE").count();
        assert!((30..=90).contains(&none), "{none}");
        Ok(())
    }

    #[test]
    fn programmes_are_in_the_counts() -> Result<()> {
        let options = SimulateOptions { samples: 1, cells: 3000, strength: 2.0, ..SimulateOptions::default() };
        let found = simulate(&Run::new(), &options)?;
        let strongest = found.programmes.iter().max_by(|a, b| a.effect.total_cmp(&b.effect));
        let Some(effect) = strongest else { return Err(Fault::internal("no programme")) };
        let gene = found.counts.gene_places().get(effect.gene.as_str()).copied().unwrap_or(0) as u32;
        let mean = |inside: bool| {
            let of =
                |c: &usize| found.cell_type[*c] == effect.cell_type && (found.ecotype[*c] == effect.ecotype) == inside;
            let cells: Vec<usize> = (0..found.counts.n_cells()).filter(of).collect();
            let count = |c: &usize| {
                let (genes, values) = found.counts.cell(*c);
                genes.iter().position(|g| *g == gene).map_or(0.0, |k| values[k])
            };
            cells.iter().map(count).sum::<f64>() / cells.len() as f64
        };
        assert!(mean(true) > 3.0 * mean(false), "{} {}", mean(true), mean(false));
        Ok(())
    }

    #[test]
    fn impossible_studies_are_refused() {
        for options in [
            SimulateOptions { genes: 10, ..SimulateOptions::default() },
            SimulateOptions { nonse: 1.5, ..SimulateOptions::default() },
            SimulateOptions { depth: f64::NAN, ..SimulateOptions::default() },
        ] {
            assert!(simulate(&Run::new(), &options).is_err());
        }
    }
}
