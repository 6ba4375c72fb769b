#!/usr/bin/env python3
"""Load test of a real server: 200 concurrent uploads of 40 MB, then 1,000 concurrent range downloads; measures memory.

    cargo build --release -p vocalizer --no-default-features
    benches/load.py [--uploads 200] [--megabytes 40] [--downloads 1000] [--program target/release/vocalizer]

Every song is a different WAV, so nothing is deduplicated; hashes are compared. Needs 16 GB of disk space and only Python. The exit code
is 1 if a response was wrong or the memory exceeded the limit.
"""

import argparse
import asyncio
import hashlib
import json
import os
import pathlib
import random
import struct
import subprocess
import sys
import tempfile
import time

MIB = 1 << 20
BOUND_MB = 150


def memory_mb(pid, field="VmRSS"):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1]) / 1024
    return 0.0


def wav_head(data_bytes):
    fmt = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 2, 44100, 176400, 4, 16)
    return struct.pack("<4sI4s", b"RIFF", 36 + data_bytes, b"WAVE") + fmt + struct.pack("<4sI", b"data", data_bytes)


async def ask(address, head, body=(), length=0):
    """Sends a request on a new connection; returns status, headers and body."""
    reader, writer = await asyncio.open_connection(*address)
    try:
        writer.write(head + (b"Content-Length: %d\r\n" % length if length else b"") + b"Connection: close\r\n\r\n")
        for piece in body:
            writer.write(piece)
            await writer.drain()
        await writer.drain()
        answer = await reader.read()
    finally:
        writer.close()
    top, _, rest = answer.partition(b"\r\n\r\n")
    return int(top.split()[1]), top.decode(), rest


async def upload(address, number, block, blocks):
    data_bytes = len(block) * blocks
    song_head = wav_head(data_bytes)
    mark = struct.pack("<I", number) * 16
    first = mark + block[len(mark):]
    digest = hashlib.sha256(song_head + first)
    before = (b'--x\r\nContent-Disposition: form-data; name="title"\r\n\r\nsong %d\r\n'
              b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n' % number)
    after = b"\r\n--x--\r\n"

    def pieces():
        yield before + song_head + first
        for _ in range(blocks - 1):
            digest.update(block)
            yield block
        yield after

    length = len(before) + len(song_head) + data_bytes + len(after)
    head = b"POST /songs/upload HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=x\r\n"
    status, top, body = await ask(address, head, pieces(), length)
    if status != 200:
        return f"upload {number}: {top} {body[:300]!r}", None
    song = json.loads(body)["data"]["song"]
    wrong = None if song["hash"] == digest.hexdigest() else f"upload {number}: wrong hash"
    return wrong, (song["id"], song_head + first)


async def download(address, song, rng):
    id, start = song
    first = rng.randrange(len(start) - 1)
    last = rng.randrange(first, min(first + 65536, len(start)))
    head = f"GET /songs/{id}/song.mp3 HTTP/1.1\r\nHost: x\r\nRange: bytes={first}-{last}\r\n".encode()
    status, top, body = await ask(address, head)
    if status != 206 or body != start[first:last + 1]:
        return f"download of {id}: {top.splitlines()[0]}, {len(body)} bytes"
    return None


async def measure(args, server, address):
    block = random.Random(1).randbytes(MIB // 4)
    blocks = args.megabytes * 4
    idle_mb = memory_mb(server.pid, "VmRSS")
    pathlib.Path(f"/proc/{server.pid}/clear_refs").write_text("5")
    began = time.monotonic()
    outcomes = await asyncio.gather(*(upload(address, number, block, blocks) for number in range(args.uploads)))
    took_s = time.monotonic() - began
    peak_mb = memory_mb(server.pid, "VmHWM")
    wrong = [error for error, _ in outcomes if error]
    songs = [song for _, song in outcomes if song]
    total_mb = args.uploads * args.megabytes
    print(f"{args.uploads} concurrent uploads of {args.megabytes} MiB: {took_s:.1f} s, {total_mb / took_s:.0f} MiB/s; "
          f"idle {idle_mb:.0f} MB, peak {peak_mb:.0f} MB, {peak_mb - idle_mb:.0f} MB over idle; {len(wrong)} wrong")

    pathlib.Path(f"/proc/{server.pid}/clear_refs").write_text("5")
    rng = random.Random(2)
    began = time.monotonic()
    failed = await asyncio.gather(*(download(address, rng.choice(songs), rng) for _ in range(args.downloads)))
    failed = [error for error in failed if error]
    print(f"{args.downloads} concurrent range downloads: {time.monotonic() - began:.1f} s, "
          f"peak {memory_mb(server.pid, 'VmHWM'):.0f} MB; {len(failed)} wrong")
    for error in (wrong + failed)[:10]:
        print(error, file=sys.stderr)
    return not wrong and not failed and peak_mb - idle_mb < BOUND_MB


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--uploads", type=int, default=200)
    parser.add_argument("--megabytes", type=int, default=40)
    parser.add_argument("--downloads", type=int, default=1000)
    parser.add_argument("--program", default="target/release/vocalizer")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR")) as folder:
        command = [args.program, "serve", "--no-worker", "--listen-addr", "127.0.0.1:0", "--data-dir", f"{folder}/data", "--allowed-hosts", "*"]
        environment = {**os.environ, "RUST_LOG": "warn"}
        server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
        try:
            host, port = server.stdout.readline().strip().rsplit("/", 1)[1].split(":")
            good = asyncio.run(measure(args, server, (host, int(port))))
        finally:
            server.terminate()
            server.wait()
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
