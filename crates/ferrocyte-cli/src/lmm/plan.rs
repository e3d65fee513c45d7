//! `ferrocyte lmm plan`: where a study is cut for several machines; and `--shard I/N`, one of its ranges.

use std::ops::Range;

use clap::ArgMatches;
use ferrocyte_mixed::lmm;
use serde_json::json;

use crate::door;
use crate::faults::Failure;
use crate::output::{not_printed, to_stdout};
use crate::session::{Session, path};

/// Runs the verb: a range `A:B` a line, in order.
pub(crate) fn run(session: &Session, matches: &ArgMatches) -> Result<(), Failure> {
    let text = session.settings.word("shards");
    let n_shards = text.parse().map_err(|_| {
        Failure::usage("shards", format!("expected a whole number, found `{text}`"), "give how many workers share it")
    })?;
    let study = door::open(&session.run, path(matches, "study")?, &session.settings)?;
    let ranges = lmm::plan(study.n_obs(), n_shards)?;
    to_stdout(|out| {
        for (i, Range { start, end }) in ranges.iter().enumerate() {
            if session.console.is_json() {
                let shard = format!("{}/{n_shards}", i + 1);
                writeln!(out, "{}", json!({"shard": shard, "rows": format!("{start}:{end}")})).map_err(not_printed)?;
            } else {
                writeln!(out, "{start}:{end}").map_err(not_printed)?;
            }
        }
        Ok(())
    })
}

/// The rows of shard `I/N` of `total`, counted from 1.
pub(super) fn shard(text: &str, total: usize) -> Result<Range<usize>, Failure> {
    let parts = text.split_once('/').and_then(|(i, n)| Some((i.parse::<usize>().ok()?, n.parse::<usize>().ok()?)));
    let Some((shard, n_shards)) = parts else {
        return Err(Failure::usage(
            "shard",
            format!("expected I/N, found `{text}`"),
            "1/4 is the first of four shards",
        ));
    };
    if shard == 0 || shard > n_shards {
        let message = format!("there is no shard {shard} of {n_shards}");
        return Err(Failure::usage("shard", message, "shards count from 1: 1/4, 2/4, 3/4, 4/4"));
    }
    Ok(lmm::plan(total, n_shards)?.swap_remove(shard - 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_are_those_of_the_plan() {
        for (text, rows) in [("1/1", 0..200_000), ("1/2", 0..131_072), ("2/2", 131_072..200_000)] {
            assert_eq!(shard(text, 200_000).ok(), Some(rows), "{text}");
        }
        for text in ["", "2", "0/2", "3/2", "a/b", "1/0", "-1/2"] {
            assert!(matches!(shard(text, 200_000), Err(Failure::Usage(_))), "{text}");
        }
        assert!(shard("1/5", 200_000).is_err_and(|f| !matches!(f, Failure::Usage(_))), "more shards than blocks");
    }
}
