//! R's coding rule: which factors of which terms have a column for every level.

use crate::parse::Term;

/// For each term and each of its variables, whether a factor there has one column per level (else the first level
/// has none; numbers are `false`).
///
/// A factor has contrasts where the term without it is in the model, and all indicators where it is not. The term
/// that is left of a main effect is the intercept; without one, the first factor that is a main effect has all
/// indicators and stands for it, the others have contrasts.
pub(crate) fn all_indicators(terms: &[Term], intercept: bool, is_factor: &[bool]) -> Vec<Vec<bool>> {
    let first_main = terms.iter().position(|t| t.len() == 1 && is_factor[t[0]]);
    let full = |place: usize, variable: usize| {
        if !is_factor[variable] {
            return false;
        }
        let rest: Term = terms[place].iter().copied().filter(|&v| v != variable).collect();
        if rest.is_empty() { !intercept && first_main == Some(place) } else { !terms.contains(&rest) }
    };
    terms.iter().enumerate().map(|(place, term)| term.iter().map(|&v| full(place, v)).collect()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Factors a, b, c are 0, 1, 2; numbers x, y are 3, 4.
    const IS_FACTOR: [bool; 5] = [true, true, true, false, false];

    fn coded(intercept: bool, terms: &[&[usize]]) -> Vec<Vec<bool>> {
        all_indicators(&terms.iter().map(|t| t.to_vec()).collect::<Vec<_>>(), intercept, &IS_FACTOR)
    }

    #[test]
    fn contrasts_where_the_margin_is_present() {
        const F: bool = false;
        // ~ a*b, ~ a + b + a:b:c with all margins missing but a:b's
        assert_eq!(coded(true, &[&[0], &[1], &[0, 1]]), [vec![F], vec![F], vec![F, F]]);
        // ~ a + a:b: for b the margin a is there, for a the margin b is not.
        assert_eq!(coded(true, &[&[0], &[0, 1]]), [vec![F], vec![true, F]]);
        // ~ a:b
        assert_eq!(coded(true, &[&[0, 1]]), [vec![true, true]]);
        // ~ 0 + a + b: only the first main effect.
        assert_eq!(coded(false, &[&[0], &[1]]), [vec![true], vec![F]]);
        // ~ 0 + x + a + a:b
        assert_eq!(coded(false, &[&[3], &[0], &[0, 1]]), [vec![F], vec![true], vec![true, F]]);
        // ~ a + a:x and ~ x + a:x
        assert_eq!(coded(true, &[&[0], &[0, 3]]), [vec![F], vec![true, F]]);
        assert_eq!(coded(true, &[&[3], &[0, 3]]), [vec![F], vec![F, F]]);
        // ~ a*b*c without b:c: a in a:b:c has its margin missing.
        let terms: &[&[usize]] = &[&[0], &[1], &[2], &[0, 1], &[0, 2], &[0, 1, 2]];
        assert_eq!(coded(true, terms)[5], [true, F, F]);
    }
}
