"""PCM in all its containers, ADPCM, FLAC and ALAC."""

import functools
import struct

import media
from case import USUAL, Case, Decoded, derived, encoded, frames_of, made, tool

RATES = (8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 88_200, 96_000, 176_400, 192_000)
PCM_LE = ("pcm_u8", "pcm_s16le", "pcm_s24le", "pcm_s32le", "pcm_f32le", "pcm_f64le", "pcm_alaw", "pcm_mulaw")
PCM_BE = ("pcm_s8", "pcm_s16be", "pcm_s24be", "pcm_s32be", "pcm_f32be", "pcm_f64be", "pcm_alaw", "pcm_mulaw")
# IMA and MS ADPCM are exact in integers.
ADPCM_DB = 90


def cases():
    return [*wav(), *wav_headers(), *large_wav(), *aiff(), *au(), *caf(), *layouts(), *quicktime(), *matroska(), *flac(), *alac()]


@functools.cache
def plain(rate=44_100, channels=2, frames=None):
    return media.signal(rate, channels, frames_of(rate) if frames is None else frames)


def wav():
    for codec in PCM_LE:
        yield encoded("wav", codec, "wav")
        yield encoded("wav", codec, "wav", rate=48_000, channels=1)
    for rate in RATES:
        if rate not in (44_100,):
            yield encoded("wav", "pcm_s16le", "wav", rate=rate)
    for channels in (3, 4, 5, 6, 7, 8):
        yield encoded("wav", "pcm_s16le", "wav", channels=channels)
    for codec in ("adpcm_ms", "adpcm_ima_wav"):
        for rate, channels in ((44_100, 2), (22_050, 1), (8_000, 1)):
            yield encoded("wav", codec, "wav", rate=rate, channels=channels, db=ADPCM_DB)
    yield encoded("wav", "flac", "wav")
    yield encoded("wav", "pcm_s16le", "wav", frames=1, name="wav-one-frame")
    yield encoded("wav", "pcm_s16le", "wav", frames=441, name="wav-10-ms")
    yield made("wav-silence", "wav", "pcm_s16le", "wav", lambda: media.wav(media.wav_fmt(1, 2, 44_100, 16), bytes(4 * 5_000)))
    for name, rate in (("lowest", 1_000), ("odd", 44_056), ("highest", 384_000)):
        yield encoded("wav", "pcm_s16le", "wav", rate=rate, frames=20_000, name=f"wav-{name}-rate")
    yield tool("wav", "pcm_s16le", "wav", "sox", "IN", "-b", "16", "OUT", name="wav-sox-16")
    yield tool("wav", "pcm_s24le", "wav", "sox", "IN", "-b", "24", "OUT", bits=24, rate=96_000, name="wav-sox-24")
    counted = {"length": frames_of(44_100), "why": "ffmpeg ignores the count of frames in the fact chunk"}
    yield tool("wav", "adpcm_ms", "wav", "sox", "IN", "-e", "ms-adpcm", "OUT", name="wav-sox-ms-adpcm", db=ADPCM_DB, **counted)
    yield tool("wav", "adpcm_ima_wav", "wav", "sox", "IN", "-e", "ima-adpcm", "OUT", name="wav-sox-ima-adpcm", db=ADPCM_DB, **counted)
    yield tool("wav", "pcm_mulaw", "wav", "sox", "IN", "-e", "mu-law", "OUT", name="wav-sox-mu-law")


def pcm(bits=16, channels=2, rate=44_100, frames=None, **named):
    return media.integers(plain(rate, channels, frames), bits, **named)


def wav_headers():
    """Headers as programs write them, right or wrong."""
    fmt = media.wav_fmt(1, 2, 44_100, 16)
    info = b"INFO" + media.chunk(b"ISFT", b"Lavf59.27.100\0")

    def one(name, build, **expected):
        return made(f"wav-{name}", "wav", "pcm", "wav", build, **expected)

    for bits, valid in ((16, 12), (24, 20), (32, 24), (24, 24), (32, 32)):
        yield one(
            f"{valid}-in-{bits}-bits",
            lambda bits=bits, valid=valid: media.wav(
                media.wav_fmt(1, 2, 48_000, bits, mask=3, valid=valid), media.integers(media.signal(48_000, 2, 9_000).round(3), bits)
            ),
        )
    yield one("float-extensible", lambda: media.wav(media.wav_fmt(3, 2, 48_000, 32, mask=3), media.floats(plain(48_000))))
    yield one("double-extensible", lambda: media.wav(media.wav_fmt(3, 2, 48_000, 64, mask=3), media.floats(plain(48_000), 64)))
    yield one("a-law-extensible", lambda: media.wav(media.wav_fmt(6, 2, 8_000, 8, mask=3), pcm(8, rate=8_000, signed=False)))
    for channels, mask in ((1, 0), (2, 0), (6, 0), (7, 0), (8, 0), (6, 0x3), (2, 0x3F), (1, 0x4)):
        yield one(
            f"{channels}-channels-mask-{mask:x}",
            lambda channels=channels, mask=mask: media.wav(media.wav_fmt(1, channels, 44_100, 16, mask=mask), pcm(channels=channels)),
        )
    yield one("loud-floats", lambda: media.wav(media.wav_fmt(3, 2, 44_100, 32), media.floats(plain() * 7)))
    yield one("odd-data", lambda: media.wav(media.wav_fmt(1, 1, 8_000, 8), pcm(8, 1, 8_000, 2_001, signed=False)))
    yield one("odd-data-no-pad", lambda: media.wav(media.wav_fmt(1, 1, 8_000, 8), pcm(8, 1, 8_000, 2_001, signed=False), data_pad=False))
    yield one("half-a-frame-more", lambda: media.wav(fmt, pcm() + b"\1\2"))
    yield one("fmt-18", lambda: media.wav(fmt + b"\0\0", pcm()))
    yield one("fmt-40-plain", lambda: media.wav(fmt + b"\x16\0" + bytes(22), pcm()))
    before = {
        "list": media.chunk(b"LIST", info),
        "list-odd": media.chunk(b"LIST", b"INFOabcdefg"),
        "list-odd-no-pad": media.chunk(b"LIST", b"INFOabcdefg", pad=False),
        "list-size-short": media.chunk(b"LIST", b"INFOabcdefgh", size=11),
        "junk": media.chunk(b"JUNK", bytes(4_000)),
        "bext": media.chunk(b"bext", b"Vocalizer".ljust(602, b"\0")) + media.chunk(b"fact", struct.pack("<I", 0)),
        "many-chunks": b"".join(media.chunk(b"ab%02d" % n, bytes(n)) for n in range(60)),
        "cue-smpl": media.chunk(b"cue ", bytes(4)) + media.chunk(b"smpl", bytes(36)) + media.chunk(b"PEAK", bytes(16)),
    }
    for name, chunks in before.items():
        # ffmpeg does not look for the next chunk if a size lacks its pad byte.
        own = name in ("list-odd-no-pad", "list-size-short")
        yield one(f"before-{name}", lambda chunks=chunks: media.wav(fmt, pcm(), chunks), **(exact(pcm) if own else {}))
    size = len(pcm())
    for name, riff, data in (
        ("sizes-0", 0, 0),
        ("data-0", size + 36, 0),
        ("riff-0", 0, None),
        ("sizes-ffffffff", 0xFFFFFFFF, 0xFFFFFFFF),
        ("sizes-7fffffff", 0x7FFFFFFF, 0x7FFFFFFF - 36),
        ("sizes-80000000", 0x80000024, 0x80000000),
        ("sizes-7ffff000", 0x7FFFF024, 0x7FFFF000),
        ("riff-1-short", size + 35, None),
        ("riff-8-short", size + 28, None),
        ("riff-100-long", size + 136, None),
        ("data-500-long", size + 36, size + 500),
    ):
        own = data == 0
        why = "ffmpeg takes the size 0 at its word"
        yield one(name, lambda riff=riff, data=data: media.wav(fmt, pcm(), riff_size=riff, data_size=data), **(exact(pcm, why) if own else {}))
    after = {
        "id3v1": media.id3v1(),
        "ape": media.ape(),
        "zeros": bytes(1_000),
        "text": b"end of file" * 20,
        "list": media.chunk(b"LIST", info),
        "id3": media.chunk(b"id3 ", media.id3v2(4)),
    }
    for name, chunks in after.items():
        yield one(f"after-{name}", lambda chunks=chunks: media.wav(fmt, pcm(), after=chunks))
    piped = {"id3v1": media.id3v1(), "ape": media.ape()}
    for name, chunks in piped.items():
        why = "ffmpeg takes the tag behind samples without a stated size for samples"
        yield one(
            f"piped-{name}", lambda chunks=chunks: media.wav(fmt, pcm(), after=chunks, riff_size=0xFFFFFFFF, data_size=0xFFFFFFFF), **exact(pcm, why)
        )
    yield one("id3v2-in-front", lambda: media.id3v2(3) + media.wav(fmt, pcm()), tags="")
    yield one(
        "samples-first",
        lambda: b"RIFF" + struct.pack("<I", size + 36) + b"WAVE" + media.chunk(b"data", pcm()) + media.chunk(b"fmt ", fmt),
        **exact(pcm, "ffmpeg refuses samples before their description"),
    )
    yield made(
        "rifx", "rifx", "pcm_s16be", "wav", lambda: media.rifx(2, 44_100, 16, pcm(big=True)), **exact(pcm, "ffmpeg reads RIFX as little-endian")
    )
    yield made(
        "rifx-24",
        "rifx",
        "pcm_s24be",
        "wav",
        lambda: media.rifx(2, 44_100, 24, pcm(24, big=True)),
        **exact(lambda: pcm(24), "ffmpeg reads RIFX as little-endian", 24),
    )


def exact(data, why="ffmpeg loses its place after a chunk without its pad byte", bits=16, rate=44_100):
    """The samples themselves are the reference."""

    def truth():
        octets = data()
        width = bits // 8
        padded = bytes(4 - width).join(octets[at : at + width] for at in range(0, len(octets), width))
        values = struct.unpack(f"<{len(octets) // width}i", (bytes(4 - width) + padded))
        return Decoded(media.np.array(values).reshape(-1, 2) / 2.0**31, rate, 2)

    return {"truth": truth, "why": why}


def large_wav():
    """Relatives of WAV for more than 4 GiB."""
    for codec in ("pcm_s16le", "pcm_s24le", "pcm_f32le"):
        yield encoded("rf64", codec, "wav", "-rf64", "always")
    for codec in PCM_LE:
        yield encoded("w64", codec, "w64")
    yield encoded("w64", "adpcm_ima_wav", "w64", db=ADPCM_DB)
    yield encoded("w64", "pcm_s24le", "w64", channels=6, rate=96_000)
    yield tool("w64", "pcm_s16le", "w64", "sox", "IN", "OUT", name="w64-sox")
    fmt = media.wav_fmt(1, 2, 44_100, 16)
    yield made("bw64", "bw64", "pcm_s16le", "wav", lambda: media.rf64(fmt, pcm(), len(pcm()) // 4, b"BW64"))
    yield made("rf64-by-hand", "rf64", "pcm_s16le", "wav", lambda: media.rf64(fmt, pcm(), len(pcm()) // 4))


def aiff():
    for codec in PCM_BE:
        yield encoded("aiff", codec, "aiff")
    yield encoded("aiff", "pcm_s16le", "aiff", rate=48_000, name="aiff-sowt-16")
    for rate in (8_000, 96_000, 192_000):
        yield encoded("aiff", "pcm_s24be", "aiff", rate=rate, channels=1)
    for channels in (3, 4, 6):
        yield encoded("aiff", "pcm_s16be", "aiff", channels=channels)
    yield encoded("aiff", "adpcm_ima_qt", "aiff", db=ADPCM_DB)
    for bits in (8, 16, 24, 32):
        yield tool("aiff", f"pcm_s{bits}be", "aiff", "sox", "IN", "-b", bits, "OUT", bits=24, name=f"aiff-sox-{bits}")
    yield tool("aifc", "pcm_s16be", "aifc", "sox", "IN", "OUT", name="aifc-sox")
    count = len(plain())
    why = "ffmpeg takes little-endian AIFF-C for 16 bits or does not know its codec"
    for kind, bits, big in (
        (b"NONE", 16, True),
        (b"twos", 16, True),
        (b"twos", 24, True),
        (b"sowt", 16, False),
        (b"sowt", 24, False),
        (b"sowt", 32, False),
        (b"in24", 24, True),
        (b"42ni", 24, False),
        (b"in32", 32, True),
        (b"23ni", 32, False),
    ):
        yield made(
            f"aifc-{kind.decode().lower()}-{bits}",
            "aifc",
            kind.decode(),
            "aifc",
            lambda kind=kind, bits=bits, big=big: media.aiff(2, 44_100, bits, pcm(bits, big=big), count, kind),
            **(exact(lambda bits=bits: pcm(bits), why, bits) if not big and bits > 16 else {}),
        )
    yield made("aifc-raw", "aifc", "raw", "aifc", lambda: media.aiff(2, 44_100, 8, pcm(8, signed=False), count, b"raw "))
    for kind, bits in ((b"fl32", 32), (b"FL32", 32), (b"fl64", 64), (b"FL64", 64)):
        shown = kind.decode() + ("-large" if kind.isupper() else "")
        yield made(
            f"aifc-{shown}",
            "aifc",
            kind.decode(),
            "aifc",
            lambda kind=kind, bits=bits: media.aiff(2, 44_100, bits, media.floats(plain(), bits, True), count, kind),
        )
    for kind in (b"alaw", b"ulaw", b"ALAW", b"ULAW"):
        yield made(
            f"aifc-{kind.decode()}",
            "aifc",
            kind.decode(),
            "aifc",
            lambda kind=kind: media.aiff(2, 8_000, 8, pcm(8, rate=8_000), frames_of(8_000), kind),
        )
    big = functools.partial(pcm, big=True)
    yield made("aiff-samples-first", "aiff", "pcm_s16be", "aiff", lambda: media.aiff(2, 44_100, 16, big(), count, ssnd_first=True))
    yield made("aiff-20-bits", "aiff", "pcm_s24be", "aiff", lambda: media.aiff(2, 44_100, 20, pcm(20, big=True), count))
    yield made("aiff-12-bits", "aiff", "pcm_s16be", "aiff", lambda: media.aiff(2, 44_100, 12, pcm(12, big=True), count))
    yield made(
        "aiff-id3",
        "aiff",
        "pcm_s16be",
        "aiff",
        lambda: media.aiff(2, 44_100, 16, big(), count, after=media.chunk(b"ID3 ", media.id3v2(3), big=True)),
        tags="title artist album cover",
    )
    yield made(
        "aiff-name-and-mark",
        "aiff",
        "pcm_s16be",
        "aiff",
        lambda: media.aiff(2, 44_100, 16, big(), count, before=media.chunk(b"NAME", b"Zoo", big=True) + media.chunk(b"MARK", b"\0\0", big=True)),
    )


def au():
    for codec in PCM_BE:
        yield encoded("au", codec, "au", rate=48_000 if codec == "pcm_s16be" else 44_100)
    yield encoded("au", "pcm_s16be", "au", channels=1, rate=8_000)
    case = encoded(
        "au", "pcm_s16be", "au", channels=4, why="AU states no positions: Vocalizer assumes four corners, ffmpeg left, right, centre and rear"
    )
    case.mask = 0x33
    yield case
    yield tool("au", "pcm_s16be", "au", "sox", "IN", "OUT", name="au-sox")
    yield made(
        "au-little-endian",
        "au",
        "pcm_s16le",
        "au",
        lambda: media.au(2, 44_100, 3, pcm(), big=False),
        **exact(pcm, "ffmpeg does not know little-endian AU"),
    )
    for name, size in (("ffffffff", 0xFFFFFFFF), ("0", 0)):
        why = "ffmpeg takes the size 0 at its word"
        yield made(
            f"au-size-{name}",
            "au",
            "pcm_s16be",
            "au",
            lambda size=size: media.au(2, 44_100, 3, pcm(big=True), size),
            **(exact(pcm, why) if size == 0 else {}),
        )
    yield made("au-text", "au", "pcm_s16be", "au", lambda: media.au(2, 44_100, 3, pcm(big=True), text=b"title=Zoo\0\0\0"))


def caf():
    for codec in (*PCM_BE, *PCM_LE[1:6]):
        yield encoded("caf", codec, "caf")
    yield encoded("caf", "pcm_s24le", "caf", rate=192_000, channels=1)
    for channels in (4, 6, 8):
        yield encoded("caf", "pcm_s16le", "caf", channels=channels)
    yield encoded("caf", "adpcm_ima_qt", "caf", db=ADPCM_DB)
    yield encoded("caf", "alac", "caf", "-sample_fmt", "s16p")
    yield encoded("caf", "alac", "caf", "-sample_fmt", "s32p", rate=96_000, name="caf-alac-24")
    yield encoded("caf", "libmp3lame", "caf", db=60)
    yield tool("caf", "pcm_s16be", "caf", "sox", "IN", "OUT", name="caf-sox")
    yield made("caf-size-unknown", "caf", "pcm_s16be", "caf", lambda: media.caf(2, 44_100, 16, pcm(big=True), size=-1))
    yield made("caf-20-bits", "caf", "pcm_s24be", "caf", lambda: media.caf(2, 44_100, 24, pcm(24, big=True)))
    for tag, order in LAYOUTS.items():
        yield made(
            f"caf-layout-{tag}",
            "caf",
            "pcm_s16be",
            "caf",
            lambda tag=tag, order=order: media.caf(
                len(order), 44_100, 16, pcm(channels=len(order), big=True), chan=struct.pack(">III", tag << 16 | len(order), 0, 0)
            ),
            truth=lambda order=order: ordered(order),
            why="ffmpeg does not put the channels in order",
        )


def layouts():
    """The same channels with other positions: 3.0 and 2.1, 3.1 and quadraphonic and 4.0, 5.0 and 4.1, 5.1, 6.1 and 7.1."""
    for mask in (0x7, 0xB, 0xF, 0x33, 0x107, 0x37, 0x607, 0x10F, 0x3F, 0x60F, 0x13F, 0x70F, 0x63F, 0xFF):
        for container, codec, extension in (
            ("wav", "pcm_s16le", "wav"),
            ("w64", "pcm_s16le", "w64"),
            ("caf", "pcm_s16le", "caf"),
            ("mov", "pcm_s16le", "mov"),
            ("flac", "flac", "flac"),
            ("ogg", "flac", "oga"),
            ("mkv", "flac", "mka"),
        ):
            name = f"{container}-{codec.removeprefix('pcm_')}-positions-{mask:x}"
            case = encoded(container, codec, extension, channels=mask.bit_count(), mask=mask, rate=48_000, name=name)
            # ffmpeg forgets some of them when it decodes, and those of FLAC in Ogg when it encodes.
            case.mask = USUAL[mask.bit_count()] if container == "ogg" else mask
            # For this one it writes the name of another order.
            if (container, mask) != ("mov", 0x70F):
                yield case


def quicktime():
    """PCM and ADPCM in QuickTime files without a video."""
    for codec in ("pcm_s8", "pcm_u8", "pcm_s16le", "pcm_s16be", "pcm_s24le", "pcm_s24be", "pcm_s32le", "pcm_s32be", "pcm_f32le", "pcm_f32be"):
        yield encoded("mov", codec, "mov")
    for codec in ("pcm_f64le", "pcm_f64be", "pcm_alaw", "pcm_mulaw"):
        yield encoded("mov", codec, "mov", rate=48_000, channels=1)
    for rate, channels in ((8_000, 1), (96_000, 2), (192_000, 6), (44_056, 2)):
        yield encoded("mov", "pcm_s24le", "mov", rate=rate, channels=channels)
    for codec in ("adpcm_ima_qt", "adpcm_ms", "adpcm_ima_wav"):
        for rate, channels in ((44_100, 2), (22_050, 1)):
            # Only whole blocks.
            yield encoded("mov", codec, "mov", rate=rate, channels=channels, db=ADPCM_DB)
    yield encoded("mov", "pcm_s16le", "mov", "-movflags", "frag_keyframe+empty_moov", name="mov-s16le-fragmented")
    base = encoded("mov", "pcm_s16le", "mov")
    index_first = encoded("mov", "pcm_s16le", "mov", "-movflags", "+faststart", name="index-first")
    yield derived(index_first, "cut-mov-s16le", cut_off, warns=("ends_early",))
    # The box for PCM in MP4 takes the place of the channels' positions.
    pcm_box = struct.pack(">I4s6B", 14, b"pcmC", 0, 0, 0, 0, 1, 16) + struct.pack(">I4s2x", 10, b"free")
    yield derived(base, "mp4-ipcm", lambda data: with_entry(data, pcm_box), like=(base,), why="ffmpeg 5 does not know PCM in MP4")
    yield derived(base, "refused-mov-48-bits", lambda data: with_bits(data, 48), refused="unsupported: QuickTime with samples of 48 bits")


def cut_off(data):
    """Without the last quarter, behind the index."""
    return data[: len(data) * 3 // 4]


def with_entry(data, box):
    """Describes the samples as PCM in MP4."""
    at, chan = data.index(b"sowt"), data.index(b"chan") - 4
    assert len(box) == 24
    return data[:at] + b"ipcm" + data[at + 4 : chan] + box + data[chan + 24 :]


def with_bits(data, bits):
    at = data.index(b"sowt") + 22
    return data[:at] + struct.pack(">H", bits) + data[at + 2 :]


def matroska():
    """PCM and what Windows knows in Matroska."""
    for codec in ("pcm_u8", "pcm_s16le", "pcm_s16be", "pcm_s24le", "pcm_s32le", "pcm_f32le", "pcm_f64le", "pcm_alaw", "pcm_mulaw"):
        yield encoded("mkv", codec, "mka")
    for codec in ("adpcm_ms", "adpcm_ima_wav"):
        yield encoded("mkv", codec, "mka", db=ADPCM_DB)
        # Several blocks in a packet.
        wav = encoded("wav", codec, "wav", db=ADPCM_DB, name=f"wav-{codec}-for-mkv")
        yield remuxed(f"mkv-{codec}-remuxed", wav, "mka")
    yield encoded("mkv", "pcm_s16le", "mka", channels=6, rate=96_000)
    yield encoded("mkv", "pcm_u8", "mka", channels=1, rate=11_025)


def remuxed(name, base, extension, **expected):
    """Another container for the packets of a file."""

    def make(path):
        first = path.with_name(path.stem + ".first." + base.extension)
        base.make(first)
        media.ffmpeg("-i", first, "-c", "copy", path)
        first.unlink()

    return Case(name, extension, base.codec, make, extension, base.tools, db=base.db, **expected)


# Apple's layouts as bits of the WAV mask: L 0, R 1, C 2, LFE 3, Ls 4, Rs 5, Lc 6, Rc 7, Cs 8; other side channels 9 and 10.
LAYOUTS = {
    108: (0, 1, 4, 5),
    116: (2, 0, 1, 8),
    117: (0, 1, 2, 4, 5),
    118: (0, 1, 4, 5, 2),
    119: (0, 2, 1, 4, 5),
    120: (2, 0, 1, 4, 5),
    121: (0, 1, 2, 3, 4, 5),
    122: (0, 1, 4, 5, 2, 3),
    123: (0, 2, 1, 4, 5, 3),
    124: (2, 0, 1, 4, 5, 3),
    125: (0, 1, 2, 3, 4, 5, 8),
    126: (0, 1, 2, 3, 4, 5, 6, 7),
    127: (2, 6, 7, 0, 1, 4, 5, 3),
    128: (0, 1, 2, 3, 9, 10, 4, 5),
    131: (0, 1, 8),
    133: (0, 1, 3),
    135: (0, 1, 3, 4, 5),
    136: (0, 1, 2, 3),
    138: (0, 1, 4, 5, 3),
    142: (2, 0, 1, 4, 5, 8, 3),
    152: (0, 2, 1, 3),
}


def ordered(order):
    """Samples of 16 bits whose channels have these positions, mixed down."""
    samples = media.np.round(plain(channels=len(order)) * 2.0**15) / 2.0**15
    return Decoded(media.mixed(samples, order), 44_100, len(order))


def flac():
    for rate in RATES:
        yield tool("flac", "flac", "flac", "flac", "-sf", "IN", "-o", "OUT", rate=rate, name=f"flac-{rate}")
    for channels in (1, 3, 4, 5, 6, 7, 8):
        yield tool("flac", "flac", "flac", "flac", "-sf", "IN", "-o", "OUT", channels=channels, bits=24, name=f"flac-{channels}-channels")
    for level in (0, 3, 8):
        yield tool("flac", "flac", "flac", "flac", "-sf", f"-{level}", "IN", "-o", "OUT", bits=24, rate=96_000, name=f"flac-level-{level}")
    for block in (16, 192, 576, 1_152, 4_608, 16_384, 65_535):
        yield tool("flac", "flac", "flac", "flac", "-sf", "--lax", f"--blocksize={block}", "IN", "-o", "OUT", name=f"flac-block-{block}")
    for bits in (8, 16, 24, 32):
        expected = exact(lambda: pcm(32), "ffmpeg 5 does not decode FLAC of 32 bits", 32) if bits == 32 else {}
        yield flac_of(bits, raw_flac, **expected)
    for bits in (12, 20):
        yield flac_of(bits, padded_flac)
    for name, options in {
        "no-seektable": ["--no-seektable"],
        "no-padding": ["--no-padding"],
        "large-padding": ["--padding=200000"],
        "no-md5": ["--no-md5-sum"],
        "mid-side": ["-m"],
        "independent": ["--no-mid-side"],
        "verbatim": ["--disable-constant-subframes", "--disable-fixed-subframes", "-l", "0", "--lax"],
    }.items():
        yield tool("flac", "flac", "flac", "flac", "-sf", *options, "IN", "-o", "OUT", name=f"flac-{name}")
    yield tool("flac", "flac", "flac", "flac", "-sf", "--picture=3|image/png|||COVER", "IN", "-o", "OUT", name="flac-tags-cover", tags="cover")
    yield tool("ogg", "flac", "oga", "flac", "-sf", "--ogg", "IN", "-o", "OUT", name="ogg-flac")
    yield tool("ogg", "flac", "oga", "flac", "-sf", "--ogg", "IN", "-o", "OUT", name="ogg-flac-24-96000", bits=24, rate=96_000)
    for container, extension in (("mkv", "mkv"), ("mp4", "mp4"), ("ogg", "oga")):
        yield encoded(container, "flac", extension, "-strict", "-2")
    yield encoded("mkv", "flac", "mka", "-sample_fmt", "s32", rate=96_000, name="mkv-flac-24-96000")
    yield encoded("flac", "flac", "flac", frames=1, name="flac-one-frame")
    yield encoded("flac", "flac", "flac", frames=441, name="flac-10-ms")
    yield encoded("flac", "flac", "flac", channels=6, mask=0x60F, name="flac-side-channels")
    base = encoded("flac", "flac", "flac")
    yield base
    yield derived(base, "flac-id3v2-in-front", lambda data: media.id3v2(4) + data)
    yield derived(base, "flac-two-id3v2-in-front", lambda data: media.id3v2(3) + media.id3v2(4) + data)
    for name, after in {
        "id3v1": media.id3v1(),
        "ape": media.ape(),
        "zeros": bytes(5_000),
        "text": b"bye " * 40,
        "id3v1-and-ape": media.ape() + media.id3v1(),
    }.items():
        yield derived(base, f"flac-then-{name}", lambda data, after=after: data + after)
    yield derived(base, "flac-length-unknown", lambda data: data[:21] + bytes([data[21] & 0xF0]) + bytes(4) + data[26:])
    yield derived(base, "flac-wrong-md5", lambda data: data[:26] + bytes([data[26] ^ 1]) + data[27:], warns=("wrong_checksum",))
    yield derived(base, "flac-min-block-0", lambda data: data[:8] + b"\0\0" + data[10:])
    yield derived(base, "flac-block-sizes-0", lambda data: data[:8] + bytes(4) + data[12:], like=(base,), why="ffmpeg refuses blocks of 0 frames")


def flac_of(bits, build, **expected):
    return made(f"flac-{bits}-bits", "flac", "flac", "flac", lambda: build(bits), tools=frozenset({"flac", "ffmpeg"}), **expected)


def raw_flac(bits):
    options = ["--force-raw-format", "--endian=little", "--sign=signed", "--channels=2", f"--bps={bits}", "--sample-rate=44100"]
    return media.run("flac", "-s", *options, "-", "-c", stdin=pcm(bits))


def padded_flac(bits):
    """Samples that do not fill their bytes; the program learns it from the header of a WAV."""
    stored = (bits + 7) // 8 * 8
    song = media.wav(media.wav_fmt(1, 2, 44_100, stored, mask=3, valid=bits), pcm(bits))
    return media.run("flac", "-s", "-", "-c", stdin=song)


def alac():
    for rate in (8_000, 44_100, 48_000, 96_000, 192_000):
        yield encoded("m4a", "alac", "m4a", "-sample_fmt", "s16p", rate=rate)
    for channels in (1, 3, 6):
        yield encoded("m4a", "alac", "m4a", channels=channels)
    for channels, mask in ((7, 0x13F), (8, 0xFF)):
        for container, extension in (("m4a", "m4a"), ("mov", "mov"), ("mkv", "mka"), ("caf", "caf")):
            yield encoded(container, "alac", extension, channels=channels, mask=mask, name=f"{container}-alac-{channels}-channels")
    yield encoded("m4a", "alac", "m4a", "-sample_fmt", "s32p", rate=48_000, name="m4a-alac-24")
    yield encoded("mkv", "alac", "mka")
    yield encoded("mov", "alac", "mov")
    yield encoded("mov", "alac", "mov", "-sample_fmt", "s32p", channels=6, rate=96_000, name="mov-alac-24-6-channels")
    yield encoded("m4a", "alac", "m4a", frames=1, name="m4a-alac-one-frame")
