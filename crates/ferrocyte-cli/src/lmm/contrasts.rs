//! What is tested: `--contrast VARIABLE:LEVEL:REFERENCE`, `--test [NAME=]EXPRESSION`, or every coefficient.

use ferrocyte_base::Result;
use ferrocyte_mixed::lmm::{Adjust, Alternative, Contrast, Df, Fit, TestOptions, Unit};

use crate::config::Settings;
use crate::faults::Failure;

/// The coefficient that is tested only when it is named.
const INTERCEPT: &str = "(Intercept)";

/// How contrasts are tested, from the settings.
pub(super) fn test_options(settings: &Settings) -> Result<TestOptions> {
    Ok(TestOptions {
        df: settings.one("df").map(Df::from_word).transpose()?,
        alternative: Alternative::from_word(settings.word("alternative"))?,
        adjust: Adjust::from_word(settings.word("adjust"))?,
        unit: Unit::from_word(settings.word("unit"))?,
    })
}

/// The contrasts that were asked for: differences of levels first, then expressions, each as given.
pub(super) fn asked_for(settings: &Settings) -> std::result::Result<Vec<Contrast>, Failure> {
    let differences = settings.all("contrast").iter().map(|text| difference(text));
    differences.chain(settings.all("test").iter().map(|text| Ok(expression(text)))).collect()
}

/// The contrasts that were asked for, or every coefficient but the intercept, in the order in which the groups have
/// them.
pub(super) fn or_all_coefficients(asked_for: Vec<Contrast>, fit: &Fit) -> std::result::Result<Vec<Contrast>, Failure> {
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

/// `VARIABLE:LEVEL:REFERENCE`, then any number of `@FACTOR=LEVEL`.
fn difference(text: &str) -> std::result::Result<Contrast, Failure> {
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
    let at = pieces.map(|piece| match piece.split_once('=') {
        Some((factor, level)) => Ok((factor.trim().to_owned(), level.trim().to_owned())),
        None => Err(refuse(format!("`@{piece}` of `{text}` is not @FACTOR=LEVEL"))),
    });
    let at = at.collect::<std::result::Result<Vec<_>, _>>()?;
    Ok(Contrast::Difference {
        variable: variable.to_owned(),
        level: level.to_owned(),
        reference: reference.to_owned(),
        at,
    })
}

/// `EXPRESSION`, or `NAME=EXPRESSION`.
fn expression(text: &str) -> Contrast {
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
    fn expressions_may_have_a_name() {
        assert_eq!(expression(" A - B "), Contrast::expression("A - B"));
        let named = Contrast::Expression { name: "mean".into(), expression: "(A + B)/2".into() };
        assert_eq!(expression("mean=(A + B)/2"), named);
    }
}
