//! [`Element`]: what one element of an array is, in both versions of the metadata.

use std::ops::Range;

use ferrocyte_base::{Fault, Result};
use serde_json::Value as Json;

use crate::store::{Dtype, FieldInfo};
use crate::zarr::meta::{brief, named};

/// What one element of an array is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Element {
    /// A number or a truth value, of a type with a size.
    Number(Dtype),
    /// Text of any length, in UTF-8.
    Text,
    /// Text of `units` characters of four bytes, or of that many bytes; what is left over is zero.
    Fixed { units: usize, wide: bool },
    /// Named fields behind each other.
    Record(Vec<Part>),
}

/// A field of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) name: String,
    pub(crate) element: Element,
    pub(crate) shape: Vec<usize>,
    /// Where its bytes stand within a record.
    pub(crate) bytes: Range<usize>,
}

/// What an element of a chunk without a file is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fill {
    /// The bytes of a number, the lowest first, or of anything else of a fixed size.
    Bytes(Vec<u8>),
    Text(String),
}

/// The most bytes of a fixed element: more is damage.
const MOST_BYTES: usize = 1 << 20;

fn unread(json: &Json) -> Fault {
    Fault::unsupported(format!("elements of type {} are not read", brief(Some(json))))
}

impl Element {
    /// Of the metadata of version 2; with it whether its numbers have their highest byte first.
    pub(crate) fn v2(json: &Json) -> Result<(Self, bool)> {
        let dtype = json.get("dtype").unwrap_or(&Json::Null);
        let filters = json.get("filters").and_then(Json::as_array).map_or(&[][..], Vec::as_slice);
        let has = |id: &str| filters.iter().any(|f| f.get("id").and_then(Json::as_str) == Some(id));
        if dtype.as_str() == Some("|O") {
            if has("vlen-utf8") {
                return Ok((Self::Text, false));
            }
            return Err(Fault::unsupported("objects that are no texts are not read"));
        }
        match dtype {
            Json::String(word) => Self::numpy(word).ok_or_else(|| unread(dtype)),
            Json::Array(fields) => Self::record(fields, |json| match json {
                Json::String(word) => Self::numpy(word).ok_or_else(|| unread(json)),
                _ => Err(unread(json)),
            }),
            _ => Err(unread(dtype)),
        }
    }

    /// Of a type of version 3.
    pub(crate) fn v3(json: &Json) -> Result<Self> {
        let Some((name, options)) = named(json) else { return Err(unread(json)) };
        let length = || options.get("length_bytes").and_then(Json::as_u64).filter(|&n| n <= MOST_BYTES as u64);
        Ok(match name {
            "string" => Self::Text,
            "fixed_length_utf32" => {
                let bytes = length().filter(|n| n % 4 == 0).ok_or_else(|| unread(json))?;
                Self::Fixed { units: bytes as usize / 4, wide: true }
            }
            "null_terminated_bytes" => {
                Self::Fixed { units: length().ok_or_else(|| unread(json))? as usize, wide: false }
            }
            "structured" | "struct" => {
                let fields = options.get("fields").and_then(Json::as_array).ok_or_else(|| unread(json))?;
                Self::record(fields, |json| Ok((Self::v3(json)?, false)))?.0
            }
            _ => Self::Number(number(name).ok_or_else(|| unread(json))?),
        })
    }

    /// Of numpy's short words: `<f4`, `|b1`, `<U5`, `|S8`.
    fn numpy(word: &str) -> Option<(Self, bool)> {
        let (order, rest) = word.split_at_checked(1)?;
        let (kind, size) = rest.split_at_checked(1)?;
        let size: usize = size.parse().ok().filter(|&n| n <= MOST_BYTES)?;
        let big = order == ">";
        let name = match kind {
            "U" => return Some((Self::Fixed { units: size, wide: true }, big)),
            "S" => return Some((Self::Fixed { units: size, wide: false }, big)),
            "b" if size == 1 => "bool".to_owned(),
            "i" => format!("int{}", size * 8),
            "u" => format!("uint{}", size * 8),
            "f" => format!("float{}", size * 8),
            _ => return None,
        };
        // `=` would be the order of a machine that is not known.
        (order != "=" || size == 1).then_some((Self::Number(number(&name)?), big))
    }

    fn record(fields: &[Json], of: impl Fn(&Json) -> Result<(Self, bool)>) -> Result<(Self, bool)> {
        let mut parts = Vec::new();
        let (mut end, mut order) = (0, None);
        for field in fields {
            let all = || unread(&Json::Array(fields.to_vec()));
            let named = match (field.as_array().map(Vec::as_slice), field.as_object()) {
                (Some([name, dtype]), _) => Some((name, dtype, None)),
                (Some([name, dtype, shape]), _) => Some((name, dtype, Some(shape))),
                (_, Some(map)) => map.get("name").zip(map.get("data_type")).map(|(name, dtype)| (name, dtype, None)),
                _ => None,
            };
            let (name, dtype, shape) = named.ok_or_else(all)?;
            let name = name.as_str().ok_or_else(all)?.to_owned();
            let (element, big) = of(dtype)?;
            if element.size() > Some(1) && *order.get_or_insert(big) != big {
                return Err(Fault::unsupported("records whose numbers have their bytes in different orders"));
            }
            let shape: Option<Vec<usize>> = match shape.map(|s| s.as_array()) {
                None => Some(Vec::new()),
                Some(None) => shape.and_then(Json::as_u64).map(|n| vec![n as usize]),
                Some(Some(list)) => list.iter().map(|n| n.as_u64().map(|n| n as usize)).collect(),
            };
            let shape = shape.ok_or_else(all)?;
            let count = shape.iter().try_fold(1_usize, |n, &extent| n.checked_mul(extent));
            let bytes = element.size().and_then(|size| count?.checked_mul(size)).filter(|&n| n <= MOST_BYTES);
            let bytes = end..end + bytes.ok_or_else(all)?;
            end = bytes.end;
            parts.push(Part { name, element, shape, bytes });
        }
        if end == 0 || end > MOST_BYTES {
            return Err(unread(&Json::Array(fields.to_vec())));
        }
        Ok((Self::Record(parts), order.unwrap_or(false)))
    }

    /// Its bytes in a chunk; none of text of any length.
    pub(crate) fn size(&self) -> Option<usize> {
        match self {
            Self::Number(dtype) => Some(dtype.size()),
            Self::Text => None,
            Self::Fixed { units, wide } => Some(units * if *wide { 4 } else { 1 }),
            Self::Record(parts) => Some(parts.last().map_or(0, |part| part.bytes.end)),
        }
    }

    /// Its type, as the trait has it.
    pub(crate) fn dtype(&self) -> Dtype {
        match self {
            Self::Number(dtype) => dtype.clone(),
            Self::Text | Self::Fixed { .. } => Dtype::Text,
            Self::Record(parts) => {
                let names: Vec<&str> = parts.iter().map(|part| part.name.as_str()).collect();
                Dtype::Other(format!("records of {}", names.join(", ")))
            }
        }
    }

    /// Its fields, if it is a record.
    pub(crate) fn fields(&self) -> Vec<FieldInfo> {
        let Self::Record(parts) = self else { return Vec::new() };
        let info =
            |part: &Part| FieldInfo { name: part.name.clone(), dtype: part.element.dtype(), shape: part.shape.clone() };
        parts.iter().map(info).collect()
    }

    /// The text in the bytes of a fixed element.
    pub(crate) fn fixed_text(bytes: &[u8], wide: bool, big: bool) -> std::result::Result<String, String> {
        if !wide {
            let end = bytes.iter().rposition(|&b| b != 0).map_or(0, |last| last + 1);
            return std::str::from_utf8(&bytes[..end]).map(str::to_owned).map_err(|_| "is not UTF-8 text".to_owned());
        }
        let unit = |b: &[u8]| {
            let b = [b[0], b[1], b[2], b[3]];
            if big { u32::from_be_bytes(b) } else { u32::from_le_bytes(b) }
        };
        let mut units: Vec<u32> = bytes.chunks_exact(4).map(unit).collect();
        units.truncate(units.iter().rposition(|&u| u != 0).map_or(0, |last| last + 1));
        let text: Option<String> = units.into_iter().map(char::from_u32).collect();
        text.ok_or_else(|| "has a character that does not exist".to_owned())
    }

    /// What stands where nothing was written.
    pub(crate) fn fill(&self, json: &Json) -> Result<Fill> {
        let bad = || Fault::bad_file(format!("fill value {} of {}", brief(Some(json)), self.dtype().name()));
        match self {
            Self::Text => Ok(Fill::Text(json.as_str().unwrap_or_default().to_owned())),
            // Texts and records of zeros; where another value is written down, chunks are never absent.
            Self::Fixed { .. } | Self::Record(_) => Ok(Fill::Bytes(vec![0; self.size().unwrap_or(0)])),
            Self::Number(dtype) => number_bytes(dtype, json).map(Fill::Bytes).ok_or_else(bad),
        }
    }
}

/// The type of that name.
fn number(name: &str) -> Option<Dtype> {
    use Dtype as D;
    [D::Bool, D::I8, D::I16, D::I32, D::I64, D::U8, D::U16, D::U32, D::U64, D::F32, D::F64]
        .into_iter()
        .find(|dtype| dtype.name() == name)
}

/// The bytes of a fill value, the lowest first.
fn number_bytes(dtype: &Dtype, json: &Json) -> Option<Vec<u8>> {
    if let Some(digits) = json.as_str().and_then(|text| text.strip_prefix("0x")) {
        let bits = u64::from_str_radix(digits, 16).ok()?;
        return Some(bits.to_le_bytes()[..dtype.size()].to_vec());
    }
    let float = || match json {
        Json::Null => Some(0.0),
        Json::String(word) => match word.as_str() {
            "NaN" => Some(f64::NAN),
            "Infinity" => Some(f64::INFINITY),
            "-Infinity" => Some(f64::NEG_INFINITY),
            _ => None,
        },
        other => other.as_f64(),
    };
    let whole = || match json {
        Json::Null => Some(0_i128),
        Json::Bool(b) => Some(i128::from(*b)),
        // Version 2 has `0.0` for integers, too.
        other => other
            .as_i64()
            .map(i128::from)
            .or(other.as_u64().map(i128::from))
            .or(other.as_f64().filter(|x| x.fract() == 0.0 && x.abs() < 1e15).map(|x| x as i128)),
    };
    Some(match dtype {
        Dtype::F32 => (float()? as f32).to_le_bytes().to_vec(),
        Dtype::F64 => float()?.to_le_bytes().to_vec(),
        _ => whole()?.to_le_bytes()[..dtype.size()].to_vec(),
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn words_of_numpy_are_types() {
        let v2 = |dtype: Json| Element::v2(&json!({"dtype": dtype})).ok();
        assert_eq!(v2(json!("<f4")), Some((Element::Number(Dtype::F32), false)));
        assert_eq!(v2(json!(">i8")), Some((Element::Number(Dtype::I64), true)));
        assert_eq!(v2(json!("|b1")), Some((Element::Number(Dtype::Bool), false)));
        assert_eq!(v2(json!("<U3")), Some((Element::Fixed { units: 3, wide: true }, false)));
        for odd in
            [json!("<f2"), json!("<c8"), json!("f"), json!(""), json!("é"), json!("<M8[ns]"), json!("|O"), json!(3)]
        {
            assert_eq!(v2(odd.clone()), None, "{odd}");
        }
        let (record, _) = v2(json!([["a", "<U2"], ["b", "<f4", [2]], ["c", "|i1"]])).unwrap();
        assert_eq!(record.size(), Some(8 + 8 + 1));
        assert_eq!(record.fields()[1], FieldInfo { name: "b".into(), dtype: Dtype::F32, shape: vec![2] });
        assert!(v2(json!([["a", "<f4"], ["b", ">f4"]])).is_none());
        assert!(v2(json!([["a", "<f4", [1u64 << 60, 1u64 << 60]]])).is_none());
    }

    #[test]
    fn types_of_version_3() {
        let utf32 = json!({"name": "fixed_length_utf32", "configuration": {"length_bytes": 8}});
        assert_eq!(Element::v3(&utf32).unwrap(), Element::Fixed { units: 2, wide: true });
        let record = json!({"name": "structured", "configuration": {"fields": [["A", utf32], ["B", "int16"]]}});
        assert_eq!(Element::v3(&record).unwrap().size(), Some(10));
        assert!(Element::v3(&json!("float16")).is_err());
    }

    #[test]
    fn fixed_texts_end_where_zeros_begin() {
        let wide: Vec<u8> = "hé\0\0".chars().flat_map(|c| (c as u32).to_le_bytes()).collect();
        assert_eq!(Element::fixed_text(&wide, true, false).unwrap(), "hé");
        assert_eq!(Element::fixed_text(b"ab\0\0", false, false).unwrap(), "ab");
        assert!(Element::fixed_text(&[255; 4], true, false).is_err());
        assert!(Element::fixed_text(&[255; 4], false, false).is_err());
    }

    #[test]
    fn fill_values_have_many_forms() {
        let fill = |dtype: Dtype, json: Json| match Element::Number(dtype).fill(&json) {
            Ok(Fill::Bytes(bytes)) => Some(bytes),
            _ => None,
        };
        assert_eq!(fill(Dtype::I16, json!(-2)), Some(vec![254, 255]));
        assert_eq!(fill(Dtype::U64, json!(u64::MAX)), Some(vec![255; 8]));
        assert_eq!(fill(Dtype::I32, json!(0.0)), Some(vec![0; 4]));
        assert_eq!(fill(Dtype::Bool, json!(true)), Some(vec![1]));
        assert_eq!(fill(Dtype::F32, json!("0x7fc00000")), Some(f32::NAN.to_le_bytes().to_vec()));
        assert_eq!(fill(Dtype::F64, json!("-Infinity")), Some(f64::NEG_INFINITY.to_le_bytes().to_vec()));
        assert_eq!(fill(Dtype::F64, json!(null)), Some(vec![0; 8]));
        assert_eq!(fill(Dtype::F64, json!("much")), None);
        assert_eq!(fill(Dtype::I8, json!(0.5)), None);
    }
}
