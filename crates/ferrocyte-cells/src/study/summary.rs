//! What a study holds, as text: [`Summary`], and the classes of its items ([`registered`]).
//!
//! Every item of an annotated matrix is shown as `name <type> <class>`. Types are those of its values (`f32`, `cat`,
//! `csr:f32`, `arr:f64(35)`). Classes say what it stands for (`<f/embedding>`); steps register them, and files keep them
//! in `uns['slots']`, as exprmat does.

use std::fmt;

/// What the values of an item are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Type {
    /// Labels of few levels.
    Category,
    /// Real numbers, and their bits.
    Float(usize),
    /// Whole numbers, and their bits.
    Int(usize),
    /// Whole numbers from 0 up, and their bits.
    Unsigned(usize),
    /// Truth values.
    Bool,
    /// Text and all else.
    Object,
}

impl Type {
    /// The type by numpy's letter of a kind (`f`, `i`, `u`, `b`, all else are objects; `category`) and its bytes.
    pub fn from_numpy(kind: &str, bytes: usize) -> Self {
        match kind {
            "category" => Self::Category,
            "f" => Self::Float(8 * bytes),
            "i" => Self::Int(8 * bytes),
            "u" => Self::Unsigned(8 * bytes),
            "b" => Self::Bool,
            _ => Self::Object,
        }
    }

    /// The class of an item of which nothing is known but its type.
    pub fn class(self) -> &'static str {
        match self {
            Self::Category => "category",
            Self::Float(_) => "float",
            Self::Int(_) | Self::Unsigned(_) => "int",
            Self::Bool => "bool",
            Self::Object => "object",
        }
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Category => f.write_str("cat"),
            Self::Float(bits) => write!(f, "f{bits}"),
            Self::Int(bits) => write!(f, "i{bits}"),
            Self::Unsigned(bits) => write!(f, "u{bits}"),
            Self::Bool => f.write_str("bool"),
            Self::Object => f.write_str("o"),
        }
    }
}

/// The form in which an item holds its values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Form {
    /// A column.
    Column(Type),
    /// An array; its dimensions.
    Array(Type, Vec<usize>),
    /// A sparse matrix, and the word for how it is stored (`csr`, `csc`).
    Sparse(Type, String),
    /// A data frame.
    Frame,
    /// Anything else: an entry of `uns`.
    Other,
}

impl Form {
    /// The type of the values, if they have one.
    pub fn values(&self) -> Option<Type> {
        match self {
            Self::Column(t) | Self::Array(t, _) | Self::Sparse(t, _) => Some(*t),
            Self::Frame | Self::Other => None,
        }
    }
}

impl fmt::Display for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Column(t) => write!(f, "{t}"),
            Self::Array(t, shape) => match shape.as_slice() {
                [] | [_] => write!(f, "arr:{t}"),
                [rows, columns] if rows == columns => write!(f, "arr:{t}"),
                [_, rest @ ..] => {
                    let rest: Vec<String> = rest.iter().map(usize::to_string).collect();
                    write!(f, "arr:{t}({})", rest.join("x"))
                }
            },
            Self::Sparse(t, word) => write!(f, "{word}:{t}"),
            Self::Frame => f.write_str("df"),
            Self::Other => Ok(()),
        }
    }
}

/// An item: its name, its form, and its classes from the widest to the narrowest, if it has any.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// The name.
    pub name: String,
    /// How its values are held.
    pub form: Form,
    /// What it stands for.
    pub classes: Vec<String>,
}

impl fmt::Display for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        if self.form != Form::Other {
            write!(f, " <{}>", self.form)?;
        }
        if self.classes.is_empty() {
            return Ok(());
        }
        let words: Vec<&str> = self.classes.iter().map(|class| short(class)).collect();
        write!(f, " <{}>", words.join("/"))
    }
}

/// The letter for a class that is a type.
fn short(class: &str) -> &str {
    match class {
        "object" => "o",
        "int" => "i",
        "float" => "f",
        "category" => "c",
        other => other,
    }
}

/// The classes of items that steps write, by the part of the study and the name; `*` stands for anything.
const REGISTERED: [(&str, &str, &[&str]); 50] = [
    ("obs", "sample", &["category", "sample"]),
    ("obs", "batch", &["category", "batch"]),
    ("obs", "group", &["category"]),
    ("obs", "modality", &["category", "modality"]),
    ("obs", "taxa", &["category", "taxa"]),
    ("obs", "barcode", &["object"]),
    ("obs", "ubc", &["object"]),
    ("obs", "n.umi", &["int"]),
    ("obs", "n.genes", &["int"]),
    ("obs", "n.mito", &["float"]),
    ("obs", "n.ribo", &["float"]),
    ("obs", "pct.*", &["float"]),
    ("obs", "filter", &["bool"]),
    ("obs", "score.doublet*", &["float"]),
    ("obs", "is.doublet", &["bool"]),
    ("obs", "qc", &["bool", "qc"]),
    ("obs", "leiden*", &["category"]),
    ("obs", "sc3.*", &["category"]),
    ("obs", "cell.type", &["category"]),
    ("var", "chr", &["category", "chromosome"]),
    ("var", "start", &["int"]),
    ("var", "end", &["int"]),
    ("var", "strand", &["category", "strand"]),
    ("var", "id", &["object"]),
    ("var", "subtype", &["category", "gsubtype"]),
    ("var", "gene", &["object", "gene"]),
    ("var", "tlen", &["int", "tlen"]),
    ("var", "cdslen", &["int", "cdslen"]),
    ("var", "assembly", &["category"]),
    ("var", "uid", &["object", "ugene"]),
    ("var", "vst.hvg", &["bool", "hvg"]),
    ("layers", "counts", &["int", "counts"]),
    ("obsm", "knn", &["int", "knni"]),
    ("obsm", "knn.d", &["float", "knnd"]),
    ("obsm", "pca", &["float", "embedding", "pca"]),
    ("obsm", "umap", &["float", "embedding"]),
    ("obsm", "cnmf.*", &["float", "embedding", "usage"]),
    ("varm", "pca", &["float", "weights"]),
    ("varm", "cnmf.coef.*", &["float", "usage-coef"]),
    ("varm", "cnmf.*", &["float", "weights"]),
    ("obsp", "connectivities", &["float", "connectivity"]),
    ("obsp", "distances", &["float", "distance"]),
    ("uns", "neighbors", &["knn"]),
    ("uns", "pca", &["dict"]),
    ("uns", "cnmf", &["cnmf"]),
    ("uns", "cnmf.density.*", &["cnmf-density"]),
    ("uns", "cnmf.dist.*", &["float", "connectivity"]),
    ("uns", "cnmf.stats", &["cnmf-stats"]),
    ("uns", "markers", &["markers"]),
    ("uns", "commands", &["system"]),
];

/// The classes of an item that a step writes: of a part of the study (`obs`, `layers`, ...) and a name.
///
/// ```
/// use ferrocyte_cells::study::summary::registered;
/// assert_eq!(registered("obsm", "cnmf.10"), Some(&["float", "embedding", "usage"][..]));
/// assert_eq!(registered("obs", "age"), None);
/// ```
pub fn registered(part: &str, name: &str) -> Option<&'static [&'static str]> {
    if (part, name) == ("uns", "slots") {
        return registered(part, "commands");
    }
    let fits = |pattern: &str| match pattern.strip_suffix('*') {
        Some(start) => name.starts_with(start),
        None => name == pattern,
    };
    REGISTERED.iter().find(|(p, pattern, _)| *p == part && fits(pattern)).map(|(_, _, classes)| *classes)
}

/// A modality: its name, and its parts with their items.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModalitySummary {
    /// The name.
    pub name: String,
    /// Cells and genes.
    pub size: (usize, usize),
    /// `obs`, `var`, ..., each with its items. Parts without any are not shown.
    pub parts: Vec<(String, Vec<Item>)>,
}

/// A sample, as it is listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SampleSummary {
    /// Its name.
    pub name: String,
    /// What is measured.
    pub modality: String,
    /// The species.
    pub taxa: String,
    /// The batch.
    pub batch: String,
    /// Cells and genes.
    pub size: (usize, usize),
}

/// A study, as it is printed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Summary {
    /// Cells and genes of all samples together, if they are.
    pub integrated: Option<(usize, usize)>,
    /// The name of the subset that is looked at.
    pub subset: Option<String>,
    /// What is measured.
    pub modalities: Vec<ModalitySummary>,
    /// The samples, if they are in memory.
    pub samples: Option<Vec<SampleSummary>>,
}

/// Items of a part are put on lines of at most so many characters, beside the name of the part.
const WIDTH: usize = 90;

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some((cells, genes)) = self.integrated {
            for modality in &self.modalities {
                writeln!(f, "annotated data of size {} × {}", modality.size.0, modality.size.1)?;
            }
            match &self.subset {
                Some(name) => writeln!(f, "subset {name} of size {cells} × {genes}")?,
                None => writeln!(f, "integrated dataset of size {cells} × {genes}")?,
            }
            let names: Vec<&str> = self.modalities.iter().map(|m| m.name.as_str()).collect();
            writeln!(f, "contains modalities: {}\n", names.join(", "))?;
            for modality in &self.modalities {
                write!(f, "{modality}")?;
                writeln!(f)?;
            }
        } else {
            writeln!(f, "[!] dataset not integrated.")?;
        }
        match &self.samples {
            None => write!(f, "[*] samples not loaded from disk."),
            Some(samples) => {
                write!(f, "[*] composed of samples:")?;
                list(f, samples)
            }
        }
    }
}

impl fmt::Display for ModalitySummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, " modality [{}]", self.name)?;
        for (part, items) in self.parts.iter().filter(|(_, items)| !items.is_empty()) {
            for (i, line) in wrapped(items).iter().enumerate() {
                if i == 0 {
                    writeln!(f, "{part:>7} : {line}")?;
                } else {
                    writeln!(f, "{:>10}{line}", "")?;
                }
            }
        }
        Ok(())
    }
}

/// Items on lines; an item is never broken.
fn wrapped(items: &[Item]) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut width = 0;
    for item in items {
        let text = item.to_string();
        let length = text.chars().count();
        match lines.last_mut() {
            Some(line) if width + 1 + length <= WIDTH => {
                line.push(' ');
                line.push_str(&text);
                width += 1 + length;
            }
            _ => {
                lines.push(text);
                width = length;
            }
        }
    }
    lines
}

/// A line for each sample, fields below each other.
fn list(f: &mut fmt::Formatter<'_>, samples: &[SampleSummary]) -> fmt::Result {
    let width = |field: fn(&SampleSummary) -> &str| samples.iter().map(|s| field(s).chars().count()).max().unwrap_or(0);
    let (name, modality) = (width(|s| &s.name), width(|s| &s.modality));
    let (taxa, batch) = (width(|s| &s.taxa), width(|s| &s.batch));
    for s in samples {
        let (cells, genes) = s.size;
        write!(
            f,
            "\n  {:name$}   {:modality$} {:taxa$}   batch {:batch$}   of size {cells} × {genes}",
            s.name, s.modality, s.taxa, s.batch
        )?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(name: &str, form: Form, part: &str) -> Item {
        let classes = registered(part, name).unwrap_or_default().iter().map(|&c| c.to_owned()).collect();
        Item { name: name.to_owned(), form, classes }
    }

    fn column(name: &str, t: Type) -> Item {
        item(name, Form::Column(t), "obs")
    }

    #[test]
    fn items_say_what_they_are() {
        let array = |shape: &[usize]| Form::Array(Type::Float(32), shape.to_vec());
        for (item, expected) in [
            (column("sample", Type::Category), "sample <cat> <c/sample>"),
            (column("n.umi", Type::Float(64)), "n.umi <f64> <i>"),
            (column("score.doublet.se", Type::Float(64)), "score.doublet.se <f64> <f>"),
            (column("age", Type::Int(64)), "age <i64>"),
            (item("umap", array(&[9, 2]), "obsm"), "umap <arr:f32(2)> <f/embedding>"),
            (item("own", array(&[9, 9]), "obsp"), "own <arr:f32>"),
            (
                item("connectivities", Form::Sparse(Type::Float(32), "csr".into()), "obsp"),
                "connectivities <csr:f32> <f/connectivity>",
            ),
            (item("cnmf.5", Form::Frame, "obsm"), "cnmf.5 <df> <f/embedding/usage>"),
            (item("slots", Form::Other, "uns"), "slots <system>"),
            (item("leiden", Form::Other, "uns"), "leiden"),
        ] {
            assert_eq!(item.to_string(), expected);
        }
        assert_eq!(Type::from_numpy("u", 1).to_string(), "u8");
        assert_eq!((Type::from_numpy("T", 16), Type::Object.class()), (Type::Object, "object"));
    }

    #[test]
    fn lines_are_broken_between_items() {
        let names = ["sample", "batch", "group", "modality", "taxa", "barcode", "ubc", "n.umi", "n.genes", "n.mito"];
        let types = [Type::Category; 5].into_iter().chain([Type::Object; 2]);
        let types = types.chain([Type::Float(64), Type::Int(64), Type::Float(64)]);
        let items: Vec<Item> = names.iter().zip(types).map(|(name, t)| column(name, t)).collect();
        let parts = vec![("obs".to_owned(), items), ("varp".to_owned(), Vec::new())];
        let modality = ModalitySummary { name: "rna".into(), size: (13015, 19651), parts };
        let samples = Some(vec![
            SampleSummary {
                name: "oe".into(),
                modality: "rna".into(),
                taxa: "mmu".into(),
                batch: "b1".into(),
                size: (8999, 33576),
            },
            SampleSummary {
                name: "wild".into(),
                modality: "rna".into(),
                taxa: "mmu".into(),
                batch: "b2".into(),
                size: (107, 33576),
            },
        ]);
        let mut study = Summary { integrated: Some((13015, 19651)), subset: None, modalities: vec![modality], samples };
        let expected = "\
annotated data of size 13015 × 19651
integrated dataset of size 13015 × 19651
contains modalities: rna

 modality [rna]
    obs : sample <cat> <c/sample> batch <cat> <c/batch> group <cat> <c> modality <cat> <c/modality>
          taxa <cat> <c/taxa> barcode <o> <o> ubc <o> <o> n.umi <f64> <i> n.genes <i64> <i>
          n.mito <f64> <f>

[*] composed of samples:
  oe     rna mmu   batch b1   of size 8999 × 33576
  wild   rna mmu   batch b2   of size 107 × 33576";
        assert_eq!(study.to_string(), expected);
        study.subset = Some("t".into());
        study.samples = None;
        let text = study.to_string();
        assert!(
            text.contains("\nsubset t of size 13015 × 19651\n") && text.ends_with("[*] samples not loaded from disk.")
        );
        assert!(Summary::default().to_string().starts_with("[!] dataset not integrated.\n[*] samples not loaded"));
    }
}
