"""The format zoo: decodes many small files with Vocalizer and with ffmpeg and compares the results.

    .ci/zoo              all files; needs ffmpeg, flac, lame, sox, mkvtoolnix, vorbis-tools, opus-tools
    .ci/zoo --tenth      every tenth of the files that need only ffmpeg
    .ci/zoo NAME...      the files whose names contain one of these texts
    --keep FOLDER        leaves the files in a folder
    --failed             prints only the rows that are not ok

The table has a row for each file. A result is "ok" if the numbers of frames agree or differ by the documented number, the lag is 0,
the signal-to-noise ratio against ffmpeg reaches the file's threshold, the warnings and tags are the expected ones, and a file that
Vocalizer does not read is refused by the expected message. Anything else is "DIFFERS", and the exit code is 1.
"""

import argparse
import collections
import concurrent.futures
import math
import os
import shutil
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

import compressed
import lossless
import media
import numpy as np
import oddities
from case import TARGET, USUAL, Decoded
from media import ID3_ALBUM, ID3_ARTIST, ID3_TITLE, png

DECODE = Path(os.environ.get("VOCALIZER_DECODE", TARGET / "debug/examples/decode"))


def ours(path, track):
    command = [DECODE, path] + ([str(track)] if track else [])
    done = subprocess.run(command, capture_output=True)
    facts = collections.defaultdict(list)
    for line in done.stderr.decode(errors="replace").splitlines():
        name, _, value = line.partition("\t")
        facts[name].append(value)
    if done.returncode not in (0, 1) or (done.returncode == 1 and "error" not in facts):
        raise RuntimeError(f"exit code {done.returncode}: {done.stderr.decode(errors='replace')[-300:]}")
    samples = np.frombuffer(done.stdout, "<f4").reshape(-1, 2).astype("f8")
    return samples, facts


def theirs(path, track, case):
    """Decodes with ffmpeg and mixes down as Vocalizer does."""
    command = [
        "ffmpeg",
        "-v",
        "error",
        "-nostdin",
        *case.ffmpeg,
        "-i",
        path,
        "-map",
        f"0:a:{(track or 1) - 1}",
        "-c:a",
        "pcm_f32le",
        "-f",
        "wav",
        "-",
    ]
    wav = subprocess.run(command, capture_output=True).stdout
    at, fmt = 12, b""
    while at + 8 <= len(wav) and wav[at : at + 4] != b"data":
        size = struct.unpack_from("<I", wav, at + 4)[0]
        fmt = wav[at + 8 : at + 8 + size] if wav[at : at + 4] == b"fmt " else fmt
        at += 8 + size + size % 2
    if not fmt:
        return None
    tag, channels, rate = struct.unpack_from("<HHI", fmt)
    mask = case.mask or (struct.unpack_from("<I", fmt, 20)[0] if tag == 0xFFFE else 0)
    samples = np.frombuffer(wav[at + 8 :][: (len(wav) - at - 8) // (4 * channels) * 4 * channels], "<f4").reshape(-1, channels).astype("f8")
    if channels > 2 and mask.bit_count() != channels:
        mask = USUAL[channels]
    return Decoded(media.mixed(samples, case.positions or [bit for bit in range(18) if mask >> bit & 1]), rate, channels)


def lag_of(reference, samples):
    """Returns by how many frames the samples come late."""
    size = min(len(reference), len(samples))
    if size == 0 or not reference.any() or not samples.any():
        return 0
    padded = 1 << (2 * size - 1).bit_length()
    spectra = [np.fft.rfft(part[:size].mean(axis=1), padded) for part in (samples, reference)]
    correlation = np.fft.irfft(spectra[0] * spectra[1].conj(), padded)
    best = int(np.argmax(np.abs(correlation)))
    return best if best < padded // 2 else best - padded


def snr_of(reference, samples):
    """Returns the signal-to-noise ratio in dB; infinite if the samples are equal."""
    size = min(len(reference), len(samples))
    signal, noise = (reference[:size] ** 2).sum(), ((reference[:size] - samples[:size]) ** 2).sum()
    if noise == 0:
        return math.inf
    return 10 * math.log10(signal / noise) if signal else -math.inf


def check(case, folder):
    """Returns the row of a case."""
    path = folder / (case.name + "." + case.extension)
    case.make(path)
    samples, facts = ours(path, case.track)
    wrong, row = [], {"file": path.name, "container": case.container, "codec": case.codec}
    if case.refused:
        message = (facts.get("error") or ["decoded"])[0]
        row |= {"rate": "", "channels": "", "ours": "refused" if "error" in facts else len(samples), "reason": message}
        if "error" not in facts or case.refused not in message:
            wrong.append(f'expected a refusal with "{case.refused}"')
    elif "error" in facts:
        row |= {"ours": "refused"}
        wrong.append(facts["error"][0])
    else:
        row |= {"rate": int(facts["rate"][0]), "channels": int(facts["channels"][0]), "ours": len(samples), "reason": case.why}
    if "error" not in facts and not case.refused:
        reference = reference_of(case, path)
        if reference is None:
            wrong.append("ffmpeg decodes nothing")
        else:
            compare(case, reference, samples, facts, row, wrong)
        wrong += tags_of(case, facts)
        warnings = tuple(facts.get("warning", ()))
        if warnings != case.warns:
            wrong.append(f"warnings {', '.join(warnings) or 'none'}; expected {', '.join(case.warns) or 'none'}")
    row["result"] = "DIFFERS" if wrong else "ok"
    if wrong:
        row["reason"] = "; ".join(wrong)
    return row


def reference_of(case, path):
    if case.truth is not None:
        return case.truth()
    parts = []
    for n, other in enumerate(case.like):
        part = path.with_name(f"{path.stem}.like-{n}.{other.extension}")
        other.make(part)
        parts.append(theirs(part, None, case))
        part.unlink()
    if not case.like:
        parts = [theirs(path, case.ffmpeg_track or case.track, case)]
    if any(part is None for part in parts):
        return None
    return Decoded(np.concatenate([part.samples for part in parts])[case.drop :], parts[0].rate, parts[0].channels)


def compare(case, reference, samples, facts, row, wrong):
    row["theirs"] = len(reference.samples)
    row["lag"] = lag_of(reference.samples[case.skip :], samples[case.skip :])
    row["snr"] = snr_of(reference.samples[case.skip :], samples[case.skip :])
    stated = (int(facts["rate"][0]), int(facts["channels"][0]))
    if stated != (reference.rate, reference.channels):
        wrong.append(f"{stated[0]} Hz and {stated[1]} channels; expected {reference.rate} and {reference.channels}")
    if case.length is not None:
        if len(samples) != case.length:
            wrong.append(f"{len(samples)} frames; expected {case.length}")
    elif len(samples) - len(reference.samples) != case.extra:
        wrong.append(f"{len(samples) - len(reference.samples):+} frames; expected {case.extra:+}")
    if row["lag"]:
        wrong.append(f"lag {row['lag']}")
    if row["snr"] < case.db:
        wrong.append(f"{row['snr']:.1f} dB; expected {case.db}")


def tags_of(case, facts):
    expected = {"title": ID3_TITLE, "artist": ID3_ARTIST, "album": ID3_ALBUM, "cover": f"image/png {len(png())}"}
    return [
        f"{name} {facts.get(name, ['missing'])[0]!r}; expected {expected[name]!r}"
        for name in case.tags.split()
        if facts.get(name) != [expected[name]]
    ]


def attempt(case, folder):
    try:
        return check(case, folder)
    except Exception as error:
        return {"file": case.name, "container": case.container, "codec": case.codec, "result": "DIFFERS", "reason": str(error)}


COLUMNS = {"file": 34, "container": 9, "codec": 14, "rate": 6, "channels": 2, "ours": 7, "theirs": 7, "lag": 4, "snr": 6, "result": 7}
HEADS = {"channels": "ch", "theirs": "ffmpeg", "snr": "SNR dB"}


def line(row):
    snr = row.get("snr", "")
    row = row | {"snr": "equal" if snr == math.inf else f"{snr:.1f}" if snr != "" else ""}
    cells = [f"{row.get(name, ''):>{width}}" if width < 9 else f"{row.get(name, ''):<{width}}" for name, width in COLUMNS.items()]
    return "| " + " | ".join(cells) + f" | {row.get('reason', '')} |"


def main():
    parser = argparse.ArgumentParser(prog=".ci/zoo", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--tenth", action="store_true")
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--failed", action="store_true")
    options = parser.parse_args()
    cases = lossless.cases() + compressed.cases() + oddities.cases()
    doubled = [name for name, count in collections.Counter(case.name for case in cases).items() if count > 1]
    if doubled:
        sys.exit(f"two files with the same name: {', '.join(doubled)}")
    if options.tenth:
        cases = [case for case in cases if case.tools <= {"ffmpeg"}][::10]
    elif options.names:
        cases = [case for case in cases if any(name in case.name for name in options.names)]
    if not os.access(DECODE, os.X_OK):
        sys.exit(f"{DECODE} is missing; build it with: cargo build -p vocalizer-audio --example decode")
    missing = {tool for case in cases for tool in case.tools if not shutil.which(tool)}
    if missing:
        sys.exit(
            f"missing programs: {', '.join(sorted(missing))}; on Debian or Ubuntu, run as root:\n"
            "  apt-get install --no-install-recommends ffmpeg flac lame sox mkvtoolnix vorbis-tools opus-tools"
        )
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.keep or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            rows = list(pool.map(lambda case: attempt(case, folder), cases))
    print(
        line({name: HEADS.get(name, name) for name in COLUMNS} | {"snr": "", "reason": "reason or message"}).replace(
            "|        | result", "| SNR dB | result"
        )
    )
    print("|" + "|".join("-" * (width + 1) + (":" if width < 9 else "-") for width in COLUMNS.values()) + "|---|")
    for row in rows:
        if row["result"] != "ok" or not options.failed:
            print(line(row))
    counts = collections.Counter("refused" if row.get("ours") == "refused" else "decoded" for row in rows if row["result"] == "ok")
    wrong = sum(row["result"] != "ok" for row in rows)
    reasoned = sum(bool(case.why) for case in cases)
    print(
        f"\n{len(rows)} files: {counts['decoded']} decoded alike ({reasoned} with a documented difference), "
        f"{counts['refused']} refused as expected, {wrong} different"
    )
    return 1 if wrong or not rows else 0


if __name__ == "__main__":
    sys.exit(main())
