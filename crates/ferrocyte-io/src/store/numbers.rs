//! [`Numbers`]: numbers in the type in which they are stored; [`NumbersRef`]: the same, borrowed.

use std::ops::Range;

use ferrocyte_base::{Fault, Result};
use ferrocyte_data::{Number, Values};

use crate::store::Dtype;

/// Numbers in the type in which they are stored.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs, reason = "the variants are the types that they name")]
pub enum Numbers {
    Bool(Vec<bool>),
    I8(Vec<i8>),
    I16(Vec<i16>),
    I32(Vec<i32>),
    I64(Vec<i64>),
    U8(Vec<u8>),
    U16(Vec<u16>),
    U32(Vec<u32>),
    U64(Vec<u64>),
    F32(Vec<f32>),
    F64(Vec<f64>),
}

/// Borrowed [`Numbers`]: what a writer takes, so that arrays that others own are not copied.
#[derive(Debug, Clone, Copy, PartialEq)]
#[allow(missing_docs, reason = "the variants are the types that they name")]
pub enum NumbersRef<'a> {
    Bool(&'a [bool]),
    I8(&'a [i8]),
    I16(&'a [i16]),
    I32(&'a [i32]),
    I64(&'a [i64]),
    U8(&'a [u8]),
    U16(&'a [u16]),
    U32(&'a [u32]),
    U64(&'a [u64]),
    F32(&'a [f32]),
    F64(&'a [f64]),
}

/// Evaluates an expression with `$v` bound to the vector, whatever its type; the result has one type.
macro_rules! each {
    ($numbers:expr, $v:ident => $body:expr) => {
        match $numbers {
            Numbers::Bool($v) => $body,
            Numbers::I8($v) => $body,
            Numbers::I16($v) => $body,
            Numbers::I32($v) => $body,
            Numbers::I64($v) => $body,
            Numbers::U8($v) => $body,
            Numbers::U16($v) => $body,
            Numbers::U32($v) => $body,
            Numbers::U64($v) => $body,
            Numbers::F32($v) => $body,
            Numbers::F64($v) => $body,
        }
    };
}

/// Evaluates an expression with `$v` bound to the vector and wraps the result in the same variant.
macro_rules! same {
    ($numbers:expr, $v:ident => $body:expr) => {
        match $numbers {
            Numbers::Bool($v) => Numbers::Bool($body),
            Numbers::I8($v) => Numbers::I8($body),
            Numbers::I16($v) => Numbers::I16($body),
            Numbers::I32($v) => Numbers::I32($body),
            Numbers::I64($v) => Numbers::I64($body),
            Numbers::U8($v) => Numbers::U8($body),
            Numbers::U16($v) => Numbers::U16($body),
            Numbers::U32($v) => Numbers::U32($body),
            Numbers::U64($v) => Numbers::U64($body),
            Numbers::F32($v) => Numbers::F32($body),
            Numbers::F64($v) => Numbers::F64($body),
        }
    };
}

/// A stored number that is no index: where it stands, and the number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BadIndex {
    pub(crate) position: usize,
    pub(crate) value: String,
}

impl<'a> NumbersRef<'a> {
    /// Indices of columns in the type in which files have them.
    pub fn of_indices(indices: &'a [u32]) -> Self {
        // Columns are fewer than 2^31, which is seen to where a matrix is written.
        Self::I32(bytemuck::cast_slice(indices))
    }

    /// Their bytes, in the order of this machine.
    pub fn bytes(self) -> &'a [u8] {
        match self {
            Self::Bool(v) => bytemuck::cast_slice(v),
            Self::I8(v) => bytemuck::cast_slice(v),
            Self::I16(v) => bytemuck::cast_slice(v),
            Self::I32(v) => bytemuck::cast_slice(v),
            Self::I64(v) => bytemuck::cast_slice(v),
            Self::U8(v) => v,
            Self::U16(v) => bytemuck::cast_slice(v),
            Self::U32(v) => bytemuck::cast_slice(v),
            Self::U64(v) => bytemuck::cast_slice(v),
            Self::F32(v) => bytemuck::cast_slice(v),
            Self::F64(v) => bytemuck::cast_slice(v),
        }
    }

    /// Their type.
    pub fn dtype(self) -> Dtype {
        match self {
            Self::Bool(_) => Dtype::Bool,
            Self::I8(_) => Dtype::I8,
            Self::I16(_) => Dtype::I16,
            Self::I32(_) => Dtype::I32,
            Self::I64(_) => Dtype::I64,
            Self::U8(_) => Dtype::U8,
            Self::U16(_) => Dtype::U16,
            Self::U32(_) => Dtype::U32,
            Self::U64(_) => Dtype::U64,
            Self::F32(_) => Dtype::F32,
            Self::F64(_) => Dtype::F64,
        }
    }

    /// How many there are.
    pub fn len(self) -> usize {
        self.bytes().len() / self.dtype().size().max(1)
    }

    /// Whether there are none.
    pub fn is_empty(self) -> bool {
        self.bytes().is_empty()
    }
}

impl Numbers {
    /// The same numbers, borrowed.
    pub fn borrowed(&self) -> NumbersRef<'_> {
        match self {
            Self::Bool(v) => NumbersRef::Bool(v),
            Self::I8(v) => NumbersRef::I8(v),
            Self::I16(v) => NumbersRef::I16(v),
            Self::I32(v) => NumbersRef::I32(v),
            Self::I64(v) => NumbersRef::I64(v),
            Self::U8(v) => NumbersRef::U8(v),
            Self::U16(v) => NumbersRef::U16(v),
            Self::U32(v) => NumbersRef::U32(v),
            Self::U64(v) => NumbersRef::U64(v),
            Self::F32(v) => NumbersRef::F32(v),
            Self::F64(v) => NumbersRef::F64(v),
        }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        each!(self, v => v.len())
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Their type.
    pub fn dtype(&self) -> Dtype {
        self.borrowed().dtype()
    }

    /// A copy of a range.
    #[must_use]
    pub fn slice(&self, range: Range<usize>) -> Self {
        same!(self, v => v[range].to_vec())
    }

    /// Copies of those at these positions, in the order given.
    #[must_use]
    pub fn take(&self, places: &[usize]) -> Self {
        same!(self, v => places.iter().map(|&i| v[i]).collect())
    }

    /// Lets go of all but the first `n`.
    pub fn truncate(&mut self, n: usize) {
        each!(self, v => v.truncate(n));
    }

    /// Puts `other`, which has the same type, behind these.
    pub fn append(&mut self, other: Self) -> Result<()> {
        macro_rules! join {
            ($($variant:ident),*) => {
                match (self, other) {
                    $((Self::$variant(these), Self::$variant(more)) => these.extend(more),)*
                    (these, more) => {
                        let (a, b) = (these.dtype(), more.dtype());
                        return Err(Fault::internal(format!("{} behind {}", b.name(), a.name())));
                    }
                }
            };
        }
        join!(Bool, I8, I16, I32, I64, U8, U16, U32, U64, F32, F64);
        Ok(())
    }

    /// As 64-bit floats. Integers above 2^53 are rounded.
    pub fn to_f64(&self) -> Vec<f64> {
        match self {
            Self::Bool(v) => v.iter().map(|&b| f64::from(u8::from(b))).collect(),
            Self::I8(v) => floats(v),
            Self::I16(v) => floats(v),
            Self::I32(v) => floats(v),
            Self::I64(v) => floats(v),
            Self::U8(v) => floats(v),
            Self::U16(v) => floats(v),
            Self::U32(v) => floats(v),
            Self::U64(v) => floats(v),
            Self::F32(v) => floats(v),
            Self::F64(v) => v.clone(),
        }
    }

    /// As values of a row block: 32-bit floats where those are exact for the type, else 64-bit ones.
    pub fn into_values(self) -> Values<'static> {
        match self {
            Self::Bool(v) => <u8 as Number>::owned(v.into_iter().map(u8::from).collect()),
            Self::I8(v) => Number::owned(v),
            Self::I16(v) => Number::owned(v),
            Self::I32(v) => Number::owned(v),
            Self::I64(v) => Number::owned(v),
            Self::U8(v) => Number::owned(v),
            Self::U16(v) => Number::owned(v),
            Self::U32(v) => Number::owned(v),
            Self::U64(v) => Number::owned(v),
            Self::F32(v) => Number::owned(v),
            Self::F64(v) => Number::owned(v),
        }
    }

    /// As texts: shortest form of numbers, `FALSE` and `TRUE` of truth values.
    pub fn to_texts(&self) -> Vec<String> {
        match self {
            Self::Bool(v) => v.iter().map(|&b| if b { "TRUE" } else { "FALSE" }.to_owned()).collect(),
            Self::F32(v) => v.iter().map(|&x| crate::text::tables::single_text(x)).collect(),
            Self::F64(v) => v.iter().map(|x| crate::text::tables::number_text(*x)).collect(),
            Self::I8(v) => v.iter().map(ToString::to_string).collect(),
            Self::I16(v) => v.iter().map(ToString::to_string).collect(),
            Self::I32(v) => v.iter().map(ToString::to_string).collect(),
            Self::I64(v) => v.iter().map(ToString::to_string).collect(),
            Self::U8(v) => v.iter().map(ToString::to_string).collect(),
            Self::U16(v) => v.iter().map(ToString::to_string).collect(),
            Self::U32(v) => v.iter().map(ToString::to_string).collect(),
            Self::U64(v) => v.iter().map(ToString::to_string).collect(),
        }
    }

    /// As truth values, if they are such.
    pub fn as_bools(&self) -> Option<&[bool]> {
        match self {
            Self::Bool(v) => Some(v),
            _ => None,
        }
    }

    /// As indices below `limit`.
    pub(crate) fn into_indices(self, limit: usize) -> std::result::Result<Vec<u32>, BadIndex> {
        let limit = u64::try_from(limit).unwrap_or(u64::MAX).min(u64::from(u32::MAX));
        match self {
            Self::I8(v) => indices(v, limit),
            Self::I16(v) => indices(v, limit),
            Self::I32(v) => indices(v, limit),
            Self::I64(v) => indices(v, limit),
            Self::U8(v) => indices(v, limit),
            Self::U16(v) => indices(v, limit),
            Self::U32(v) => indices(v, limit),
            Self::U64(v) => indices(v, limit),
            other => Err(BadIndex { position: 0, value: format!("a {}", other.dtype().name()) }),
        }
    }

    /// The first of them that is no index below `limit`.
    pub(crate) fn first_outside(&self, limit: usize) -> Option<BadIndex> {
        let limit = u64::try_from(limit).unwrap_or(u64::MAX);
        match self {
            Self::I8(v) => outside(v, limit),
            Self::I16(v) => outside(v, limit),
            Self::I32(v) => outside(v, limit),
            Self::I64(v) => outside(v, limit),
            Self::U8(v) => outside(v, limit),
            Self::U16(v) => outside(v, limit),
            Self::U32(v) => outside(v, limit),
            Self::U64(v) => outside(v, limit),
            other => Some(BadIndex { position: 0, value: format!("a {}", other.dtype().name()) }),
        }
    }

    /// The first of them that is larger than the next one.
    pub(crate) fn first_fall(&self) -> Option<usize> {
        each!(self, v => v.windows(2).position(|w| w[0].partial_cmp(&w[1]) == Some(std::cmp::Ordering::Greater)))
    }

    /// Integers as signed ones of 32 bits, or 64 where these are too few for their type; others as they are.
    pub(crate) fn into_signed(self) -> Self {
        match self {
            Self::I8(v) => Self::I32(v.into_iter().map(i32::from).collect()),
            Self::I16(v) => Self::I32(v.into_iter().map(i32::from).collect()),
            Self::U8(v) => Self::I32(v.into_iter().map(i32::from).collect()),
            Self::U16(v) => Self::I32(v.into_iter().map(i32::from).collect()),
            Self::U32(v) => Self::I64(v.into_iter().map(i64::from).collect()),
            Self::U64(v) => Self::I64(v.into_iter().map(|x| x as i64).collect()),
            other => other,
        }
    }

    /// As pointers, shapes or other sizes.
    pub(crate) fn into_sizes(self) -> std::result::Result<Vec<usize>, BadIndex> {
        fn sizes<T: Copy + TryInto<usize> + ToString>(v: &[T]) -> std::result::Result<Vec<usize>, BadIndex> {
            v.iter()
                .enumerate()
                .map(|(position, &x)| x.try_into().map_err(|_| BadIndex { position, value: x.to_string() }))
                .collect()
        }
        match self {
            Self::I8(v) => sizes(&v),
            Self::I16(v) => sizes(&v),
            Self::I32(v) => sizes(&v),
            Self::I64(v) => sizes(&v),
            Self::U8(v) => sizes(&v),
            Self::U16(v) => sizes(&v),
            Self::U32(v) => sizes(&v),
            Self::U64(v) => sizes(&v),
            other => Err(BadIndex { position: 0, value: format!("a {}", other.dtype().name()) }),
        }
    }
}

fn floats<T: Number>(v: &[T]) -> Vec<f64> {
    v.iter().map(|&x| x.to_f64()).collect()
}

/// One pass that checks and one that narrows: both are vector code, unlike a pass that does both.
fn indices<T: Copy + TryInto<u64> + ToString>(v: Vec<T>, limit: u64) -> std::result::Result<Vec<u32>, BadIndex> {
    match outside(&v, limit) {
        Some(bad) => Err(bad),
        None => Ok(v.into_iter().map(|x| x.try_into().map_or(0, |x: u64| x as u32)).collect()),
    }
}

/// The first that is no index below `limit`.
fn outside<T: Copy + TryInto<u64> + ToString>(v: &[T], limit: u64) -> Option<BadIndex> {
    let bad = |x: T| x.try_into().map_or(true, |x: u64| x >= limit);
    // Joining has no early exit, so that several are looked at at a time; where one is bad is looked for afterwards.
    let any = v.iter().fold(false, |any, &x| any | bad(x));
    let position = any.then(|| v.iter().position(|&x| bad(x)))??;
    Some(BadIndex { position, value: v[position].to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indices_are_checked_in_their_own_type() {
        assert_eq!(Numbers::I64(vec![0, 4]).into_indices(5), Ok(vec![0, 4]));
        let negative = Numbers::I32(vec![1, -7]).into_indices(5);
        assert_eq!(negative, Err(BadIndex { position: 1, value: "-7".into() }));
        assert!(Numbers::U64(vec![1 << 40]).into_indices(usize::MAX).is_err());
        assert!(Numbers::F32(vec![1.0]).into_indices(5).is_err());
    }

    #[test]
    fn small_types_become_32_bit_floats_and_large_ones_64_bit() {
        for numbers in [Numbers::F32(vec![]), Numbers::U32(vec![]), Numbers::Bool(vec![]), Numbers::I64(vec![])] {
            let wide = numbers.dtype().is_wide();
            assert_eq!(matches!(numbers.into_values(), Values::F64(_)), wide);
        }
        assert!(matches!(Numbers::Bool(vec![true]).into_values(), Values::F32(v) if v[..] == [1.0]));
        assert!(matches!(Numbers::U16(vec![65535]).into_values(), Values::F32(v) if v[..] == [65535.0]));
        assert!(matches!(Numbers::I32(vec![-3]).into_values(), Values::F64(v) if v[..] == [-3.0]));
    }

    #[test]
    fn types_do_not_mix() {
        let mut some = Numbers::I32(vec![1]);
        assert!(some.append(Numbers::I32(vec![2])).is_ok());
        assert!(some.append(Numbers::I64(vec![3])).is_err());
        assert_eq!(some.slice(1..2), Numbers::I32(vec![2]));
        some.truncate(1);
        assert_eq!(some, Numbers::I32(vec![1]));
    }

    #[test]
    fn numbers_have_one_text() {
        assert_eq!(Numbers::F32(vec![0.1]).to_texts(), ["0.1"]);
        assert_eq!(Numbers::F64(vec![1.0, 2.5]).to_texts(), ["1", "2.5"]);
    }
}
