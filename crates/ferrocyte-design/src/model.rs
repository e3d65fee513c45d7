//! [`Model`]: a formula, parsed but not yet bound to cells.

use std::fmt;

use ferrocyte_base::Result;

use crate::parse::{Dialect, Parsed, RandomTerm, Term, Variable, grouping_text, term_text};

/// The variable whose values are the cells' totals unless obs has a column of this name.
pub const LIBSIZE: &str = "libsize";

/// A formula with fixed and random terms.
///
/// Fixed terms use `+ - : * 0 1`, parentheses, the functions `log log2 log10 log1p sqrt exp`, `I(...)` around
/// arithmetic, and `factor(x)` for a column of numbers that are labels. Random terms are `(1 | donor)`,
/// `(1 | donor:batch)`, `(1 | donor/sample)`, `(1 + time || donor)`.
///
/// ```
/// use ferrocyte_design::Model;
/// let model = Model::parse("~log(libsize) + donor*condition - donor:condition + (1|sample)", &[])?;
/// assert_eq!(model.display(), "~ log(libsize) + donor + condition + (1 | sample)");
/// assert_eq!(model.variables(), ["libsize", "donor", "condition", "sample"]);
/// # Ok::<(), ferrocyte_base::Fault>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Model {
    /// Whether the model has an intercept.
    pub(crate) intercept: bool,
    /// Terms by number of variables, then as written; never the intercept.
    pub(crate) terms: Vec<Term>,
    /// Variables of the fixed terms, in order of first appearance.
    pub(crate) variables: Vec<Variable>,
    pub(crate) random: Vec<RandomTerm>,
    /// Variables of the random terms, in order of first appearance.
    pub(crate) random_variables: Vec<Variable>,
}

impl Model {
    /// Parses `formula`, whose leading `~` may be left out, and further random terms.
    ///
    /// An entry of `random` is a random term (`(1 | donor)`, `1 | donor`) or an R formula without intercept
    /// (`~ 0 + sam`, `~ 0 + sam:time`), each term of which is a variance component with one column per level.
    /// Faults show the text and point at the character.
    pub fn parse(formula: &str, random: &[String]) -> Result<Self> {
        Self::parse_as(Dialect::Cells, formula, random)
    }

    /// Parses the formula of a design of samples, which are all at hand: also `(a + b)^2`, `a/b`, `poly(x, 2)`, `ns(x, 3)`
    /// and `bs(x, 5)`.
    ///
    /// ```
    /// use ferrocyte_design::Model;
    /// let model = Model::parse_for_samples("~ (a + b)^2 + poly(age, 2)")?;
    /// assert_eq!(model.display(), "~ a + b + poly(age, 2)1 + poly(age, 2)2 + a:b");
    /// # Ok::<(), ferrocyte_base::Fault>(())
    /// ```
    pub fn parse_for_samples(formula: &str) -> Result<Self> {
        Self::parse_as(Dialect::Samples, formula, &[])
    }

    fn parse_as(dialect: Dialect, formula: &str, random: &[String]) -> Result<Self> {
        let mut parsed = Parsed { dialect, ..Parsed::default() };
        parsed.formula(formula)?;
        for entry in random {
            parsed.random_entry(entry)?;
        }
        let mut terms = parsed.fixed.terms;
        terms.sort_by_key(Vec::len);
        let mut random: Vec<RandomTerm> = Vec::new();
        for term in parsed.random {
            if !random.contains(&term) {
                random.push(term);
            }
        }
        Ok(Self {
            intercept: parsed.fixed.intercept.unwrap_or(true),
            terms,
            variables: parsed.variables,
            random,
            random_variables: parsed.random_variables,
        })
    }

    /// The columns of obs that the model uses, fixed terms first, each once; `libsize` is among them if it is used.
    pub fn variables(&self) -> Vec<String> {
        let fixed = self.terms.iter().flatten().map(|&v| &self.variables[v]);
        let random = self.random.iter().flat_map(|term| match term {
            RandomTerm::Bar { slope, grouping } => slope.iter().chain(grouping),
            RandomTerm::Indicators(term) => term.iter().chain([].iter()),
        });
        let mut names: Vec<String> = Vec::new();
        for variable in fixed.chain(random.map(|&v| &self.random_variables[v])) {
            for name in columns_of(variable) {
                if !names.contains(name) {
                    names.push(name.clone());
                }
            }
        }
        names
    }

    /// The canonical text: terms in the order of the design's columns, then random terms.
    pub fn display(&self) -> String {
        let mut items: Vec<String> = Vec::new();
        if !self.intercept {
            items.push("0".to_owned());
        }
        items.extend(self.terms.iter().map(|t| term_text(t, &self.variables, ":")));
        if items.is_empty() {
            items.push("1".to_owned());
        }
        let mut apart = Vec::new();
        for term in &self.random {
            match term {
                RandomTerm::Bar { slope, grouping } => {
                    let grouping = grouping_text(grouping, &self.random_variables);
                    items.push(if slope.is_empty() {
                        format!("(1 | {grouping})")
                    } else {
                        format!("(0 + {} | {grouping})", term_text(slope, &self.random_variables, ":"))
                    });
                }
                RandomTerm::Indicators(term) => {
                    apart.push(format!("; random ~ 0 + {}", term_text(term, &self.random_variables, ":")));
                }
            }
        }
        format!("~ {}{}", items.join(" + "), apart.concat())
    }
}

impl fmt::Display for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.display())
    }
}

/// The columns of obs behind a variable.
pub(crate) fn columns_of(variable: &Variable) -> Vec<&String> {
    match variable {
        Variable::Column(name) | Variable::Factor(name) => vec![name],
        Variable::Expression(expression) => expression.columns(),
        Variable::Basis(basis) => basis.argument.columns(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use ferrocyte_base::Kind;
    use proptest::prelude::*;

    fn shown(formula: &str) -> String {
        Model::parse(formula, &[]).unwrap().display()
    }

    fn refused(formula: &str) -> (String, String) {
        let fault = Model::parse(formula, &[]).unwrap_err();
        (fault.to_string(), fault.way_out().unwrap_or_default().to_owned())
    }

    #[test]
    fn terms_come_by_degree_then_as_written() {
        let cases = [
            ("~ a:b + c", "~ c + a:b"),
            ("a*b*c", "~ a + b + c + a:b + a:c + b:c + a:b:c"),
            ("~ (a + b + c):d", "~ a:d + b:d + c:d"),
            ("~ a*b - a", "~ b + a:b"),
            ("~ b + a:b", "~ b + b:a"),
            ("~ a + a + a:a", "~ a"),
            ("~ -1 + a", "~ 0 + a"),
            ("~ 0 + a + 1", "~ a"),
            ("~ 1", "~ 1"),
            ("~ 0 + log( libsize )+cls + cls : trt", "~ 0 + log(libsize) + cls + cls:trt"),
            ("~ I( (age-40)/10 ) + I(-age^2*1e5)", "~ I((age - 40)/10) + I(-age^2 * 1e+05)"),
            ("~ `cell type`:factor(x)", "~ `cell type`:factor(x)"),
            ("~ a - (1|b)".trim_end_matches(" - (1|b)"), "~ a"),
        ];
        for (formula, expected) in cases {
            assert_eq!(shown(formula), expected, "{formula}");
        }
    }

    #[test]
    fn random_terms_are_written_out() {
        let cases = [
            ("~ x + (1|sample)", "~ x + (1 | sample)"),
            ("~ x + (1 | a/b)", "~ x + (1 | a) + (1 | a:b)"),
            ("~ x + (1 | a/b/c)", "~ x + (1 | a) + (1 | a:b) + (1 | a:b:c)"),
            ("~ x + (1 + time || sam)", "~ x + (1 | sam) + (0 + time | sam)"),
            ("~ x + (time || sam)", "~ x + (1 | sam) + (0 + time | sam)"),
            ("~ x + (0 + log(dose) | sam)", "~ x + (0 + log(dose) | sam)"),
            ("~ (1 | donor) + (1 | donor) + (1 | `seq run`) + x", "~ x + (1 | donor) + (1 | `seq run`)"),
        ];
        for (formula, expected) in cases {
            assert_eq!(shown(formula), expected, "{formula}");
        }
        let random = ["1 | donor", "(1 | batch)", "~ 1 | run", "~ 0 + sam + sam:time"].map(str::to_owned);
        let model = Model::parse("~ x", &random).unwrap();
        assert_eq!(
            model.display(),
            "~ x + (1 | donor) + (1 | batch) + (1 | run); random ~ 0 + sam; random ~ 0 + sam:time"
        );
        assert_eq!(model.variables(), ["x", "donor", "batch", "run", "sam", "time"]);
    }

    #[test]
    fn foreign_operators_are_refused_by_name() {
        let (message, hint) = refused("~ donor + age^2");
        assert_eq!(message, "formula: `^` cannot stand here\n    ~ donor + age^2\n                 ^");
        assert_eq!(hint, "write crossings out, as in `a*b*c`; for a power of a number write `I(age^2)`");
        let (message, hint) = refused("~ condition + poly(age, 2)");
        assert_eq!(
            message,
            "formula: `poly()` is not a function of formulas\n    ~ condition + poly(age, 2)\n                  ^"
        );
        assert_eq!(hint, "write powers out, as in `age + I(age^2)`");
        for formula in
            ["~ a/b", "~ b %in% a", "~ .", "y ~ x", "~ bs(x)", "~ offset(x)", "~ scale(x)", "~ C(x)", "~ 1 | donor"]
        {
            let fault = Model::parse(formula, &[]).unwrap_err();
            assert_eq!(fault.kind(), Kind::Unsupported, "{formula}: {fault}");
            assert!(fault.way_out().is_some(), "{formula}");
        }
        assert!(refused("y ~ x").1.starts_with("the response is every gene"));
    }

    #[test]
    fn correlated_effects_are_refused_with_the_alternative() {
        let (message, hint) = refused("~ x + (1 + time | sam)");
        assert_eq!(
            message,
            "formula: correlated random effects are not fitted\n    ~ x + (1 + time | sam)\n           ^"
        );
        assert_eq!(hint, "write `(1 + time || sam)` for uncorrelated ones");
        assert_eq!(
            refused("~ x + (time | a/b)").1,
            "write `(1 + time || a)` + `(1 + time || a:b)` for uncorrelated ones"
        );
    }

    #[test]
    fn slips_are_pointed_at() {
        let cases = [
            ("~ a +", "formula: expected a term, found the end\n    ~ a +\n         ^"),
            ("~ (a + b", "formula: expected `)`, found the end\n    ~ (a + b\n            ^"),
            ("~ a b", "formula: expected `+`, `-`, `:` or `*`, found `b`\n    ~ a b\n        ^"),
            ("~ 2 + a", "formula: the only numbers among the terms are `0` and `1`\n    ~ 2 + a\n      ^"),
            ("~ a - (1 | b)", "formula: a random term cannot be taken away\n    ~ a - (1 | b)\n          ^"),
            ("~ a:(1 | b)", "formula: a random term cannot be part of an interaction\n    ~ a:(1 | b)\n      ^"),
            ("~ a:1", "formula: `0` and `1` cannot be part of an interaction\n    ~ a:1\n      ^"),
            ("~ (0 | b)", "formula: this random term has no effect\n    ~ (0 | b)\n       ^"),
            ("~ log(2)", "formula: `log(2)` names no column\n    ~ log(2)\n      ^"),
            ("~ ", "formula: the formula is empty\n    ~ \n      ^"),
        ];
        for (formula, expected) in cases {
            assert_eq!(refused(formula).0, expected, "{formula}");
        }
        for random in ["sample", "~ sample", "0 + sample", "~ 1 + sample", "x + (1 | a)"] {
            assert!(Model::parse("~ x", &[random.to_owned()]).is_err(), "{random}");
        }
    }

    #[test]
    fn size_has_a_limit() {
        let around = |n: usize, inner: &str| format!("~ {}{inner}{}", "(".repeat(n), ")".repeat(n));
        assert_eq!(shown(&around(100, "a")), "~ a");
        let n = 4000;
        for formula in [
            around(n, "a"),
            format!("~ I({}x)", "-".repeat(n)),
            format!("~ I({}x)", "x^".repeat(n)),
            around(n, "1 | a"),
        ] {
            assert!(refused(&formula).0.starts_with("formula: this is nested too deeply"));
        }
        assert!(refused(&"a+".repeat(6000)).0.starts_with("formula: there are more than 10000 tokens"));
    }

    /// Formulas of up to a few dozen tokens that the grammar accepts.
    fn formulas() -> impl Strategy<Value = String> {
        let arithmetic =
            prop_oneof![Just("x".to_owned()), Just("libsize".to_owned()), (1..9999_u32).prop_map(|n| n.to_string())]
                .prop_recursive(3, 8, 2, |inner| {
                    prop_oneof![
                        (inner.clone(), "[-+*/^]", inner.clone()).prop_map(|(a, o, b)| format!("{a} {o} {b}")),
                        inner.clone().prop_map(|a| format!("(-{a})")),
                        inner.prop_map(|a| format!("sqrt({a})")),
                    ]
                });
        let leaf = prop_oneof![
            "[a-d]",
            Just("`cell type`".to_owned()),
            Just("factor(x)".to_owned()),
            arithmetic.prop_map(|a| format!("I(x + {a})")),
        ];
        let fixed = leaf.prop_recursive(4, 12, 2, |inner| {
            (inner.clone(), "[-+*:]", inner).prop_map(|(a, o, b)| format!("({a} {o} {b})"))
        });
        let random = prop_oneof![
            Just(String::new()),
            Just(" + (1 | g)".to_owned()),
            Just(" + (1 + x || g/h)".to_owned()),
            Just(" + (0 + a:x | `seq run`:g)".to_owned()),
        ];
        (prop_oneof![Just("~ "), Just("~ 0 + ")], fixed, random).prop_map(|(a, b, c)| format!("{a}{b}{c}"))
    }

    /// All terms, whatever the order of the variables inside (R keeps that of their first appearance).
    fn as_sets(model: &Model) -> Vec<Vec<String>> {
        let texts = |term: &[usize], variables: &[Variable]| {
            let mut texts: Vec<String> = term.iter().map(|&v| crate::parse::variable_text(&variables[v])).collect();
            texts.sort();
            texts
        };
        let fixed = model.terms.iter().map(|t| texts(t, &model.variables));
        let random = model.random.iter().flat_map(|t| match t {
            RandomTerm::Bar { slope, grouping } => [slope, grouping].map(|t| texts(t, &model.random_variables)),
            RandomTerm::Indicators(_) => [vec![], vec![]],
        });
        let mut fixed: Vec<Vec<String>> = fixed.collect();
        fixed.sort();
        fixed.into_iter().chain(random).collect()
    }

    proptest! {
        #[test]
        fn the_canonical_text_parses_to_the_same_terms(formula in formulas()) {
            let model = Model::parse(&formula, &[]).unwrap();
            let again = Model::parse(&model.display(), &[]).unwrap();
            prop_assert_eq!(again.intercept, model.intercept);
            prop_assert_eq!(as_sets(&again), as_sets(&model));
        }

        #[test]
        fn no_text_makes_the_parser_fall_over(text in ".{0,40}") {
            let _ = Model::parse(&text, std::slice::from_ref(&text));
        }
    }
}
