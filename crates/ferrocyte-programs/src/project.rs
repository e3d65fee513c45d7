//! Projection: how much new cells use known programs.

use std::collections::HashMap;

use ferrocyte_base::{Fault, Result, Run, listing};
use ferrocyte_data::{RowChunks, SelectGenes};
use ferrocyte_learn::nmf::{Options, Portions, Rule, Solver};

use crate::Names;
use crate::consensus::shares;
use crate::factorised::{DividedRows, lay_out};
use crate::names::repeated;
use crate::stream::GeneStats;

/// Programs that are known: spectra over genes, each gene in units of its standard deviation.
#[derive(Debug, Clone, PartialEq)]
pub struct Reference {
    /// The names of the programs.
    pub programs: Vec<String>,
    /// The names of the genes.
    pub genes: Vec<String>,
    /// `programs x genes`, row after row.
    pub spectra: Vec<f64>,
}

/// Usages of known programs.
#[derive(Debug, Clone, PartialEq)]
pub struct Projection {
    /// `cells x programs`, not normalised.
    pub usages: Vec<f64>,
    /// Genes that both have, as places in the reference.
    pub shared: Vec<usize>,
    /// Genes of the reference that the cells lack.
    pub missing: Vec<String>,
    /// Cells that use no program.
    pub idle_cells: Vec<usize>,
    /// What the user should know.
    pub warnings: Vec<String>,
    k: usize,
}

impl Projection {
    /// Usages, each cell divided by its sum; cells that use nothing stay 0.
    pub fn shares(&self) -> Vec<f64> {
        shares(&self.usages, self.k)
    }
}

/// Fits usages of the programs of a reference to new cells.
///
/// Counts of the shared genes are divided by their standard deviations over the new cells (ddof 0). By the peer's rule
/// usages are those of multiplicative updates that are stopped early; the exact rule gives the optimum, which is also
/// reached sooner.
///
/// # Errors
/// Fewer than two shared genes per program; genes of one name; counts that are missing, infinite or negative.
pub fn project(
    run: &Run,
    counts: &mut dyn RowChunks,
    names: &Names,
    reference: &Reference,
    rule: Rule,
) -> Result<Projection> {
    let k = reference.programs.len();
    check_reference(reference)?;
    names.check_genes()?;
    let known: HashMap<&str, usize> = names.genes.iter().enumerate().map(|(j, gene)| (gene.as_str(), j)).collect();
    let places: Vec<Option<usize>> = reference.genes.iter().map(|gene| known.get(gene.as_str()).copied()).collect();
    let shared: Vec<usize> = (0..places.len()).filter(|&at| places[at].is_some()).collect();
    let columns: Vec<usize> = places.iter().flatten().copied().collect();
    let lacking: Vec<&str> =
        reference.genes.iter().zip(&places).filter(|(_, at)| at.is_none()).map(|(gene, _)| gene.as_str()).collect();
    if shared.len() < 2 * k {
        let message = format!(
            "{} of the {} genes of the reference are among those of the cells, at least {} are needed for {k} programs",
            shared.len(),
            reference.genes.len(),
            2 * k
        );
        let hint = format!("lacking are {}; are both called by symbols, or by identifiers?", listing(&lacking, 5));
        return Err(Fault::bad_input(message).at("reference").hint(hint));
    }
    let mut warnings = Vec::new();
    if !lacking.is_empty() {
        let (n, all) = (lacking.len(), reference.genes.len());
        warnings.push(format!(
            "{n} of {all} genes of the reference are not among those of the cells: {}",
            listing(&lacking, 10)
        ));
    }
    let mut chosen = SelectGenes::new(counts, &columns)?;
    let here = Names { cells: names.cells.clone(), genes: columns.iter().map(|&j| names.genes[j].clone()).collect() };
    let stats = GeneStats::of(run, &mut chosen, &here, false)?;
    let sd: Vec<f64> = stats.sd(None, 0).into_iter().map(|sd| if sd == 0.0 { 1.0 } else { sd }).collect();
    let spectra: Vec<f64> = reference
        .spectra
        .chunks_exact(reference.genes.len())
        .flat_map(|row| shared.iter().map(|&at| row[at]))
        .collect();
    let options = Options { solver: Solver::Multiplicative, ..Options::default() };
    let portions = Portions::for_refits(shared.len(), options.precision);
    let x = lay_out(run, &mut DividedRows { source: chosen, by: sd }, portions)?;
    let usages = x.refit(run, &spectra, k, &options, rule)?.w;
    let idle_cells: Vec<usize> = (0..x.n()).filter(|&i| usages[i * k..(i + 1) * k].iter().all(|u| *u == 0.0)).collect();
    if !idle_cells.is_empty() {
        warnings.push(format!("{} cells use no program; their shares are 0", idle_cells.len()));
    }
    let missing = lacking.into_iter().map(str::to_owned).collect();
    Ok(Projection { usages, shared, missing, idle_cells, warnings, k })
}

fn check_reference(reference: &Reference) -> Result<()> {
    let (k, g) = (reference.programs.len(), reference.genes.len());
    if k == 0 || k.checked_mul(g) != Some(reference.spectra.len()) {
        let message = format!("{k} programs and {g} genes, but {} numbers", reference.spectra.len());
        return Err(Fault::bad_input(message).at("reference"));
    }
    let twice = repeated(&reference.genes);
    if !twice.is_empty() {
        let message = format!("{} genes stand in the reference more than once: {}", twice.len(), listing(&twice, 5));
        return Err(Fault::bad_input(message).at("reference"));
    }
    match reference.spectra.iter().position(|x| !(*x >= 0.0 && x.is_finite())) {
        None => Ok(()),
        Some(at) => {
            let (program, gene) = (&reference.programs[at / g], &reference.genes[at % g]);
            let message =
                format!("spectra are finite and >= 0, gene `{gene}` of `{program}` has {}", reference.spectra[at]);
            Err(Fault::bad_input(message).at("reference").hint("give the starcat_spectra of a consensus"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ferrocyte_data::Dense;

    fn text(names: &[&str]) -> Vec<String> {
        names.iter().map(|n| (*n).to_owned()).collect()
    }

    #[test]
    fn exact_usages_of_what_is_made_of_programs() -> Result<()> {
        let names = Names { cells: text(&["c0", "c1", "c2"]), genes: text(&["x", "b", "a", "c", "d"]) };
        // a and b belong to the first program, c and d to the second; x and the lacking e to none.
        let values = [9.0, 2.0, 2.0, 0.0, 0.0, 1.0, 0.0, 0.0, 3.0, 3.0, 4.0, 0.0, 0.0, 0.0, 0.0];
        let reference = Reference {
            programs: text(&["GEP1", "GEP2"]),
            genes: text(&["a", "b", "c", "d", "e"]),
            spectra: vec![1.0, 1.0, 0.0, 0.0, 1.0, 0.0, 0.0, 1.0, 1.0, 0.0],
        };
        let found = project(&Run::new(), &mut Dense::row_major(3, 5, &values)?, &names, &reference, Rule::Exact)?;
        assert_eq!((found.missing.clone(), found.idle_cells.clone()), (text(&["e"]), vec![2]));
        assert_eq!(found.shares(), [1.0, 0.0, 0.0, 1.0, 0.0, 0.0]);
        let few = Reference { genes: text(&["a", "b", "c", "u", "v"]), ..reference.clone() };
        assert!(project(&Run::new(), &mut Dense::row_major(3, 5, &values)?, &names, &few, Rule::Exact).is_err());
        let mut wrong = reference;
        wrong.spectra[3] = f64::NAN;
        assert!(project(&Run::new(), &mut Dense::row_major(3, 5, &values)?, &names, &wrong, Rule::Exact).is_err());
        Ok(())
    }
}
