"""MP3 and its relatives, Vorbis, Opus and AAC."""

import media
from case import TARGET, Case, derived, encoded, frames_of, made, tool

# What two decoders of one stream reach; measured, with a margin.
MP3_DB = 90
MP2_DB = 75
VORBIS_DB = 90
OPUS_DB = 60
AAC_DB = 80
# ffmpeg's own decoder resamples SILK, the speech mode of Opus, in another way.
LIBOPUS = ("-c:a", "libopus")
BAND = "ffmpeg 5 has a wrong scale factor band at 24 kHz; LAME and libmad agree with Vocalizer by 80 and 120 dB"
VORBIS_ONE_PAGE = "ffmpeg 5 does not cut off the end of a Vorbis stream with a single page"
PADDED = "ffmpeg 5 does not cut off the padding at the end"


def cases():
    return [*mp3(), *mp3_streams(), *mpeg_layers(), *vorbis(), *opus(), *aac(), *he_aac()]


def lame(name, *options, **named):
    return tool("mp3", "mp3", "mp3", "lame", "--quiet", *options, "IN", "OUT", name=f"mp3-{name}", db=named.pop("db", MP3_DB), **named)


def mp3():
    for kbps in (32, 128, 192, 320):
        yield lame(f"cbr-{kbps}", "-b", kbps)
    # LAME writes 24 kHz at this bitrate.
    yield lame("cbr-64", "-b", 64, db=20, why=BAND)
    for quality in (0, 2, 5, 9):
        yield lame(f"vbr-{quality}", "-V", quality)
    yield lame("abr-140", "--abr", 140)
    # MPEG 2.5, 2 and 1.
    for rate in (8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 48_000):
        band = {"db": 20, "why": BAND} if rate == 24_000 else {}
        yield lame(f"{rate}", rate=rate, **band)
        yield lame(f"{rate}-mono", channels=1, rate=rate, **band)
    yield lame("mono", "-m", "m", channels=1)
    for name, mode in (("stereo", "s"), ("joint", "j"), ("forced-joint", "f"), ("dual-channel", "d")):
        yield lame(name, "-m", mode)
    yield lame("crc", "-p")
    yield lame("no-information-frame", "-t")
    yield lame("no-reservoir", "--nores")
    yield lame("id3v2", "--id3v2-only", "--tt", "Zoo")
    yield lame("one-frame", frames=1)
    yield lame("10-ms", frames=441)
    yield lame("free-format", "--freeformat", "-b", 160, refused="unsupported: MP3 of free format")
    yield encoded("mp3", "libmp3lame", "mp3", name="mp3-ffmpeg", db=MP3_DB)
    yield encoded("mp3", "libmp3lame", "mp3", "-write_xing", "0", name="mp3-ffmpeg-no-xing", db=MP3_DB)
    yield encoded("mp3", "libmp3lame", "mp3", "-q:a", "4", name="mp3-ffmpeg-vbr", db=MP3_DB)
    yield encoded("mp3", "libshine", "mp3", name="mp3-shine", db=MP3_DB)
    for container, extension in (("mp4", "mp4"), ("mov", "mov")):
        yield encoded(container, "libmp3lame", extension, db=MP3_DB, length=frames_of(44_100), why=PADDED)
    for container, extension in (("mkv", "mka"), ("wav", "wav")):
        yield encoded(container, "libmp3lame", extension, db=MP3_DB)
    yield encoded("mkv", "libmp3lame", "mka", rate=22_050, channels=1, db=MP3_DB)


def mp3_streams():
    """Tags, joined files and what else occurs in MP3 files."""
    base = encoded("mp3", "libmp3lame", "mp3", name="base", db=MP3_DB)
    bare = encoded("mp3", "libmp3lame", "mp3", "-write_xing", "0", "-id3v2_version", "0", name="bare", db=MP3_DB)
    for name, front in {
        "id3v2.2": media.id3v2(2),
        "id3v2.3": media.id3v2(3),
        "id3v2.4": media.id3v2(4),
        "id3v2.4-footer": media.id3v2(4, footer=True),
        "id3v2.3-padded": media.id3v2(3, padding=3_000),
        "id3v2.3-unsynchronised": media.id3v2(3, unsynchronised=True),
    }.items():
        yield derived(bare, f"mp3-{name}", lambda data, front=front: front + data, tags="title artist album cover")
    yield derived(bare, "mp3-two-id3v2", lambda data: media.id3v2(4) + media.id3v2(3) + data)
    for name, front in {"zeros": bytes(1_500), "text": b"HTTP/1.0 200 OK\r\n\r\n", "half-a-frame": b"\xff\xfb\x90\x44" + bytes(100)}.items():
        yield derived(bare, f"mp3-{name}-in-front", lambda data, front=front: front + data)
    for name, after in {
        "id3v1": media.id3v1(),
        "ape": media.ape(),
        "ape-and-id3v1": media.ape() + media.id3v1(),
        "lyrics3": media.lyrics3() + media.id3v1(),
        "zeros": bytes(3_000),
        "text": b"the end " * 50,
        "id3v2.4": media.id3v2(4, footer=True),
    }.items():
        # ffmpeg compares the size of the file with that of the information frame.
        padded = {"length": frames_of(44_100), "why": f"{PADDED} if other bytes follow"} if name in ("zeros", "id3v2.4") else {}
        tags = "title artist album" if name == "ape" else ""
        yield derived(bare if name == "ape" else base, f"mp3-then-{name}", lambda data, after=after: data + after, tags=tags, **padded)
    yield derived(bare, "mp3-vbri", lambda data: media.vbri(media.mpeg_frames(data)) + data)
    cut_off = {"extra": -828, "why": "Vocalizer cuts off the padding of the last file, too"}
    yield derived(base, "mp3-joined", lambda data: data + data, **cut_off)
    yield derived(base, "mp3-joined-id3v1-between", lambda data: data + media.id3v1() + data + media.id3v1(), **cut_off)
    twice = derived(bare, "mp3-joined-bare", lambda data: data + data)
    yield twice
    yield derived(
        bare,
        "mp3-joined-tag-between",
        lambda data: media.id3v2(3) + data + media.id3v1() + media.id3v2(3) + data,
        like=(twice,),
        why="ffmpeg loses the frame behind the tags",
    )
    why = "ffmpeg decodes a part of the incomplete last frame"
    yield derived(bare, "mp3-cut", lambda data: data[:-100], warns=("ends_early",), extra=-1_152, why=why)
    yield derived(base, "mp3-cut-with-information-frame", lambda data: data[:-1_000], warns=("ends_early",), extra=-1_152, why=why)
    yield derived(bare, "mp3-cut-out", lambda data: b"".join(media.mpeg_frames(data)[4:]))
    mono = encoded("mp3", "libmp3lame", "mp3", "-write_xing", "0", "-id3v2_version", "0", channels=1, name="mono", db=MP3_DB)
    why = "ffmpeg mixes all of it down to the channels at the start"
    yield joined("mp3-mono-then-stereo", mono, bare, warns=("format_changes",), like=(mono, bare), why=why)
    yield joined("mp3-stereo-then-mono", bare, mono, warns=("format_changes",), like=(bare, mono), why=why)


def joined(name, first, second, **expected):
    def make(path):
        first.make(path)
        start = path.read_bytes()
        second.make(path)
        path.write_bytes(start + path.read_bytes())

    kept = {"db": first.db, "extra": first.extra, "why": first.why, "ffmpeg": first.ffmpeg}
    return Case(name, first.container, first.codec, make, first.extension, first.tools | second.tools, **(kept | expected))


def mpeg_layers():
    for rate in (16_000, 22_050, 24_000, 32_000, 44_100, 48_000):
        yield encoded("mp2", "mp2", "mp2", rate=rate, db=MP2_DB)
    yield encoded("mp2", "mp2", "mp2", "-b:a", "128k", channels=1, db=MP2_DB)
    # The standard forbids more than 192 kbit/s for one channel.
    yield encoded("mp2", "mp2", "mp2", "-b:a", "384k", channels=1, name="mp2-mono-384", refused="malformed: no packet of the audio can be decoded")
    yield encoded("mp2", "libtwolame", "mp2", "-b:a", "128k", "-mode", "joint_stereo", name="mp2-joint", db=MP2_DB)
    yield encoded("mp2", "libtwolame", "mp2", "-b:a", "384k", name="mp2-384", db=MP2_DB)
    yield encoded("mkv", "mp2", "mka", db=MP2_DB)
    yield encoded("wav", "mp2", "wav", db=MP2_DB)
    yield made("mp1-stereo", "mp1", "mp1", "mp1", lambda: media.mpeg_layer_1(40), db=MP2_DB)
    yield made("mp1-mono", "mp1", "mp1", "mp1", lambda: media.mpeg_layer_1(40, mono=True), db=MP2_DB)


def vorbis():
    trimmed = {"why": VORBIS_ONE_PAGE}
    for quality in (-1, 3, 6, 10):
        yield encoded(
            "ogg", "libvorbis", "ogg", "-q:a", quality, name=f"ogg-vorbis-quality-{quality}", db=VORBIS_DB, length=frames_of(44_100), **trimmed
        )
    for rate in (8_000, 11_025, 16_000, 22_050, 32_000, 48_000, 96_000, 192_000):
        yield encoded("ogg", "libvorbis", "ogg", rate=rate, db=VORBIS_DB, length=frames_of(rate), **trimmed)
    yield encoded("ogg", "libvorbis", "ogg", channels=1, db=VORBIS_DB, length=frames_of(44_100), **trimmed)
    for channels in (3, 4, 5, 6, 7, 8):
        yield encoded("ogg", "libvorbis", "ogg", channels=channels, db=VORBIS_DB, length=frames_of(44_100), **trimmed)
        yield encoded("mkv", "libvorbis", "mka", channels=channels, db=VORBIS_DB)
    # At other rates and bitrates, the channels are coupled in other ways.
    for rate, quality in ((16_000, 3), (48_000, 0), (96_000, 8)):
        name = f"ogg-vorbis-6-channels-{rate}-quality-{quality}"
        yield encoded("ogg", "libvorbis", "ogg", "-q:a", quality, channels=6, rate=rate, name=name, db=VORBIS_DB, length=frames_of(rate), **trimmed)
    yield encoded("ogg", "libvorbis", "ogg", frames=1, name="ogg-vorbis-one-frame", db=VORBIS_DB, length=1, **trimmed)
    yield encoded("ogg", "libvorbis", "ogg", frames=441, name="ogg-vorbis-10-ms", db=VORBIS_DB, length=441, **trimmed)
    yield tool("ogg", "vorbis", "ogg", "oggenc", "-Q", "IN", "-o", "OUT", name="ogg-oggenc", db=VORBIS_DB)
    yield tool("ogg", "vorbis", "ogg", "oggenc", "-Q", "--managed", "-b", 96, "IN", "-o", "OUT", name="ogg-oggenc-managed", db=VORBIS_DB)
    uncoupled = ("--advanced-encode-option", "disable_coupling")
    yield tool("ogg", "vorbis", "ogg", "oggenc", "-Q", *uncoupled, "IN", "-o", "OUT", name="ogg-oggenc-uncoupled", db=VORBIS_DB)
    # ffmpeg's own decoder is wrong about the right channel of ffmpeg's own encoder.
    # libvorbis gives ffmpeg 16 bits.
    libvorbis = {"ffmpeg": ("-c:a", "libvorbis"), "length": 17_664, "why": VORBIS_ONE_PAGE}
    yield encoded("ogg", "vorbis", "ogg", "-strict", "-2", name="ogg-vorbis-of-ffmpeg", db=70, **libvorbis)
    for container, extension in (("mkv", "mka"), ("webm", "webm")):
        yield encoded(container, "libvorbis", extension, db=VORBIS_DB)
    yield encoded("mp4", "libvorbis", "mp4", refused="unsupported: ")
    # Several pages, as in longer files.
    yield encoded("ogg", "libvorbis", "ogg", "-page_duration", "50000", name="ogg-vorbis-pages", db=VORBIS_DB)
    first = encoded("ogg", "libvorbis", "ogg", "-page_duration", "50000", name="first", db=VORBIS_DB)
    second = encoded("ogg", "libvorbis", "ogg", "-serial_offset", "7", "-q:a", "7", "-page_duration", "50000", name="second", db=VORBIS_DB)
    yield joined("ogg-vorbis-chained", first, second, like=(first, second))
    yield derived(first, "ogg-vorbis-then-zeros", lambda data: data + bytes(2_000))
    yield derived(first, "ogg-vorbis-then-id3v1", lambda data: data + media.id3v1())
    yield derived(first, "ogg-vorbis-end-trimmed", shortened(300), length=frames_of(44_100) - 300, why="ffmpeg 5 does not cut off the end")


def shortened(frames):
    """Lets the last page end some frames earlier."""

    def change(data):
        pages = media.ogg_pages(data)
        granule = int.from_bytes(pages[-1][6:14], "little")
        return b"".join(pages[:-1]) + media.ogg_page(pages[-1], granule=granule - frames)

    return change


def opus():
    def one(container, extension, *options, **named):
        return encoded(container, "libopus", extension, *options, rate=48_000, db=OPUS_DB, ffmpeg=LIBOPUS, **named)

    yield one("ogg", "opus", name="opus-stereo")
    for kbps in (6, 16, 32, 64, 256):
        yield one("ogg", "opus", "-b:a", f"{kbps}k", name=f"opus-{kbps}")
        yield one("ogg", "opus", "-b:a", f"{kbps}k", channels=1, name=f"opus-{kbps}-mono")
    for length in ("2.5", "5", "10", "40", "60"):
        yield one("ogg", "opus", "-frame_duration", length, name=f"opus-frames-of-{length}-ms")
    for application in ("voip", "lowdelay"):
        yield one("ogg", "opus", "-application", application, name=f"opus-{application}")
    for channels in (3, 4, 5, 6, 7, 8):
        yield one("ogg", "opus", "-mapping_family", "1", channels=channels, mask={3: 0x7, 4: 0x33}.get(channels), name=f"opus-{channels}-channels")
    # libopus in ffmpeg takes them for those of family 1.
    unnamed = ("-mapping_family", "255")
    yield encoded("ogg", "libopus", "opus", *unnamed, channels=6, rate=48_000, name="opus-without-positions", db=OPUS_DB)
    for rate in (8_000, 16_000, 24_000):
        yield encoded("ogg", "libopus", "opus", rate=rate, name=f"opus-from-{rate}", db=OPUS_DB, ffmpeg=LIBOPUS)
    for container, extension in (("webm", "webm"), ("mkv", "mka"), ("caf", "caf")):
        yield one(container, extension)
    yield one("mp4", "mp4", length=frames_of(48_000), why=PADDED)
    yield one("webm", "webm", channels=6, name="webm-opus-6-channels")
    yield one("mp4", "mp4", channels=6, name="mp4-opus-6-channels", length=frames_of(48_000), why=PADDED)
    yield one("ogg", "opus", frames=1, name="opus-one-frame")
    yield one("ogg", "opus", frames=480, name="opus-10-ms")
    yield tool("ogg", "opus", "opus", "opusenc", "--quiet", "IN", "OUT", rate=44_100, name="opus-opusenc-44100", db=OPUS_DB, ffmpeg=LIBOPUS)
    yield tool(
        "ogg", "opus", "opus", "opusenc", "--quiet", "--picture", "3||||COVER", "IN", "OUT", rate=48_000, name="opus-cover", tags="cover", db=OPUS_DB
    )
    base = one("ogg", "opus", name="base")
    yield joined("opus-chained", base, one("ogg", "opus", "-serial_offset", "7", "-b:a", "64k", name="second"))
    yield derived(base, "opus-end-trimmed", shortened(500))
    for gain in (-1_536, 768):
        yield derived(base, f"opus-gain-{gain}", lambda data, gain=gain: with_gain(data, gain))
    yield derived(base, "opus-pre-skip-0", lambda data: with_field(data, 10, 0))
    yield derived(base, "opus-pre-skip-3840", lambda data: with_field(data, 10, 3_840))


def with_field(data, at, value):
    """Changes a field of the identification header, which is the first page."""
    pages = media.ogg_pages(data)
    start = pages[0].index(b"OpusHead") + at
    page = pages[0][:start] + value.to_bytes(2, "little", signed=value < 0) + pages[0][start + 2 :]
    return media.ogg_page(page) + b"".join(pages[1:])


def with_gain(data, gain):
    return with_field(data, 16, gain)


def padded(rate=44_100):
    return {"length": frames_of(rate), "why": PADDED}


def aac():
    def one(container, extension, *options, **named):
        return encoded(container, "aac", extension, *options, db=named.pop("db", AAC_DB), **named)

    for rate in (8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 64_000, 88_200, 96_000):
        yield one("adts", "aac", rate=rate)
    for channels in (1, 4, 5, 6, 8):
        yield one("adts", "aac", channels=channels, rate=48_000)
    for channels in (1, 3, 4, 5, 6, 8):
        yield one("m4a", "m4a", channels=channels, rate=48_000, **padded(48_000))
    # Some layouts have no number in the header; a program configuration element describes them.
    # ffmpeg does not name the last layouts when it reads them, and writes their LFE as a further single channel, which we put behind the listener.
    unnamed = {0x607: (0, 1, 2, 4, 5), 0x10F: (0, 1, 2, 8, 8), 0x13F: (0, 1, 2, 8, 4, 5, 8), 0x70F: (0, 1, 2, 8, 4, 5, 8), 0xFF: (0, 1, 2, 8, 4, 5, 4, 5)}
    for mask in (0xB, 0xF, 0x33, *unnamed):
        for container, extension, expected in (("adts", "aac", {}), ("m4a", "m4a", padded(48_000))):
            name = f"{container}-mask-{mask:x}"
            case = one(container, extension, channels=mask.bit_count(), mask=mask, rate=48_000, name=name, **expected)
            case.mask, case.positions = mask, unnamed.get(mask)
            yield case
    for kbps in (32, 96, 320):
        yield one("m4a", "m4a", "-b:a", f"{kbps}k", name=f"m4a-aac-{kbps}", **padded())
    for coder in ("fast", "twoloop", "anmr"):
        yield one("m4a", "m4a", "-aac_coder", coder, "-strict", "-2", name=f"m4a-aac-{coder}", **padded())
    for option in ("aac_is", "aac_ms", "aac_pns", "aac_tns"):
        yield one("m4a", "m4a", f"-{option}", "0", name=f"m4a-no-{option.replace('_', '-')}", **padded())
    yield one("adts", "aac", "-profile:a", "aac_main", name="adts-main")
    yield one("m4a", "m4a", "-profile:a", "aac_main", name="m4a-main", **padded())
    yield one("adts", "aac", "-profile:a", "mpeg2_aac_low", name="adts-mpeg-2")
    yield one("adts", "aac", "-profile:a", "aac_ltp", "-strict", "-2", name="adts-ltp")
    for container, extension in (("mov", "mov"), ("3gp", "3gp"), ("mp4", "mp4")):
        yield one(container, extension, **padded())
    yield one("mkv", "mka")
    yield one("mkv", "mka", channels=6, rate=48_000)
    yield one("mp4", "mp4", "-movflags", "+faststart", name="mp4-faststart", **padded())
    yield one("mp4", "mp4", "-movflags", "frag_keyframe+empty_moov", "-frag_duration", "100000", name="mp4-fragmented")
    yield one(
        "mp4",
        "mp4",
        "-movflags",
        "+dash+delay_moov",
        "-frag_duration",
        "100000",
        name="mp4-dash",
        why="ffmpeg 5 does not cut off the delay of a file whose edit list states no length",
        drop=1_024,
    )
    yield one("m4a", "m4a", frames=1, name="m4a-aac-one-frame", length=1, why=PADDED)
    yield one("m4a", "m4a", frames=441, name="m4a-aac-10-ms", length=441, why=PADDED)
    base = one("adts", "aac", name="base")
    yield derived(base, "adts-id3v2-in-front", lambda data: media.id3v2(3) + data, tags="title artist album cover")
    yield derived(base, "adts-then-id3v1", lambda data: data + media.id3v1())
    yield derived(base, "adts-then-ape", lambda data: data + media.ape())
    yield derived(base, "adts-cut", lambda data: data[:-50], warns=("ends_early",))
    yield joined("adts-joined", base, base, db=40, why="the decoders differ in the frame where the files meet")
    yield copied("m4a-edit-list", one("m4a", "m4a", frames=60_000, name="long"), "m4a", ("-ss", "0.5"), length=37_926, why=PADDED)
    yield copied("m4a-short-edit", one("m4a", "m4a", frames=60_000, name="long"), "m4a", (), ("-t", "0.7"))
    yield one("latm", "latm", fmt="latm", name="latm", refused="unsupported: AAC in LATM or LOAS")
    yield one(
        "mp4",
        "mp4",
        "-encryption_scheme",
        "cenc-aes-ctr",
        "-encryption_key",
        "00" * 16,
        "-encryption_kid",
        "11" * 16,
        name="mp4-encrypted",
        refused="unsupported: encrypted sound",
    )


def copied(name, base, extension, before=(), after=(), container=None, **expected):
    """Another container for the packets of a file."""

    def make(path):
        first = path.with_name(path.stem + ".first." + base.extension)
        base.make(first)
        media.ffmpeg(*before, "-i", first, *after, "-c", "copy", path)
        first.unlink()

    kept = {"db": base.db, "extra": base.extra, "why": base.why}
    return Case(name, container or base.container, base.codec, make, extension, base.tools, **(kept | expected))


def he_aac():
    """The encoder is an example program of vocalizer-audio."""

    def one(version, container, rate):
        def make(path):
            samples = media.floats(media.signal(rate, 2, rate))
            path.write_bytes(media.run(TARGET / "debug/examples/encode_he_aac", version, container, rate, stdin=samples))

        extension = "aac" if container == "adts" else "m4a"
        return Case(f"he-{version}-{container}-{rate}", container, f"he-aac {version}", make, extension, db=40)

    for version in ("v1", "v2"):
        for rate in (32_000, 44_100, 48_000):
            yield one(version, "adts", rate)
        base = one(version, "adts", 44_100)
        for extension in ("m4a", "mka", "mp4"):
            yield copied(f"he-{version}-implicit-{extension}", base, extension, container=extension)
        why = "ffmpeg 5 takes the delay in the edit list twice; 3,018 frames are right"
        yield copied(f"he-{version}-explicit-m4a", one(version, "m4a", 44_100), "m4a", like=(base,), drop=3_018, length=44_100, why=why)
        yield copied(f"he-{version}-explicit-mka", one(version, "m4a", 44_100), "mka", container="mkv")
