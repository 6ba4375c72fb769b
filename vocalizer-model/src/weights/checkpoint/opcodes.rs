//! The operations of a pickle.

use crate::weights::WeightsError;
use crate::weights::error::excerpt;

/// An operation, with its argument.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Op<'a> {
    /// Pushes `None`, or a floating point number.
    Other,
    Bool,
    Int(i64),
    Text(&'a str),
    EmptyList,
    EmptyDict,
    Mark,
    /// A tuple of so many values, or of those above the mark.
    Tuple(Option<usize>),
    Append,
    Appends,
    SetItem,
    SetItems,
    /// Stores the upper value in this slot of the memo, or in the next one.
    Put(Option<u32>),
    Get(u32),
    /// A name: its module and itself.
    Global(&'a str, &'a str),
    /// A name whose two parts are on the stack.
    StackGlobal,
    /// A storage, described by the upper value.
    Persistent,
    Reduce,
    Build,
}

/// The bytes of a pickle that are left.
pub(super) struct Input<'a> {
    rest: &'a [u8],
}

impl<'a> Input<'a> {
    pub(super) fn new(pickle: &'a [u8]) -> Self {
        Self { rest: pickle }
    }

    /// Returns the next operation, or `None` at the end of the pickle.
    ///
    /// # Errors
    ///
    /// [`WeightsError::Malformed`] if the bytes end before the pickle, [`WeightsError::Unsupported`] for an operation that
    /// `torch.save` does not write.
    pub(super) fn next(&mut self) -> Result<Option<Op<'a>>, WeightsError> {
        loop {
            let [code] = self.array()?;
            let op = match code {
                b'.' => return Ok(None),
                // PROTO
                0x80 => match self.array()? {
                    [2..=5] => continue,
                    [other] => {
                        return Err(WeightsError::Unsupported(format!("pickle protocol {other}; 2 to 5 are read")));
                    }
                },
                // FRAME
                0x95 => {
                    self.array::<8>()?;
                    continue;
                }
                b'N' => Op::Other,
                b'G' => {
                    self.array::<8>()?;
                    Op::Other
                }
                0x88 | 0x89 => Op::Bool,
                b'J' => Op::Int(i32::from_le_bytes(self.array()?).into()),
                b'K' => Op::Int(u8::from_le_bytes(self.array()?).into()),
                b'M' => Op::Int(u16::from_le_bytes(self.array()?).into()),
                // LONG1
                0x8a => {
                    let [length] = self.array()?;
                    Op::Int(long(self.bytes(length.into())?)?)
                }
                // BINUNICODE, SHORT_BINUNICODE, BINUNICODE8
                b'X' => {
                    let length = u32::from_le_bytes(self.array()?);
                    Op::Text(self.text(length.into())?)
                }
                0x8c => {
                    let [length] = self.array()?;
                    Op::Text(self.text(length.into())?)
                }
                0x8d => {
                    let length = u64::from_le_bytes(self.array()?);
                    Op::Text(self.text(length)?)
                }
                b']' => Op::EmptyList,
                b'}' => Op::EmptyDict,
                b'(' => Op::Mark,
                b')' => Op::Tuple(Some(0)),
                0x85 => Op::Tuple(Some(1)),
                0x86 => Op::Tuple(Some(2)),
                0x87 => Op::Tuple(Some(3)),
                b't' => Op::Tuple(None),
                b'a' => Op::Append,
                b'e' => Op::Appends,
                b's' => Op::SetItem,
                b'u' => Op::SetItems,
                b'q' => Op::Put(Some(u8::from_le_bytes(self.array()?).into())),
                b'r' => Op::Put(Some(u32::from_le_bytes(self.array()?))),
                // MEMOIZE
                0x94 => Op::Put(None),
                b'h' => Op::Get(u8::from_le_bytes(self.array()?).into()),
                b'j' => Op::Get(u32::from_le_bytes(self.array()?)),
                b'c' => Op::Global(self.line()?, self.line()?),
                0x93 => Op::StackGlobal,
                b'Q' => Op::Persistent,
                b'R' => Op::Reduce,
                b'b' => Op::Build,
                other => {
                    return Err(WeightsError::Unsupported(format!(
                        "its pickle has the operation {other:#04x}, which torch.save does not write for weights"
                    )));
                }
            };
            return Ok(Some(op));
        }
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], WeightsError> {
        let (array, rest) = self.rest.split_first_chunk::<N>().ok_or_else(cut)?;
        self.rest = rest;
        Ok(*array)
    }

    fn bytes(&mut self, length: u64) -> Result<&'a [u8], WeightsError> {
        let split = usize::try_from(length).ok().and_then(|length| self.rest.split_at_checked(length));
        let (bytes, rest) = split.ok_or_else(cut)?;
        self.rest = rest;
        Ok(bytes)
    }

    fn text(&mut self, length: u64) -> Result<&'a str, WeightsError> {
        text(self.bytes(length)?)
    }

    /// Reads up to the end of the line.
    fn line(&mut self) -> Result<&'a str, WeightsError> {
        let end = self.rest.iter().position(|byte| *byte == b'\n').ok_or_else(cut)?;
        let (line, rest) = self.rest.split_at(end);
        self.rest = rest.get(1..).unwrap_or_default();
        text(line)
    }
}

fn text(bytes: &[u8]) -> Result<&str, WeightsError> {
    std::str::from_utf8(bytes).map_err(|_| {
        let start = String::from_utf8_lossy(bytes.get(..100).unwrap_or(bytes));
        WeightsError::Malformed(format!("its pickle has text that is not UTF-8: {}", excerpt(&start)))
    })
}

/// Reads a little-endian integer in two's complement.
fn long(bytes: &[u8]) -> Result<i64, WeightsError> {
    let negative = bytes.last().is_some_and(|last| last >= &0x80);
    let mut wide = [if negative { 0xff } else { 0 }; 8];
    let place = wide.get_mut(..bytes.len());
    place
        .ok_or_else(|| WeightsError::Unsupported("its pickle has an integer of more than 64 bits".into()))?
        .copy_from_slice(bytes);
    Ok(i64::from_le_bytes(wide))
}

fn cut() -> WeightsError {
    WeightsError::Malformed("its pickle is cut: it ends before its last operation".into())
}
