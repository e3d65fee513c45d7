//! The replication check: is there a random term for the unit that was treated, and is there more than one of it?
//!
//! A treatment given to samples within donors varies between them: with `(1 | donor)` alone, the cells of a sample
//! count as replicates of the treatment. A variable that is constant within the levels of some random grouping has
//! its unit; one that varies inside all of them has none, and a label of obs that splits a grouping further and
//! within which the variable is constant (`sample`) names the term that is missing.

use ferrocyte_base::listing;
use ferrocyte_data::{Codes, Factor, Frame, ObsColumn};

use crate::Design;
use crate::coefficients::Part;
use crate::columns::BoundFactor;
use crate::source::written;
use crate::why::is_constant_within;

/// What leaving the term out costs.
const COST: &str = "without it cells count as replicates of the treatment (in a null simulation with a sample \
                    variance of 5 to 10 % of the residual, type I error was 0.32 to 0.45 at 0.05)";

/// Warnings about the replication behind the fixed effects, ready to be shown; empty if there is nothing to say.
///
/// With `variable`, only that column of obs is looked at, as for a contrast; a factor without a unit is then warned
/// about even if obs has no label for it. Without, all fixed factors and covariates are, and only a label found in
/// obs gives rise to a warning, so that variables of cells stay silent. `obs` is the frame that the design was bound
/// to, with all of its columns.
pub fn warnings(design: &Design, obs: &Frame, variable: Option<&str>) -> Vec<String> {
    let groupings = groupings(design);
    let mut missing: Vec<Missing> = Vec::new();
    let mut warnings = Vec::new();
    let subjects = subjects(design, obs);
    for subject in subjects.iter().filter(|s| !groupings.is_empty() && variable.is_none_or(|wanted| s.name == wanted)) {
        let mut units = groupings.iter().filter(|g| subject.is_constant_in(g)).peekable();
        if units.peek().is_none() {
            match missing_term(design, obs, subject, &groupings) {
                Some(term) => gather(&mut missing, term, subject),
                None if variable.is_some() && subject.n_levels.is_some() => {
                    let term = format!("{}:{}", written(&groupings[0].name), written(&subject.name));
                    gather(&mut missing, (term, groupings[0].name.clone()), subject);
                }
                None => {}
            }
        } else if let Some(unit) = units.find(|unit| subject.n_levels == Some(unit.levels.len())) {
            warnings.push(format!(
                "no replication: each `{}` has one `{}`, so that a difference between them is no more than the \
                 difference of two of these",
                subject.name, unit.name
            ));
        }
    }
    warnings.extend(missing.iter().map(Missing::text));
    warnings
}

/// A fixed variable: a value per bound cell.
struct Subject<'a> {
    name: String,
    /// Number of levels of a factor; `None` for a number.
    n_levels: Option<usize>,
    value: Box<dyn Fn(usize) -> u64 + 'a>,
}

impl Subject<'_> {
    fn is_constant_in(&self, grouping: &BoundFactor) -> bool {
        is_constant_within(&grouping.codes, grouping.levels.len(), &self.value)
    }
}

/// The factors that group random terms, each once.
fn groupings(design: &Design) -> Vec<&BoundFactor> {
    let mut found: Vec<&BoundFactor> = Vec::new();
    for component in design.components() {
        let grouping = &design.factors[component.grouping];
        if found.iter().all(|g| g.name != grouping.name) {
            found.push(grouping);
        }
    }
    found
}

/// The columns of obs behind the fixed terms, each once.
fn subjects<'a>(design: &'a Design, obs: &'a Frame) -> Vec<Subject<'a>> {
    let mut subjects: Vec<Subject<'a>> = Vec::new();
    for part in design.coefficients().parts.iter().flatten().flatten() {
        match part {
            Part::Level { variable, .. } => {
                if subjects.iter().all(|s| s.name != *variable)
                    && let Some(factor) = design.factors.iter().find(|f| f.name == *variable)
                {
                    let value = Box::new(|i| u64::from(factor.codes.get(i)));
                    subjects.push(Subject { name: variable.clone(), n_levels: Some(factor.levels.len()), value });
                }
            }
            Part::Number(text) => {
                for column in design.numbers.iter().filter(|n| n.text == *text).flat_map(|n| &n.columns) {
                    if subjects.iter().all(|s| s.name != *column)
                        && let Some(ObsColumn::Number(values)) = obs.get(column)
                    {
                        let value = Box::new(|i| values[design.obs_row(i)].to_bits());
                        subjects.push(Subject { name: column.clone(), n_levels: None, value });
                    }
                }
            }
        }
    }
    subjects
}

/// The grouping of the missing term, as a formula writes it, and the grouping that it splits: a label of obs within
/// which the variable is constant, the coarsest there is. Labels of single cells are passed over.
fn missing_term(
    design: &Design,
    obs: &Frame,
    subject: &Subject<'_>,
    groupings: &[&BoundFactor],
) -> Option<(String, String)> {
    let mut best: Option<(usize, (String, String))> = None;
    for name in obs.names() {
        let Some(ObsColumn::Factor(label)) = obs.get(name) else { continue };
        if name == subject.name {
            continue;
        }
        let codes: Codes = (0..design.n).map(|i| label.codes.get(design.obs_row(i))).collect();
        let n_used = count_distinct(&codes, label.levels.len());
        if codes.contains(Factor::MISSING) || 2 * n_used > design.n || best.as_ref().is_some_and(|b| n_used >= b.0) {
            continue;
        }
        let constant = |value: &dyn Fn(usize) -> u64| is_constant_within(&codes, label.levels.len(), value);
        let split = groupings.iter().find(|g| constant(&|i| u64::from(g.codes.get(i))));
        if let Some(grouping) = split
            && constant(&subject.value)
        {
            best = Some((n_used, (written(name), grouping.name.clone())));
        }
    }
    best.map(|(_, found)| found)
}

fn count_distinct(codes: &Codes, n_levels: usize) -> usize {
    let mut used = vec![false; n_levels];
    for code in codes.iter() {
        if let Some(slot) = used.get_mut(code as usize) {
            *slot = true;
        }
    }
    used.iter().filter(|&&u| u).count()
}

/// A random term that is missing, and the variables that lack it.
struct Missing {
    term: String,
    grouping: String,
    variables: Vec<String>,
}

fn gather(missing: &mut Vec<Missing>, (term, grouping): (String, String), subject: &Subject<'_>) {
    match missing.iter_mut().find(|m| m.term == term && m.grouping == grouping) {
        Some(known) => known.variables.push(subject.name.clone()),
        None => missing.push(Missing { term, grouping, variables: vec![subject.name.clone()] }),
    }
}

impl Missing {
    fn text(&self) -> String {
        let verb = if self.variables.len() == 1 { "varies" } else { "vary" };
        format!(
            "{} {verb} within `{}`, and no random term stands for the unit treated: add `(1 | {})`; {COST}",
            listing(&self.variables, 5),
            self.grouping,
            self.term
        )
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::{BindOptions, Model};

    /// 4 donors x 2 conditions x 6 cells; `sample` is donor and condition, `dose` that of the sample.
    fn study() -> Frame {
        let n = 48;
        let factor = |f: &dyn Fn(usize) -> String| ObsColumn::Factor(Factor::from_texts((0..n).map(|i| Some(f(i)))));
        let mut obs = Frame::new(n);
        obs.insert("barcode", factor(&|i| format!("c{i}"))).unwrap();
        obs.insert("donor", factor(&|i| format!("P{}", i / 12))).unwrap();
        obs.insert("condition", factor(&|i| ["ctrl", "stim"][i / 6 % 2].to_owned())).unwrap();
        obs.insert("sample", factor(&|i| format!("S{}", i / 6))).unwrap();
        obs.insert("library", factor(&|i| format!("L{}", i / 3))).unwrap();
        obs.insert("arm", factor(&|i| ["x", "y"][i / 24].to_owned())).unwrap();
        obs.insert("cell_type", factor(&|i| ["B", "NK"][i % 2].to_owned())).unwrap();
        obs.insert("dose", ObsColumn::Number((0..n).map(|i| (i / 6 % 2 * (i / 12 + 1)) as f64).collect())).unwrap();
        obs.insert("depth", ObsColumn::Number((0..n).map(|i| (i * i % 17) as f64).collect())).unwrap();
        obs
    }

    fn said(formula: &str, obs: &Frame, variable: Option<&str>) -> Vec<String> {
        let model = Model::parse(formula, &[]).unwrap();
        warnings(&Design::bind(&model, obs, None, &BindOptions::default()).unwrap(), obs, variable)
    }

    #[test]
    fn a_treatment_within_donors_asks_for_the_sample() {
        let obs = study();
        let expected = "`condition` varies within `donor`, and no random term stands for the unit treated: add \
                        `(1 | sample)`; without it cells count as replicates of the treatment (in a null simulation \
                        with a sample variance of 5 to 10 % of the residual, type I error was 0.32 to 0.45 at 0.05)";
        assert_eq!(said("~ depth + cell_type + condition + (1 | donor)", &obs, None), [expected]);
        assert_eq!(said("~ condition + (1 | donor)", &obs, Some("condition")), [expected]);
        let both = said("~ condition + log1p(dose) + (1 | donor)", &obs, None);
        assert_eq!(both.len(), 1);
        assert!(both[0].starts_with("`condition`, `dose` vary within `donor`"), "{both:?}");
    }

    #[test]
    fn the_unit_is_enough() {
        let obs = study();
        assert!(said("~ donor + condition + cell_type + depth + (1 | sample)", &obs, None).is_empty());
        assert!(said("~ condition + (1 | donor) + (1 | sample)", &obs, Some("condition")).is_empty());
        assert!(said("~ arm + depth + (1 | donor)", &obs, None).is_empty());
        assert!(said("~ condition + (1 | donor:condition)", &obs, Some("condition")).is_empty());
    }

    #[test]
    fn without_a_label_only_the_variable_asked_for_is_warned_about() {
        let obs = study();
        assert!(said("~ cell_type + (1 | donor)", &obs, None).is_empty());
        let asked = said("~ cell_type + (1 | donor)", &obs, Some("cell_type"));
        assert!(asked[0].contains("add `(1 | donor:cell_type)`"), "{asked:?}");
        assert!(said("~ depth + (1 | donor)", &obs, Some("depth")).is_empty());
    }

    #[test]
    fn one_unit_per_level_is_no_replication() {
        let mut obs = study();
        obs.insert("pool", obs.get("arm").unwrap().clone()).unwrap();
        let expected = "no replication: each `arm` has one `pool`, so that a difference between them is no more than \
                        the difference of two of these";
        assert_eq!(said("~ arm + (1 | pool)", &obs, None), [expected]);
    }
}
