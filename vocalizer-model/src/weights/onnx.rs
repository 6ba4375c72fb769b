//! Reads HTDemucs weights from an ONNX export.
//!
//! An export keeps the names of most parameters. Some were folded into other operations and renamed; the module path in
//! the name of the node that uses them, and their shape, identify those.

use std::collections::{BTreeMap, HashMap};

use half::f16;
use prost::Message;
use prost::bytes::Bytes;
use serde_json::{Map, Value};

use super::error::excerpt;
use super::{WeightsError, layout};

/// A tensor in half precision.
#[derive(Debug, Clone, PartialEq)]
pub struct HalfTensor {
    /// The shape.
    pub shape: Vec<usize>,
    /// The values, in row-major order.
    pub values: Vec<f16>,
}

// Only the fields that are read here; prost skips the others.

#[derive(Clone, PartialEq, Message)]
struct ModelProto {
    #[prost(message, optional, tag = "7")]
    graph: Option<GraphProto>,
}

#[derive(Clone, PartialEq, Message)]
struct GraphProto {
    #[prost(message, repeated, tag = "1")]
    node: Vec<NodeProto>,
    #[prost(message, repeated, tag = "5")]
    initializer: Vec<TensorProto>,
}

#[derive(Clone, PartialEq, Message)]
struct NodeProto {
    #[prost(string, repeated, tag = "1")]
    input: Vec<String>,
    #[prost(string, tag = "3")]
    name: String,
}

#[derive(Clone, PartialEq, Message)]
struct TensorProto {
    #[prost(int64, repeated, tag = "1")]
    dims: Vec<i64>,
    #[prost(int32, tag = "2")]
    data_type: i32,
    #[prost(float, repeated, tag = "4")]
    float_data: Vec<f32>,
    #[prost(string, tag = "8")]
    name: String,
    #[prost(bytes = "bytes", tag = "9")]
    raw_data: Bytes,
}

const FLOAT: i32 = 1;
const FLOAT16: i32 = 10;

/// Reads the weights of the network with these arguments from the bytes of an ONNX file.
///
/// # Errors
///
/// [`WeightsError::Malformed`] if the bytes are not ONNX or hold a tensor that matches no parameter;
/// [`WeightsError::MissingKey`] if a parameter is missing.
pub fn import_onnx(onnx: Vec<u8>, kwargs: &Map<String, Value>) -> Result<BTreeMap<String, HalfTensor>, WeightsError> {
    let layout = layout(kwargs)?;
    let model = ModelProto::decode(Bytes::from(onnx));
    let model = model.map_err(|e| WeightsError::Malformed(format!("not an ONNX file: {}", excerpt(&e.to_string()))))?;
    let GraphProto { node, initializer } =
        model.graph.ok_or_else(|| WeightsError::Malformed("the ONNX file has no graph".into()))?;
    let mut users = HashMap::new();
    for node in &node {
        for input in &node.input {
            users.entry(input.as_str()).or_insert(node.name.as_str());
        }
    }
    let mut import = Import { layout: &layout, out: BTreeMap::new(), split: BTreeMap::new() };
    for tensor in initializer {
        let array = Array::read(&tensor)?;
        import.place(&tensor.name, array, users.get(tensor.name.as_str()).copied())?;
    }
    import.join()?;
    match layout.keys().find(|key| !import.out.contains_key(*key)) {
        Some(key) => Err(WeightsError::MissingKey(key.clone())),
        None => Ok(import.out),
    }
}

struct Import<'a> {
    layout: &'a BTreeMap<String, Vec<usize>>,
    out: BTreeMap<String, HalfTensor>,
    /// Cross-attention projections that the export split into queries and the rest, by module and shape.
    split: BTreeMap<String, BTreeMap<Vec<usize>, Array>>,
}

impl Import<'_> {
    fn place(&mut self, name: &str, array: Array, user: Option<&str>) -> Result<(), WeightsError> {
        if self.layout.get(name).is_some_and(|shape| *shape == array.shape) {
            return self.put(name.into(), array);
        }
        let unplaced = |shape: &[usize]| {
            WeightsError::Malformed(format!("tensor {} {shape:?} matches no parameter of the network", excerpt(name)))
        };
        let (path, operation) = module_path(user.ok_or_else(|| unplaced(&array.shape))?);
        if path.contains(".dconv.") {
            // The affine part of GroupNorm, and LayerScale.
            let leaves: &[&str] = if operation.starts_with("Mul") { &["weight", "scale"] } else { &["bias"] };
            let key = leaves.iter().map(|leaf| format!("{path}.{leaf}")).find(|key| self.layout.contains_key(key));
            return self.put(key.ok_or_else(|| unplaced(&array.shape))?, array.flat());
        }
        if path.ends_with("norm_out") {
            let leaf = if operation.starts_with("Mul") { "weight" } else { "bias" };
            return self.put(format!("{path}.{leaf}"), array.flat());
        }
        if path.contains("linear") {
            return self.put(format!("{path}.weight"), array.transposed()?);
        }
        if path.ends_with("self_attn") || path.ends_with("cross_attn") {
            let key = format!("{path}.in_proj_weight");
            let Some([outer, inner]) = self.layout.get(&key).map(Vec::as_slice) else {
                return Err(unplaced(&array.shape));
            };
            if array.shape == [*inner, *outer] {
                return self.put(key, array.transposed()?);
            }
            self.split.entry(path).or_default().insert(array.shape.clone(), array);
            return Ok(());
        }
        // The table of the frequency embedding is exported transposed and scaled by 10.
        let key = "freq_emb.embedding.weight";
        match (self.layout.get(key).map(Vec::as_slice), array.shape.as_slice()) {
            (Some([bins, channels]), [1, rows, columns, 1]) if rows == channels && columns == bins => {
                let shape = vec![*rows, *columns];
                let values = array.values.iter().map(|v| v / 10.0).collect();
                self.put(key.into(), Array { shape, values }.transposed()?)
            }
            _ => Err(unplaced(&array.shape)),
        }
    }

    /// Joins the query projections with those of the keys and values.
    fn join(&mut self) -> Result<(), WeightsError> {
        for (path, mut parts) in std::mem::take(&mut self.split) {
            let weight = format!("{path}.in_proj_weight");
            let dim = self.layout.get(&weight).and_then(|shape| shape.last()).copied().unwrap_or_default();
            let mut take = |shape: Vec<usize>| {
                let missing = || WeightsError::Malformed(format!("{} lacks a projection", excerpt(&path)));
                parts.remove(&shape).ok_or_else(missing)
            };
            let weights = [take(vec![dim, dim])?.transposed()?, take(vec![dim, 2 * dim])?.transposed()?];
            let biases = [take(vec![dim])?, take(vec![2 * dim])?];
            if !parts.is_empty() {
                return Err(WeightsError::Malformed(format!("{} has too many projections", excerpt(&path))));
            }
            let values = weights.into_iter().flat_map(|part| part.values).collect();
            self.put(weight, Array { shape: vec![3 * dim, dim], values })?;
            let values = biases.into_iter().flat_map(|part| part.values).collect();
            self.put(format!("{path}.in_proj_bias"), Array { shape: vec![3 * dim], values })?;
        }
        Ok(())
    }

    fn put(&mut self, key: String, array: Array) -> Result<(), WeightsError> {
        let Some(expected) = self.layout.get(&key) else {
            return Err(WeightsError::UnexpectedKey(excerpt(&key)));
        };
        if *expected != array.shape {
            return Err(WeightsError::WrongShape { key, expected: expected.clone(), found: array.shape });
        }
        let values = array.values.into_iter().map(f16::from_f32).collect();
        if self.out.insert(key.clone(), HalfTensor { shape: array.shape, values }).is_some() {
            return Err(WeightsError::Malformed(format!("{key} occurs twice")));
        }
        Ok(())
    }
}

/// Returns the module that a node was exported from, and its operation: `/encoder.0/dconv/layers.0/layers.0.1/Mul` is a
/// `Mul` in `encoder.0.dconv.layers.0.1`. A part that extends the one before it replaces that one.
fn module_path(node: &str) -> (String, &str) {
    let (modules, operation) = node.trim_matches('/').rsplit_once('/').unwrap_or(("", node.trim_matches('/')));
    let mut out: Vec<&str> = Vec::new();
    for part in modules.split('/').filter(|part| !part.is_empty()) {
        match out.last_mut() {
            Some(last) if part.strip_prefix(*last).is_some_and(|rest| rest.starts_with('.')) => *last = part,
            _ => out.push(part),
        }
    }
    (out.join("."), operation)
}

/// A tensor in single precision. The number of values matches the shape.
struct Array {
    shape: Vec<usize>,
    values: Vec<f32>,
}

impl Array {
    fn read(tensor: &TensorProto) -> Result<Self, WeightsError> {
        let malformed = |what: &str| WeightsError::Malformed(format!("tensor {} {what}", excerpt(&tensor.name)));
        let shape: Result<Vec<usize>, _> = tensor.dims.iter().map(|&n| usize::try_from(n)).collect();
        let shape = shape.map_err(|_| malformed("has a negative size"))?;
        let count = shape.iter().try_fold(1_usize, |product, &n| product.checked_mul(n));
        let count = count.ok_or_else(|| malformed("is too large"))?;
        let raw = &tensor.raw_data;
        let (values, rest): (Vec<f32>, &[u8]) = match tensor.data_type {
            FLOAT if raw.is_empty() => (tensor.float_data.clone(), &[]),
            FLOAT => {
                let (chunks, rest) = raw.as_chunks();
                (chunks.iter().map(|b| f32::from_le_bytes(*b)).collect(), rest)
            }
            FLOAT16 => {
                let (chunks, rest) = raw.as_chunks();
                (chunks.iter().map(|b| f16::from_le_bytes(*b).to_f32()).collect(), rest)
            }
            _ => return Err(malformed("does not hold floating point numbers")),
        };
        if values.len() != count || !rest.is_empty() {
            return Err(malformed("has a length that does not match its shape"));
        }
        Ok(Self { shape, values })
    }

    fn flat(self) -> Self {
        Self { shape: vec![self.values.len()], values: self.values }
    }

    fn transposed(self) -> Result<Self, WeightsError> {
        let [rows, columns] = *self.shape.as_slice() else {
            return Err(WeightsError::Malformed(format!("expected a matrix, found shape {:?}", self.shape)));
        };
        // An empty matrix may claim any number of columns; do not loop over them.
        let columns_held = if self.values.is_empty() { 0 } else { columns };
        let column = |c| self.values.iter().skip(c).step_by(columns.max(1)).copied();
        let values = (0..columns_held).flat_map(column).collect();
        Ok(Self { shape: vec![columns, rows], values })
    }
}
