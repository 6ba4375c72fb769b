#!/usr/bin/env python3
"""How often tempo and key of a song are found: the demo song, rendered at 10 tempi and in 24 keys.

    apt-get install fluidsynth fluid-soundfont-gm espeak-ng ffmpeg
    python3 benches/analysis.py [--voice] [--songs DIR]

Renders what is missing in DIR (default: target/demo/variants) and prints a table for benches/README.md. Without --voice, drums, bass and the other
instruments play, which takes seconds for each of 33 songs; with it, a minute or more.
"""
import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

sys.dont_write_bytecode = True  # keeps __pycache__ out of the source tree
ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "demo"))
import render  # noqa: E402
import song  # noqa: E402

GAINS = {"drums": 1.0, "bass": 1.0, "other": 1.6}
TEMPI = (60, 72, 84, 96, 104, 116, 128, 140, 160, 180)
TONICS = ("A", "A#", "B", "C", "C#", "D", "D#", "E", "F", "F#", "G", "G#")
BPM = 104


def songs(folder):
    """(file, key, BPM, semitones, whether in minor); transposed by at most half an octave."""
    for bpm in TEMPI:
        yield folder / f"{bpm}.wav", "A", bpm, 0, False
    for minor in (False, True):
        for step, tonic in enumerate(TONICS):
            key = tonic + "m" * minor
            if key != "A":
                semitones = step if step < 6 else step - 12
                yield folder / f"{key}.wav", key, BPM, semitones, minor


def instruments(file, bpm, semitones, minor):
    """Drums, bass and other, as render.py plays them."""
    song.change(bpm, semitones, minor)
    with tempfile.TemporaryDirectory() as folder:
        inputs, filters = [], []
        for at, (stem, gain) in enumerate(GAINS.items()):
            midi, wav = Path(folder, f"{stem}.mid"), Path(folder, f"{stem}.wav")
            midi.write_bytes(render.midi_file(song.PARTS[stem]))
            subprocess.run(["fluidsynth", "-niq", "-r", "44100", "-O", "float", "-T", "wav", "-g", "0.4", "-o", "synth.reverb.room-size=0.5",
                            "-o", "synth.reverb.level=0.5", "-F", wav, render.SOUNDFONT, midi], check=True, stdout=subprocess.DEVNULL)
            inputs += ["-i", wav]
            filters.append(f"[{at}]{render.EFFECTS[stem]},volume={gain}[{stem}]")
        mix = "".join(f"[{stem}]" for stem in GAINS) + "amix=inputs=3:normalize=0,alimiter=limit=0.8"
        subprocess.run(["ffmpeg", "-v", "error", "-y", *inputs, "-filter_complex", ";".join([*filters, mix]), "-ar", "44100",
                        "-t", str(song.SECONDS), "-f", "wav", file], check=True)


def with_voice(file, bpm, semitones, minor):
    options = ["--bpm", str(bpm), "--semitones", str(semitones), *["--minor"] * minor]
    subprocess.run([sys.executable, ROOT / "demo/render.py", "--mixture", file, *options], check=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--songs", type=Path, default=ROOT / "target/demo/variants", metavar="DIR")
    parser.add_argument("--voice", action="store_true", help="sing, too")
    options = parser.parse_args()
    render.check_packages()
    folder = options.songs / ("sung" if options.voice else "played")
    folder.mkdir(parents=True, exist_ok=True)
    known = {}
    for file, key, bpm, semitones, minor in songs(folder):
        if not file.exists():
            print(f"rendering {file.name}", file=sys.stderr)
            part = file.with_suffix(".part")
            (with_voice if options.voice else instruments)(part, bpm, semitones, minor)
            part.rename(file)
        known[str(file)] = (bpm, key)
    example = ["cargo", "run", "--quiet", "-p", "vocalizer-audio", "--example", "analyse", "--"]
    out = subprocess.run([*example, *known], cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout
    exact = octave = right = late = 0
    print("| song | tempo found | confidence | first beat, ms | key found | confidence |\n|---|---:|---:|---:|---|---:|")
    for line in out.splitlines():
        bpm, sure, first, key, key_sure, file = line.split("\t")
        true_bpm, true_key = known[file]
        found = float(bpm) if bpm != "-" else 0.0
        exact += abs(found / true_bpm - 1) < 0.005
        octave += any(abs(found / true_bpm / factor - 1) < 0.005 for factor in (0.5, 1, 2))
        right += key == true_key
        # Beats are at multiples of the period.
        if first != "-":
            period = 60_000 / true_bpm
            late = max(late, abs((float(first) + period / 2) % period - period / 2))
        print(f"| {true_bpm} BPM, {true_key} | {bpm} | {sure} | {first} | {key} | {key_sure} |")
    count = len(known)
    print(f"\ntempo exact: {exact} of {count}, up to an octave: {octave}; key: {right}; first beat: at most {late:.0f} ms from a beat")


if __name__ == "__main__":
    main()
