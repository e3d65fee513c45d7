//! [`make_contrasts`]: from expressions such as `"B - A"` to weights of coefficients.

use ferrocyte_base::{Fault, Result};
use ferrocyte_design::Coefficients;
use ferrocyte_math::linalg::Matrix;

/// Contrasts, coefficients × expressions. `(Intercept)` is known as `Intercept`.
///
/// ```
/// let levels = ["A", "B", "C"].map(String::from);
/// let contrasts = ferrocyte_limma::make_contrasts(&["(A + B)/2 - C".to_owned()], &levels)?;
/// assert_eq!(contrasts.entries(), [0.5, 0.5, -1.0]);
/// # Ok::<(), ferrocyte_base::Fault>(())
/// ```
///
/// # Errors
/// Where an expression is no linear combination of names, or has a name that no coefficient has.
pub fn make_contrasts(expressions: &[String], levels: &[String]) -> Result<Matrix> {
    if expressions.is_empty() {
        return Err(Fault::bad_input("there is no expression").at("contrasts").hint("give one, such as \"B - A\""));
    }
    let names: Vec<String> = levels.iter().map(|name| plain_intercept(name).to_owned()).collect();
    let coefficients = Coefficients::from_names(&names).map_err(|fault| fault.at("levels"))?;
    let mut contrasts = Matrix::zeros(names.len(), expressions.len());
    for (k, expression) in expressions.iter().enumerate() {
        for (j, weight) in coefficients.contrast(expression)?.into_iter().enumerate() {
            contrasts[(j, k)] = weight;
        }
    }
    Ok(contrasts)
}

/// The name without the parentheses that R puts around the intercept, which would read as arithmetic.
pub(super) fn plain_intercept(name: &str) -> &str {
    if name == "(Intercept)" { "Intercept" } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_intercept_has_two_spellings() -> Result<()> {
        let levels = ["(Intercept)", "b:c", "T-cell"].map(String::from);
        let expressions = ["Intercept + `b:c`", "2*(Intercept) - `T-cell`"].map(String::from);
        let contrasts = make_contrasts(&expressions, &levels)?;
        assert_eq!(contrasts.entries(), [1.0, 2.0, 1.0, 0.0, 0.0, -1.0]);
        Ok(())
    }

    #[test]
    fn unknown_names_come_with_near_ones() {
        let levels = ["treated", "control"].map(String::from);
        let outcome = make_contrasts(&["treatd - control".to_owned()], &levels);
        let hints = |fault: Fault| fault.way_out().is_some_and(|hint| hint.contains("`treated`"));
        assert!(outcome.is_err_and(hints));
    }
}
