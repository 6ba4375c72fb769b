//! EBML, the encoding of Matroska: elements, and their numbers.

/// Returns the identifier, the size and the number of bytes of both.
pub(super) fn parse_element(bytes: &[u8]) -> Option<(u64, Option<u64>, usize)> {
    let id_bytes = usize::try_from(bytes.first()?.leading_zeros()).ok()? + 1;
    if id_bytes > 4 {
        return None;
    }
    let id = bytes.get(..id_bytes)?.iter().fold(0, |id, &b| id << 8 | u64::from(b));
    let (size, size_bytes) = vint(bytes.get(id_bytes..)?)?;
    let unknown = size == (1 << (7 * size_bytes)) - 1;
    Some((id, (!unknown).then_some(size), id_bytes + size_bytes))
}

/// Returns a number of variable length, and its length in bytes.
pub(super) fn vint(bytes: &[u8]) -> Option<(u64, usize)> {
    let len = usize::try_from(bytes.first()?.leading_zeros()).ok()? + 1;
    if len > 8 {
        return None;
    }
    let raw = bytes.get(..len)?.iter().fold(0_u64, |value, &b| value << 8 | u64::from(b));
    Some((raw & ((1 << (7 * len)) - 1), len))
}

/// Returns an unsigned number.
pub(super) fn number(bytes: &[u8]) -> u64 {
    bytes.iter().take(8).fold(0, |value, &b| value << 8 | u64::from(b))
}

/// Returns a signed number.
pub(super) fn signed(bytes: &[u8]) -> i64 {
    let fill = if bytes.first().is_some_and(|b| b & 0x80 != 0) { -1 } else { 0 };
    bytes.iter().take(8).fold(fill, |value, &b| value << 8 | i64::from(b))
}

/// Iterates over the children of an element, up to the first invalid one.
pub(super) fn children(mut bytes: &[u8]) -> impl Iterator<Item = (u64, &[u8])> {
    std::iter::from_fn(move || {
        let (id, size, head) = parse_element(bytes)?;
        let end = head.checked_add(usize::try_from(size?).ok()?)?;
        let body = bytes.get(head..end)?;
        bytes = bytes.get(end..)?;
        Some((id, body))
    })
}

/// Returns a float of 4 or 8 bytes.
pub(super) fn float(bytes: &[u8]) -> Option<f64> {
    match bytes.len() {
        4 => Some(f32::from_be_bytes(bytes.try_into().ok()?).into()),
        8 => Some(f64::from_be_bytes(bytes.try_into().ok()?)),
        _ => None,
    }
}
