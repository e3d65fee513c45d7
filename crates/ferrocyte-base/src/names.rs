//! Lists and near matches for messages.

/// Quotes the first few names for a message: `` `a`, `b`, `c` and 4 more ``; `none` for an empty list.
///
/// ```
/// assert_eq!(ferrocyte_base::listing(&["a", "b"], 5), "`a`, `b`");
/// assert_eq!(ferrocyte_base::listing(&["a", "b", "c"], 1), "`a` and 2 more");
/// assert_eq!(ferrocyte_base::listing::<&str>(&[], 5), "none");
/// ```
pub fn listing<S: AsRef<str>>(names: &[S], most: usize) -> String {
    if names.is_empty() {
        return "none".to_owned();
    }
    let shown: Vec<String> = names.iter().take(most).map(|n| format!("`{}`", n.as_ref())).collect();
    let rest = names.len() - shown.len();
    if rest == 0 { shown.join(", ") } else { format!("{} and {rest} more", shown.join(", ")) }
}

/// The known names nearest to `wanted` (at most `most`), for "did you mean": by edit distance, then by order.
///
/// ```
/// assert_eq!(ferrocyte_base::nearest("dnor", &["donor", "sample", "doner"], 1), ["donor"]);
/// ```
pub fn nearest<'a, S: AsRef<str>>(wanted: &str, known: &'a [S], most: usize) -> Vec<&'a str> {
    let target = wanted.to_lowercase();
    let mut ranked: Vec<(usize, usize, &str)> = known
        .iter()
        .enumerate()
        .map(|(i, name)| {
            let name = name.as_ref();
            let lower = name.to_lowercase();
            let distance = if lower.contains(&target) || (!lower.is_empty() && target.contains(&lower)) {
                1
            } else {
                edit_distance(&target, &lower)
            };
            (distance, i, name)
        })
        .filter(|&(distance, _, name)| distance <= 1 + wanted.chars().count().max(name.chars().count()) / 2)
        .collect();
    ranked.sort_unstable();
    // Beside a name that is much nearer, the others only distract.
    let least = ranked.first().map_or(0, |&(distance, ..)| distance);
    ranked.into_iter().filter(|&(distance, ..)| distance <= least + 2).take(most).map(|(_, _, name)| name).collect()
}

fn edit_distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, &cb) in b.iter().enumerate() {
            let substitution = diagonal + usize::from(ca != cb);
            diagonal = row[j + 1];
            row[j + 1] = substitution.min(row[j] + 1).min(row[j + 1] + 1);
        }
    }
    row[b.len()]
}
