//! Import of weights from ONNX exports: valid, incomplete and random ones.

use std::collections::BTreeMap;

use half::f16;
use proptest::prelude::*;
use proptest::sample::Index;
use prost::Message;
use serde_json::{Map, Value};
use vocalizer_model::weights::{HalfTensor, WeightsError, import_onnx};

use super::support::{halves, network};

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Model {
    #[prost(string, tag = "2")]
    producer: String,
    #[prost(message, optional, tag = "7")]
    graph: Option<Graph>,
}

#[derive(Clone, PartialEq, Message)]
struct Graph {
    #[prost(message, repeated, tag = "1")]
    node: Vec<Node>,
    #[prost(message, repeated, tag = "5")]
    initializer: Vec<Tensor>,
}

#[derive(Clone, PartialEq, Message)]
struct Node {
    #[prost(string, repeated, tag = "1")]
    input: Vec<String>,
    #[prost(string, tag = "3")]
    name: String,
    #[prost(string, tag = "4")]
    op_type: String,
}

#[derive(Clone, PartialEq, Message)]
struct Tensor {
    #[prost(int64, repeated, tag = "1")]
    dims: Vec<i64>,
    #[prost(int32, tag = "2")]
    data_type: i32,
    #[prost(float, repeated, tag = "4")]
    float_data: Vec<f32>,
    #[prost(string, tag = "8")]
    name: String,
    #[prost(bytes = "vec", tag = "9")]
    raw_data: Vec<u8>,
}

impl Tensor {
    /// Exports store values in three ways; the size selects one.
    fn new(name: &str, dims: &[usize], values: &[f32]) -> Self {
        let mut tensor = Self {
            dims: dims.iter().map(|n| i64::try_from(*n).expect("a size")).collect(),
            name: name.into(),
            data_type: 1,
            ..Self::default()
        };
        match values.len() % 3 {
            0 => tensor.float_data = values.to_vec(),
            1 => tensor.raw_data = values.iter().flat_map(|v| v.to_le_bytes()).collect(),
            _ => {
                tensor.data_type = 10;
                tensor.raw_data = values.iter().flat_map(|v| f16::from_f32(*v).to_le_bytes()).collect();
            }
        }
        tensor
    }
}

/// An export under construction.
#[derive(Default)]
struct Export {
    graph: Graph,
}

impl Export {
    fn put(&mut self, name: &str, dims: &[usize], values: &[f32]) {
        self.graph.initializer.push(Tensor::new(name, dims, values));
    }

    /// A parameter without its name, and the node that uses it.
    fn folded(&mut self, user: &str, dims: &[usize], values: &[f32]) {
        let op_type = user.rsplit('/').next().unwrap_or_default().to_owned();
        let name = format!("onnx::{op_type}_{}", self.graph.initializer.len());
        self.put(&name, dims, values);
        self.graph.node.push(Node { input: vec!["x".into(), name], name: user.into(), op_type });
    }

    fn bytes(self) -> Vec<u8> {
        Model { producer: "a test".into(), graph: Some(self.graph) }.encode_to_vec()
    }
}

/// `encoder.0.dconv.layers.1.4` as the exporter writes it: `/encoder.0/dconv/layers.1/layers.1.4`.
fn node_path(module: &str) -> String {
    let mut path: Vec<String> = Vec::new();
    for part in module.split('.') {
        let last = path.last().cloned().filter(|_| part.parse::<usize>().is_ok());
        match last {
            // A module in a list is prefixed with the list's name; nested lists repeat the whole prefix.
            Some(last) if last.contains('.') => path.push(format!("{last}.{part}")),
            Some(last) => *path.last_mut().expect("it is there") = format!("{last}.{part}"),
            None => path.push(part.into()),
        }
    }
    format!("/{}", path.join("/"))
}

fn transposed(values: &[f32], columns: usize) -> Vec<f32> {
    (0..columns).flat_map(|c| values.iter().skip(c).step_by(columns).copied()).collect()
}

/// An export of these weights: most under their names, the others folded into the nodes that use them.
fn exported(tensors: &BTreeMap<String, HalfTensor>) -> Vec<u8> {
    export(tensors).bytes()
}

fn export(tensors: &BTreeMap<String, HalfTensor>) -> Export {
    let mut out = Export::default();
    for (key, HalfTensor { shape, values }) in tensors {
        let values: Vec<f32> = values.iter().map(|v| v.to_f32()).collect();
        let (module, leaf) = key.rsplit_once('.').expect("a module and a leaf");
        let path = node_path(module);
        let norm = module.contains(".dconv.layers.") && matches!(module.rsplit('.').next(), Some("1" | "4" | "6"));
        if norm || module.ends_with("norm_out") {
            let operation = if leaf == "bias" { "Add" } else { "Mul" };
            let dims: &[usize] = if norm { &[shape[0], 1] } else { shape };
            out.folded(&format!("{path}/{operation}"), dims, &values);
        } else if module.contains(".linear") && leaf == "weight"
            || module.ends_with("self_attn") && leaf == "in_proj_weight"
        {
            out.folded(&format!("{path}/MatMul"), &[shape[1], shape[0]], &transposed(&values, shape[1]));
        } else if module.ends_with("cross_attn") && leaf == "in_proj_weight" {
            let dim = shape[1];
            let (queries, others) = values.split_at(dim * dim);
            out.folded(&format!("{path}/MatMul"), &[dim, dim], &transposed(queries, dim));
            out.folded(&format!("{path}/MatMul_1"), &[dim, 2 * dim], &transposed(others, dim));
        } else if module.ends_with("cross_attn") && leaf == "in_proj_bias" {
            let (queries, others) = values.split_at(shape[0] / 3);
            out.folded(&format!("{path}/Add"), &[queries.len()], queries);
            out.folded(&format!("{path}/Add_1"), &[others.len()], others);
        } else if key == "freq_emb.embedding.weight" {
            let table: Vec<f32> = transposed(&values, shape[1]).iter().map(|v| v * 10.0).collect();
            out.folded("/Mul_3", &[1, shape[1], shape[0], 1], &table);
        } else {
            out.put(key, shape, &values);
        }
    }
    out
}

fn refused(change: impl FnOnce(&mut Graph)) -> WeightsError {
    let (kwargs, tensors) = network();
    let mut export = export(&tensors);
    change(&mut export.graph);
    import_onnx(export.bytes(), &kwargs).expect_err("an error")
}

#[test]
fn node_paths_match_exporter() {
    assert_eq!(node_path("encoder.0.dconv.layers.1.4"), "/encoder.0/dconv/layers.1/layers.1.4");
    assert_eq!(node_path("crosstransformer.layers.0.norm_out"), "/crosstransformer/layers.0/norm_out");
}

#[test]
fn export_imports_exactly() {
    let (kwargs, tensors) = network();
    let imported = import_onnx(exported(&tensors), &kwargs).expect("the weights");
    assert_eq!(imported.keys().collect::<Vec<_>>(), tensors.keys().collect::<Vec<_>>());
    for (key, tensor) in &tensors {
        assert!(imported[key] == *tensor, "{key}");
    }
}

#[test]
fn missing_tensor_is_named() {
    let error = refused(|graph| graph.initializer.retain(|tensor| tensor.name != "encoder.1.conv.bias"));
    assert!(matches!(&error, WeightsError::MissingKey(key) if key == "encoder.1.conv.bias"), "{error}");
}

#[test]
fn stray_tensor_is_named() {
    let error = refused(|graph| graph.initializer.push(Tensor::new("stray", &[2], &[1.0, 2.0])));
    assert!(matches!(&error, WeightsError::Malformed(what) if what.contains("stray")), "{error}");
}

#[test]
fn duplicate_tensor_is_named() {
    let error = refused(|graph| {
        let first = graph.initializer.iter().find(|tensor| tensor.name == "encoder.1.conv.bias").cloned();
        graph.initializer.extend(first);
    });
    assert!(matches!(&error, WeightsError::Malformed(what) if what.contains("encoder.1.conv.bias")), "{error}");
}

#[test]
fn missing_projection_is_named() {
    let error = refused(|graph| {
        let user = graph.node.iter().find(|node| node.name.ends_with("cross_attn/MatMul_1")).expect("a projection");
        let name = user.input[1].clone();
        graph.initializer.retain(|tensor| tensor.name != name);
    });
    assert!(matches!(&error, WeightsError::Malformed(what) if what.contains("cross_attn")), "{error}");
}

#[test]
fn inconsistent_tensor_is_named() {
    let changes: [fn(&mut Tensor); 6] = [
        |tensor| tensor.dims[0] += 1,
        |tensor| tensor.dims[0] = -1,
        |tensor| tensor.dims = vec![i64::MAX, i64::MAX],
        |tensor| tensor.dims = vec![0],
        |tensor| tensor.data_type = 7,
        |tensor| tensor.raw_data.push(0),
    ];
    for change in changes {
        let error = refused(|graph| {
            let tensor = graph.initializer.iter_mut().find(|tensor| tensor.name == "encoder.1.conv.bias");
            let tensor = tensor.expect("a tensor");
            *tensor = Tensor { data_type: 1, raw_data: vec![0; 64], float_data: Vec::new(), ..tensor.clone() };
            change(tensor);
        });
        assert!(matches!(&error, WeightsError::Malformed(what) if what.contains("encoder.1.conv.bias")), "{error}");
    }
}

#[test]
fn weights_of_another_network_are_rejected() {
    let (kwargs, tensors) = network();
    let mut wider = kwargs.clone();
    wider.insert("channels".into(), 16.into());
    assert!(import_onnx(exported(&tensors), &wider).is_err());
    wider.insert("channels".into(), "eight".into());
    assert!(matches!(import_onnx(exported(&tensors), &wider), Err(WeightsError::Malformed(_))));
}

#[test]
fn invalid_onnx_is_malformed() {
    let (kwargs, tensors) = network();
    let whole = exported(&tensors);
    for bytes in [Vec::new(), b"<html>".to_vec(), vec![0xff; 64], whole[..whole.len() / 2].to_vec()] {
        let error = import_onnx(bytes, &kwargs).expect_err("an error");
        assert!(matches!(&error, WeightsError::Malformed(what) if what.contains("ONNX")), "{error}");
    }
}

fn smallest() -> (Map<String, Value>, Vec<u8>) {
    let kwargs = r#"{"sources": ["a"], "channels": 2, "dconv_comp": 1, "t_layers": 2, "depth": 1, "nfft": 128}"#;
    let kwargs = serde_json::from_str(kwargs).expect("kwargs");
    let export = exported(&halves(&kwargs));
    import_onnx(export.clone(), &kwargs).expect("a valid export");
    (kwargs, export)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn modified_and_truncated_exports_never_panic(
        changes in prop::collection::vec((any::<Index>(), any::<u8>()), 0..6),
        cut in prop::option::weighted(0.3, any::<Index>()),
    ) {
        let (kwargs, mut bytes) = smallest();
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        bytes.truncate(cut.map_or(bytes.len(), |at| at.index(bytes.len())));
        let _ = import_onnx(bytes, &kwargs);
    }

    #[test]
    fn noise_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..512)) {
        let _ = import_onnx(bytes, &smallest().0);
    }

    #[test]
    fn arbitrary_nodes_and_tensors_never_panic(
        user in "[/a-z0-9._]{0,24}|/crosstransformer/layers.[01]/(self_attn|cross_attn|linear1|norm_out)/(Mul|Add)",
        dims in prop::collection::vec(-2_i64..5, 0..4),
        values in prop::collection::vec(any::<f32>(), 0..24),
    ) {
        let (kwargs, _) = smallest();
        let mut export = export(&halves(&kwargs));
        let tensor = Tensor { dims, data_type: 1, float_data: values, name: "y".into(), raw_data: Vec::new() };
        export.graph.initializer.push(tensor);
        export.graph.node.push(Node { input: vec!["y".into()], name: user, op_type: String::new() });
        let _ = import_onnx(export.bytes(), &kwargs);
    }
}
