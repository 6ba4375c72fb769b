#!/usr/bin/env python3
"""What fewer bits lose, on several songs with true stems: signal-to-error ratio against f32, and the change of SDR, per song and stem.

    python3 benches/loss.py [SONG...] [--precision bf16 int16 int8] [--model htdemucs] [--programs target/release] [--songs target/loss]

Needs cargo, ffmpeg and numpy. The songs are the demo song, the mix of the golden tests (without true stems), and nine that songs.py renders
into the folder `--songs`, unless they are there; that needs the packages in demo/README.md and some minutes. SONG is a further file, or a
folder with `mixture.wav` and true stems as `vocalizer evaluate` reads them.

SNR: energy of the f32 result relative to that of the difference, over the whole song. SDR: the same of the true stem and the result. The rows
for f32 have SDR, the others its change. The true stems of the demo song are mono at 8 kHz, and the results are compared at that rate. A true
stem that is silent has no SDR. The exit code is 1 if a precision loses more than is allowed:
bf16 and int16: SNR over all stems at least 45 dB, no SDR changed by more than 0.01 dB; int8: 30 dB, no SDR lower by more than 0.05 dB.
"""
import argparse
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import numpy

from machine import decode, describe
from songs import ROOT, write_songs

# By precision: the least SNR over all stems; the most by which SDR may fall and rise.
LIMITS_DB = {"bf16": (45, 0.01, 0.01), "int16": (45, 0.01, 0.01), "int8": (30, 0.05, float("inf"))}
MONO = "pan=mono|c0=0.5*c0+0.5*c1"


@dataclass
class Song:
    name: str
    mixture: Path
    true_stems: dict = field(default_factory=dict)
    # How results are read for the comparison with the true stems.
    reading: dict = field(default_factory=dict)


def demo_song():
    demo, rate_hz = ROOT / "demo", 8000
    channels = decode(demo / "first-light.stems.flac", rate_hz, channels=4).astype(float)
    return Song("first-light", demo / "first-light.mp3", dict(zip(("drums", "bass", "other", "vocals"), channels.T[..., None])),
                dict(rate_hz=rate_hz, filters=f"{MONO},aresample={rate_hz}", channels=1))


def song(path):
    """A file, or a folder with a mixture and its true stems."""
    if path.is_file():
        return Song(path.stem, path)
    mixture = path / "mixture.wav"
    return Song(path.name, mixture, {file.stem: decode(file).astype(float) for file in sorted(path.glob("*.wav")) if file != mixture})


def separate(program, song, model, precision, folder):
    """Separates a song, and returns its stems `[frames, 2]` and its SDR per true stem."""
    subprocess.run([program, "separate", song.mixture, "--quiet", "--model", model, "--device", "cpu", "--precision", precision,
                    "--format", "wavf32", "--clip", "none", "--rate", "source", "-o", folder, "--out-template", "{stem}.{ext}"],
                   check=True, stdout=subprocess.DEVNULL)
    files = {file.stem: file for file in sorted(folder.glob("*.wav"))}
    sdrs_db = {stem: ratio_db(truth, decode(files[stem], **song.reading)) for stem, truth in song.true_stems.items()
               if stem in files and truth.any()}
    return {stem: decode(file) for stem, file in files.items()}, sdrs_db


def energies(expected, found):
    """The energies of a signal and of what differs from it."""
    frames = min(len(expected), len(found))
    expected, found = expected[:frames].astype(float), found[:frames].astype(float)
    return numpy.array([(expected ** 2).sum(), ((found - expected) ** 2).sum()])


def decibels(signal, error):
    return 10 * numpy.log10(signal / error) if error else float("inf")


def ratio_db(expected, found):
    return decibels(*energies(expected, found))


def exceeded(precision, snr_db, changes_db):
    """The limits that a song exceeds."""
    least_db, fall_db, rise_db = LIMITS_DB[precision]
    if not snr_db >= least_db:
        yield f"SNR {snr_db:.1f} dB, at least {least_db} dB is required"
    for stem, change_db in changes_db.items():
        if not -fall_db <= change_db <= rise_db:
            yield f"SDR of {stem} changes by {change_db:+.4f} dB, {fall_db} dB is allowed"


def row(cells, digits):
    return " | ".join("" if cell is None else f"{cell:{digits}f}" for cell in cells)


def compare(song, options, worst):
    """Prints the rows of a song, and returns the limits that it exceeds."""
    problems = []
    with tempfile.TemporaryDirectory() as folder:
        results, sdrs_db = separate(options.programs / "vocalizer", song, options.model, "f32", Path(folder) / "f32")
        stems = list(results)
        if not worst:
            print(f"| song | precision | SNR, all stems | {' | '.join(f'SNR, {stem}' for stem in stems)} "
                  f"| {' | '.join(f'SDR, {stem}' for stem in stems)} |\n|---|---|{'---:|' * (1 + 2 * len(stems))}")
        print(f"| {song.name} | f32 | | {row([None] * len(stems), '')} | {row(map(sdrs_db.get, stems), '.2')} |")
        for precision in options.precision:
            others, other_sdrs_db = separate(options.programs / "vocalizer", song, options.model, precision, Path(folder) / precision)
            parts = {stem: energies(results[stem], others[stem]) for stem in stems}
            snr_db = decibels(*sum(parts.values()))
            snrs_db = {stem: decibels(*part) for stem, part in parts.items()}
            changes_db = {stem: other_sdrs_db[stem] - before for stem, before in sdrs_db.items()}
            print(f"| {song.name} | {precision} | {snr_db:.1f} | {row(snrs_db.values(), '.1')} "
                  f"| {row(map(changes_db.get, stems), '+.4')} |", flush=True)
            problems += [f"{song.name}, {precision}: {problem}" for problem in exceeded(precision, snr_db, changes_db)]
            worst.setdefault(precision, []).append((snr_db, changes_db.values()))
    return problems


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("more", nargs="*", type=Path, metavar="SONG")
    parser.add_argument("--precision", nargs="+", default=list(LIMITS_DB), choices=list(LIMITS_DB))
    parser.add_argument("--model", default="htdemucs")
    parser.add_argument("--programs", type=Path, help="folder of vocalizer [default: builds it]")
    parser.add_argument("--songs", type=Path, default=ROOT / "target/loss", help="folder of the rendered songs")
    options = parser.parse_args()
    if not options.programs:
        options.programs = ROOT / "target/release"
        subprocess.run(["cargo", "build", "--release", "-p", "vocalizer"], cwd=ROOT, check=True)
    golden = Song("golden mix", ROOT / "vocalizer-model/tests/golden/mix.flac")
    songs = [demo_song(), golden, *map(song, [*write_songs(options.songs), *options.more])]
    print(describe(options.programs, ["numpy"]) + f"; {options.model}\n", flush=True)
    worst = {}
    problems = [problem for one in songs for problem in compare(one, options, worst)]
    print()
    for precision, found in worst.items():
        changes_db = [change_db for _, changes in found for change_db in changes]
        print(f"{precision}, {len(found)} songs: SNR at least {min(snr_db for snr_db, _ in found):.1f} dB, "
              f"SDR changed by {min(changes_db):+.4f} to {max(changes_db):+.4f} dB")
    print("\n".join(["", *problems]) if problems else "No limit is exceeded.")
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
