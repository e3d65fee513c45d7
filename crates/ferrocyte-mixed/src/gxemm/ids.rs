//! Tables of people brought into one order.

use std::collections::{HashMap, HashSet};

use ferrocyte_base::{Fault, Result, Run, listing};

/// Where each of the people `wanted` stands in a table with the ids `found`.
///
/// Fails where one is missing, naming the first ten on each side, or is there twice. People of the table that are not
/// wanted are left out, with a warning.
pub fn align(run: &Run, wanted: &[String], found: &[String], table: &str) -> Result<Vec<usize>> {
    let mut places: HashMap<&str, usize> = HashMap::with_capacity(found.len());
    for (i, id) in found.iter().enumerate() {
        if places.insert(id, i).is_some() {
            return Err(Fault::bad_input(format!("individual `{id}` is there twice")).at(table.to_owned()));
        }
    }
    let known: HashSet<&str> = wanted.iter().map(String::as_str).collect();
    let missing: Vec<&String> = wanted.iter().filter(|id| !places.contains_key(id.as_str())).collect();
    let others: Vec<&String> = found.iter().filter(|id| !known.contains(id.as_str())).collect();
    if !missing.is_empty() {
        let besides = if others.is_empty() { "nobody".to_owned() } else { listing(&others, 10) };
        return Err(Fault::bad_input(format!(
            "the ids of individuals do not match: only in y {}; only in {table} {besides}",
            listing(&missing, 10)
        ))
        .at(table.to_owned())
        .hint("every individual of y must be in the other tables; their order does not matter"));
    }
    if !others.is_empty() {
        run.warn(&format!(
            "{} individuals of {table} are not in y and are left out: {}",
            others.len(),
            listing(&others, 10)
        ));
    }
    Ok(wanted.iter().map(|id| places[id.as_str()]).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_come_into_order_by_name() {
        let names = |all: &str| all.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let run = Run::new();
        assert_eq!(align(&run, &names("a b"), &names("c b a"), "K").ok(), Some(vec![2, 1]));
        let told = align(&run, &names("a b"), &names("a c"), "K").map_err(|f| f.to_string());
        assert!(told.is_err_and(|t| t.contains("only in y `b`; only in K `c`")));
        assert!(align(&run, &names("a"), &names("a a"), "K").is_err());
    }
}
