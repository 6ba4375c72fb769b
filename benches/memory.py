#!/usr/bin/env python3
"""Memory of the service, with its worker in one process and in two, over many short songs with the real model.

    cargo build --release -p vocalizer
    benches/memory.py [--songs 100] [--seconds 2] [--program target/release/vocalizer] [--bound-mb 700]

Uploads one song at a time and waits until it is split. Prints the resident memory after some of the songs, and the peak. Needs the weights
(`vocalizer models fetch htdemucs`) and only Python. The exit code is 1 if a song fails or a program's peak is above the limit.
"""

import argparse
import json
import math
import os
import pathlib
import random
import struct
import subprocess
import sys
import tempfile
import time
import urllib.request

from load import memory_mb, wav_head

RATE_HZ = 44100


def wav(number, seconds):
    """A stereo WAV that differs for each number: a tone with noise."""
    rng = random.Random(number)
    pitch = rng.uniform(80, 800)
    samples = bytearray()
    for frame in range(int(seconds * RATE_HZ)):
        tone = 9000 * math.sin(2 * math.pi * pitch * frame / RATE_HZ)
        samples += struct.pack("<2h", int(tone + rng.uniform(-3000, 3000)), int(tone + rng.uniform(-3000, 3000)))
    return wav_head(len(samples)) + samples


def upload(address, number, seconds):
    body = (b'--x\r\nContent-Disposition: form-data; name="title"\r\n\r\nsong %d\r\n'
            b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n' % number)
    body += wav(number, seconds) + b"\r\n--x--\r\n"
    request = urllib.request.Request(f"{address}/songs/upload", body, {"Content-Type": "multipart/form-data; boundary=x"})
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)["data"]["song"]["id"]


def wait_until_split(address, song):
    while True:
        with urllib.request.urlopen(f"{address}/songs/{song}") as answer:
            status = json.load(answer)["data"]["song"]["status"]
        if status == "SPLIT":
            return
        if status == "FAILED":
            raise RuntimeError(f"song {song} failed")
        time.sleep(0.05)


def start(*command):
    environment = {**os.environ, "RUST_LOG": "warn"}
    program = subprocess.Popen([str(word) for word in command], stdout=subprocess.PIPE, text=True, env=environment)
    return program, program.stdout.readline().strip()


def measure(args, address, programs):
    print(f"{'songs':>8} " + " ".join(f"{name + ' MB':>14}" for name, _ in programs))
    for number in range(1, args.songs + 1):
        wait_until_split(address, upload(address, number, args.seconds))
        if number in (1, 2, 5) or number % 10 == 0:
            print(f"{number:>8} " + " ".join(f"{memory_mb(program.pid, 'VmRSS'):>14.0f}" for _, program in programs), flush=True)
    peaks = [memory_mb(program.pid, "VmHWM") for _, program in programs]
    print(f"{'peak':>8} " + " ".join(f"{peak:>14.0f}" for peak in peaks))
    return max(peaks) < args.bound_mb


def one_process(args, folder):
    program, line = start(args.program, "serve", "--listen-addr", "127.0.0.1:0", "--data-dir", folder / "data")
    try:
        return measure(args, line[line.index("http://"):], [("service", program)])
    finally:
        program.terminate()
        program.wait()


def server_and_worker(args, folder):
    server, line = start(args.program, "serve", "--no-worker", "--listen-addr", "127.0.0.1:0", "--data-dir", folder / "data")
    worker = None
    try:
        address = line[line.index("http://"):]
        worker, _ = start(args.program, "worker", "--backend-addr", address, "--worker-token-file", folder / "data/worker-token",
                          "--listen-addr", "127.0.0.1:0")
        return measure(args, address, [("server", server), ("worker", worker)])
    finally:
        for program in filter(None, (worker, server)):
            program.terminate()
            program.wait()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--songs", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=2)
    parser.add_argument("--program", type=pathlib.Path, default=pathlib.Path("target/release/vocalizer"))
    parser.add_argument("--bound-mb", type=float, default=700)
    args = parser.parse_args()
    good = True
    for run in (one_process, server_and_worker):
        with tempfile.TemporaryDirectory() as folder:
            good = run(args, pathlib.Path(folder)) and good
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
