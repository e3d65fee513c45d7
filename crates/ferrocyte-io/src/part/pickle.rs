//! Arrays of Python objects that are texts, whole numbers, real numbers or truths: as numpy pickles them.
//!
//! Only what such arrays need is understood, nothing is ever called: a reader of names, not of objects.

use ferrocyte_base::{Fault, Result};

/// One object.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Object {
    Text(String),
    Number(f64),
    List(Vec<Object>),
    /// What is not needed: types, tuples, bytes.
    Other,
}

/// What lies on the stack: objects, and marks between them.
enum Slot {
    Object(Object),
    Mark,
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    stack: Vec<Slot>,
    memo: Vec<Object>,
}

/// The entries of a pickled array of objects, in the order in which they lie.
pub(super) fn entries(bytes: &[u8]) -> Result<Vec<Object>> {
    let mut reader = Reader { bytes, at: 0, stack: Vec::new(), memo: Vec::new() };
    let mut last = None;
    while let Some(list) = reader.step()? {
        if let Object::List(list) = list {
            last = Some(list);
        }
    }
    last.ok_or_else(|| broken("it holds no list"))
}

fn broken(what: &str) -> Fault {
    Fault::bad_file(format!("a pickled array cannot be read: {what}"))
}

impl<'a> Reader<'a> {
    fn take(&mut self, n: usize) -> Result<&'a [u8]> {
        let end = self.at.checked_add(n).filter(|end| *end <= self.bytes.len());
        let end = end.ok_or_else(|| broken("it is cut off"))?;
        let taken = &self.bytes[self.at..end];
        self.at = end;
        Ok(taken)
    }

    /// A little-endian number of `n` bytes.
    fn number(&mut self, n: usize) -> Result<usize> {
        Ok(self.take(n)?.iter().rev().fold(0, |sum, byte| (sum << 8) | usize::from(*byte)))
    }

    fn text(&mut self, n: usize) -> Result<Object> {
        let text = std::str::from_utf8(self.take(n)?).map_err(|_| broken("a text is not UTF-8"))?;
        Ok(Object::Text(text.to_owned()))
    }

    fn line(&mut self) -> Result<()> {
        while self.take(1)? != b"\n" {}
        Ok(())
    }

    fn push(&mut self, object: Object) {
        self.stack.push(Slot::Object(object));
    }

    fn pop(&mut self) -> Result<Object> {
        match self.stack.pop() {
            Some(Slot::Object(object)) => Ok(object),
            _ => Err(broken("its stack is empty")),
        }
    }

    /// All objects down to the last mark.
    fn pop_marked(&mut self) -> Result<Vec<Object>> {
        let mut taken = Vec::new();
        loop {
            match self.stack.pop() {
                Some(Slot::Object(object)) => taken.push(object),
                Some(Slot::Mark) => break,
                None => return Err(broken("a mark is missing")),
            }
        }
        taken.reverse();
        Ok(taken)
    }

    fn append(&mut self, more: Vec<Object>) -> Result<()> {
        match self.stack.last_mut() {
            Some(Slot::Object(Object::List(list))) => list.extend(more),
            _ => return Err(broken("entries without a list")),
        }
        Ok(())
    }

    fn remember(&mut self, at: usize) -> Result<()> {
        // A list is remembered before it is filled; nothing asks for it again.
        let object = match self.stack.last() {
            Some(Slot::Object(Object::List(_))) => Object::Other,
            Some(Slot::Object(object)) => object.clone(),
            _ => return Err(broken("nothing to remember")),
        };
        if at > self.memo.len() + self.bytes.len() {
            return Err(broken("a memo is out of range"));
        }
        if self.memo.len() <= at {
            self.memo.resize(at + 1, Object::Other);
        }
        self.memo[at] = object;
        Ok(())
    }

    fn recall(&mut self, at: usize) -> Result<()> {
        let object = self.memo.get(at).cloned().ok_or_else(|| broken("a memo is missing"))?;
        self.push(object);
        Ok(())
    }

    /// Replaces `n` objects by one that is not needed; a list among them is handed on.
    fn fold(&mut self, n: usize) -> Result<Option<Object>> {
        let mut list = None;
        for _ in 0..n {
            let object = self.pop()?;
            list = list.or(matches!(object, Object::List(_)).then_some(object));
        }
        self.push(Object::Other);
        Ok(list)
    }

    /// One instruction. A list that became part of something is given out; `None` at the end.
    fn step(&mut self) -> Result<Option<Object>> {
        let code = self.take(1)?[0];
        let mut found = None;
        match code {
            b'.' => return Ok(None),
            0x80 => drop(self.take(1)?),
            0x95 => drop(self.take(8)?),
            b'c' => {
                self.line()?;
                self.line()?;
                self.push(Object::Other);
            }
            b'(' => self.stack.push(Slot::Mark),
            b'X' => {
                let n = self.number(4)?;
                let text = self.text(n)?;
                self.push(text);
            }
            0x8c => {
                let n = self.number(1)?;
                let text = self.text(n)?;
                self.push(text);
            }
            b'C' => {
                let n = self.number(1)?;
                self.take(n)?;
                self.push(Object::Other);
            }
            b'B' => {
                let n = self.number(4)?;
                self.take(n)?;
                self.push(Object::Other);
            }
            b'K' => {
                let x = self.number(1)? as f64;
                self.push(Object::Number(x));
            }
            b'M' => {
                let x = self.number(2)? as f64;
                self.push(Object::Number(x));
            }
            b'J' => {
                let x = f64::from(self.number(4)? as u32 as i32);
                self.push(Object::Number(x));
            }
            0x8a => {
                // Seeds of 32 bits come with five bytes where the highest bit is set.
                let n = self.number(1)?;
                if n > 7 {
                    return Err(broken("a number is too large"));
                }
                let x = self.number(n)? as f64;
                self.push(Object::Number(x));
            }
            b'G' => {
                let bytes = self.take(8)?;
                let bits = bytes.iter().fold(0_u64, |sum, byte| (sum << 8) | u64::from(*byte));
                self.push(Object::Number(f64::from_bits(bits)));
            }
            0x88 => self.push(Object::Number(1.0)),
            0x89 => self.push(Object::Number(0.0)),
            b'N' | b')' => self.push(Object::Other),
            b']' => self.push(Object::List(Vec::new())),
            b'a' => {
                let one = self.pop()?;
                self.append(vec![one])?;
            }
            b'e' => {
                let more = self.pop_marked()?;
                self.append(more)?;
            }
            b't' => {
                let parts = self.pop_marked()?;
                found = parts.into_iter().rfind(|part| matches!(part, Object::List(_)));
                self.push(Object::Other);
            }
            0x85 => found = self.fold(1)?,
            0x86 | 0x93 | b'R' | b'b' => found = self.fold(2)?,
            0x87 => found = self.fold(3)?,
            b'q' => {
                let at = self.number(1)?;
                self.remember(at)?;
            }
            b'r' => {
                let at = self.number(4)?;
                self.remember(at)?;
            }
            0x94 => self.remember(self.memo.len())?,
            b'h' => {
                let at = self.number(1)?;
                self.recall(at)?;
            }
            b'j' => {
                let at = self.number(4)?;
                self.recall(at)?;
            }
            other => return Err(broken(&format!("the instruction {other:#04x} is not understood"))),
        }
        Ok(Some(found.unwrap_or(Object::Other)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An array of the objects 'g1', 'é', 'g1', 3, -1, 2000000000, True and 0.5, as numpy 2 pickles it (protocol 4).
    const PICKLED: &[u8] = b"\x80\x04\x95\xac\x00\x00\x00\x00\x00\x00\x00\x8c\x16numpy._core.multiarray\x94\x8c\x0c_reconstruct\x94\x93\
        \x94\x8c\x05numpy\x94\x8c\x07ndarray\x94\x93\x94K\x00\x85\x94C\x01b\x94\x87\x94R\x94(K\x01K\x08\x85\x94h\x03\x8c\x05dtype\x94\x93\
        \x94\x8c\x02O8\x94\x89\x88\x87\x94R\x94(K\x03\x8c\x01|\x94NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK?t\x94b\x89]\x94(\x8c\x02g1\x94\
        \x8c\x02\xc3\xa9\x94h\x13K\x03J\xff\xff\xff\xffJ\x00\x945w\x88G?\xe0\x00\x00\x00\x00\x00\x00et\x94b.";

    #[test]
    fn names_and_numbers_are_read() -> Result<()> {
        let text = |t: &str| Object::Text(t.to_owned());
        let numbers = [3.0, -1.0, 2e9, 1.0, 0.5].map(Object::Number);
        let expected: Vec<Object> = [text("g1"), text("é"), text("g1")].into_iter().chain(numbers).collect();
        assert_eq!(entries(PICKLED)?, expected);
        Ok(())
    }

    #[test]
    fn damage_is_a_fault_at_every_byte() {
        for end in 0..PICKLED.len() {
            assert!(entries(&PICKLED[..end]).is_err(), "{end}");
        }
        // Any byte may be any other: a fault or other names, never a panic or a call.
        for at in 0..PICKLED.len() {
            for x in [0_u8, 0x28, 0x5d, 0x65, 0x6a, 0x72, 0x94, 0xff] {
                let mut bytes = PICKLED.to_vec();
                bytes[at] = x;
                let _ = entries(&bytes);
            }
        }
    }
}
