//! PyTorch checkpoints: valid, modified and hostile.

use std::collections::BTreeMap;

use half::{bf16, f16};
use proptest::prelude::*;
use proptest::sample::Index;
use safetensors::SafeTensors;
use vocalizer_model::weights::{CheckpointFile, Dtype, WeightsError};

use super::made::{Entry, Pickle, View, checkpoint, entries, open, zip};
use super::support::golden;
use crate::memory::{peaks_kib, print_peak};

/// Asserts that the bytes are refused with a message that holds this text.
#[track_caller]
fn refused(bytes: &[u8], says: &str) {
    let text = open(bytes).expect_err(says).to_string();
    assert!(text.contains(says), "{says:?} is not in {text:?}");
}

#[track_caller]
fn pickle_refused(pickle: Pickle, says: &str) {
    refused(&checkpoint(&pickle.0), says);
}

/// A checkpoint of one tensor, `w`.
fn one(view: View) -> Vec<u8> {
    checkpoint(&Pickle::state_dict(&[("w", view)]))
}

#[test]
fn checkpoints_equal_their_safetensors() {
    for (name, dtype) in [("tiny-scnet", Dtype::F32), ("tiny-bs", Dtype::F16)] {
        let bytes = std::fs::read(golden(&format!("{name}.safetensors"))).expect("a file");
        let expected = SafeTensors::deserialize(&bytes).expect("safetensors");
        let expected: BTreeMap<_, _> = expected.iter().collect();
        let file = CheckpointFile::open(&golden(&format!("{name}.ckpt"))).expect("a checkpoint");
        assert!(file.keys().eq(expected.keys().copied()), "{name}");
        for (key, tensor) in expected {
            assert_eq!(file.shape(key), Some(tensor.shape()), "{key}");
            assert_eq!(file.dtype(key), Some(dtype), "{key}");
            let values = tensor.data().as_chunks().0.iter().map(|b| f32::from_le_bytes(*b));
            assert!(file.f32s(key).expect("values").into_iter().eq(values), "{key}");
        }
        assert!(matches!(file.f32s("no.such"), Err(WeightsError::MissingKey(key)) if key == "no.such"));
    }
}

#[test]
fn other_names_are_refused_by_name() {
    let error = CheckpointFile::open(&golden("evil.ckpt")).expect_err("an error");
    assert!(matches!(&error, WeightsError::Unsupported(what) if what.contains("__builtin__ print")), "{error}");
    for (module, name) in [("os", "system"), ("torch", "UntypedStorage"), ("torch", "load"), ("collections", "deque")] {
        pickle_refused(
            Pickle::new().raw(b"}").text("hook").global(module, name).raw(b")Rs."),
            &format!("{module} {name}"),
        );
    }
    let stacked = Pickle::new().text("posix").text("system").raw(b"\x93.");
    pickle_refused(stacked, "posix system");
}

#[test]
fn strides_and_offsets_are_followed() {
    let cases: [(View, &[f32]); 6] = [
        (View::of_six(0, &[2, 3], &[3, 1]), &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]),
        (View::of_six(0, &[3, 2], &[1, 3]), &[1.0, 4.0, 2.0, 5.0, 3.0, 6.0]),
        (View::of_six(1, &[2], &[4]), &[2.0, 6.0]),
        (View::of_six(4, &[1, 2], &[100, 1]), &[5.0, 6.0]),
        (View::of_six(5, &[], &[]), &[6.0]),
        (View::of_six(2, &[3, 0], &[0, 1]), &[]),
    ];
    for (view, expected) in cases {
        let shape: Vec<_> = view.shape.iter().map(|n| usize::try_from(*n).unwrap()).collect();
        let file = open(&one(view.clone())).expect("a checkpoint");
        assert_eq!(file.shape("w"), Some(shape.as_slice()));
        assert_eq!(file.f32s("w").expect("values"), expected, "{view:?}");
    }
}

#[test]
fn tensors_outside_their_storage_are_refused() {
    for (offset, shape, strides) in [
        (1, &[6][..], &[1][..]),
        (0, &[2], &[6]),
        (6, &[1], &[1]),
        (i32::MAX, &[1], &[1]),
        (0, &[i32::MAX, i32::MAX, i32::MAX], &[1, 1, 1]),
        (0, &[2, 2], &[i32::MAX, i32::MAX]),
        // Repeated values: a thousand from one.
        (0, &[1000], &[0]),
    ] {
        refused(&one(View::of_six(offset, shape, strides)), "not inside its storage of 6 values");
    }
    refused(&one(View::of_six(0, &[2, 3], &[1])), "but the strides [1]");
    refused(&one(View::of_six(-1, &[1], &[1])), "unknown way");
    refused(&one(View::of_six(0, &[-1], &[1])), "unknown way");
    refused(&one(View::of_six(0, &[1; 9], &[1; 9])), "too many dimensions");
    refused(&one(View { values: 7, ..View::of_six(0, &[6], &[1]) }), "storage of 7 values, but data/0 has 24 bytes");
    refused(&one(View { storage: "DoubleStorage", ..View::of_six(0, &[3], &[1]) }), "storage of 6 values");
    refused(&one(View { name: "1", ..View::of_six(0, &[6], &[1]) }), "lacks the entry data/1");
    refused(&one(View { name: "../0", ..View::of_six(0, &[6], &[1]) }), "lacks the entry data/../0");
}

#[test]
fn every_float_type_is_read() {
    let read = |storage, data: Vec<u8>| {
        let view = View { storage, values: 2, ..View::of_six(0, &[2], &[1]) };
        let mut entries = entries(&Pickle::state_dict(&[("w", view)]));
        entries[2] = Entry::new("net/data/0", &data);
        open(&zip(&entries)).expect("a checkpoint")
    };
    let wanted = [1.5, -0.25];
    let halves = read("HalfStorage", wanted.iter().flat_map(|v| f16::from_f32(*v).to_le_bytes()).collect());
    let upper = read("BFloat16Storage", wanted.iter().flat_map(|v| bf16::from_f32(*v).to_le_bytes()).collect());
    let doubles = read("DoubleStorage", wanted.iter().flat_map(|v| f64::from(*v).to_le_bytes()).collect());
    for (file, dtype) in [(halves, Dtype::F16), (upper, Dtype::Bf16), (doubles, Dtype::F64)] {
        assert_eq!((file.dtype("w"), file.f32s("w").expect("values")), (Some(dtype), wanted.to_vec()));
    }
    let integers = read("LongStorage", [7_i64, -7].iter().flat_map(|v| v.to_le_bytes()).collect());
    assert_eq!(integers.dtype("w"), Some(Dtype::I64));
    assert!(matches!(integers.f32s("w"), Err(WeightsError::Unsupported(what)) if what.contains("I64")));
}

#[test]
fn tensors_may_share_a_storage() {
    let all = View::of_six(0, &[6], &[1]);
    let file = open(&checkpoint(&Pickle::state_dict(&[("b", all.clone()), ("a", all)]))).expect("a checkpoint");
    assert!(file.keys().eq(["a", "b"]));
    assert_eq!(file.f32s("a").expect("values"), file.f32s("b").expect("values"));
    let many: Vec<String> = (0..400).map(|n| format!("w{n}")).collect();
    let views: Vec<_> = many.iter().map(|key| (key.as_str(), View::of_six(0, &[6], &[1]))).collect();
    let one = open(&checkpoint(&Pickle::state_dict(&views)));
    assert_eq!(one.expect("a checkpoint").keys().count(), 400);
}

#[test]
fn shared_values_cannot_multiply_the_file() {
    // One storage of 40 kB under a thousand names.
    let data = vec![0; 40_000];
    let view = |_| View { values: 10_000, ..View::of_six(0, &[10_000], &[1]) };
    let keys: Vec<String> = (0..1_000).map(|n| n.to_string()).collect();
    let items: Vec<_> = keys.iter().map(|key| (key.as_str(), view(()))).collect();
    let mut entries = entries(&Pickle::state_dict(&items));
    entries[2] = Entry::new("net/data/0", &data);
    refused(&zip(&entries), "claim 40000000 bytes in all");
}

#[test]
fn state_dict_is_found_in_its_wrapper() {
    let view = View::of_six(0, &[2], &[1]);
    for wrapper in ["state_dict", "state", "model_state_dict", "model"] {
        // An optimizer next to it has a state of its own, with tensors in it.
        let pickle = Pickle::new().raw(b"}(").text("epoch").int(7).text("optimizer").raw(b"}").text("state").raw(b"}");
        let pickle = pickle.int(0).raw(b"}").text("step").tensor(&View::of_six(5, &[], &[])).raw(b"sss");
        let pickle = pickle.text(wrapper).raw(b"}(").text("w").tensor(&view).raw(b"uu.");
        let file = open(&checkpoint(&pickle.0)).expect(wrapper);
        assert!(file.keys().eq(["w"]), "{wrapper}");
        assert_eq!(file.f32s("w").expect("values"), [1.0, 2.0]);
    }
    let pickle = Pickle::new().raw(b"}(").text("optimizer").raw(b"}").text("state").raw(b"}").text("w").tensor(&view);
    pickle_refused(pickle.raw(b"ssu."), "state, model_state_dict, model; at its top level are: optimizer");
    pickle_refused(Pickle::new().raw(b"]."), "does not hold a dictionary");
    pickle_refused(Pickle::new().raw(b"}."), "no tensors at its top level");
}

#[test]
fn shared_prefixes_are_removed() {
    let view = || View::of_six(0, &[2], &[1]);
    for (keys, expected) in [
        (["module.a", "module.b"], ["a", "b"]),
        (["module.model.a", "module.model.b"], ["a", "b"]),
        (["model.a", "module.b"], ["model.a", "module.b"]),
        (["model.a", "b"], ["b", "model.a"]),
    ] {
        let file = open(&checkpoint(&Pickle::state_dict(&keys.map(|key| (key, view()))))).expect("a checkpoint");
        assert!(file.keys().eq(expected), "{keys:?}: {:?}", file.keys().collect::<Vec<_>>());
    }
}

#[test]
fn parameters_and_attributes_are_accepted() {
    let pickle = Pickle::new().global("collections", "OrderedDict").raw(b")R(").text("w");
    let pickle = pickle.global("torch._utils", "_rebuild_parameter").raw(b"(").tensor(&View::of_six(0, &[2], &[1]));
    let pickle = pickle.raw(b"\x88").global("collections", "OrderedDict").raw(b")RtRu}").text("_metadata").raw(b"}sb.");
    let file = open(&checkpoint(&pickle.0)).expect("a checkpoint");
    assert_eq!(file.f32s("w").expect("values"), [1.0, 2.0]);
}

#[test]
fn invalid_state_dicts_are_refused() {
    let view = View::of_six(0, &[2], &[1]);
    let dict = || Pickle::new().raw(b"}(").text("w").tensor(&view);
    pickle_refused(dict().text("w").tensor(&view).raw(b"u."), "w occurs twice");
    pickle_refused(dict().text("extra").raw(b"Nu."), "extra in its state dict is not a tensor");
    pickle_refused(dict().int(1).tensor(&view).raw(b"u."), "a key that is not text");
    pickle_refused(dict().text(&"k".repeat(300)).tensor(&view).raw(b"u."), "more than 256 bytes");
}

#[test]
fn invalid_pickles_are_refused() {
    let cases: [(&[u8], &str); 20] = [
        (b"", "cut"),
        (b"}", "cut"),
        (b".", "takes a value that is not there"),
        (b"}}.", "more than one value"),
        (b"X\xff\xff\xff\xffabc", "cut"),
        (b"\x8d\xff\xff\xff\xff\xff\xff\xff\xffabc", "cut"),
        (b"X\x01\0\0\0\xff.", "not UTF-8"),
        (b"ctorch\nFloatStorage", "cut"),
        (b"h\x05.", "has not stored"),
        (b"t.", "a mark that is not there"),
        (b"\x87.", "a value that is not there"),
        (b"}(a.", "a value that is not there"),
        (b"}(Nu.", "something other than a dictionary"),
        (b"]}Ns.", "something other than a dictionary"),
        (b"NNa.", "something other than a list"),
        (b"NNb.", "attributes of something other than a dictionary"),
        (b"N)R.", "calls something that has no name"),
        (b"ccollections\nOrderedDict\nNR.", "without arguments"),
        (b"ccollections\nOrderedDict\nN\x85R.", "in an unknown way"),
        (b")Q.", "describes a storage in an unknown way"),
    ];
    for (pickle, says) in cases {
        pickle_refused(Pickle::new().raw(pickle), says);
    }
    // Operations that run code, or that torch.save does not write.
    for code in [b'i', b'o', 0x81, 0x82, 0x92, b'0', b'2', b'd', b'l', 0x8f] {
        pickle_refused(Pickle::new().raw(b"}").raw(&[code]).raw(b"."), &format!("the operation {code:#04x}"));
    }
    pickle_refused(Pickle(b"\x80\x06}.".into()), "pickle protocol 6");
    pickle_refused(Pickle::new().raw(b"}\x8a\x09123456789."), "more than 64 bits");
}

#[test]
fn values_that_contain_themselves_are_refused() {
    pickle_refused(Pickle::new().raw(b"}q\0").text("self").raw(b"h\0s."), "contains itself");
    // Through a list that was finished before.
    pickle_refused(Pickle::new().raw(b"}q\0").text("list").raw(b"]q\x01h\0as."), "contains itself");
}

#[test]
fn deep_nesting_is_refused() {
    for pickle in [
        Pickle::new().raw(&b"(".repeat(1_000_000)),
        Pickle::new().raw(b"]").raw(&b"\x85".repeat(1_000_000)).raw(b"."),
        Pickle::new().raw(&b"]".repeat(1_000_000)).raw(&b"a".repeat(999_999)).raw(b"."),
    ] {
        pickle_refused(pickle, "levels deep");
    }
}

#[test]
fn damaged_archives_are_refused() {
    let pickle = Pickle::state_dict(&[("w", View::of_six(0, &[6], &[1]))]);
    let whole = checkpoint(&pickle);
    open(&whole).expect("a valid checkpoint");
    for length in [2, 10, whole.len() / 2, whole.len() - 1] {
        refused(&whole[..length], "not a whole zip archive");
    }
    refused(b"", "not a checkpoint");
    refused(b"<html>", "not a checkpoint");
    refused(b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.", "PyTorch before 1.6");

    let changed = |change: &dyn Fn(&mut Vec<Entry>)| {
        let mut entries = entries(&pickle);
        change(&mut entries);
        zip(&entries)
    };
    refused(&changed(&|entries| entries[2].data[5] ^= 1), "data/0 does not match its checksum");
    refused(&changed(&|entries| entries[0].data[5] ^= 1), "data.pkl does not match its checksum");
    refused(&changed(&|entries| entries[2].claimed_bytes = u32::MAX - 1), "net/data/0 claims 4294967294 bytes");
    refused(&changed(&|entries| entries[2].method = 8), "net/data/0 is compressed");
    refused(&changed(&|entries| entries[0].flags = 1), "net/data.pkl is encrypted");
    refused(&changed(&|entries| entries.push(entries[2].clone())), "the same name");
    refused(&changed(&|entries| entries[2].name = "data/0".into()), "data/0 is not in the archive's folder");
    refused(&changed(&|entries| entries[2].name = "0".into()), "0 is not in the archive's folder");
    refused(&changed(&|entries| entries[1] = Entry::new("net/byteorder", b"big")), "big-endian");
    refused(&changed(&|entries| _ = entries.remove(0)), "lacks the entry data.pkl");
    refused(&changed(&|entries| _ = entries.remove(2)), "lacks the entry data/0");
    // Checksums can be off in PyTorch.
    open(&changed(&|entries| entries.iter_mut().for_each(|entry| entry.crc32 = 0))).expect("a checkpoint");
}

#[test]
fn entries_that_overlap_are_refused() {
    let mut entries = entries(&Pickle::state_dict(&[("w", View::of_six(0, &[6], &[1]))]));
    for n in 1..200 {
        // Each claims the bytes of all that follow.
        let claimed_bytes = 1_000;
        entries.push(Entry { claimed_bytes, ..Entry::new(&format!("net/data/{n}"), &[]) });
    }
    refused(&zip(&entries), "bytes in all, but the file has");
}

/// Set for the child process.
const BIG_CLAIMS: &str = "VOCALIZER_TEST_BIG_CLAIMS";

#[test]
fn big_claims_cost_no_memory() {
    let peaks = peaks_kib("weights::checkpoint::child_that_reads_big_claims", BIG_CLAIMS, "1");
    // Three copies of a pickle of 31 MiB are the test's own.
    assert!(peaks.iter().all(|&peak| peak < 400 << 10), "{peaks:?} KiB");
}

#[test]
fn child_that_reads_big_claims() {
    if std::env::var_os(BIG_CLAIMS).is_none() {
        return;
    }
    const MANY: usize = 31 << 20;
    let many = || Pickle::new().raw(&b"]".repeat(MANY));
    pickle_refused(many(), "more than 2000000 values");
    pickle_refused(Pickle::new().raw(&b"Nq\0h\0".repeat(MANY / 5)), "more than 2000000 values");
    pickle_refused(Pickle::new().raw(b"]").raw(&b"\x94".repeat(MANY)), "more than 2000000 values");
    // Each tuple holds the one before it twice.
    pickle_refused(Pickle::new().raw(b"]").raw(&b"q\0h\0\x86".repeat(60)).raw(b"."), "does not hold a dictionary");
    refused(&checkpoint(&vec![b'N'; 33 << 20]), "a pickle of more than");
    print_peak();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn modified_and_truncated_checkpoints_never_panic(
        changes in prop::collection::vec((any::<Index>(), any::<u8>()), 0..6),
        cut in prop::option::weighted(0.3, any::<Index>()),
    ) {
        let items = [("a", View::of_six(0, &[2, 3], &[1, 2])), ("b", View::of_six(1, &[5], &[1]))];
        let mut bytes = checkpoint(&Pickle::state_dict(&items));
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        bytes.truncate(cut.map_or(bytes.len(), |at| at.index(bytes.len())));
        read(&bytes);
    }

    #[test]
    fn arbitrary_pickles_never_panic(
        changes in prop::collection::vec((any::<Index>(), any::<u8>()), 0..6),
        noise in prop::collection::vec(any::<u8>(), 0..64),
    ) {
        let items = [("a", View::of_six(0, &[2, 3], &[1, 2])), ("b", View::of_six(1, &[5], &[1]))];
        let mut pickle = Pickle::state_dict(&items);
        for (at, value) in changes {
            let at = at.index(pickle.len());
            pickle[at] = value;
        }
        read(&checkpoint(&pickle));
        read(&checkpoint(&noise));
    }
}

/// Reads all tensors, if the bytes are a checkpoint.
fn read(bytes: &[u8]) {
    let Ok(file) = open(bytes) else { return };
    for key in file.keys() {
        if let Ok(values) = file.f32s(key) {
            assert_eq!(Some(values.len()), file.shape(key).map(|shape| shape.iter().product()));
        }
    }
}
