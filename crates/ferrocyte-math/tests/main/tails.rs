//! The distributions against `reference.tsv`, which `make_reference.py` wrote with 50-digit arithmetic.

use ferrocyte_math::{chi_squared, f, gamma, normal, student_t};

const TABLE: &str = include_str!("../reference.tsv");

/// Relative error allowed; and the absolute one that replaces it near zero.
const RELATIVE: f64 = 1e-12;
const ABSOLUTE: f64 = 1e-15;

/// A cell; NaN for the `-` of an argument that is not there.
fn number(cell: &str) -> f64 {
    cell.parse().unwrap_or(f64::NAN)
}

/// The function of a row; NaN, which fails the test, for an unknown one.
fn value(function: &str, a: f64, b: f64, c: f64) -> f64 {
    match function {
        "digamma" => gamma::digamma(a),
        "trigamma" => gamma::trigamma(a),
        "ln_gamma" => gamma::ln_gamma(a),
        "stirling_error" => gamma::stirling_error(a),
        "normal_ln_upper" => normal::ln_upper(a),
        "t_ln_two_sided" => student_t::ln_two_sided(a, b),
        "chi_squared_ln_lower" => chi_squared::ln_lower(a, b),
        "chi_squared_ln_upper" => chi_squared::ln_upper(a, b),
        "f_ln_lower" => f::ln_lower(a, b, c),
        "f_ln_upper" => f::ln_upper(a, b, c),
        _ => f64::NAN,
    }
}

#[test]
fn tails_agree_with_fifty_digits() {
    let mut wrong = Vec::new();
    let mut count = 0;
    for line in TABLE.lines().skip(1) {
        let cells: Vec<&str> = line.split('\t').collect();
        assert_eq!(cells.len(), 5, "expected five cells: {line}");
        let (found, expected) =
            (value(cells[0], number(cells[1]), number(cells[2]), number(cells[3])), number(cells[4]));
        let error = (found - expected).abs();
        if error.is_nan() || error > (RELATIVE * expected.abs()).max(ABSOLUTE) {
            wrong.push(format!("{line}: found {found:e}, error {:.1e}", error / expected.abs()));
        }
        count += 1;
    }
    assert!(count > 600, "only {count} rows");
    assert!(wrong.is_empty(), "{} of {count}:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn tails_of_many_agree_with_fifty_digits() {
    let mut count = 0;
    for line in TABLE.lines().filter(|line| line.starts_with("t_ln_two_sided")) {
        let cells: Vec<&str> = line.split('\t').collect();
        let (t, df, expected) = (number(cells[1]), number(cells[2]), number(cells[4]));
        let (mut exponent, mut factor) = ([0.0], [0.0]);
        student_t::many::tails(&student_t::StudentT::new(df), &[t], &mut exponent, &mut factor);
        let found = factor[0].ln() - exponent[0];
        assert!((found - expected).abs() < 4e-15 * expected.abs().max(1.0), "{line}: found {found:e}");
        if expected > -708.0 {
            let p = student_t::many::two_sided(&[t], &[df])[0];
            assert!((p / expected.exp() - 1.0).abs() < 4e-15 * expected.abs().max(1.0), "{line}: found {p:e}");
        }
        count += 1;
    }
    assert!(count > 100, "only {count} rows");
}
