//! Models in terms of the columns of another: which sub-model a saved design answers, without its cells.
//!
//! Every column of a design is a product of indicators of levels and of numbers. With the first level of a factor
//! written as one minus the others, it is a combination of products of the other levels, and these products are
//! independent as functions of the cells' labels. So whether a column of another model is a combination of those at hand,
//! and which, is a small linear system over labels, whatever the coding of either. Columns of random terms are at hand
//! too: a model may move a factor from the random to the fixed side and back. Columns that were left out as aliased are
//! at hand through what they depend on.

use std::collections::BTreeMap;

use ferrocyte_base::{Fault, Result, listing};

use crate::bind::{Side, bound_terms, column_name, columns_of_term};
use crate::coding::all_indicators;
use crate::coefficients::{Part, twins};
use crate::parse::{RandomTerm, Term, Variable, variable_text};
use crate::source::written;
use crate::{Coefficients, Model};

/// Entries of a reduced column below this are rounding; those at hand are whole numbers of moderate size.
const NEGLIGIBLE: f64 = 1e-9;

/// A design of which the names are left: what saved sums know of theirs.
#[derive(Debug, Clone, Copy)]
pub struct SavedDesign<'a> {
    /// The model.
    pub model: &'a Model,
    /// Its fixed columns.
    pub coefficients: &'a Coefficients,
    /// Its random columns: the name of each component, and the names of its columns.
    pub components: &'a [(String, Vec<String>)],
}

/// A model in terms of the columns of a saved design.
#[derive(Debug, Clone, PartialEq)]
pub struct Derived {
    /// Its fixed columns.
    pub coefficients: Coefficients,
    /// Its random columns: the name of each component, and the names of its columns.
    pub components: Vec<(String, Vec<String>)>,
    /// For each of its columns, fixed before random: the columns of the saved [X Z] that it is the sum of, weighted.
    pub columns: Vec<Vec<(usize, f64)>>,
}

/// A factor whose levels are known, the reference level first.
struct KnownFactor {
    name: String,
    levels: Vec<String>,
    /// Whether its plain name means the labels; else it may be a column of numbers, and `factor(x)` means them.
    plain: bool,
}

/// A function of the labels of a cell: products of levels other than the first (factor, level) and of numbers, each
/// with its weight.
type Function = BTreeMap<(Vec<(usize, usize)>, Vec<String>), f64>;

/// A column at hand: what it is the product of, and what it is the sum of among the saved columns.
struct Column {
    parts: Vec<Part>,
    weights: Vec<(usize, f64)>,
}

/// A column at hand without what those before it explain, and its largest product.
struct Pivot {
    key: (Vec<(usize, usize)>, Vec<String>),
    function: Function,
    weights: BTreeMap<usize, f64>,
}

impl SavedDesign<'_> {
    /// `model` in terms of this design. What is not a combination of its columns is refused by name.
    ///
    /// ```
    /// # use ferrocyte_data::{Factor, Frame, ObsColumn};
    /// # use ferrocyte_design::{BindOptions, Design, Model, SavedDesign};
    /// # let texts = |all: &str| ObsColumn::Factor(Factor::from_texts(all.split(' ').map(Some)));
    /// # let mut obs = Frame::new(8);
    /// # obs.insert("type", texts("B B B B T T T T"))?;
    /// # obs.insert("trt", texts("a a b b a a b b"))?;
    /// # obs.insert("sample", texts("s t u v s t u v"))?;
    /// let model = Model::parse("~ type*trt + (1 | sample)", &[])?;
    /// let design = Design::bind(&model, &obs, None, &BindOptions::default())?;
    /// let components = [("sample".to_owned(), design.components()[0].columns.clone())];
    /// let saved = SavedDesign { model: &model, coefficients: design.coefficients(), components: &components };
    /// let derived = saved.derive(&Model::parse("~ 0 + type + (1 | sample)", &[])?)?;
    /// // typeB is the intercept minus typeT.
    /// assert_eq!(derived.coefficients.names(), ["typeB", "typeT"]);
    /// assert_eq!(derived.columns[0], [(0, 1.0), (1, -1.0)]);
    /// # Ok::<(), ferrocyte_base::Fault>(())
    /// ```
    pub fn derive(&self, model: &Model) -> Result<Derived> {
        let factors = self.known_factors();
        let at_hand = self.columns_at_hand(&factors);
        let mut span = Span { factors: &factors, at_hand: &at_hand, pivots: None };
        let mut derived = self.fixed(model, &mut span)?;
        self.random(model, &mut span, &mut derived)?;
        Ok(derived)
    }

    /// What there is, for messages.
    fn has(&self) -> String {
        format!("they were made with `{}`", self.model.display())
    }

    fn absent(&self, what: &str) -> Fault {
        Fault::missing(format!("{what} is not in the sums; {}", self.has()))
            .at("formula")
            .hint("leave it out, or make sums of a model that has it")
    }

    fn known_factors(&self) -> Vec<KnownFactor> {
        let mut known: Vec<KnownFactor> = Vec::new();
        let mut add = |name: &str, levels: Vec<String>, as_fixed_column: bool| {
            if known.iter().all(|f| f.name != name) {
                let plain = as_fixed_column || levels.iter().any(|level| level.parse::<f64>().is_err());
                known.push(KnownFactor { name: name.to_owned(), levels, plain });
            }
        };
        for (name, levels) in &self.coefficients.factors {
            let as_column = self.model.variables.contains(&Variable::Column(name.clone()));
            add(name, levels.clone(), as_column);
        }
        for term in &self.model.random {
            let sides = RandomSides::of(term, self.model);
            let (Some(name), Some((_, (_, columns)))) = (sides.single(), self.component(&sides.name())) else {
                continue;
            };
            let suffix = sides.suffix();
            let level = |column: &String| Some(column.strip_prefix(&written(name))?.strip_suffix(&suffix)?.to_owned());
            if let Some(levels) = columns.iter().map(level).collect() {
                add(name, levels, false);
            }
        }
        known
    }

    /// The component of that name, and its first column in [X Z].
    fn component(&self, name: &str) -> Option<(usize, &(String, Vec<String>))> {
        let mut first = self.coefficients.len();
        let sorted = |name: &str| {
            let mut parts: Vec<String> = name.split(':').map(str::to_owned).collect();
            parts.sort_unstable();
            parts
        };
        for component in self.components {
            // `donor:batch` and `batch:donor` are the same effects.
            if sorted(&component.0) == sorted(name) {
                return Some((first, component));
            }
            first += component.1.len();
        }
        None
    }

    fn columns_at_hand(&self, factors: &[KnownFactor]) -> Vec<Column> {
        let kept = self.coefficients.parts.iter().flatten().enumerate();
        let mut columns: Vec<Column> =
            kept.map(|(j, parts)| Column { parts: parts.clone(), weights: vec![(j, 1.0)] }).collect();
        let dropped = self.coefficients.dropped.iter();
        columns.extend(dropped.map(|d| Column { parts: d.parts.clone(), weights: d.depends_on.clone() }));
        for term in &self.model.random {
            let sides = RandomSides::of(term, self.model);
            let (Some(name), Some((first, (_, names)))) = (sides.single(), self.component(&sides.name())) else {
                continue;
            };
            let Some(factor) = factors.iter().find(|f| f.name == name && f.levels.len() == names.len()) else {
                continue;
            };
            columns.extend(
                factor
                    .levels
                    .iter()
                    .enumerate()
                    .map(|(i, level)| Column { parts: sides.parts(name, level), weights: vec![(first + i, 1.0)] }),
            );
        }
        columns
    }

    /// A variable of the new model among those known.
    fn variable<'f>(&self, variable: &Variable, span: &Span<'f>) -> Result<Side<'f>> {
        let text = variable_text(variable);
        let (Variable::Column(name) | Variable::Factor(name)) = variable else {
            let number = span.has_number(&text).then(|| Side::Number(text.clone().into()));
            return number.ok_or_else(|| self.absent(&format!("`{text}`")));
        };
        match span.factors.iter().find(|f| f.name == *name) {
            Some(f) if f.plain || matches!(variable, Variable::Factor(_)) => {
                Ok(Side::Factor { name: &f.name, levels: &f.levels })
            }
            _ if span.has_number(&text) => Ok(Side::Number(text.into())),
            Some(_) => Err(Fault::bad_input(format!("the sums do not know whether `{text}` holds numbers or labels"))
                .at("formula")
                .hint(format!("write `factor({text})`, whose labels they know"))),
            None => Err(self.absent(&format!("`{text}`"))),
        }
    }

    fn fixed(&self, model: &Model, span: &mut Span<'_>) -> Result<Derived> {
        let mut sides: Vec<Side<'_>> = Vec::new();
        let mut position = vec![0; model.variables.len()];
        for (v, variable) in model.variables.iter().enumerate() {
            if model.terms.iter().any(|term| term.contains(&v)) {
                let side = self.variable(variable, span)?;
                position[v] = sides.iter().position(|s| *s == side).unwrap_or(sides.len());
                if position[v] == sides.len() {
                    sides.push(side);
                }
            }
        }
        let terms: Vec<Term> = bound_terms(&model.terms, &position);
        let is_factor: Vec<bool> = sides.iter().map(|s| matches!(s, Side::Factor { .. })).collect();
        let full = all_indicators(&terms, model.intercept, &is_factor);
        let mut parts: Vec<Vec<Part>> = Vec::new();
        if model.intercept {
            parts.push(Vec::new());
        }
        for (term, full) in terms.iter().zip(&full) {
            parts.extend(columns_of_term(term, full, &sides));
        }
        let names: Vec<String> = parts.iter().map(|column| column_name(column)).collect();
        match (twins(&names).as_slice(), names.as_slice()) {
            ([], [_, ..]) => {}
            ([], []) => {
                return Err(Fault::bad_input("the model has no fixed effect").at("formula").hint("keep the intercept"));
            }
            (twins, _) => {
                return Err(Fault::bad_input(format!("columns share a name: {}", listing(twins, 5))).at("formula"));
            }
        }
        let columns = parts
            .iter()
            .zip(&names)
            .map(|(column, name)| span.weights(column).ok_or_else(|| self.absent(&format!("the column `{name}`"))));
        let columns = columns.collect::<Result<_>>()?;
        let factors = sides.iter().filter_map(|side| match side {
            Side::Factor { name, levels } => Some(((*name).to_owned(), levels.to_vec())),
            Side::Number(_) => None,
        });
        Ok(Derived {
            coefficients: Coefficients::new(names, parts, factors.collect()),
            components: Vec::new(),
            columns,
        })
    }

    fn random(&self, model: &Model, span: &mut Span<'_>, derived: &mut Derived) -> Result<()> {
        for term in &model.random {
            let sides = RandomSides::of(term, model);
            let name = sides.name();
            if derived.components.iter().any(|(n, _)| *n == name) {
                continue;
            }
            if let Some((first, component)) = self.component(&name) {
                derived.columns.extend((first..first + component.1.len()).map(|j| vec![(j, 1.0)]));
                derived.components.push(component.clone());
                continue;
            }
            let absent = || self.absent(&format!("the random term `{}`", sides.text()));
            let factor = sides.single().and_then(|name| span.factors.iter().find(|f| f.name == name));
            let Some(factor) = factor else { return Err(absent()) };
            for level in &factor.levels {
                derived.columns.push(span.weights(&sides.parts(&factor.name, level)).ok_or_else(absent)?);
            }
            let column = |level: &String| format!("{}{level}{}", written(&factor.name), sides.suffix());
            derived.components.push((name, factor.levels.iter().map(column).collect()));
        }
        if derived.components.is_empty() {
            return Err(Fault::bad_input("the model has no random term")
                .at("formula")
                .hint("add the unit that was sampled or treated, e.g. (1 | sample)"));
        }
        Ok(())
    }
}

/// What groups in a random term, and what varies over it, by name.
struct RandomSides<'a> {
    groups: Vec<&'a str>,
    slopes: Vec<String>,
}

impl<'a> RandomSides<'a> {
    fn of(term: &RandomTerm, model: &'a Model) -> Self {
        let variable = |v: &usize| &model.random_variables[*v];
        let plain = |variable: &'a Variable| match variable {
            Variable::Column(name) | Variable::Factor(name) => Some(name.as_str()),
            Variable::Expression(_) | Variable::Basis(_) => None,
        };
        match term {
            RandomTerm::Bar { slope, grouping } => Self {
                groups: grouping.iter().filter_map(|v| plain(variable(v))).collect(),
                slopes: slope.iter().map(|v| variable_text(variable(v))).collect(),
            },
            // Which of its variables group is known where only one can: the others are arithmetic.
            RandomTerm::Indicators(term) => Self {
                groups: term.iter().filter_map(|v| plain(variable(v))).collect(),
                slopes: term.iter().map(variable).filter(|v| plain(v).is_none()).map(variable_text).collect(),
            },
        }
    }

    /// The name of the component.
    fn name(&self) -> String {
        let groups: Vec<String> = self.groups.iter().map(|g| written(g)).collect();
        groups.join(":") + &self.suffix()
    }

    fn suffix(&self) -> String {
        self.slopes.iter().flat_map(|slope| [":", slope]).collect()
    }

    /// The one factor that groups, if it is one.
    fn single(&self) -> Option<&'a str> {
        if let [one] = self.groups.as_slice() { Some(one) } else { None }
    }

    /// The column of a level.
    fn parts(&self, name: &str, level: &str) -> Vec<Part> {
        let level = Part::Level { variable: name.to_owned(), level: level.to_owned() };
        std::iter::once(level).chain(self.slopes.iter().cloned().map(Part::Number)).collect()
    }

    fn text(&self) -> String {
        let groups: Vec<String> = self.groups.iter().map(|g| written(g)).collect();
        let slope = if self.slopes.is_empty() { "1".to_owned() } else { format!("0 + {}", self.slopes.join(":")) };
        format!("({slope} | {})", groups.join(":"))
    }
}

/// What the columns at hand can be combined to.
struct Span<'a> {
    factors: &'a [KnownFactor],
    at_hand: &'a [Column],
    /// Made when first needed.
    pivots: Option<Vec<Pivot>>,
}

impl Span<'_> {
    fn has_number(&self, text: &str) -> bool {
        self.at_hand.iter().flat_map(|c| &c.parts).any(|part| matches!(part, Part::Number(t) if t == text))
    }

    /// The saved columns that a product of parts is the weighted sum of, if it is one.
    fn weights(&mut self, parts: &[Part]) -> Option<Vec<(usize, f64)>> {
        let same =
            |column: &&Column| column.parts.len() == parts.len() && parts.iter().all(|p| column.parts.contains(p));
        if let Some(column) = self.at_hand.iter().find(same) {
            return Some(column.weights.clone());
        }
        let mut function = self.function(parts)?;
        let mut weights = BTreeMap::new();
        if self.pivots.is_none() {
            self.pivots = Some(self.eliminate());
        }
        reduce(self.pivots.as_deref().unwrap_or_default(), &mut function, &mut weights);
        // What is left was to be taken away: the weights are those of its negative.
        function.is_empty().then(|| weights.into_iter().map(|(j, w)| (j, -w)).filter(|(_, w)| *w != 0.0).collect())
    }

    /// A product of parts as a function of the labels; `None` for a level that is not known.
    fn function(&self, parts: &[Part]) -> Option<Function> {
        let mut function = Function::from([((Vec::new(), Vec::new()), 1.0)]);
        for part in parts {
            let mut product = Function::new();
            match part {
                Part::Number(text) => {
                    for ((levels, mut numbers), w) in function {
                        numbers.push(text.clone());
                        numbers.sort();
                        *product.entry((levels, numbers)).or_insert(0.0) += w;
                    }
                }
                Part::Level { variable, level } => {
                    let f = self.factors.iter().position(|f| f.name == *variable)?;
                    let levels = &self.factors[f].levels;
                    let l = levels.iter().position(|known| known == level)?;
                    // The first level is one minus all others.
                    let own: Vec<(Option<usize>, f64)> = match l {
                        0 => std::iter::once((None, 1.0)).chain((1..levels.len()).map(|k| (Some(k), -1.0))).collect(),
                        l => vec![(Some(l), 1.0)],
                    };
                    for ((levels, numbers), w) in function {
                        for &(level, sign) in &own {
                            if let Some(levels) = times_level(&levels, f, level) {
                                *product.entry((levels, numbers.clone())).or_insert(0.0) += sign * w;
                            }
                        }
                    }
                }
            }
            product.retain(|_, w| *w != 0.0);
            function = product;
        }
        Some(function)
    }

    /// The columns at hand, each without what those before it explain.
    fn eliminate(&self) -> Vec<Pivot> {
        let mut pivots: Vec<Pivot> = Vec::new();
        for column in self.at_hand {
            let Some(mut function) = self.function(&column.parts) else { continue };
            let mut weights: BTreeMap<usize, f64> = column.weights.iter().copied().collect();
            reduce(&pivots, &mut function, &mut weights);
            let largest = function.iter().max_by(|(_, a), (_, b)| a.abs().total_cmp(&b.abs()));
            if let Some(key) = largest.map(|(key, _)| key.clone()) {
                pivots.push(Pivot { key, function, weights });
            }
        }
        pivots
    }
}

/// A product of levels times a level of factor `f` (`None`: times one); `None` where it is zero in every cell.
fn times_level(levels: &[(usize, usize)], f: usize, level: Option<usize>) -> Option<Vec<(usize, usize)>> {
    let (Some(level), present) = (level, levels.iter().find(|(g, _)| *g == f)) else { return Some(levels.to_vec()) };
    match present {
        Some((_, other)) => (*other == level).then(|| levels.to_vec()),
        None => {
            let mut product = levels.to_vec();
            product.push((f, level));
            product.sort_unstable();
            Some(product)
        }
    }
}

/// Takes away from a function what the pivots explain, and the same from its weights.
fn reduce(pivots: &[Pivot], function: &mut Function, weights: &mut BTreeMap<usize, f64>) {
    for pivot in pivots {
        let Some(&entry) = function.get(&pivot.key) else { continue };
        let share = entry / pivot.function[&pivot.key];
        for (key, w) in &pivot.function {
            *function.entry(key.clone()).or_insert(0.0) -= share * w;
        }
        function.remove(&pivot.key);
        function.retain(|_, w| w.abs() > NEGLIGIBLE);
        for (&j, w) in &pivot.weights {
            let weight = weights.entry(j).or_insert(0.0);
            *weight -= share * w;
            if (*weight - weight.round()).abs() < NEGLIGIBLE {
                *weight = weight.round();
            }
        }
    }
}
