#!/usr/bin/env python3
"""Measures how an abusive client affects a server and its other clients. Needs only Python.

    cargo build --release -p vocalizer --no-default-features
    benches/abuse.py --program target/release/vocalizer [--cases h2,h3]
    benches/abuse.py --url http://127.0.0.1:8000 --worker-token-file DATA/worker-token     # times only

h2: an hour of silence is 45 KB as FLAC and 635 MB as WAV. Measures how much of it stays on disk, and what a HEAD costs.
h3: 50 mixes of one client concurrent with one rendition of another.

Prints a table: `seconds` the client waited; `CPU s` of the server; peak `memory` of the server; `kept`, the disk space of renditions
afterwards; `most`, the peak disk space of renditions and unfinished files. Clients have different addresses (127.0.0.2, 127.0.0.3); with
--url they are one client. The server keeps 1 GB of renditions and times out after 60 s, so that the limits take effect: see --keep-mb
and --timeout-s.
"""

import argparse
import concurrent.futures
import http.client
import io
import json
import os
import pathlib
import re
import subprocess
import tarfile
import tempfile
import threading
import time
import urllib.parse
from dataclasses import dataclass, field

MB = 1_000_000
TOKEN = "the-token-of-the-abuse-script"
ABUSIVE, POLITE = "127.0.0.2", "127.0.0.3"


# Songs.

def crc(data, bits, polynomial):
    top, mask, value = 1 << (bits - 1), (1 << bits) - 1, 0
    for byte in data:
        value ^= byte << (bits - 8)
        for _ in range(8):
            value = ((value << 1) ^ polynomial if value & top else value << 1) & mask
    return value


def silence(seconds, rate_hz=44_100):
    """Returns a FLAC file of frames with constant subframes."""
    block, samples = 65_535, seconds * rate_hz
    facts = (rate_hz << 44) | (1 << 41) | (15 << 36) | samples
    out = bytearray(b"fLaC\x80\0\0\x22\xff\xff\xff\xff" + bytes(6) + facts.to_bytes(8, "big") + bytes(16))
    for number in range(-(-samples // block)):
        count = min(block, samples - number * block)
        # The sample rate comes from the header.
        frame = b"\xff\xf8\x70\x18" + chr(number).encode("utf-8", "surrogatepass") + (count - 1).to_bytes(2, "big")
        frame += bytes([crc(frame, 8, 0x07)]) + bytes(6)
        out += frame + crc(frame, 16, 0x8005).to_bytes(2, "big")
    return bytes(out)


def silent_mp3(seconds):
    """Returns MP3 frames at 320 kbit/s without data."""
    return (b"\xff\xfb\xe0\x64" + bytes(1040)) * (seconds * 44_100 // 1_152)


# The server.

@dataclass
class Target:
    """The server under test."""
    host: str
    port: int
    token: str
    pid: int | None = None
    data: pathlib.Path | None = None
    rows: list = field(default_factory=list)

    def ask(self, method, path, client=None, body=None, headers=None, timeout=600):
        """Returns the status, the headers, the start of the body and its size."""
        source = (client, 0) if client and self.pid else None
        connection = http.client.HTTPConnection(self.host, self.port, timeout=timeout, source_address=source)
        try:
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            first, count = b"", 0
            while chunk := answer.read(1 << 20):
                first, count = first or chunk[:4096], count + len(chunk)
            return answer.status, answer.headers, first, count
        finally:
            connection.close()

    def upload(self, title, song, client=None):
        body = (b'--x\r\nContent-Disposition: form-data; name="title"\r\n\r\n' + title.encode()
                + b'\r\n--x\r\nContent-Disposition: form-data; name="file"; filename="a.flac"\r\n\r\n' + song + b"\r\n--x--\r\n")
        kind = {"Content-Type": "multipart/form-data; boundary=x"}
        status, _, answer, _ = self.ask("POST", "/songs/upload", client, body, kind)
        assert status == 200, (status, answer)
        return json.loads(answer)["data"]["song"]

    def split(self, title, song, stem):
        """Uploads a song and delivers a result with four identical stems."""
        uploaded = self.upload(title, song)
        archive = io.BytesIO()
        with tarfile.open(fileobj=archive, mode="w") as tar:
            for name in ["bass", "drums", "other", "vocals"]:
                entry = tarfile.TarInfo(f"{name}.mp3")
                entry.size = len(stem)
                tar.addfile(entry, io.BytesIO(stem))
        path = f"/songs/{uploaded['hash']}/upload_result"
        proof = {"Authorization": f"Bearer {self.token}"}
        status, _, answer, _ = self.ask("POST", path, body=archive.getvalue(), headers=proof)
        assert status == 200, (status, answer)
        return uploaded

    def memory_mb(self, name):
        if self.pid is None:
            return 0.0
        status = pathlib.Path(f"/proc/{self.pid}/status").read_text()
        return int(re.search(rf"{name}:\s+(\d+)", status)[1]) * 1024 / MB

    def cpu_s(self):
        if self.pid is None:
            return 0.0
        times = pathlib.Path(f"/proc/{self.pid}/stat").read_text().rsplit(") ", 1)[1].split()
        return (int(times[11]) + int(times[12])) / os.sysconf("SC_CLK_TCK")

    def disk_mb(self, unfinished):
        if self.data is None:
            return 0.0
        folders = list(self.data.glob("blobs/??/*/made"))
        if unfinished:
            folders += [self.data / "work", self.data / "blobs/tmp"]
        total = 0
        for folder in folders:
            for file in folder.rglob("*"):
                try:
                    total += file.stat().st_size if file.is_file() else 0
                except OSError:
                    pass
        return total / MB

    def measure(self, case, step, work):
        """Runs `work`, which returns a summary of the responses, and adds a row to the table."""
        most, over = [self.disk_mb(True)], threading.Event()

        def watch():
            while not over.wait(0.1):
                most[0] = max(most[0], self.disk_mb(True))

        watching = threading.Thread(target=watch)
        watching.start()
        if self.pid is not None:
            # Reset the kernel's peak memory counter.
            pathlib.Path(f"/proc/{self.pid}/clear_refs").write_text("5")
        began, cpu = time.monotonic(), self.cpu_s()
        try:
            said = work()
        except Exception as error:
            said = f"{type(error).__name__}: {error}"
        took = time.monotonic() - began
        over.set()
        watching.join()
        row = [case, step, said, f"{took:.1f}", f"{self.cpu_s() - cpu:.1f}", f"{self.memory_mb('VmHWM'):.0f}",
               f"{self.disk_mb(False):.0f}", f"{max(most[0], self.disk_mb(True)):.0f}"]
        self.rows.append(row)
        print(*row, sep=" | ", flush=True)


def count_statuses(answers):
    """Returns how often each status occurred."""
    counts = {}
    for status, *_ in answers:
        counts[status] = counts.get(status, 0) + 1
    return ", ".join(f"{count} x {status}" for status, count in sorted(counts.items()))


# Cases. To add one, write a function that takes a target and calls `measure` for each step, and add it to CASES.

def h2(target, songs=4):
    hour = silence(3600)
    print(f"size of an hour of silence: {len(hour) / 1000:.0f} KB")
    first = target.upload("hour", hour, ABUSIVE)
    wav = f"/songs/{first['id']}/song.wav"
    target.measure("H2", "HEAD song.wav of an hour", lambda: count_statuses([target.ask("HEAD", wav, ABUSIVE)]))

    def together():
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            return count_statuses(pool.map(lambda _: target.ask("GET", wav, ABUSIVE), range(8)))

    target.measure("H2", "8 concurrent GET song.wav of it", together)

    def grow():
        answers = []
        for number in range(songs):
            other = target.upload("hour", silence(3599 - number), ABUSIVE)
            answers.append(target.ask("GET", f"/songs/{other['id']}/song.wav", ABUSIVE))
        return count_statuses(answers)

    target.measure("H2", f"GET song.wav of {songs} others, sequentially", grow)
    time.sleep(1)
    target.measure("H2", "a second later", lambda: "")

    day = target.upload("six hours", silence(6 * 3600 - 1), ABUSIVE)

    def leave():
        try:
            target.ask("GET", f"/songs/{day['id']}/song.wav", ABUSIVE, timeout=1)
        except TimeoutError:
            time.sleep(5)
            return "cancelled after 1 s"
        return "completed within 1 s"

    target.measure("H2", "GET song.wav of 6 hours, cancel after 1 s, wait 5 s", leave)
    fast = target.upload("six hours at 384 kHz", silence(6 * 3600 - 1, 384_000), ABUSIVE)

    def peaks():
        status, _, answer, _ = target.ask("GET", f"/songs/{fast['id']}/peaks/song", ABUSIVE)
        return f"{status} {answer[:80].decode(errors='replace') if status != 200 else ''}".strip()

    target.measure("H2", "GET peaks of 6 hours at 384 kHz", peaks)


def h3(target, mixes=50, seconds=180):
    stem = silent_mp3(seconds)
    abusive = target.split("abusive", silence(seconds), stem)
    polite = target.split("polite", silence(seconds + 1), stem)
    own = f"/songs/{polite['id']}/vocals.flac"
    target.measure("H3", "GET vocals.flac alone", lambda: count_statuses([target.ask("GET", own, POLITE)]))
    for method, part in [("HEAD", "drums"), ("GET", "bass")]:
        with concurrent.futures.ThreadPoolExecutor(mixes) as pool:
            def mix(number):
                path = f"/songs/{abusive['id']}/mix.mp3?drums={number / 100 + 0.01}"
                began = time.monotonic()
                answer = target.ask(method, path, ABUSIVE)
                return *answer, time.monotonic() - began

            many = [pool.submit(mix, number) for number in range(mixes)]
            time.sleep(0.5)
            path = f"/songs/{polite['id']}/{part}.flac"
            target.measure("H3", f"GET {part}.flac with {mixes} {method} mix.mp3 of another client",
                           lambda: count_statuses([target.ask("GET", path, POLITE)]))
            target.measure("H3", f"until the {mixes} {method} mix.mp3 complete",
                           lambda: count_statuses([one.result() for one in many]))


CASES = {"h2": h2, "h3": h3}


def start(program, folder, settings):
    environment = os.environ | {"DATA_DIR": str(folder / "data"), "LISTEN_ADDR": "127.0.0.1:0", "WORKER_TOKEN": TOKEN,
                                "RUST_LOG": "error"} | settings
    process = subprocess.Popen([program, "serve", "--no-worker"], env=environment, stdout=subprocess.PIPE, text=True)
    for line in process.stdout:
        if found := re.search(r"listens on http://([\d.]+):(\d+)", line):
            threading.Thread(target=process.stdout.read, daemon=True).start()
            return process, Target(found[1], int(found[2]), TOKEN, process.pid, folder / "data")
    raise SystemExit(f"{program} did not start")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", help="path of vocalizer, to start a server")
    parser.add_argument("--url", help="URL of a running server")
    parser.add_argument("--worker-token-file", type=pathlib.Path, help="file with its worker token, for h3")
    parser.add_argument("--cases", default=",".join(CASES), help="cases to run, separated by commas")
    parser.add_argument("--keep-mb", type=int, default=1000, help="RENDITIONS_MAX_BYTES of the started server, in MB")
    parser.add_argument("--timeout-s", type=int, default=60, help="RENDERING_TIMEOUT_S of the started server")
    args = parser.parse_args()
    cases = args.cases.split(",")
    if unknown := [case for case in cases if case not in CASES]:
        parser.error(f"unknown case {unknown[0]}; cases: {', '.join(CASES)}")
    if (args.program is None) == (args.url is None):
        parser.error("give --program or --url")
    rows = []
    for case in cases:
        if args.url:
            url = urllib.parse.urlsplit(args.url)
            token = args.worker_token_file.read_text().strip() if args.worker_token_file else ""
            target = Target(url.hostname, url.port or 80, token)
            CASES[case](target)
        else:
            settings = {"RENDITIONS_MAX_BYTES": str(args.keep_mb * MB), "RENDERING_TIMEOUT_S": str(args.timeout_s)}
            with tempfile.TemporaryDirectory(prefix="vocalizer-abuse-") as folder:
                process, target = start(args.program, pathlib.Path(folder), settings)
                try:
                    CASES[case](target)
                finally:
                    process.kill()
                    process.wait()
        rows += target.rows
    print("\n| case | step | responses | seconds | CPU s | memory MB | kept MB | most MB |")
    print("|---|---|---|---:|---:|---:|---:|---:|")
    for row in rows:
        print("| " + " | ".join(row) + " |")


if __name__ == "__main__":
    main()
