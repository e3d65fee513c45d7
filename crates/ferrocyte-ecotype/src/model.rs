//! [`Model`]: the weights of features in classes, for one cell type.

use std::fmt;

use ferrocyte_base::{Fault, Result, listing};
use ferrocyte_math::linalg::Matrix;

/// The least weight, and the least share: R's machine epsilon.
pub const EPS: f64 = f64::EPSILON;

/// Which part of a gene's values a feature has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Sign {
    /// The values as they are: none was negative.
    None,
    /// Those above 0.
    Positive,
    /// Those below 0, without their sign.
    Negative,
}

impl Sign {
    /// What it adds to the name of a gene.
    pub const fn suffix(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Positive => "__pos",
            Self::Negative => "__neg",
        }
    }
}

/// A gene, or the part of its values above or below 0.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Feature {
    /// The gene.
    pub gene: String,
    /// Which part.
    pub sign: Sign,
}

impl Feature {
    /// The feature of a name such as `CD8A__pos`.
    pub fn parse(name: &str) -> Self {
        for sign in [Sign::Positive, Sign::Negative] {
            if let Some(gene) = name.strip_suffix(sign.suffix()) {
                return Self { gene: gene.to_owned(), sign };
            }
        }
        Self { gene: name.to_owned(), sign: Sign::None }
    }
}

impl fmt::Display for Feature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.gene, self.sign.suffix())
    }
}

/// Weights of features (rows) in classes (columns), for the cells of one type.
#[derive(Debug, Clone, PartialEq)]
pub struct Model {
    /// The cell type.
    pub cell_type: String,
    /// The classes, in the order in which they were met.
    pub classes: Vec<String>,
    /// The features.
    pub features: Vec<Feature>,
    /// Features × classes, >= 0.
    pub weights: Matrix,
}

impl Model {
    /// A model of names and weights: as many as there are, no class or feature twice, no negative weight. Weights that
    /// are NaN become 0; the number of those comes along.
    pub fn new(
        cell_type: &str,
        classes: Vec<String>,
        features: Vec<Feature>,
        mut weights: Matrix,
    ) -> Result<(Self, usize)> {
        let place = format!("model of `{cell_type}`");
        if weights.n_rows() != features.len() || weights.n_cols() != classes.len() {
            return Err(Fault::bad_input(format!(
                "weights are {} x {}, for {} features and {} classes",
                weights.n_rows(),
                weights.n_cols(),
                features.len(),
                classes.len()
            ))
            .at(place));
        }
        if features.is_empty() || classes.is_empty() {
            return Err(Fault::bad_input("a model has features and classes, this one has none").at(place));
        }
        let names: Vec<String> = features.iter().map(ToString::to_string).collect();
        for (what, names) in [("features", &names), ("classes", &classes)] {
            crate::expression::check_names(what, names, names.len()).map_err(|fault| fault.at(place.clone()))?;
        }
        let mut missing = 0;
        for w in weights.entries_mut().iter_mut().filter(|w| w.is_nan()) {
            (*w, missing) = (0.0, missing + 1);
        }
        if let Some(k) = weights.entries().iter().position(|w| !(0.0..f64::INFINITY).contains(w)) {
            let (row, column) = (k / classes.len(), k % classes.len());
            let found = weights.entries()[k];
            let message = format!("weights are >= 0, feature `{}` has {found} in `{}`", names[row], classes[column]);
            return Err(Fault::bad_input(message).at(place));
        }
        Ok((Self { cell_type: cell_type.to_owned(), classes, features, weights }, missing))
    }

    /// Whether values are told apart by their sign.
    pub fn is_signed(&self) -> bool {
        self.features.first().is_some_and(|feature| feature.sign != Sign::None)
    }

    /// The genes, each once, in the order of the features.
    pub fn genes(&self) -> Vec<String> {
        crate::collate::first_seen(self.features.iter().map(|feature| &feature.gene))
    }

    /// The given rows, in that order.
    #[must_use]
    pub fn take(&self, rows: &[usize]) -> Self {
        let entries = rows.iter().flat_map(|&row| self.weights.row(row).iter().copied()).collect();
        Self {
            cell_type: self.cell_type.clone(),
            classes: self.classes.clone(),
            features: rows.iter().map(|&row| self.features[row].clone()).collect(),
            weights: Matrix::from_rows(rows.len(), self.classes.len(), entries),
        }
    }
}

/// By how much the largest of some weights is above the second, and which it is; `None` on ties.
pub(crate) fn margin(weights: &[f64]) -> Option<(usize, f64)> {
    let (mut best, mut largest, mut second) = (0, f64::NEG_INFINITY, f64::NEG_INFINITY);
    for (k, &w) in weights.iter().enumerate() {
        if w > largest {
            (best, second, largest) = (k, largest, w);
        } else if w > second {
            second = w;
        }
    }
    (largest > second && second > f64::NEG_INFINITY).then_some((best, largest - second))
}

/// The first of the largest values.
pub(crate) fn arg_max(values: &[f64]) -> usize {
    let mut best = 0;
    for (k, &v) in values.iter().enumerate() {
        if v > values[best] {
            best = k;
        }
    }
    best
}

/// The model of a cell type.
pub(crate) fn of_type<'a>(models: &'a [Model], cell_type: &str) -> Option<&'a Model> {
    models.iter().find(|model| model.cell_type == cell_type)
}

/// Refuses an empty list of models.
pub(crate) fn some_models(models: &[Model]) -> Result<()> {
    if models.is_empty() {
        return Err(Fault::bad_input("no models given").hint("train some, or read them from tables of weights"));
    }
    let types: Vec<String> = models.iter().map(|m| m.cell_type.clone()).collect();
    crate::expression::check_names("models", &types, types.len())
        .map_err(|fault| fault.hint(format!("there is one model for each cell type, found {}", listing(&types, 9))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_keep_underscores_of_genes() {
        let feature = Feature::parse("HLA__A_1__neg");
        assert_eq!((feature.gene.as_str(), feature.sign), ("HLA__A_1", Sign::Negative));
        assert_eq!(feature.to_string(), "HLA__A_1__neg");
        assert_eq!(Feature::parse("A_B").sign, Sign::None);
    }

    #[test]
    fn margins_are_of_one_class_alone() {
        assert_eq!(margin(&[1.0, 3.5, 2.0]), Some((1, 1.5)));
        assert_eq!(margin(&[2.0, 2.0, 1.0]), None);
        assert_eq!(margin(&[2.0]), None);
        assert_eq!(arg_max(&[1.0, 2.0, 2.0]), 1);
    }

    #[test]
    fn bad_weights_are_named_and_missing_ones_counted() -> Result<()> {
        let features = || vec![Feature::parse("a__pos"), Feature::parse("b__pos")];
        let classes = || vec!["SE1".to_owned(), "SE2".to_owned()];
        let of = |entries: Vec<f64>| Model::new("B", classes(), features(), Matrix::from_rows(2, 2, entries));
        let fault = of(vec![1.0, 2.0, -1.0, 0.0]);
        assert!(fault.is_err_and(|f| f.message().contains("`b__pos` has -1 in `SE1`")));
        let (model, missing) = of(vec![1.0, f64::NAN, 3.0, 0.0])?;
        assert_eq!((missing, model.weights[(0, 1)]), (1, 0.0));
        assert_eq!(model.take(&[1]).features, [Feature::parse("b__pos")]);
        Ok(())
    }
}
