"""Songs with true stems for loss.py: the notes of the demo song (demo/song.py) in other keys, tempi, instruments and densities."""
import functools
import multiprocessing
import re
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from types import SimpleNamespace

import numpy

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "demo"))
import render  # noqa: E402
import song  # noqa: E402

RATE_HZ = render.RATE
# The last chord of the demo song ends after so many beats.
BEATS = song.SECONDS / song.BEAT
DENSE = {song.KICK: "9.7.9.7.9.7.9.77", song.SNARE: "..3.9.33..3.9.46", song.HAT: "7565756575657565", song.RIDE: "6.6.6.6.6.6.6.6."}
SPARSE = {song.KICK: "8...............", song.SNARE: "........6......."}


@dataclass
class Recipe:
    """How a song differs from the demo song."""
    semitones: int
    bpm: float
    seed: int
    # General MIDI programs of bass, piano, guitar, strings and bells; None leaves a part out.
    programs: tuple = (33, 0, 25, 48, 11)
    bars: dict | None = None
    balance: dict = field(default_factory=dict)
    stems: tuple = render.STEMS
    # Gender, and formants relative to the demo song's.
    singer: tuple = ("female", 1)
    # Changes of the rendered stems, which the mixture gets too.
    gain_db: float = 0
    noise_db: float | None = None
    mono: bool = False


SONGS = {
    "slow": Recipe(-4, 72, 1, (32, 4, 24, 49, 88), SPARSE),
    "dense": Recipe(3, 126, 2, (34, 1, 29, 61, 80), DENSE, {"drums": 1, "other": 0, "bass": -1}),
    "low-voice": Recipe(-7, 88, 3, (36, 16, 27, 52, None), None, {"vocals": 2}, singer=("male", 0.86)),
    "quiet": Recipe(2, 96, 4, (33, 2, 26, 50, 13), gain_db=-40),
    "clipped": Recipe(-2, 112, 5, (38, 5, 30, 62, 81), DENSE, gain_db=9),
    "noise": Recipe(-1, 100, 6, (35, 6, 25, None, 10), noise_db=-22),
    "mono": Recipe(-5, 80, 7, (33, 0, None, 48, 73), mono=True),
    "drums-only": Recipe(0, 92, 8, bars=DENSE, stems=("drums",)),
    "voice-only": Recipe(1, 76, 9, stems=("vocals",)),
}


def apply(recipe):
    """Changes the modules of the demo song; for a process of its own."""
    pitch = song.pitch
    song.pitch = lambda name: pitch(name) + recipe.semitones
    render.BPM, render.BEAT = recipe.bpm, 60 / recipe.bpm
    render.FRAMES = int(RATE_HZ * BEATS * render.BEAT)
    render.BALANCE = {**render.BALANCE, **recipe.balance}
    render.random = SimpleNamespace(Random=lambda number: Random(1000 * recipe.seed + number))
    gender, size = recipe.singer
    render.VOICE = re.sub(r"(?m)^(formant \d) (\d+)", lambda line: f"{line[1]} {size * int(line[2]):.0f}", render.VOICE)
    render.VOICE = render.VOICE.replace("female", gender)
    if recipe.bars:
        song.BARS = [recipe.bars if bar in (song.VERSE, song.LIFT) else bar for bar in song.BARS]
    programs = iter(recipe.programs)
    for stem in ("bass", "other"):
        parts = [(*part[:2], next(programs), *part[3:]) for part in song.PARTS[stem]]
        song.PARTS[stem] = [part for part in parts if part[2] is not None]


def stems_of(recipe):
    """The true stems `[frames, 2]` as 64-bit floats."""
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        rendered = {stem: render.vocals(work) if stem == "vocals" else render.play(stem, work) for stem in recipe.stems}
    stems = {stem: numpy.array(samples).reshape(-1, 2) / 32768 for stem, samples in render.levelled(rendered).items()}
    if recipe.noise_db is not None:
        noise = numpy.random.default_rng(recipe.seed).standard_normal((render.FRAMES, 2))
        stems["other"] = stems["other"] + 10 ** (recipe.noise_db / 20) * noise
    if recipe.mono:
        stems = {stem: samples.mean(1, keepdims=True).repeat(2, 1) for stem, samples in stems.items()}
    return {stem: 10 ** (recipe.gain_db / 20) * samples for stem, samples in stems.items()}


def write_wav(path, samples):
    render.ffmpeg(*render.raw(samples.shape[1]), "-i", "-", "-c:a", "pcm_f32le", path, data=samples.astype(numpy.float32).tobytes())


def write_song(folder, name):
    """Renders a song: `mixture.wav` and its true stems, as `vocalizer evaluate` reads them. The mixture is cut at full scale."""
    recipe = SONGS[name]
    apply(recipe)
    stems = stems_of(recipe)
    place = folder / name
    place.mkdir(parents=True, exist_ok=True)
    for stem, samples in stems.items():
        write_wav(place / f"{stem}.wav", samples)
    mixture = sum(stems.values()).clip(-1, 1)
    part = place / "part.wav"
    write_wav(part, mixture[:, :1] if recipe.mono else mixture)
    part.rename(place / "mixture.wav")
    return name


def write_songs(folder, names=tuple(SONGS)):
    """Renders the songs that are missing in the folder, and returns the folder of each."""
    missing = [name for name in names if not (folder / name / "mixture.wav").exists()]
    if missing:
        render.check_packages()
        with multiprocessing.Pool(maxtasksperchild=1) as pool:
            for name in pool.imap(functools.partial(write_song, folder), missing, chunksize=1):
                print(f"rendered {folder / name}", flush=True)
    return [folder / name for name in names]
