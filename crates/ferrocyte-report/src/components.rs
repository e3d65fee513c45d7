//! Variance components: the shares of the variance of each gene, summarised over genes.

use ferrocyte_io::{ColumnData, FrameData, Item};
use serde_json::{Value as Json, json};

/// Variance components of `fe.lmm` that results have stored: for each group and component the quantiles of its share.
pub(crate) fn components(uns: &[(String, Item)]) -> Vec<Json> {
    uns.iter()
        .filter_map(|(name, item)| {
            let Item::Dict(items) = item else { return None };
            let (_, Item::Frame(frame)) = items.iter().find(|(name, _)| name == "components")? else { return None };
            Some(json!({"place": name, "groups": of_frame(frame)?}))
        })
        .collect()
}

fn of_frame(frame: &FrameData) -> Option<Vec<Json>> {
    let variances: Vec<(&str, Vec<f64>)> = frame
        .columns
        .iter()
        .filter(|(name, _)| name.starts_with("var"))
        .filter_map(|(name, column)| match column {
            ColumnData::Numbers(numbers) => Some((name.as_str(), numbers.to_f64())),
            _ => None,
        })
        .collect();
    if variances.len() < 2 {
        return None;
    }
    let groups = match frame.columns.iter().find(|(name, _)| name == "group") {
        Some((_, column)) => column.to_texts().into_iter().map(Option::unwrap_or_default).collect(),
        None => vec![String::new(); frame.n_rows()],
    };
    let mut names: Vec<&String> = groups.iter().collect();
    names.sort();
    names.dedup();
    let told = |group: &String| {
        let rows: Vec<usize> = (0..groups.len()).filter(|&row| groups[row] == *group).collect();
        let shares = shares(&variances, &rows);
        let genes = shares.first().map_or(0, |(_, values)| values.len());
        let parts: Vec<Json> = shares
            .into_iter()
            .map(|(name, mut values)| {
                values.sort_by(f64::total_cmp);
                let quantiles = [0.05, 0.25, 0.5, 0.75, 0.95].map(|p| quantile(&values, p));
                json!({"name": name, "quantiles": quantiles})
            })
            .collect();
        json!({"group": group, "genes": genes, "components": parts})
    };
    Some(names.into_iter().map(told).collect())
}

/// The share of each component in the variance of each gene that has one; estimates below zero count as none.
fn shares<'a>(variances: &[(&'a str, Vec<f64>)], rows: &[usize]) -> Vec<(&'a str, Vec<f64>)> {
    let above = |x: f64| x.max(0.0);
    let total = |row: usize| variances.iter().map(|(_, values)| above(values[row])).sum::<f64>();
    let finite = |row: &&usize| variances.iter().all(|(_, v)| v[**row].is_finite()) && total(**row) > 0.0;
    let rows: Vec<usize> = rows.iter().filter(finite).copied().collect();
    variances
        .iter()
        .map(|(name, values)| (*name, rows.iter().map(|&row| above(values[row]) / total(row)).collect()))
        .collect()
}

/// A quantile of sorted values, between its neighbours in proportion.
fn quantile(sorted: &[f64], p: f64) -> Option<f64> {
    let at = p * (sorted.len().checked_sub(1)?) as f64;
    let (low, part) = (at.floor() as usize, at.fract());
    let high = sorted[(low + 1).min(sorted.len() - 1)];
    Some(sorted[low] + part * (high - sorted[low]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_leave_out_genes_without_estimates_and_count_below_zero_as_none() {
        let variances = [("var1", vec![1.0, -1.0, f64::NAN]), ("var0", vec![3.0, 2.0, 1.0])];
        let found = shares(&variances, &[0, 1, 2]);
        assert_eq!(found, [("var1", vec![0.25, 0.0]), ("var0", vec![0.75, 1.0])]);
    }

    #[test]
    fn quantiles_lie_between_neighbours() {
        assert_eq!(quantile(&[], 0.5), None);
        assert_eq!(quantile(&[1.0, 2.0], 0.25), Some(1.25));
        assert_eq!(quantile(&[4.0], 0.95), Some(4.0));
    }
}
