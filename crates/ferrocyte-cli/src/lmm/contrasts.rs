//! What is tested: `--contrast VARIABLE:LEVEL:REFERENCE`, `--pairwise VARIABLE`, `--test [NAME=]EXPRESSION`,
//! `--joint [NAME=]TERM`, or every coefficient.

use ferrocyte_base::{Result, Run, Table};
use ferrocyte_mixed::lmm::{Adjust, Alternative, Contrast, Df, Fit, Hypothesis, TestOptions, Unit};

use crate::config::Settings;
use crate::faults::Failure;

/// The coefficient that is tested only when it is named.
const INTERCEPT: &str = "(Intercept)";

/// Asks for every term of the model.
const ALL_TERMS: &str = "all";

/// How contrasts are tested, from the settings.
pub(super) fn test_options(settings: &Settings) -> Result<TestOptions> {
    Ok(TestOptions {
        df: settings.one("df").map(Df::from_word).transpose()?,
        alternative: Alternative::from_word(settings.word("alternative"))?,
        adjust: Adjust::from_word(settings.word("adjust"))?,
        unit: Unit::from_word(settings.word("unit"))?,
    })
}

/// Levels of other factors, in words: `all` for every level.
type At = Vec<(String, String)>;

/// What was asked for.
#[derive(Debug)]
pub(super) enum Asked {
    /// Contrasts one by one: pairs of levels, then differences, then expressions, each as given.
    Singly { pairs: Vec<(String, At)>, contrasts: Vec<Contrast> },
    /// Hypotheses; none for every term of the model.
    Jointly(Vec<Hypothesis>),
}

/// What was asked for, from the settings.
pub(super) fn asked_for(settings: &Settings) -> std::result::Result<Asked, Failure> {
    let joint = settings.all("joint");
    if joint.is_empty() {
        let differences = settings.all("contrast").iter().map(|text| difference(text));
        let contrasts = differences.chain(settings.all("test").iter().map(|text| Ok(expression(text))));
        let pairs = settings.all("pairwise").iter().map(|text| {
            let mut pieces = text.split('@');
            let variable = pieces.next().unwrap_or_default().trim().to_owned();
            Ok((variable, fixed("pairwise", text, pieces)?))
        });
        let pairs = pairs.collect::<std::result::Result<_, Failure>>()?;
        return Ok(Asked::Singly { pairs, contrasts: contrasts.collect::<std::result::Result<_, _>>()? });
    }
    if ["contrast", "pairwise", "test"].iter().any(|option| !settings.all(option).is_empty()) {
        let message = "joint tests and tests of single contrasts are two tables";
        return Err(Failure::usage("joint", message, "ask for one of them, then for the other"));
    }
    if joint.iter().any(|text| text == ALL_TERMS) {
        return Ok(Asked::Jointly(Vec::new()));
    }
    Ok(Asked::Jointly(joint.iter().map(|text| hypothesis(text)).collect()))
}

impl Asked {
    /// The table of tests; of every coefficient but the intercept where nothing was asked for.
    pub(super) fn table(self, run: &Run, fit: &Fit, options: &TestOptions) -> std::result::Result<Table, Failure> {
        let (pairs, asked) = match self {
            Self::Singly { pairs, contrasts } => (pairs, contrasts),
            Self::Jointly(hypotheses) => {
                let hypotheses = if hypotheses.is_empty() { fit.terms()? } else { hypotheses };
                return Ok(fit.test_joint(run, &hypotheses, options)?);
            }
        };
        let lists = |at: At| at.into_iter().map(|(name, value)| (name, vec![value])).collect::<Vec<_>>();
        let mut contrasts = Vec::new();
        for (variable, at) in pairs {
            contrasts.extend(fit.pairwise(run, &variable, &lists(at))?);
        }
        for contrast in asked {
            match contrast {
                Contrast::Difference { variable, level, reference, at } => {
                    contrasts.extend(fit.differences(run, &variable, &level, &reference, &lists(at))?);
                }
                expression @ Contrast::Expression { .. } => contrasts.push(expression),
            }
        }
        Ok(fit.test(run, &or_all_coefficients(contrasts, fit)?, options)?)
    }
}

/// The contrasts that were asked for, or every coefficient but the intercept, in the order in which the groups have
/// them.
fn or_all_coefficients(asked_for: Vec<Contrast>, fit: &Fit) -> std::result::Result<Vec<Contrast>, Failure> {
    if !asked_for.is_empty() {
        return Ok(asked_for);
    }
    let mut names: Vec<&String> = Vec::new();
    for group in fit.groups.iter().filter(|g| g.refused.is_empty()) {
        for name in group.coefficients.names() {
            if name != INTERCEPT && !names.contains(&name) {
                names.push(name);
            }
        }
    }
    if names.is_empty() {
        let message = "the model has no coefficient but the intercept";
        return Err(Failure::usage("test", message, format!("name what is tested: --test \"{INTERCEPT}\"")));
    }
    Ok(names.into_iter().map(Contrast::expression).collect())
}

/// `[NAME=]PART; PART`, each part a term or an expression.
fn hypothesis(text: &str) -> Hypothesis {
    let (name, parts) = text.split_once('=').unwrap_or(("", text));
    Hypothesis::Parts { name: name.trim().to_owned(), parts: parts.split(';').map(|p| p.trim().to_owned()).collect() }
}

/// `FACTOR=LEVEL` of each piece.
fn fixed<'a>(option: &str, text: &str, pieces: impl Iterator<Item = &'a str>) -> std::result::Result<At, Failure> {
    pieces
        .map(|piece| match piece.split_once('=') {
            Some((factor, level)) => Ok((factor.trim().to_owned(), level.trim().to_owned())),
            None => Err(Failure::usage(
                option,
                format!("`@{piece}` of `{text}` is not @FACTOR=LEVEL"),
                "write @FACTOR=LEVEL, as in @cell_type=B, or @FACTOR=all",
            )),
        })
        .collect()
}

/// `VARIABLE:LEVEL:REFERENCE`, then any number of `@FACTOR=LEVEL`.
pub(crate) fn difference(text: &str) -> std::result::Result<Contrast, Failure> {
    let refuse = |message: String| {
        Failure::usage(
            "contrast",
            message,
            "write VARIABLE:LEVEL:REFERENCE, as in condition:stim:ctrl; where names hold colons, use --test",
        )
    };
    let mut pieces = text.split('@');
    let compared: Vec<&str> = pieces.next().unwrap_or_default().split(':').map(str::trim).collect();
    let &[variable, level, reference] = compared.as_slice() else {
        return Err(refuse(format!("`{text}` has {} parts between colons, expected 3", compared.len())));
    };
    if [variable, level, reference].contains(&"") {
        return Err(refuse(format!("`{text}` has an empty part")));
    }
    let at = fixed("contrast", text, pieces)?;
    Ok(Contrast::Difference {
        variable: variable.to_owned(),
        level: level.to_owned(),
        reference: reference.to_owned(),
        at,
    })
}

/// `EXPRESSION`, or `NAME=EXPRESSION`.
pub(crate) fn expression(text: &str) -> Contrast {
    match text.split_once('=') {
        Some((name, expression)) => {
            Contrast::Expression { name: name.trim().to_owned(), expression: expression.trim().to_owned() }
        }
        None => Contrast::expression(text.trim()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_have_three_parts() {
        let at = |text: &str| difference(text).ok();
        assert_eq!(at("condition:stim:ctrl"), Some(Contrast::difference("condition", "stim", "ctrl")));
        let Some(Contrast::Difference { at: fixed, .. }) = at("trt: B:A @cls=4@time=2 h") else {
            unreachable!("it is one")
        };
        assert_eq!(fixed, [("cls".to_owned(), "4".to_owned()), ("time".to_owned(), "2 h".to_owned())]);
        for text in ["condition", "condition:stim", "a:b:c:d", "a::c", "a:b:c@d"] {
            assert!(matches!(difference(text), Err(Failure::Usage(_))), "{text}");
        }
    }

    #[test]
    fn hypotheses_have_parts() {
        let parts = |all: &[&str]| all.iter().map(|&p| p.to_owned()).collect::<Vec<_>>();
        let Hypothesis::Parts { name, parts: found } = hypothesis("both= cls:trt; a - b") else {
            unreachable!("it is one")
        };
        assert_eq!((name.as_str(), found), ("both", parts(&["cls:trt", "a - b"])));
        assert_eq!(hypothesis("cls:trt").name(), "cls:trt");
    }

    #[test]
    fn expressions_may_have_a_name() {
        assert_eq!(expression(" A - B "), Contrast::expression("A - B"));
        let named = Contrast::Expression { name: "mean".into(), expression: "(A + B)/2".into() };
        assert_eq!(expression("mean=(A + B)/2"), named);
    }
}
