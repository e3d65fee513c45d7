//! Pseudobulk as a [`Part`]: stored once, fitted many times.

use ferrocyte_base::{Fault, Provenance, Result, Value};
use ferrocyte_data::Part;

use super::data::Study;
use super::options::Level;
use super::prepare::Prepared;

const KIND: &str = "ctmm.pseudobulk";
const LAYOUT: i64 = 1;

impl Prepared {
    /// As a part: arrays `ctp`, `ctnu` (genes × individuals × cell types), `P` and `counts` (individuals × cell types).
    pub fn to_part(&self) -> Part {
        let study = &self.study;
        let (g, n, c) = (study.genes.len(), study.individuals.len(), study.cell_types.len());
        let names = |names: &[String]| Value::list(names.iter().map(String::as_str));
        let few = self.too_few.iter().map(|(individual, cell_type, cells)| {
            Value::List(vec![individual.as_str().into(), cell_type.as_str().into(), (*cells as i64).into()])
        });
        let header = Value::map([
            ("genes", names(&study.genes)),
            ("individuals", names(&study.individuals)),
            ("cell_types", names(&study.cell_types)),
            ("too_few", Value::list(few)),
            ("provenance", self.provenance.to_value()),
        ]);
        let mut part = Part::new(KIND, LAYOUT, header);
        part.push_f64("ctp", &[g, n, c], study.values.clone());
        part.push_f64("ctnu", &[g, n, c], study.noise.clone());
        if let Some(p) = &study.proportions {
            part.push_f64("P", &[n, c], p.clone());
        }
        part.push_i64("counts", &[n, c], self.counts.iter().map(|&n| n as i64).collect());
        part
    }

    /// Back from a part.
    pub fn from_part(part: &Part) -> Result<Self> {
        part.expect(KIND, LAYOUT)?;
        let (genes, individuals, cell_types) =
            (part.texts("genes")?, part.texts("individuals")?, part.texts("cell_types")?);
        let (g, n, c) = (genes.len(), individuals.len(), cell_types.len());
        let broken = |what: &str| Fault::bad_file(format!("the header lacks `{what}`"));
        let few = part.header.get("too_few").and_then(Value::as_list).ok_or_else(|| broken("too_few"))?;
        let triple = |value: &Value| {
            let [individual, cell_type, cells] = value.as_list()? else { return None };
            Some((individual.as_str()?.to_owned(), cell_type.as_str()?.to_owned(), cells.as_i64()?.unsigned_abs()))
        };
        let provenance = part.header.get("provenance").and_then(Provenance::from_value);
        Ok(Self {
            study: Study {
                level: Level::Ctp,
                values: part.f64("ctp", &[g, n, c])?.to_vec(),
                noise: part.f64("ctnu", &[g, n, c])?.to_vec(),
                proportions: Some(part.f64("P", &[n, c])?.to_vec()),
                fixed: Vec::new(),
                random: Vec::new(),
                genes,
                individuals,
                cell_types,
            },
            counts: part.i64("counts", &[n, c])?.iter().map(|n| n.unsigned_abs()).collect(),
            too_few: few.iter().map(triple).collect::<Option<_>>().ok_or_else(|| broken("too_few"))?,
            provenance: provenance.ok_or_else(|| broken("provenance"))?,
        })
    }
}

#[cfg(test)]
mod tests {
    use ferrocyte_base::Run;

    use super::super::simulate::{SimulateOptions, Truth, simulate};
    use super::*;

    #[test]
    fn a_part_comes_back_as_it_was() -> Result<()> {
        let study = simulate(&Run::new(), &SimulateOptions::paper(Truth::Free, 3, 5, 2))?;
        let made = Prepared {
            study,
            counts: vec![7; 20],
            too_few: vec![("donor1".into(), "type1".into(), 1)],
            provenance: Provenance::new("ctmm.prepare").option("donor", "d"),
        };
        let back = Prepared::from_part(&made.to_part())?;
        assert_eq!(back.study.values, made.study.values);
        assert_eq!((back.counts, back.too_few, back.provenance), (made.counts, made.too_few, made.provenance));
        assert!(Prepared::from_part(&Part::new("lmm.sums", 1, Value::Null)).is_err());
        Ok(())
    }
}
