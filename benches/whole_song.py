#!/usr/bin/env python3
"""A whole song in each precision, from the start of the program to its end: an MP3 to four WAVs. Speed and peak memory.

    python3 benches/whole_song.py [--minutes 3] [--precision f32 bf16 int16 int8] [--rounds 3] [--threads 2] [--model htdemucs]
                                  [--programs target/release]

Needs cargo, ffmpeg and numpy, and the weights in the cache. The song is the demo song, repeated. The precisions alternate. Seconds are
medians; memory is the largest resident set that the kernel reports at the end (`ru_maxrss`, what `/usr/bin/time -v` prints).
"""
import argparse
import os
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

from machine import describe

ROOT = Path(__file__).resolve().parent.parent


def write_song(path, seconds):
    subprocess.run(["ffmpeg", "-v", "error", "-stream_loop", "-1", "-i", ROOT / "demo/first-light.mp3", "-map", "0:a", "-t", str(seconds),
                    "-b:a", "192k", path], check=True)


def separate(song, precision, options):
    """Seconds, CPU seconds and megabytes of one separation."""
    with tempfile.TemporaryDirectory() as folder:
        command = [options.programs / "vocalizer", "separate", song, "--quiet", "--model", options.model, "--device", "cpu",
                   "--precision", precision, "--threads", str(options.threads), "--format", "wav", "-o", folder]
        start = time.perf_counter()
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        _, status, used = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"error: vocalizer separate --precision {precision} ended with exit code {process.returncode}")
    return seconds, used.ru_utime + used.ru_stime, used.ru_maxrss * 1024 / 1e6


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=3)
    parser.add_argument("--precision", nargs="+", default=["f32", "bf16", "int16", "int8"])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--model", default="htdemucs")
    parser.add_argument("--programs", type=Path, help="folder of vocalizer [default: builds it]")
    options = parser.parse_args()
    if not options.programs:
        options.programs = ROOT / "target/release"
        subprocess.run(["cargo", "build", "--release", "-p", "vocalizer"], cwd=ROOT, check=True)
    runs = {precision: [] for precision in options.precision}
    print(describe(options.programs) + f"; {options.model}")
    with tempfile.TemporaryDirectory() as folder:
        song = Path(folder) / "song.mp3"
        write_song(song, 60 * options.minutes)
        for _ in range(options.rounds):
            for precision, results in runs.items():
                results.append(separate(song, precision, options))
    print(f"\nMP3 of {options.minutes:g} minutes to WAV, {options.threads} threads, {options.rounds} alternating rounds\n")
    print("| precision | seconds | x real time | CPU seconds | peak memory |\n|---|---|---|---|---|")
    for precision, results in runs.items():
        seconds, cpu_seconds, peaks_mb = zip(*results)
        median = statistics.median(seconds)
        print(f"| {precision} | {median:.1f} ({min(seconds):.1f} to {max(seconds):.1f}) | {60 * options.minutes / median:.2f} "
              f"| {statistics.median(cpu_seconds):.1f} | {max(peaks_mb):.0f} MB |")


if __name__ == "__main__":
    main()
