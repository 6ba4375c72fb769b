//! The types of stored values.

use half::{bf16, f16};

use super::WeightsError;
use super::error::excerpt;

/// The type of a tensor's values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Dtype {
    /// 64-bit floating point.
    F64,
    /// 32-bit floating point.
    F32,
    /// 16-bit floating point of IEEE 754.
    F16,
    /// The upper half of a 32-bit floating point number.
    Bf16,
    /// 64-bit integer.
    I64,
    /// 32-bit integer.
    I32,
    /// 16-bit integer.
    I16,
    /// 8-bit integer.
    I8,
    /// Unsigned 8-bit integer.
    U8,
    /// A byte, 0 or 1.
    Bool,
}

impl Dtype {
    /// Returns the name that safetensors uses, such as `F16`.
    pub fn name(self) -> &'static str {
        match self {
            Self::F64 => "F64",
            Self::F32 => "F32",
            Self::F16 => "F16",
            Self::Bf16 => "BF16",
            Self::I64 => "I64",
            Self::I32 => "I32",
            Self::I16 => "I16",
            Self::I8 => "I8",
            Self::U8 => "U8",
            Self::Bool => "BOOL",
        }
    }

    /// Returns the size of a value in bytes.
    pub fn width_bytes(self) -> usize {
        match self {
            Self::F64 | Self::I64 => 8,
            Self::F32 | Self::I32 => 4,
            Self::F16 | Self::Bf16 | Self::I16 => 2,
            Self::I8 | Self::U8 | Self::Bool => 1,
        }
    }

    /// Returns whether the values are floating point numbers.
    pub fn is_float(self) -> bool {
        matches!(self, Self::F64 | Self::F32 | Self::F16 | Self::Bf16)
    }

    pub(super) fn of_safetensors(dtype: safetensors::Dtype) -> Option<Self> {
        use safetensors::Dtype as Stored;
        Some(match dtype {
            Stored::F64 => Self::F64,
            Stored::F32 => Self::F32,
            Stored::F16 => Self::F16,
            Stored::BF16 => Self::Bf16,
            Stored::I64 => Self::I64,
            Stored::I32 => Self::I32,
            Stored::I16 => Self::I16,
            Stored::I8 => Self::I8,
            Stored::U8 => Self::U8,
            Stored::BOOL => Self::Bool,
            _ => return None,
        })
    }
}

/// Reads little-endian values of this type as f32.
///
/// # Errors
///
/// [`WeightsError::Unsupported`] if they are not floating point numbers.
pub(super) fn f32s(key: &str, dtype: Dtype, bytes: &[u8]) -> Result<Vec<f32>, WeightsError> {
    Ok(match dtype {
        Dtype::F32 => bytes.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect(),
        Dtype::F16 => bytes.as_chunks().0.iter().map(|b| f16::from_le_bytes(*b).to_f32()).collect(),
        Dtype::Bf16 => bytes.as_chunks().0.iter().map(|b| bf16::from_le_bytes(*b).to_f32()).collect(),
        #[expect(clippy::cast_possible_truncation, reason = "rounding is intended")]
        Dtype::F64 => bytes.as_chunks().0.iter().map(|b| f64::from_le_bytes(*b) as f32).collect(),
        other => return Err(WeightsError::Unsupported(format!("tensor {} of type {}", excerpt(key), other.name()))),
    })
}
