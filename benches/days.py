#!/usr/bin/env python3
"""Tests a worker for memory leaks: sends 500 songs through one `vocalizer worker` with a tiny model and prints its memory after every hundred.

    benches/days.py [--songs 500] [--program target/debug/vocalizer]

Needs only the program `vocalizer` and Python. The exit code is 1 if a song was not split, or if the worker grew by more than
10 MB after the first two hundred songs, during which the allocator warms up.
"""

import argparse
import json
import pathlib
import random
import re
import struct
import subprocess
import sys
import tempfile
import time
import urllib.request
import uuid

TOKEN = "the-token-of-the-worker-that-runs-for-days"
MODEL = pathlib.Path(__file__).parent.parent / "vocalizer-model/tests/golden/tiny-4s.safetensors"
MOST_GROWTH_MB = 10


def started(command, pattern, log):
    """Starts a process and returns it with its address from its first line."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
    found = re.search(pattern, process.stdout.readline())
    return process, found[1]


def asked(url, body=None, headers=None):
    with urllib.request.urlopen(urllib.request.Request(url, body, headers or {}), timeout=60) as answer:
        return json.load(answer)


def upload(server, number):
    noise = random.Random(number).randbytes(44100)
    head = struct.pack("<4sI4s4sIHHIIHH4sI", b"RIFF", 36 + len(noise), b"WAVE", b"fmt ", 16, 1, 1, 44100, 88200, 2, 16, b"data", len(noise))
    mark = uuid.uuid4().hex
    form = (f'--{mark}\r\nContent-Disposition: form-data; name="title"\r\n\r\nSong {number}\r\n'
            f'--{mark}\r\nContent-Disposition: form-data; name="file"; filename="song.wav"\r\n\r\n').encode()
    body = form + head + noise + f"\r\n--{mark}--\r\n".encode()
    asked(f"{server}/songs/upload", body, {"Content-Type": f"multipart/form-data; boundary={mark}"})


def resident_mb(process):
    status = pathlib.Path(f"/proc/{process.pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1024


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--songs", type=int, default=500)
    arguments.add_argument("--program", type=pathlib.Path, default=pathlib.Path("target/debug/vocalizer"))
    asked_for = arguments.parse_args()
    with tempfile.TemporaryDirectory() as folder, open(f"{folder}/log", "w") as log:
        common = ["--listen-addr", "127.0.0.1:0", "--worker-token", TOKEN]
        server, address = started([asked_for.program, "serve", "--no-worker", "--data-dir", f"{folder}/data", *common], r"on (http://\S+)", log)
        worker, _ = started([asked_for.program, "worker", "--backend-addr", address, "--model", MODEL, *common], r"on (http://\S+)", log)
        try:
            sizes, began = [], time.time()
            for hundred in range(0, asked_for.songs, 100):
                for number in range(hundred, min(hundred + 100, asked_for.songs)):
                    upload(address, number)
                while True:
                    songs = asked(f"{address}/songs/")["data"]["songs"]
                    statuses = {song["status"] for song in songs}
                    if statuses <= {"SPLIT", "FAILED"}:
                        break
                    time.sleep(0.5)
                sizes.append(resident_mb(worker))
                print(f"{len(songs)} songs, {time.time() - began:.0f} s: {sizes[-1]:.1f} MB", flush=True)
            if statuses != {"SPLIT"}:
                sys.exit("not all songs were split")
            growth_mb = sizes[-1] - sizes[min(1, len(sizes) - 1)]
            if growth_mb > MOST_GROWTH_MB:
                sys.exit(f"the worker grew by {growth_mb:.1f} MB")
        finally:
            worker.terminate()
            server.terminate()
            worker.wait()
            server.wait()


main()
