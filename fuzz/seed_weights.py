"""Creates the seeds of the targets `safetensors`, `onnx`, `checkpoint`, `toolkit_config` and `mp3_round_trip`, without libraries or real
weights."""

import collections
import io
import json
import pickle
import struct
import sys
import types
import zipfile
from pathlib import Path


def put(name, data):
    path = Path(name)
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(data)


# --- safetensors -----------------------------------------------------------------------------------------------------

KLASS = "demucs.htdemucs.HTDemucs"


def safetensors(kwargs, tensors, klass=KLASS, kwargs_text=None):
    """Returns a file of zeros; a tensor is (key, dtype, bytes per value, shape)."""
    text = kwargs_text if kwargs_text is not None else json.dumps(kwargs)
    header, end = {"__metadata__": {"klass": klass, "args": "[]", "kwargs": text}}, 0
    for key, dtype, width, shape in tensors:
        start = end
        count = 1
        for size in shape:
            count *= size
        end += width * count
        header[key] = {"dtype": dtype, "shape": shape, "data_offsets": [start, end]}
    head = json.dumps(header, separators=(",", ":")).encode()
    return struct.pack("<Q", len(head)) + head + bytes(end)


BARE = {"sources": ["a"], "audio_channels": 1, "channels": 1, "depth": 1, "nfft": 128, "kernel_size": 1,
        "dconv_mode": 0, "t_layers": 0, "freq_emb": 0}


def bare_layers():
    yield "encoder.0.conv", [1, 2, 1, 1], 1
    yield "encoder.0.rewrite", [2, 1, 1, 1], 2
    yield "decoder.0.conv_tr", [1, 2, 1, 1], 2
    yield "decoder.0.rewrite", [2, 1, 3, 3], 2
    yield "tencoder.0.conv", [1, 1, 1], 1
    yield "tencoder.0.rewrite", [2, 1, 1], 2
    yield "tdecoder.0.conv_tr", [1, 1, 1], 1
    yield "tdecoder.0.rewrite", [2, 1, 3], 2


def bare_tensors(dtype, width):
    for layer, weight, bias in bare_layers():
        yield f"{layer}.weight", dtype, width, weight
        yield f"{layer}.bias", dtype, width, [bias]


put("safetensors/whole.safetensors", safetensors(BARE, bare_tensors("F16", 2)))
put("safetensors/refused-other-types.safetensors",
    safetensors(BARE, [("a", "F32", 4, [2]), ("b", "BF16", 2, [1, 3]), ("c", "F64", 8, []), ("d", "I64", 8, [1])]))
put("safetensors/refused-no-tensors.safetensors", safetensors({
    "sources": ["a", "b"], "audio_channels": 2, "channels": 48, "growth": 2, "depth": 4, "nfft": 4096, "stride": 4,
    "kernel_size": 8, "context": 1, "context_enc": 0, "dconv_mode": 3, "dconv_depth": 2, "dconv_comp": 8,
    "norm_starts": 4, "freq_emb": 0.2, "bottom_channels": 512, "t_layers": 5, "t_hidden_scale": 4.0, "t_norm_in": True,
    "t_norm_in_group": False, "t_norm_first": True, "t_norm_out": 1, "t_layer_scale": True, "t_cross_first": None,
    "cac": True, "rewrite": True, "t_sparse_self_attn": False, "t_sparse_cross_attn": False, "t_emb": "sin",
    "multi_freqs": []}, []))
put("safetensors/refused-other-network.safetensors", safetensors({}, [], klass="demucs.hdemucs.HDemucs"))
put("safetensors/refused-arguments.safetensors", safetensors({}, [], kwargs_text='{"sources": [1e999]}'))


# --- ONNX ------------------------------------------------------------------------------------------------------------

def varint(number):
    out = b""
    while number >= 128:
        out, number = out + bytes([number & 127 | 128]), number >> 7
    return out + bytes([number])


def field(tag, content):
    if isinstance(content, int):
        return varint(tag << 3) + varint(content)
    content = content.encode() if isinstance(content, str) else content
    return varint(tag << 3 | 2) + varint(len(content)) + content


def tensor(name, shape, form):
    """Returns a tensor with packed floats, raw floats or raw halves."""
    count = 1
    for size in shape:
        count *= size
    values = [(7 * n % 32 - 16) / 16 for n in range(count)]
    dims = b"".join(field(1, size) for size in shape)
    if form == 0:
        body = field(2, 1) + field(4, struct.pack(f"<{count}f", *values))
    elif form == 1:
        body = field(2, 1) + field(9, struct.pack(f"<{count}f", *values))
    else:
        body = field(2, 10) + field(9, struct.pack(f"<{count}e", *values))
    return dims + body + field(8, name)


class Export:
    def __init__(self):
        self.nodes, self.tensors = b"", b""
        self.count = 0

    def put(self, name, shape):
        self.tensors += field(5, tensor(name, shape, self.count % 3))
        self.count += 1

    def folded(self, user, shape):
        """Adds a parameter without its original name, and the node that uses it."""
        name = f"onnx::{self.count}"
        self.put(name, shape)
        self.nodes += field(1, field(1, "x") + field(1, name) + field(3, user))

    def affine(self, layer, weight, bias):
        self.put(f"{layer}.weight", weight)
        self.put(f"{layer}.bias", [bias])

    def bytes(self):
        return field(2, "seed") + field(7, self.nodes + self.tensors)


def encoders_and_decoders(out):
    for branch, tail, into in [("", [1], 4), ("t", [], 2)]:
        both = lambda size: [size, size] if tail else [size]  # noqa: E731
        encoder, decoder = f"{branch}encoder.0", f"{branch}decoder.0"
        out.affine(f"{encoder}.conv", [2, into, 8] + tail, 2)
        out.affine(f"{encoder}.rewrite", [4, 2] + both(1), 4)
        out.affine(f"{decoder}.conv_tr", [2, into, 8] + tail, into)
        out.affine(f"{decoder}.rewrite", [4, 2] + both(3), 4)
        for index in range(2):
            at = f"{encoder}.dconv.layers.{index}"
            path = f"/{encoder}/dconv/layers.{index}/layers.{index}"
            out.affine(f"{at}.0", [2, 2, 3], 2)
            out.affine(f"{at}.3", [4, 2, 1], 4)
            for leaf, size in [("1", 2), ("4", 4)]:
                out.folded(f"{path}.{leaf}/Mul", [size, 1])
                out.folded(f"{path}.{leaf}/Add", [size, 1])
            out.folded(f"{path}.6/Mul", [2, 1])


def transformer(out):
    for suffix in ["", "_t"]:
        out.affine(f"crosstransformer.norm_in{suffix}", [2], 2)
        for index, attention in enumerate(["self_attn", "cross_attn"]):
            at = f"crosstransformer.layers{suffix}.{index}"
            path = f"/crosstransformer/layers{suffix}.{index}"
            if attention == "self_attn":
                out.folded(f"{path}/{attention}/MatMul", [2, 6])
                out.put(f"{at}.{attention}.in_proj_bias", [6])
            else:
                out.folded(f"{path}/{attention}/MatMul", [2, 2])
                out.folded(f"{path}/{attention}/MatMul_1", [2, 4])
                out.folded(f"{path}/{attention}/Add", [2])
                out.folded(f"{path}/{attention}/Add_1", [4])
            out.affine(f"{at}.{attention}.out_proj", [2, 2], 2)
            out.folded(f"{path}/linear1/MatMul", [2, 8])
            out.put(f"{at}.linear1.bias", [8])
            out.folded(f"{path}/linear2/MatMul", [8, 2])
            out.put(f"{at}.linear2.bias", [2])
            for norm in range(1, 3 + index):
                out.affine(f"{at}.norm{norm}", [2], 2)
            out.folded(f"{path}/norm_out/Mul", [2])
            out.folded(f"{path}/norm_out/Add", [2])
            out.put(f"{at}.gamma_1.scale", [2])
            out.put(f"{at}.gamma_2.scale", [2])


whole = Export()
encoders_and_decoders(whole)
whole.folded("/Mul_3", [1, 2, 16, 1])
transformer(whole)
put("onnx/whole.onnx", whole.bytes())

# Smaller files, in which mutations are more effective.
for name, part in [("refused-encoders", encoders_and_decoders), ("refused-transformer", transformer)]:
    export = Export()
    part(export)
    put(f"onnx/{name}.onnx", export.bytes())
one = Export()
one.folded("/crosstransformer/layers.1/cross_attn/MatMul", [2, 2])
put("onnx/refused-one-projection.onnx", one.bytes())
put("onnx/refused-no-graph.onnx", field(2, "seed"))


# --- PyTorch checkpoints: pickles, each for an archive with two storages of 24 bytes, and whole archives ---------------

torch, utils = types.ModuleType("torch"), types.ModuleType("torch._utils")
sys.modules.update({"torch": torch, "torch._utils": utils})


def known(module, name, base=object):
    """Creates what a pickle names."""
    made = type(name, (base,), {"__module__": module.__name__})
    setattr(module, name, made)
    return made


FLOAT, HALF, LONG = (known(torch, f"{name}Storage") for name in ["Float", "Half", "Long"])
REBUILD, PARAMETER = known(utils, "_rebuild_tensor_v2"), known(utils, "_rebuild_parameter")


class Storage:
    def __init__(self, kind, name, values):
        self.described = ("storage", kind, name, "cpu", values)


class Tensor:
    def __init__(self, storage, offset, shape, strides):
        self.parts = (storage, offset, shape, strides, False, collections.OrderedDict())

    def __reduce__(self):
        return REBUILD, self.parts


class Parameter(Tensor):
    def __reduce__(self):
        return PARAMETER, (Tensor(*self.parts[:4]), True, collections.OrderedDict())


class Pickler(pickle.Pickler):
    def persistent_id(self, value):
        return value.described if isinstance(value, Storage) else None


def pickled(value, protocol=2):
    out = io.BytesIO()
    Pickler(out, protocol).dump(value)
    return out.getvalue()


def checkpoint(*entries):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in entries:
            archive.writestr(zipfile.ZipInfo(f"net/{name}"), data)
    return out.getvalue()


singles, halves = Storage(FLOAT, "0", 6), Storage(HALF, "1", 12)
weights = collections.OrderedDict(a=Tensor(singles, 0, (2, 3), (3, 1)), b=Tensor(singles, 1, (2, 2), (1, 2)))
weights._metadata = collections.OrderedDict({"": {"version": 1}})
training = {"epoch": 3, "metric": 0.5, "best": None, "on": True, "optimizer": {"state": {0: {"step": Tensor(singles, 0, (), ())}},
            "param_groups": [{"params": [0, 1, 70000]}]}}
put("checkpoint/plain.pkl", pickled(weights))
put("checkpoint/protocol-4.pkl", pickled({"a": Tensor(halves, 2, (5, 1, 2), (2, 9, 1))}, 4))
put("checkpoint/wrapped.pkl", pickled({**training, "state_dict": {"module.a": Parameter(halves, 0, (12,), (1,))}}))
put("checkpoint/integers.pkl", pickled({"n": Tensor(Storage(LONG, "0", 3), 2, (), ()), "a": Tensor(singles, 5, (1,), (1,))}))
put("checkpoint/refused-outside.pkl", pickled({"a": Tensor(singles, 2, (2, 3), (3, 1))}))
put("checkpoint/refused-optimizer.pkl", pickled(training))
put("checkpoint/refused-name.pkl", pickled({"hook": known(torch, "load")()}))
put("checkpoint/refused-self.pkl", b"\x80\x02}q\x00X\x01\x00\x00\x00aq\x01h\x00s.")
put("checkpoint/whole.ckpt", checkpoint(("data.pkl", pickled(weights)), ("byteorder", b"little"), ("data/0", bytes(24))))
put("checkpoint/refused-no-storage.ckpt", checkpoint(("data.pkl", pickled(weights)), ("byteorder", b"little")))


# --- configurations of the training toolkit --------------------------------------------------------------------------

put("toolkit_config/whole.yaml", b"""# a comment
audio: {chunk_size: 9000, sample_rate: 44100, min_mean_abs: 1.0e-3}
model:
  dims: [4, 8]
  freqs_per_bands: !!python/tuple
  - 2
  - 0.5
  stereo: yes
training:
  instruments: [Vocals, "other", 'a b']
  target_instrument: null
inference:
  num_overlap: 2
""")
put("toolkit_config/blocks.yaml", b"---\n? model\n: a: |\n    text\n    more\n  b: >-\n    folded\n    text\n...\n")
put("toolkit_config/refused-alias.yaml", b"model: &m {a: 1}\naudio: *m\n")
put("toolkit_config/refused-tag.yaml", b"model: !!python/object/apply:os.system [ls]\n")
put("toolkit_config/refused-no-model.yaml", b"audio: {a: [1, {b: 2}]}\n")


# --- MP3 round trip: rate, bit rate, frames (16 bits), block, kind of samples, samples -------------------------------

RAMP = struct.pack("<64h", *[(n * 997) % 60000 - 30000 for n in range(64)])
LOUD = struct.pack("<8f", 0.0, 1.5, -2.0, 1e-40, 0.25, 1e5, -1e5, 1.0)
for name, rate, bits, frames, block, kind, samples in [
    ("cbr-128", 7, 32, 3000, 20, 0, RAMP),
    ("cbr-320", 8, 80, 1152, 255, 0, RAMP),
    ("mpeg2-vbr", 4, 4, 2500, 3, 0, RAMP),
    ("mpeg25-8-kbit", 0, 2, 600, 9, 0, RAMP),
    ("one-frame", 7, 0, 0, 0, 0, RAMP),
    ("silence", 6, 9, 4000, 40, 0, bytes(4)),
    ("floats", 7, 48, 2000, 72, 1, LOUD),
]:
    put(f"mp3_round_trip/{name}", bytes([rate, bits, frames & 255, frames >> 8, block, kind]) + samples)
