//! PLINK 1 binary genotypes: `.bed` (two bits each, variant after variant), `.bim` (variants), `.fam` (people).

use std::fmt::Write as _;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};

use ferrocyte_base::{Fault, Result};

use super::{fields_of, names_of, with_ending, without_ending};
use crate::atomic::write_atomically;

/// The first bytes of a file that has variant after variant.
const MAGIC: [u8; 3] = [0x6c, 0x1b, 0x01];

/// A genotype that is not known.
const MISSING: i8 = -1;

/// One variant.
#[derive(Debug, Clone, PartialEq)]
pub struct Variant {
    /// Its chromosome, as the file names it.
    pub chromosome: String,
    /// Its name.
    pub name: String,
    /// Its place on the chromosome.
    pub position: i64,
    /// The allele that is counted.
    pub counted: String,
    /// The other.
    pub other: String,
}

impl Variant {
    /// Whether it lies on a sex chromosome or the mitochondrion, whose counts are not those of two copies in everybody.
    pub fn is_sex_linked(&self) -> bool {
        let name = self.chromosome.to_uppercase();
        matches!(name.strip_prefix("CHR").unwrap_or(&name), "X" | "Y" | "XY" | "MT" | "M" | "23" | "24" | "25" | "26")
    }
}

/// Genotypes on disk, with what is known of people and variants.
#[derive(Debug)]
pub struct Plink {
    /// Names of people.
    pub individuals: Vec<String>,
    /// 1 for men, 2 for women, 0 where it is not known.
    pub sex: Vec<u8>,
    /// The variants.
    pub variants: Vec<Variant>,
    path: PathBuf,
    file: File,
}

impl Plink {
    /// Opens `PREFIX.bed`, `PREFIX.bim` and `PREFIX.fam`; `path` is the prefix or one of them.
    pub fn open(path: &Path) -> Result<Self> {
        let prefix = without_ending(path, &[".bed", ".bim", ".fam"]);
        let (individuals, sex) = people(&with_ending(&prefix, ".fam"))?;
        let variants = variants(&with_ending(&prefix, ".bim"))?;
        let path = with_ending(&prefix, ".bed");
        let at = |fault: Fault| fault.at(path.display().to_string());
        let mut file = File::open(&path).map_err(|e| at(Fault::bad_file(format!("cannot be opened: {e}"))))?;
        let mut start = [0; 3];
        file.read_exact(&mut start).map_err(|e| at(Fault::bad_file(format!("has no header: {e}"))))?;
        if start[..2] != MAGIC[..2] {
            return Err(at(Fault::bad_file("this is no PLINK 1 .bed file: its first bytes are others")));
        }
        if start[2] != MAGIC[2] {
            return Err(at(
                Fault::unsupported("genotypes are stored person after person").hint("plink --make-bed turns them")
            ));
        }
        let found = file.metadata().map_err(|e| at(Fault::bad_file(e.to_string())))?.len();
        let expected = 3 + variants.len() as u64 * width(individuals.len()) as u64;
        if found != expected {
            return Err(at(Fault::bad_file(format!(
                "has {found} bytes; {} people (.fam) and {} variants (.bim) need {expected}",
                individuals.len(),
                variants.len()
            ))));
        }
        Ok(Self { individuals, sex, variants, path, file })
    }

    /// Counted alleles of some variants, variants × people: 0, 1, 2, or -1 where it is not known.
    pub fn read(&mut self, variants: Range<usize>) -> Result<Vec<i8>> {
        let (n, width) = (self.individuals.len(), width(self.individuals.len()));
        let at = |e: std::io::Error| {
            Fault::bad_file(format!("cannot be read: {e}")).at(self.path.display().to_string()).because(e)
        };
        self.file.seek(SeekFrom::Start(3 + (variants.start * width) as u64)).map_err(at)?;
        let mut packed = vec![0; variants.len() * width];
        self.file.read_exact(&mut packed).map_err(at)?;
        let mut out = Vec::with_capacity(variants.len() * n);
        for row in packed.chunks_exact(width) {
            // The first person stands in the lowest bits. 00 is two counted alleles, 10 one, 11 none.
            out.extend((0..n).map(|i| match row[i / 4] >> (2 * (i % 4)) & 3 {
                0 => 2,
                1 => MISSING,
                2 => 1,
                _ => 0,
            }));
        }
        Ok(out)
    }
}

/// Bytes of one variant.
fn width(n: usize) -> usize {
    n.div_ceil(4)
}

fn people(path: &Path) -> Result<(Vec<String>, Vec<u8>)> {
    let (mut pairs, mut sex) = (Vec::new(), Vec::new());
    for (line, fields) in fields_of(path)?.into_iter().enumerate() {
        let [family, id, _, _, word, ..] = fields.as_slice() else {
            return Err(short(path, line, fields.len(), 6));
        };
        pairs.push((family.clone(), id.clone()));
        sex.push(match word.as_str() {
            "1" => 1,
            "2" => 2,
            _ => 0,
        });
    }
    Ok((names_of(&pairs), sex))
}

fn variants(path: &Path) -> Result<Vec<Variant>> {
    let one = |(line, fields): (usize, Vec<String>)| {
        let [chromosome, name, _, position, counted, other] = fields.as_slice() else {
            return Err(short(path, line, fields.len(), 6));
        };
        let position = position.parse().map_err(|_| {
            Fault::bad_file(format!("expected a whole number, found `{position}`"))
                .at(format!("line {}", line + 1))
                .at(path.display().to_string())
        })?;
        Ok(Variant {
            chromosome: chromosome.clone(),
            name: name.clone(),
            position,
            counted: counted.clone(),
            other: other.clone(),
        })
    };
    fields_of(path)?.into_iter().enumerate().map(one).collect()
}

fn short(path: &Path, line: usize, found: usize, expected: usize) -> Fault {
    Fault::bad_file(format!("expected {expected} fields, found {found}"))
        .at(format!("line {}", line + 1))
        .at(path.display().to_string())
}

/// Writes `PREFIX.bed`, `PREFIX.bim` and `PREFIX.fam`: `genotypes` are variants × people, -1 where they are not known.
///
/// People are their own families, of unknown sex.
pub fn write_plink(prefix: &Path, individuals: &[String], variants: &[Variant], genotypes: &[i8]) -> Result<()> {
    let n = individuals.len();
    if genotypes.len() != n * variants.len() {
        return Err(Fault::bad_input(format!(
            "{} genotypes, {n} people and {} variants need {}",
            genotypes.len(),
            variants.len(),
            n * variants.len()
        )));
    }
    let mut fam = String::new();
    for id in individuals {
        let _ = writeln!(fam, "{id} {id} 0 0 0 -9");
    }
    let mut bim = String::new();
    for v in variants {
        let _ = writeln!(bim, "{}\t{}\t0\t{}\t{}\t{}", v.chromosome, v.name, v.position, v.counted, v.other);
    }
    let mut bed = MAGIC.to_vec();
    for row in genotypes.chunks_exact(n.max(1)) {
        for four in row.chunks(4) {
            let code = |g: i8| match g {
                2 => 0,
                1 => 2,
                0 => 3,
                _ => 1,
            };
            bed.push(four.iter().enumerate().fold(0, |byte, (k, &g)| byte | code(g) << (2 * k)));
        }
    }
    for (ending, bytes) in [(".fam", fam.as_bytes()), (".bim", bim.as_bytes()), (".bed", &bed)] {
        let path = with_ending(prefix, ending);
        write_atomically(&path, |file| {
            file.write_all(bytes)
                .map_err(|e| Fault::bad_file(format!("cannot be written: {e}")).at(path.display().to_string()))
        })?;
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn variant(chromosome: &str, k: usize) -> Variant {
        Variant {
            chromosome: chromosome.to_owned(),
            name: format!("rs{k}"),
            position: 10 * k as i64,
            counted: "A".to_owned(),
            other: "G".to_owned(),
        }
    }

    #[test]
    fn genotypes_come_back() {
        let folder = tempfile::tempdir().unwrap();
        let prefix = folder.path().join("study");
        let individuals: Vec<String> = (0..5).map(|i| format!("i{i}")).collect();
        let variants = [variant("1", 0), variant("2", 1), variant("chrX", 2)];
        let genotypes = [0, 1, 2, -1, 1, 2, 2, 0, 0, 1, 1, 1, 1, -1, 0];
        write_plink(&prefix, &individuals, &variants, &genotypes).unwrap();
        let mut back = Plink::open(&folder.path().join("study.bed")).unwrap();
        assert_eq!((back.individuals.clone(), back.variants.clone()), (individuals, variants.to_vec()));
        assert_eq!(back.read(0..3).unwrap(), genotypes);
        assert_eq!(back.read(1..2).unwrap(), genotypes[5..10]);
        assert!(back.variants[2].is_sex_linked() && !back.variants[0].is_sex_linked());
    }

    #[test]
    fn damage_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let prefix = folder.path().join("study");
        write_plink(&prefix, &["a".to_owned()], &[variant("1", 0)], &[1]).unwrap();
        let bed = folder.path().join("study.bed");
        std::fs::write(&bed, [0x6c, 0x1b, 0x01, 2, 2]).unwrap();
        assert!(Plink::open(&bed).unwrap_err().to_string().contains("5 bytes"));
        std::fs::write(&bed, [0x6c, 0x1b, 0x00, 2]).unwrap();
        assert!(Plink::open(&bed).unwrap_err().to_string().contains("person after person"));
        std::fs::write(&bed, [0; 4]).unwrap();
        assert!(Plink::open(&bed).unwrap_err().to_string().contains("no PLINK 1"));
    }
}
