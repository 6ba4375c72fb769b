//! The boxes of MP4 and QuickTime, and their numbers.

/// Returns the number of 32 bits at a place.
pub(super) fn be32(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
}

/// Returns the number of 64 bits at a place.
pub(super) fn be64(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_be_bytes(bytes.get(at..at.checked_add(8)?)?.try_into().ok()?))
}

/// Iterates over the boxes inside a box, up to the first invalid one.
pub(super) struct Boxes<'a>(pub(super) &'a [u8]);

impl<'a> Iterator for Boxes<'a> {
    type Item = ([u8; 4], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let size = usize::try_from(be32(self.0, 0)?).ok()?;
        let kind = self.0.get(4..8)?.try_into().ok()?;
        let body = self.0.get(8..size)?;
        self.0 = self.0.get(size..)?;
        Some((kind, body))
    }
}

/// Returns the body of the first box of a kind.
pub(super) fn find<'a>(boxes: &'a [u8], kind: &[u8; 4]) -> Option<&'a [u8]> {
    Boxes(boxes).find(|(found, _)| found == kind).map(|(_, body)| body)
}
