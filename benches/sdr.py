#!/usr/bin/env python3
"""Scores the demo song with museval, for the tests of `vocalizer evaluate`.

    python3 benches/sdr.py >vocalizer-model/tests/golden/museval.txt

Needs the Python packages museval and soundfile. Takes a minute.

The true stems come from demo/first-light.stems.flac: 16-bit mono at 8 kHz. Two tests build the same signals (`demo_song` in
vocalizer-model/audio/src/evaluation.rs, and examples/tests/cli/evaluate.rs), so the recipe uses whole numbers, full scale 32768:

- left channel: sample i at 44.1 kHz is sample i * 80 // 441 of the file; right channel: half of the left channel, 20 samples later
- estimate of stem k: (7 * stem k + stem k+1) / 8, plus a sixteenth of stem k, 5 samples later
- second 3: the right channel of the true drums is minus the left; second 5: the estimated bass is silent;
  second 7: the estimated vocals are the true vocals

Cases: `four` has the stems drums, bass, other and vocals; `two` has vocals and the sum of the others; `short` is 0.4 s of `four` from
second 10; `longer` and `shorter` are `four` with estimates that are longer and shorter than the stems. One line for each case and stem:
SDR of the whole song in dB as the MDX challenges compute it, median SDR of the frames in dB, frames with an SDR, frames.
"""
import platform
from importlib.metadata import version
from pathlib import Path

import museval
import numpy
import soundfile

RATE_HZ = 44_100
STEMS = ("drums", "bass", "other", "vocals")
DEMO = Path(__file__).resolve().parent.parent / "demo/first-light.stems.flac"


def delayed(samples, by):
    return numpy.concatenate([numpy.zeros_like(samples[:by]), samples[:-by]])


def signals():
    """True and estimated stems: [stem, sample, channel], full scale 1."""
    small, rate_hz = soundfile.read(DEMO, dtype="int16")
    left = small.astype(numpy.int64)[numpy.arange(len(small) * RATE_HZ // rate_hz) * 80 // 441].T
    true = numpy.stack([numpy.stack([one, delayed(one, 20) // 2], axis=1) for one in left])
    estimates = numpy.stack([(7 * one + other) // 8 + delayed(one, 5) // 16 for one, other in zip(true, numpy.roll(true, -1, axis=0))])

    def second(index):
        return slice(index * RATE_HZ, (index + 1) * RATE_HZ)

    true[0, second(3), 1] = -true[0, second(3), 0]
    estimates[1, second(5)] = 0
    estimates[3, second(7)] = true[3, second(7)]
    return true / 32_768, estimates / 32_768


def challenge_sdr(true, estimate):
    """As in the evaluation of the Music Demixing Challenge 2021 and the Sound Demixing Challenge 2023."""
    delta = 1e-7
    return 10 * numpy.log10((numpy.sum(true**2) + delta) / (numpy.sum((true - estimate) ** 2) + delta))


def score(case, names, true, estimates):
    frames_sdr, *_ = museval.evaluate(true, estimates)
    _, fitted = museval.pad_or_truncate(true, estimates)
    for name, reference, estimate, sdrs in zip(names, true, fitted, frames_sdr):
        sdrs = numpy.where(numpy.isinf(sdrs), numpy.nan, sdrs)  # as museval's TrackStore does
        print(f"{case} {name} {challenge_sdr(reference, estimate):.6f} {numpy.nanmedian(sdrs):.6f} {numpy.isfinite(sdrs).sum()} {len(sdrs)}", flush=True)


def main():
    packages = ", ".join(f"{name} {version(name)}" for name in ("museval", "numpy", "scipy", "soundfile"))
    print(f"# benches/sdr.py: {packages}; Python {platform.python_version()}")
    true, estimates = signals()
    score("four", STEMS, true, estimates)
    pair = [numpy.stack([stems[3], stems[:3].sum(axis=0)]) for stems in (true, estimates)]
    score("two", ("vocals", "instrumental"), *pair)
    part = slice(10 * RATE_HZ, 10 * RATE_HZ + 17_640)
    score("short", STEMS, true[:, part], estimates[:, part])
    score("longer", STEMS, true, numpy.concatenate([estimates, estimates[:, :1000]], axis=1))
    score("shorter", STEMS, true, estimates[:, :-70_000])


main()
