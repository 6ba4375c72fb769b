#!/usr/bin/env python3
"""Splits a WAV file (16 bit, stereo) into one WAV file per stem: split.py LIBRARY MODEL SONG.wav FOLDER

Uses only the standard library: the shared library is called through ctypes.
"""
import array
import ctypes
import sys
import wave
from pathlib import Path

PROGRESS = ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_double, ctypes.c_void_p)
FLOATS = ctypes.POINTER(ctypes.c_float)


def load(library):
    lib = ctypes.CDLL(library)
    lib.vocalizer_error.restype = ctypes.c_char_p
    lib.vocalizer_load.restype = ctypes.c_void_p
    lib.vocalizer_load.argtypes = [ctypes.c_char_p, ctypes.c_char_p]
    lib.vocalizer_free.argtypes = [ctypes.c_void_p]
    lib.vocalizer_stem_count.restype = ctypes.c_size_t
    lib.vocalizer_stem_count.argtypes = [ctypes.c_void_p]
    lib.vocalizer_stem_name.restype = ctypes.c_char_p
    lib.vocalizer_stem_name.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
    lib.vocalizer_split.argtypes = [
        ctypes.c_void_p, FLOATS, ctypes.c_size_t, ctypes.c_uint32, ctypes.POINTER(FLOATS), PROGRESS, ctypes.c_void_p,
    ]
    return lib


def main(library, model_name, song_path, folder):
    lib = load(library)
    model = lib.vocalizer_load(model_name.encode(), None)
    if not model:
        sys.exit(f"cannot load the model: {lib.vocalizer_error().decode()}")
    with wave.open(song_path) as song:
        assert song.getnchannels() == 2 and song.getsampwidth() == 2, "expected 16 bit and two channels"
        rate_hz, frames = song.getframerate(), song.getnframes()
        samples = array.array("f", (value / 32768 for value in array.array("h", song.readframes(frames))))
    count = lib.vocalizer_stem_count(model)
    stems = [(ctypes.c_float * (2 * frames))() for _ in range(count)]
    outputs = (FLOATS * count)(*(ctypes.cast(stem, FLOATS) for stem in stems))
    song = (ctypes.c_float * len(samples)).from_buffer(samples)
    report = PROGRESS(lambda done, _: print(f"{done:.0%}", file=sys.stderr) or 0)
    if lib.vocalizer_split(model, ctypes.cast(song, FLOATS), frames, rate_hz, outputs, report, None) != 0:
        sys.exit(f"cannot split: {lib.vocalizer_error().decode()}")
    Path(folder).mkdir(parents=True, exist_ok=True)
    for index, stem in enumerate(stems):
        name = lib.vocalizer_stem_name(model, index).decode()
        path = Path(folder) / f"{name}.wav"
        with wave.open(str(path), "wb") as out:
            out.setnchannels(2)
            out.setsampwidth(2)
            out.setframerate(rate_hz)
            clipped = (round(max(-1.0, min(1.0, value)) * 32767) for value in stem)
            out.writeframes(array.array("h", clipped).tobytes())
        print(path)
    lib.vocalizer_free(model)


if __name__ == "__main__":
    main(*sys.argv[1:5])
