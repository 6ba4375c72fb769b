"""Test signals, tools, and hand-made files of the format zoo."""

import math
import struct
import subprocess
import zlib

import numpy as np

ID3_TITLE, ID3_ARTIST, ID3_ALBUM = "Zoo — Ж", "A & B", "Formats"
PCM_GUID = bytes.fromhex("000000001000800000aa00389b71")


def signal(rate, channels, frames):
    """Chords and noise, different in each channel, as float64 with a peak of about 0.6."""
    time = np.arange(frames) / rate
    noise = np.random.default_rng(17)
    columns = []
    for channel in range(channels):
        # The tones stay below half the rate, and no two channels have the same.
        tones = [rate * share * (1 + 0.07 * channel) for share in (0.006, 0.021, 0.055, 0.11)]
        tone = sum(math.pow(0.6, n) * np.sin(2 * np.pi * hz * time + n + channel) for n, hz in enumerate(tones))
        beat = 0.4 + 0.6 * np.exp(-6 * (time * 4 % 1))
        columns.append(0.22 * tone * beat + 0.03 * noise.standard_normal(frames))
    return np.stack(columns, axis=1) if frames else np.zeros((0, channels))


# Weights of the positions, by their bit in a WAV mask (ITU-R BS.775; the LFE is dropped).
SURROUND = math.sqrt(0.5)
GAINS = [(1, 0), (0, 1), (SURROUND, SURROUND), (0, 0), (SURROUND, 0), (0, SURROUND), (1, 0), (0, 1), (0.5, 0.5), (SURROUND, 0), (0, SURROUND)]


def mixed(samples, positions):
    """Mixes down to stereo as Vocalizer does."""
    channels = samples.shape[1]
    if channels < 3:
        return np.repeat(samples, 2, axis=1) if channels == 1 else samples
    gains = np.array([GAINS[position] for position in positions])
    return samples @ (gains / gains.sum(axis=0).max())


def run(*command, stdin=None):
    """Runs a tool and returns what it writes to standard output."""
    done = subprocess.run([str(part) for part in command], input=stdin or b"", capture_output=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(map(str, command))}: {done.stderr.decode(errors='replace')[-600:]}")
    return done.stdout


def ffmpeg(*arguments):
    # Bit-exact output does not depend on versions, dates and random numbers.
    *options, output = arguments
    run("ffmpeg", "-v", "error", "-y", *options, "-map_metadata", "0", "-fflags", "+bitexact", "-flags:a", "+bitexact", output)


def integers(samples, bits, big=False, signed=True):
    """Integer PCM of `bits` bits."""
    scaled = np.clip(np.round(samples * 2.0 ** (bits - 1)), -(2.0 ** (bits - 1)), 2.0 ** (bits - 1) - 1).astype("<i8")
    if not signed:
        scaled += 1 << (bits - 1)
    width = (bits + 7) // 8
    # Samples that do not fill their bytes are in the high bits.
    scaled <<= width * 8 - bits
    octets = scaled.reshape(-1, 1).view("u1").reshape(-1, 8)[:, :width]
    return (octets[:, ::-1] if big else octets).tobytes()


def floats(samples, bits=32, big=False):
    return samples.astype(f"{'>' if big else '<'}f{bits // 8}").tobytes()


def chunk(name, body, size=None, big=False, pad=True):
    size = len(body) if size is None else size
    return name + struct.pack(">I" if big else "<I", size) + body + b"\0" * (len(body) % 2 if pad else 0)


def wav_fmt(tag, channels, rate, bits, mask=None, valid=None, block=None, extra=b""):
    block = block or channels * ((bits + 7) // 8)
    head = struct.pack("<HHIIHH", 0xFFFE if mask is not None else tag, channels, rate, rate * block, block, bits)
    if mask is not None:
        extra = struct.pack("<HI", valid or bits, mask) + struct.pack("<H", tag) + PCM_GUID
    return head + (struct.pack("<H", len(extra)) + extra if extra else b"")


def wav(fmt, data, before=b"", after=b"", riff_size=None, data_size=None, data_pad=True, riff=b"RIFF"):
    """A WAV file; sizes that are None are right."""
    body = b"WAVE" + chunk(b"fmt ", fmt) + before + chunk(b"data", data, data_size, pad=data_pad) + after
    return riff + struct.pack("<I", len(body) if riff_size is None else riff_size) + body


def rifx(channels, rate, bits, data):
    block = channels * bits // 8
    fmt = struct.pack(">HHIIHH", 1, channels, rate, rate * block, block, bits)
    body = b"WAVE" + chunk(b"fmt ", fmt, big=True) + chunk(b"data", data, big=True)
    return b"RIFX" + struct.pack(">I", len(body)) + body


def rf64(fmt, data, frames, riff=b"RF64"):
    ds64 = struct.pack("<QQQI", 0, len(data), frames, 0)
    body = b"WAVE" + chunk(b"ds64", ds64) + chunk(b"fmt ", fmt) + chunk(b"data", data, 0xFFFFFFFF)
    return riff + b"\xff\xff\xff\xff" + body


def extended(rate):
    """The 80-bit float of AIFF."""
    exponent = rate.bit_length() - 1
    return struct.pack(">HQ", 16383 + exponent, rate << (63 - exponent))


def aiff(channels, rate, bits, data, frames, kind=None, before=b"", after=b"", ssnd_first=False):
    comm = struct.pack(">HIH", channels, frames, bits) + extended(rate) + (kind + b"\0\0" if kind else b"")
    comm = chunk(b"COMM", comm, big=True)
    ssnd = chunk(b"SSND", bytes(8) + data, big=True)
    version = chunk(b"FVER", b"\xa2\x80\x51\x40", big=True) if kind else b""
    body = (b"AIFC" if kind else b"AIFF") + version + before + (ssnd + comm if ssnd_first else comm + ssnd) + after
    return b"FORM" + struct.pack(">I", len(body)) + body


def au(channels, rate, encoding, data, size=None, big=True, text=b""):
    order = ">" if big else "<"
    head = struct.pack(order + "5I", 24 + len(text), len(data) if size is None else size, encoding, rate, channels)
    return (b".snd" if big else b"dns.") + head + text + data


def caf(channels, rate, bits, data, kind=b"lpcm", flags=0, size=None, chan=None):
    block = channels * bits // 8
    desc = struct.pack(">d4s5I", float(rate), kind, flags, block, 1, channels, bits)
    parts = [(b"desc", desc, None)] + ([(b"chan", chan, None)] if chan else []) + [(b"data", bytes(4) + data, size)]
    return b"caff\0\1\0\0" + b"".join(name + struct.pack(">q", len(body) if stated is None else stated) + body for name, body, stated in parts)


def synchsafe(size):
    return bytes((size >> shift) & 0x7F for shift in (21, 14, 7, 0))


def png(side=16):
    """A small picture."""
    rows = b"".join(b"\0" + bytes((x * 9 + y * 5) & 0xFF for x in range(3 * side)) for y in range(side))
    parts = [(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    body = b"".join(struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in parts)
    return b"\x89PNG\r\n\x1a\n" + body


def id3v2(version, cover=True, padding=0, footer=False, unsynchronised=False):
    """An ID3v2.2, 2.3 or 2.4 tag with title, artist, album and a cover."""
    utf8 = version == 4
    text = lambda value: b"\3" + value.encode() if utf8 else b"\1" + value.encode("utf-16")
    names = ("TT2", "TP1", "TAL", "PIC") if version == 2 else ("TIT2", "TPE1", "TALB", "APIC")
    frames = [(name, text(value)) for name, value in zip(names, (ID3_TITLE, ID3_ARTIST, ID3_ALBUM))]
    if cover:
        frames.append((names[3], (b"\0PNG\3\0" if version == 2 else b"\0image/png\0\3\0") + png()))
    body = b""
    for name, value in frames:
        if version == 2:
            body += name.encode() + struct.pack(">I", len(value))[1:] + value
        else:
            body += name.encode() + (synchsafe(len(value)) if version == 4 else struct.pack(">I", len(value))) + b"\0\0" + value
    body += bytes(padding)
    flags = 0
    if unsynchronised:
        flags |= 0x80
        body = unsynchronise(body)
    if footer:
        flags |= 0x10
    head = bytes([version, 0, flags]) + synchsafe(len(body))
    return b"ID3" + head + body + (b"3DI" + head if footer else b"")


def unsynchronise(body):
    out = bytearray()
    for n, byte in enumerate(body):
        out.append(byte)
        following = body[n + 1] if n + 1 < len(body) else 0
        if byte == 0xFF and (following >= 0xE0 or following == 0):
            out.append(0)
    return bytes(out)


def id3v1():
    field = lambda value, size: value.encode("latin-1", "replace")[:size].ljust(size, b"\0")
    return b"TAG" + field("Zoo", 30) + field(ID3_ARTIST, 30) + field(ID3_ALBUM, 30) + field("2026", 4) + field("", 30) + b"\x11"


def ape(header=True):
    items = b""
    for name, value in (("Title", ID3_TITLE), ("Artist", ID3_ARTIST), ("Album", ID3_ALBUM)):
        items += struct.pack("<II", len(value.encode()), 0) + name.encode() + b"\0" + value.encode()
    mark = lambda flags: b"APETAGEX" + struct.pack("<IIII", 2000, len(items) + 32, 3, flags) + bytes(8)
    has = 0x80000000 if header else 0
    return (mark(has | 0x20000000) if header else b"") + items + mark(has)


def lyrics3():
    body = b"LYRICSBEGININD00002" + b"00" + b"LYR00005" + b"la la"
    return body + b"%06dLYRICS200" % len(body)


class Bits:
    """Writes numbers of any number of bits."""

    def __init__(self):
        self.value, self.count = 0, 0

    def put(self, value, bits):
        self.value, self.count = self.value << bits | value, self.count + bits

    def octets(self, size):
        return (self.value << (size * 8 - self.count)).to_bytes(size, "big")


def mpeg_layer_1(frames, mono=False):
    """MPEG-1 Layer I at 44.1 kHz and 384 kbit/s with noise in the lower subbands."""
    noise = np.random.default_rng(5)
    channels, length = (1 if mono else 2), 12 * 384_000 // 44_100 * 4
    out = b""
    for _ in range(frames):
        bits = Bits()
        bits.put(0xFFFF, 16)
        bits.put(0b1100_00_0_0, 8)
        bits.put(0xC0 if mono else 0x00, 8)
        # Bit allocation: 8-bit samples in 10 subbands, none above.
        for band in range(32):
            for _ in range(channels):
                bits.put(7 if band < 10 else 0, 4)
        for band in range(10):
            for _ in range(channels):
                bits.put(12 + band, 6)
        for _ in range(12):
            for _ in range(10 * channels):
                bits.put(int(noise.integers(0, 255)), 8)
        out += bits.octets(length)
    return out


def mpeg_frames(data):
    """Splits an MPEG-1 Layer III stream into frames."""
    kbps = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
    at, frames = data.index(b"\xff\xfb"), []
    while at + 4 <= len(data) and data[at] == 0xFF:
        rate = (44_100, 48_000, 32_000)[data[at + 2] >> 2 & 3]
        length = 144_000 * kbps[data[at + 2] >> 4] // rate + (data[at + 2] >> 1 & 1)
        frames.append(data[at : at + length])
        at += length
    return frames


def vbri(frames):
    """The information frame of Fraunhofer's encoder for a stream of 44.1 kHz stereo without one."""
    total = sum(map(len, frames))
    body = struct.pack(">4sHHHIIHHHH", b"VBRI", 1, 0, 75, total, len(frames), 0, 1, 2, 1)
    head = b"\xff\xfb\x90\x00"
    return (head + bytes(32) + body).ljust(417, b"\0")


def midi():
    return b"MThd" + struct.pack(">IHHH", 6, 0, 1, 96) + b"MTrk" + struct.pack(">I", 4) + b"\0\xff\x2f\0"


def ogg_pages(data):
    """Splits an Ogg file into pages."""
    pages, at = [], 0
    while at + 27 <= len(data):
        count = data[at + 26]
        size = 27 + count + sum(data[at + 27 : at + 27 + count])
        pages.append(data[at : at + size])
        at += size
    return pages


def ogg_page(page, *, granule=None, flags=None):
    """A page with other fields and the checksum that fits them."""
    page = bytearray(page)
    if granule is not None:
        page[6:14] = struct.pack("<q", granule)
    if flags is not None:
        page[5] = flags
    page[22:26] = bytes(4)
    page[22:26] = struct.pack("<I", ogg_crc(page))
    return bytes(page)


def ogg_crc(data):
    crc = 0
    for byte in data:
        crc ^= byte << 24
        for _ in range(8):
            crc = (crc << 1 ^ (0x04C11DB7 if crc & 0x80000000 else 0)) & 0xFFFFFFFF
    return crc
