"""What a file of the format zoo is, how it is made and what is expected of it."""

import collections
import dataclasses
import functools
import os
import re
import tempfile
import threading
from pathlib import Path
from typing import Callable

import media

# The WAV masks that numbers of channels usually have.
USUAL = {3: 0x7, 4: 0x33, 5: 0x37, 6: 0x3F, 7: 0x70F, 8: 0x63F}
# Decoders of lossless codecs differ by the rounding of floats at most.
EXACT = 140
LOCK = threading.Lock()
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", "target")).resolve()
SCRATCH = tempfile.TemporaryDirectory()

Decoded = collections.namedtuple("Decoded", "samples rate channels")


@dataclasses.dataclass
class Case:
    name: str
    container: str
    codec: str
    # Writes the file.
    make: Callable
    extension: str
    # The programs that it takes.
    tools: frozenset = frozenset()
    # The least signal-to-noise ratio against ffmpeg in dB.
    db: float = EXACT
    # How many frames more than ffmpeg, which `why` explains.
    extra: int = 0
    # The exact number of frames, where ffmpeg's differs by more or less from version to version.
    length: int | None = None
    # The reason for a difference, or for another reference than ffmpeg.
    why: str = ""
    # Frames at the start that are not compared, as `why` explains.
    skip: int = 0
    # A part of the message that refuses the file.
    refused: str = ""
    # The codes of the expected warnings.
    warns: tuple = ()
    # The names of the tags that must be read.
    tags: str = ""
    track: int | None = None
    # Where ffmpeg must be told another one.
    ffmpeg_track: int | None = None
    # Options of ffmpeg's decoder.
    ffmpeg: tuple = ()
    # The positions of the channels as a WAV mask, where ffmpeg assumes others.
    mask: int | None = None
    # The bit of each channel's position, where several channels have one.
    positions: tuple | None = None
    # The reference is these files, decoded by ffmpeg one after the other, without the first `drop` frames.
    like: tuple = ()
    drop: int = 0
    # Returns what is decoded, where ffmpeg is no reference.
    truth: Callable | None = None


def frames_of(rate):
    # No multiple of any block size.
    return int(rate * 0.4) + 11


@functools.cache
def source(rate=44_100, channels=2, frames=None, bits=64, mask=None):
    """Writes the test signal as WAV: floats of 64 bits, or integers of 16 or 24."""
    samples = media.signal(rate, channels, frames_of(rate) if frames is None else frames)
    if bits == 64:
        data = media.floats(samples, 64)
    else:
        data = media.integers(samples, bits)
    if channels > 2 and bits != 64:
        # The flac program insists on the positions.
        mask = mask or USUAL[channels]
    fmt = media.wav_fmt(3 if bits == 64 else 1, channels, rate, bits, mask)
    path = Path(SCRATCH.name, f"{rate}-{channels}-{len(samples)}-{bits}-{mask}.wav")
    path.write_bytes(media.wav(fmt, data))
    return path


def source_of(*arguments, **named):
    with LOCK:
        return source(*arguments, **named)


@functools.cache
def cover():
    path = Path(SCRATCH.name, "cover.png")
    path.write_bytes(media.png())
    return path


def encoded(container, codec, extension, *options, rate=44_100, channels=2, frames=None, mask=None, name=None, fmt=None, inputs=(), **expected):
    """A file that ffmpeg makes of the test signal."""
    # Options that name the container come last.
    muxer = ("-f", fmt) if fmt else ()

    def make(path):
        song = source_of(rate, channels, frames, mask=mask)
        media.ffmpeg("-i", song, *inputs, "-c:a", codec, *options, *muxer, path)

    name = name or f"{container}-{codec.removeprefix('pcm_')}-{rate}-{channels}"
    return Case(name, container, codec, make, extension, frozenset({"ffmpeg"}), **expected)


def tool(container, codec, extension, program, *command, rate=44_100, channels=2, frames=None, bits=16, mask=None, name, uses=(), **expected):
    """A file that another program makes of the test signal: IN and OUT in the command stand for the paths."""

    def make(path):
        song = source_of(rate, channels, frames, bits, mask)
        places = {"IN": song, "OUT": path, "COVER": cover()}
        command_line = [re.sub("IN$|OUT$|COVER$", lambda found: str(places[found[0]]), str(part)) for part in command]
        media.run(program, *command_line)

    return Case(name, container, codec, make, extension, frozenset({program, *uses, "ffmpeg"}), **expected)


def made(name, container, codec, extension, build, **expected):
    """A hand-made file, whose bytes `build` returns."""
    return Case(name, container, codec, lambda path: path.write_bytes(build()), extension, **expected)


def derived(base, name, change, **expected):
    """A file that consists of the bytes of another one, changed."""

    def make(path):
        base.make(path)
        path.write_bytes(change(path.read_bytes()))

    kept = {field: getattr(base, field) for field in ("db", "extra", "length", "why", "skip", "warns", "ffmpeg", "truth", "like", "drop", "mask", "positions")}
    return Case(name, base.container, base.codec, make, base.extension, base.tools, **(kept | expected))
