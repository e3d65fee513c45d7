//! MatrixMarket files: sparse matrices as lines of `row column value`, counted from 1, in any order.
//!
//! Lines are read from bytes, nothing is allocated for them. The text is inflated on one thread while others read the
//! lines of the piece before; pieces are added in their order, so that the result depends on neither threads nor
//! pieces. Entries whose cells rise, as 10x and R write them, become rows as they come; others are brought into order
//! by counting ([`CsrBuilder`]).

use std::borrow::Cow;
use std::path::Path;

use ferrocyte_base::{Fault, Result, Run};
use ferrocyte_data::{CsrBuilder, OwnedCsr, Values};

use crate::text::inflate::TextSource;

/// Bytes of text that are inflated at once.
const SLAB: usize = 8 << 20;
/// Bytes of text that one thread reads at once.
const PIECE: usize = 1 << 20;
/// No line is longer, unless the file is no MatrixMarket file.
const LONGEST_LINE: usize = 1 << 20;
/// Axes up to this length are believed; of longer ones some trace must be in the file.
const BELIEVED: u64 = 1 << 24;

/// What stands before the entries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Header {
    /// Whether entries have no value: each is 1.
    pattern: bool,
    /// Whether entries stand for their mirror images too.
    symmetric: bool,
    /// Rows as the file has them.
    pub(crate) n_rows: usize,
    /// Columns as the file has them.
    pub(crate) n_columns: usize,
    /// Lines of entries.
    pub(crate) n_entries: u64,
    /// Lines of the header.
    lines: u64,
}

impl Header {
    /// Reads the header of a file.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let mut source = TextSource::open(path)?;
        begin(&mut source).map(|(header, _)| header).map_err(|fault| fault.at(path.display().to_string()))
    }
}

/// Reads a matrix whose rows are those of the file, or its columns with `transpose`: 10x writes genes × cells.
///
/// `coordinate` files of `integer`, `real` or `pattern` entries, `general` or `symmetric`, plain or compressed with
/// gzip. Duplicates are added up. Faults name the line.
///
/// ```
/// use ferrocyte_base::Run;
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("m.mtx");
/// std::fs::write(&path, "%%MatrixMarket matrix coordinate integer general\n3 2 2\n1 2 5\n3 1 4\n").unwrap();
/// let cells = ferrocyte_io::read_matrix_market(&Run::new(), &path, true)?;
/// assert_eq!((cells.n_rows(), cells.n_cols(), cells.indices()), (2, 3, &[2, 0][..]));
/// # Ok::<(), ferrocyte_base::Fault>(())
/// ```
pub fn read_matrix_market(run: &Run, path: &Path, transpose: bool) -> Result<OwnedCsr> {
    let mut source = TextSource::open(path)?;
    read(run, &mut source, transpose).map_err(|fault| match fault.kind() {
        ferrocyte_base::Kind::Cancelled => fault,
        _ => fault.at(path.display().to_string()),
    })
}

fn read(run: &Run, source: &mut TextSource, transpose: bool) -> Result<OwnedCsr> {
    let (header, mut text) = begin(source)?;
    let (n_rows, n_cols) =
        if transpose { (header.n_columns, header.n_rows) } else { (header.n_rows, header.n_columns) };
    let bytes = 8 * (n_rows as u64 + 1) + 8 * header.n_entries;
    run.reserve("the entries of this file, which cannot be read in part,", bytes)?;
    let mut matrix = CsrBuilder::new(n_rows, n_cols)?;
    let task = run.task("reading", header.n_entries);
    let (mut lines, mut found, mut more) = (header.lines, 0_u64, true);
    loop {
        run.check()?;
        let end = whole_lines(&text, more)?;
        let pieces = cut(&text[..end]);
        // The next piece of text comes while the lines of this one are read.
        let mut next = text[end..].to_vec();
        let (parsed, filled) = run.both(
            || run.map_quietly(pieces.len(), 1, |k| Ok(parse(pieces[k.start], &header, transpose))),
            || if more { source.fill(&mut next, SLAB) } else { Ok(false) },
        )?;
        for piece in parsed? {
            let Entries { rows, columns, values, found: here, lines: read } =
                piece.map_err(|(line, fault)| fault.at(format!("line {}", lines + line + 1)))?;
            matrix.extend(&rows, &columns, &Values::F64(Cow::Owned(values)));
            (lines, found) = (lines + read, found + here);
            task.advance(here);
        }
        if found > header.n_entries || (!more && found < header.n_entries) {
            let there =
                if found > header.n_entries { "there are more".to_owned() } else { format!("there are {found}") };
            let message = format!("the header promises {} entries, {there}", header.n_entries);
            return Err(Fault::bad_file(message).hint("the file is truncated or damaged: copy or download it again"));
        }
        if !more {
            return Ok(matrix.finish());
        }
        more = filled?;
        text = next;
    }
}

/// Reads the header, and gives what was read beyond it.
fn begin(source: &mut TextSource) -> Result<(Header, Vec<u8>)> {
    let mut text = Vec::new();
    let mut more = source.fill(&mut text, 1 << 16)?;
    let (mut at, mut lines) = (0, 0_u64);
    let mut kind = None;
    loop {
        let Some(length) = text[at..].iter().position(|&b| b == b'\n') else {
            if !more || text.len() - at > LONGEST_LINE {
                // The last line need not end.
                return size_line(source, &text[at..], kind, lines).map(|header| (header, Vec::new()));
            }
            more = source.fill(&mut text, 1 << 16)?;
            continue;
        };
        let line = &text[at..at + length];
        lines += 1;
        if lines == 1 {
            kind = Some(banner(line)?);
        } else if !line.trim_ascii().is_empty() && line.trim_ascii()[0] != b'%' {
            let header = size_line(source, line, kind, lines)?;
            return Ok((header, text.split_off(at + length + 1)));
        }
        at += length + 1;
    }
}

/// The first line: what stands in the file. Gives whether entries have no value, and whether they are mirrored.
fn banner(line: &[u8]) -> Result<(bool, bool)> {
    let shown = shown(line);
    let lower = String::from_utf8_lossy(line).to_lowercase();
    let words: Vec<&str> = lower.split_ascii_whitespace().collect();
    let not_read = |what: &str, hint: &str| {
        Err(Fault::unsupported(format!("{what} are not read, the header is `{shown}`")).at("line 1").hint(hint))
    };
    match words.as_slice() {
        ["%%matrixmarket", "matrix", "coordinate", field @ ("integer" | "real" | "pattern"), symmetry] => {
            match *symmetry {
                "general" => Ok((*field == "pattern", false)),
                "symmetric" => Ok((*field == "pattern", true)),
                _ => not_read("skew or Hermitian matrices", "write it as `general`"),
            }
        }
        ["%%matrixmarket", "matrix", "array", ..] => {
            not_read("dense MatrixMarket files", "write it as `coordinate`, or as a table (.tsv)")
        }
        ["%%matrixmarket", "matrix", "coordinate", ..] => {
            not_read("entries of this kind", "expected `integer`, `real` or `pattern`, and `general` or `symmetric`")
        }
        _ => Err(Fault::bad_file(format!("no MatrixMarket file: it begins with `{shown}`"))
            .at("line 1")
            .hint("the first line must be `%%MatrixMarket matrix coordinate integer general`, or the like")),
    }
}

/// The line with rows, columns and entries, checked against what the file can hold.
fn size_line(source: &TextSource, line: &[u8], kind: Option<(bool, bool)>, lines: u64) -> Result<Header> {
    let Some((pattern, symmetric)) = kind else {
        banner(line)?;
        return Err(Fault::bad_file("the file ends after its first line"));
    };
    let fault = |message: String| Fault::bad_file(message).at(format!("line {lines}"));
    let sizes: Option<Vec<u64>> =
        String::from_utf8_lossy(line).split_ascii_whitespace().map(|word| word.parse().ok()).collect();
    let Some(&[n_rows, n_columns, n_entries]) = sizes.as_deref() else {
        return Err(fault(format!("expected the numbers of rows, columns and entries, found `{}`", shown(line))));
    };
    let bytes = source.most_bytes();
    // The shortest entry is `1 1` and the end of its line, which the last one may lack.
    if n_entries > bytes / 4 + 1 {
        return Err(fault(format!("{n_entries} entries are promised, but the file has {} bytes", source.length()))
            .hint("the file is damaged or truncated"));
    }
    for (n, what) in [(n_rows, "rows"), (n_columns, "columns")] {
        if n > u64::from(u32::MAX) || (n > BELIEVED && n > bytes) {
            return Err(fault(format!("{n} {what} are promised, but the file has {} bytes", source.length()))
                .hint("the file is damaged, or far beyond what can be read"));
        }
    }
    if symmetric && n_rows != n_columns {
        return Err(fault(format!("{n_rows} x {n_columns} cannot be symmetric")));
    }
    Ok(Header { pattern, symmetric, n_rows: n_rows as usize, n_columns: n_columns as usize, n_entries, lines })
}

/// Where the last line that is there as a whole ends.
fn whole_lines(text: &[u8], more: bool) -> Result<usize> {
    if !more {
        return Ok(text.len());
    }
    match text.iter().rposition(|&b| b == b'\n') {
        Some(end) => Ok(end + 1),
        None if text.len() > LONGEST_LINE => {
            Err(Fault::bad_file(format!("a line of more than {LONGEST_LINE} bytes")).hint("is it a MatrixMarket file?"))
        }
        None => Ok(0),
    }
}

/// Whole lines in pieces.
fn cut(text: &[u8]) -> Vec<&[u8]> {
    let (mut pieces, mut rest) = (Vec::with_capacity(text.len() / PIECE + 1), text);
    while rest.len() > PIECE {
        let end = rest[PIECE..].iter().position(|&b| b == b'\n').map_or(rest.len(), |n| PIECE + n + 1);
        let (piece, more) = rest.split_at(end);
        pieces.push(piece);
        rest = more;
    }
    pieces.push(rest);
    pieces
}

/// The entries of some lines; rows are cells.
struct Entries {
    rows: Vec<u32>,
    columns: Vec<u32>,
    values: Vec<f64>,
    /// Lines with an entry; mirror images are not counted.
    found: u64,
    lines: u64,
}

/// Reads whole lines. A fault comes with its line, counted from 0.
fn parse(text: &[u8], header: &Header, transpose: bool) -> std::result::Result<Entries, (u64, Fault)> {
    // Lines of 10x have about this many bytes.
    let about = text.len() / 10;
    let mut found = Entries {
        rows: Vec::with_capacity(about),
        columns: Vec::with_capacity(about),
        values: Vec::with_capacity(about),
        found: 0,
        lines: 0,
    };
    let mut rest = text;
    loop {
        rest = after_blanks(rest);
        match rest.first() {
            None => return Ok(found),
            Some(b'\n') => rest = &rest[1..],
            Some(b'%') => {
                let end = rest.iter().position(|&b| b == b'\n').map_or(rest.len(), |n| n + 1);
                rest = &rest[end..];
            }
            Some(_) => {
                let Some((row, column, value, after)) = entry(rest, header) else {
                    return Err((found.lines, bad_entry(rest, header)));
                };
                let (major, minor) = if transpose { (column, row) } else { (row, column) };
                found.rows.push(major);
                found.columns.push(minor);
                found.values.push(value);
                if header.symmetric && major != minor {
                    found.rows.push(minor);
                    found.columns.push(major);
                    found.values.push(value);
                }
                found.found += 1;
                rest = after;
            }
        }
        found.lines += 1;
    }
}

/// Row and column, counted from 0, and value of the line with which `text` begins, and what follows it.
#[inline]
fn entry<'a>(text: &'a [u8], header: &Header) -> Option<(u32, u32, f64, &'a [u8])> {
    let (row, rest) = whole(text)?;
    let (column, rest) = whole(after_blanks(rest))?;
    let (value, rest) = if header.pattern { (1.0, rest) } else { number(after_blanks(rest))? };
    // From 0 the difference is the largest number, which no axis has.
    let (row, column) = (row.wrapping_sub(1), column.wrapping_sub(1));
    if row >= header.n_rows as u64 || column >= header.n_columns as u64 {
        return None;
    }
    let rest = match rest.first() {
        Some(b'\n') => &rest[1..],
        _ => match after_blanks(rest) {
            [] => &[],
            [b'\n', rest @ ..] => rest,
            _ => return None,
        },
    };
    Some((row as u32, column as u32, value, rest))
}

#[inline]
fn after_blanks(text: &[u8]) -> &[u8] {
    let n = text.iter().take_while(|&&b| b == b' ' || b == b'\t' || b == b'\r').count();
    &text[n..]
}

/// The digits with which a text begins, as a number, if it has at most 18 of them and a blank or nothing follows.
#[inline]
fn whole(text: &[u8]) -> Option<(u64, &[u8])> {
    let (value, n) = digits(text, 0);
    (n > 0 && n <= 18 && ends(text, n)).then(|| (value, &text[n..]))
}

/// The digits with which a text begins, behind those of `value`: the number, and how many they are.
#[inline]
fn digits(text: &[u8], value: u64) -> (u64, usize) {
    let (mut value, mut n) = (value, 0);
    while let Some(digit) = text.get(n).map(|b| b.wrapping_sub(b'0')).filter(|&d| d <= 9) {
        value = value.wrapping_mul(10).wrapping_add(u64::from(digit));
        n += 1;
    }
    (value, n)
}

/// Whether a word ends at `n`.
#[inline]
fn ends(text: &[u8], n: usize) -> bool {
    text.get(n).is_none_or(u8::is_ascii_whitespace)
}

/// The number with which a text begins.
#[inline]
fn number(text: &[u8]) -> Option<(f64, &[u8])> {
    let (value, n) = digits(text, 0);
    // Whole numbers of up to 15 digits are exact.
    if n > 0 && n <= 15 && ends(text, n) {
        return Some((value as f64, &text[n..]));
    }
    decimal(text)
}

/// Powers of ten that are exact.
const POWERS: [f64; 16] = [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15];

fn decimal(text: &[u8]) -> Option<(f64, &[u8])> {
    let sign = usize::from(text.first() == Some(&b'-'));
    let (value, before) = digits(&text[sign..], 0);
    if text.get(sign + before) == Some(&b'.') {
        let (value, behind) = digits(&text[sign + before + 1..], value);
        let n = sign + before + 1 + behind;
        // Both numbers are exact, so that their quotient is the nearest to what is written.
        if before + behind > 0 && before + behind <= 15 && ends(text, n) {
            let value = value as f64 / POWERS[behind];
            return Some((if sign == 1 { -value } else { value }, &text[n..]));
        }
    }
    let n = text.iter().position(u8::is_ascii_whitespace).unwrap_or(text.len());
    let value = std::str::from_utf8(&text[..n]).ok()?.parse().ok()?;
    Some((value, &text[n..]))
}

/// What is wrong with the line with which `text` begins.
fn bad_entry(text: &[u8], header: &Header) -> Fault {
    let line = text.split(|&b| b == b'\n').next().unwrap_or_default();
    let words: Vec<&[u8]> = line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()).collect();
    for (word, n, what) in words
        .first()
        .map(|word| (*word, header.n_rows, "row"))
        .into_iter()
        .chain(words.get(1).map(|word| (*word, header.n_columns, "column")))
    {
        if let Some((value, [])) = whole(word)
            && (value == 0 || value > n as u64)
        {
            return Fault::bad_file(format!("{what} {value}, but the header promises {n} {what}s, counted from 1"));
        }
    }
    let expected = if header.pattern { "`row column`" } else { "`row column value`" };
    Fault::bad_file(format!("expected {expected}, found `{}`", shown(line)))
}

/// A line as a message shows it.
fn shown(line: &[u8]) -> String {
    let text = String::from_utf8_lossy(line);
    let text = text.trim();
    match text.char_indices().nth(60) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::text::inflate::tests::gzip;

    const HEAD: &str = "%%MatrixMarket matrix coordinate integer general\n";

    fn matrix(bytes: &[u8], transpose: bool) -> Result<OwnedCsr> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("matrix.mtx");
        std::fs::write(&path, bytes).unwrap();
        read_matrix_market(&Run::new().threads(2), &path, transpose)
    }

    fn entries(matrix: &OwnedCsr) -> Vec<(usize, u32, f64)> {
        let rows =
            (0..matrix.n_rows()).flat_map(|i| (matrix.pointers()[i]..matrix.pointers()[i + 1]).map(move |k| (i, k)));
        rows.map(|(i, k)| (i, matrix.indices()[k], matrix.values().get(k))).collect()
    }

    #[test]
    fn entries_in_any_order_and_form() {
        let text = format!(
            "{HEAD}%metadata_json: {{}}\n%\n\n 3  2 5 \r\n3 1 4\r\n1\t2\t5 \n\n% late\n1 2 1.5\n2 2 -3\n1 1 2e1"
        );
        let expected = [(0, 0, 20.0), (0, 1, 6.5), (1, 1, -3.0), (2, 0, 4.0)];
        for bytes in [text.as_bytes(), &gzip(text.as_bytes())] {
            assert_eq!(entries(&matrix(bytes, false).unwrap()), expected);
            let mut turned = expected.map(|(row, column, value)| (column as usize, row as u32, value));
            turned.sort_by_key(|e| (e.0, e.1));
            assert_eq!(entries(&matrix(bytes, true).unwrap()), turned);
        }
    }

    #[test]
    fn patterns_and_symmetric_matrices() {
        let pattern = HEAD.replace("integer", "pattern") + "2 3 2\n1 3\n2 1\n";
        assert_eq!(entries(&matrix(pattern.as_bytes(), false).unwrap()), [(0, 2, 1.0), (1, 0, 1.0)]);
        let symmetric = HEAD.replace("general", "symmetric").replace("integer", "real") + "2 2 2\n1 1 7\n2 1 0.5\n";
        assert_eq!(entries(&matrix(symmetric.as_bytes(), false).unwrap()), [(0, 0, 7.0), (0, 1, 0.5), (1, 0, 0.5)]);
        assert_eq!(matrix(format!("{HEAD}0 0 0\n").as_bytes(), false).unwrap().n_rows(), 0);
    }

    #[test]
    fn numbers_have_every_bit_that_is_written() {
        let run = Run::new();
        let mut state = 7_u64;
        for i in 0..2000 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let x = f64::from_bits(state);
            let texts = [
                format!("{}", (state >> 40) as f64 / POWERS[i % 9]),
                format!("-{}.{}", state >> 50, state % 99_991),
                if x.is_finite() { format!("{x:e}") } else { "0".to_owned() },
            ];
            for text in texts {
                let (value, rest) = number(text.as_bytes()).unwrap();
                assert_eq!((value.to_bits(), rest.len()), (text.parse::<f64>().unwrap().to_bits(), 0), "{text}");
            }
        }
        for bad in ["", ".", "-", "x", "1x", "1.5.2", "--1"] {
            assert!(number(bad.as_bytes()).is_none(), "{bad}");
        }
        run.check().unwrap();
    }

    #[test]
    fn pieces_do_not_show() {
        // Several slabs, so that lines stand across their ends; cells fall once.
        let n = 1_100_002_u32;
        let mut text = format!("{HEAD}1000 {n} {n}\n");
        for i in 0..n {
            use std::fmt::Write;
            let cell = if i == n / 2 { 0 } else { i };
            writeln!(text, "{} {} {}", i % 1000 + 1, cell + 1, i % 7 + 1).unwrap();
        }
        let found = entries(&matrix(text.as_bytes(), true).unwrap());
        assert_eq!(found.len(), n as usize);
        assert_eq!(found[..3], [(0, 0, 1.0), (0, n / 2 % 1000, f64::from(n / 2 % 7 + 1)), (1, 1, 2.0)]);
        assert_eq!(found.last(), Some(&(n as usize - 1, (n - 1) % 1000, f64::from((n - 1) % 7 + 1))));
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        let body = |text: &str| format!("{HEAD}% comment\n3 2 2\n{text}");
        let long = HEAD.to_owned() + &"9".repeat(3 << 20);
        for (text, words) in [
            (body("1 1 1\n0 1 1\n"), "line 5: row 0, but the header promises 3 rows, counted from 1"),
            (body("4 1 1\n1 1 1\n"), "line 4: row 4, but the header promises 3 rows"),
            (body("1 3 1\n1 1 1\n"), "line 4: column 3, but the header promises 2 columns"),
            (body("1 1 one\n1 1 1\n"), "line 4: expected `row column value`, found `1 1 one`"),
            (body("1 1\n1 1 1\n"), "line 4: expected `row column value`, found `1 1`"),
            (body("1 1 1 1\n1 1 1\n"), "line 4: expected `row column value`, found `1 1 1 1`"),
            (body("1 1 1\n"), "the header promises 2 entries, there are 1"),
            (body("1 1 1\n1 2 1\n2 2 1\n"), "the header promises 2 entries, there are more"),
            (format!("{HEAD}3 2\n"), "line 2: expected the numbers of rows, columns and entries, found `3 2`"),
            (format!("{HEAD}3 2 99999999999\n"), "line 2: 99999999999 entries are promised, but the file has 65 bytes"),
            (format!("{HEAD}4000000000 2 1\n1 1 1\n"), "line 2: 4000000000 rows are promised"),
            (format!("{HEAD}1 99999999999999999999 1\n"), "line 2: expected the numbers of rows"),
            (HEAD.to_owned(), "expected the numbers of rows, columns and entries, found ``"),
            (String::new(), "line 1: no MatrixMarket file: it begins with ``"),
            ("gene\tcell\n".to_owned(), "no MatrixMarket file: it begins with `gene\tcell`"),
            (HEAD.replace("coordinate", "array"), "dense MatrixMarket files are not read"),
            (HEAD.replace("integer", "complex"), "entries of this kind are not read"),
            (HEAD.replace("general", "hermitian"), "skew or Hermitian matrices are not read"),
            (HEAD.replace("general", "symmetric") + "2 3 0\n", "line 2: 2 x 3 cannot be symmetric"),
            (long, "expected the numbers of rows, columns and entries"),
        ] {
            let fault = matrix(text.as_bytes(), false).err().map(|f| f.to_string()).unwrap_or_default();
            assert!(fault.contains(words), "{fault} does not say {words}");
        }
        let cut = gzip(body("1 1 1\n1 2 1\n").as_bytes());
        let fault = matrix(&cut[..cut.len() - 12], false).err().unwrap().to_string();
        assert!(fault.contains("ends in the middle at byte"), "{fault}");
    }

    #[test]
    fn what_does_not_fit_is_refused_before_it_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("matrix.mtx");
        std::fs::write(&path, format!("{HEAD}500 500 1\n1 1 1\n")).unwrap();
        let outcome = read_matrix_market(&Run::new().memory(1000), &path, false);
        assert!(outcome.is_err_and(|f| f.kind() == ferrocyte_base::Kind::TooLarge));
    }
}
