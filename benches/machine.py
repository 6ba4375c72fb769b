"""What the benchmarks in Python share: the description of the machine, and decoded audio."""
import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy

# Instructions that decide which precision is fast.
FLAGS = ["avx2", "avx512f", "avx_vnni", "avx512_vnni", "avx512_bf16", "avx512_fp16", "amx_tile", "amx_bf16", "amx_int8"]


def installed(package):
    try:
        return f"{package} {version(package)}"
    except PackageNotFoundError:
        return f"no {package}"


def describe(programs, packages=()):
    """One line: the processor, its instructions, and the versions of the program and of packages."""
    lines = Path("/proc/cpuinfo").read_text().partition("\n\n")[0].splitlines()
    cpu = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
    flags = cpu.get("flags", "").split()
    has, lacks = (" ".join(flag for flag in FLAGS if (flag in flags) == wanted) for wanted in (True, False))
    program = subprocess.run([programs / "vocalizer", "--version"], check=True, capture_output=True, text=True).stdout.strip()
    versions = ", ".join([program, f"Python {platform.python_version()}", *map(installed, packages)])
    return (f"{cpu.get('model name', platform.machine())} (family {cpu.get('cpu family')}, model {cpu.get('model')}), "
            f"{os.cpu_count()} CPUs; has {has}; lacks {lacks}; {versions}")


def decode(path, rate_hz=44100, filters="anull", channels=2, start_s=0):
    """The samples of a file with so many channels, as 32-bit floats: `[frames, channels]`."""
    samples = subprocess.run(["ffmpeg", "-v", "error", "-ss", str(start_s), "-i", path, "-af", filters, "-f", "f32le",
                              "-ar", str(rate_hz), "-"], check=True, stdout=subprocess.PIPE).stdout
    return numpy.frombuffer(samples, numpy.float32).reshape(-1, channels)
