"""Videos, several tracks, tags, damage, and what Vocalizer refuses."""

import struct

import media
from case import Case, cover, derived, encoded, frames_of, made, source_of, tool
from compressed import PADDED, VORBIS_ONE_PAGE

VIDEO = ("-f", "lavfi", "-i", "testsrc=size=64x48:rate=10:duration=0.4")
TAGS = ("-metadata", f"title={media.ID3_TITLE}", "-metadata", f"artist={media.ID3_ARTIST}", "-metadata", f"album={media.ID3_ALBUM}")
TEXTS = "title artist album"


def cases():
    return [*videos(), *tracks(), *tagged(), *damaged(), *refused(), *limits()]


def with_video(name, container, extension, codec, video, db, *options, **named):
    def make(path):
        song = source_of(44_100 if codec != "libopus" else 48_000)
        media.ffmpeg("-i", song, *VIDEO, "-map", "1:v", "-map", "0:a", "-c:v", video, "-c:a", codec, *options, path)

    return Case(name, container, codec, make, extension, frozenset({"ffmpeg"}), db=db, **named)


def videos():
    padded = {"length": frames_of(44_100), "why": PADDED}
    yield with_video("video-mp4-aac", "mp4", "mp4", "aac", "mpeg4", 80, **padded)
    yield with_video("video-mp4-mp3", "mp4", "mp4", "libmp3lame", "mpeg4", 90, **padded)
    yield with_video("video-mp4-alac", "mp4", "mp4", "alac", "mpeg4", 140)
    for codec in (
        "pcm_s16le",
        "pcm_s16be",
        "pcm_s24le",
        "pcm_s24be",
        "pcm_s32le",
        "pcm_f32le",
        "pcm_f64be",
        "pcm_u8",
        "pcm_s8",
        "pcm_alaw",
        "pcm_mulaw",
        "alac",
    ):
        yield with_video(f"video-mov-{codec.removeprefix('pcm_')}", "mov", "mov", codec, "mjpeg", 140)
    yield with_video("video-mov-aac", "mov", "mov", "aac", "mjpeg", 80, **padded)
    yield with_video("video-mkv-vorbis", "mkv", "mkv", "libvorbis", "mpeg4", 90)
    yield with_video("video-mkv-flac", "mkv", "mkv", "flac", "ffv1", 140)
    yield with_video("video-webm-opus", "webm", "webm", "libopus", "libvpx", 60)
    yield with_video("video-webm-vorbis", "webm", "webm", "libvorbis", "libvpx", 90)
    yield with_video("video-webm-live", "webm", "webm", "libopus", "libvpx", 60, "-live", "1")
    yield with_video("video-mov-ima4", "mov", "mov", "adpcm_ima_qt", "mjpeg", 90)
    for extension, arguments in (
        ("mp3", ("mp3", "libmp3lame")),
        ("opus", ("opus", "libopus")),
        ("ogg", ("vorbis", "libvorbis")),
        ("m4a", ("aac", "aac")),
        ("flac", ("flac", "flac")),
        ("wav", ("pcm", "pcm_s16le")),
        ("m4a", ("alac", "alac")),
        ("mp2", ("mp2", "mp2")),
    ):
        db = {"libopus": 60, "aac": 80, "libmp3lame": 90, "mp2": 75, "libvorbis": 90}.get(arguments[1], 140)
        yield merged(f"mkvmerge-{arguments[0]}", arguments[1], extension, db)
    zlib = ("--compression", "0:zlib")
    yield merged("mkvmerge-zlib", "pcm_s16le", "wav", 140, *zlib, refused="unsupported: Matroska with compressed sound")


def merged(name, codec, extension, db, *options, **expected):
    """mkvmerge puts several packets into one block."""

    def make(path):
        first = path.with_name(path.stem + ".first." + extension)
        media.ffmpeg("-i", source_of(48_000), "-c:a", codec, first)
        media.run("mkvmerge", "-q", *options, "-o", path, first)
        first.unlink()

    return Case(name, "mkv", codec, make, "mka", frozenset({"ffmpeg", "mkvmerge"}), db=db, **expected)


def several(name, extension, codecs, dispositions, db, **named):
    """Several audio tracks, each with its own signal."""

    def make(path):
        inputs, maps = [], []
        for n, codec in enumerate(codecs):
            inputs += ["-i", source_of(48_000, 2, frames_of(48_000) + 1_000 * n)]
            maps += ["-map", f"{n}:a", f"-c:a:{n}", codec, f"-disposition:a:{n}", dispositions[n]]
        media.ffmpeg(*inputs, *maps, path)

    return Case(name, extension, codecs[0], make, extension, frozenset({"ffmpeg"}), db=db, **named)


def tracks():
    two = ("several_tracks",)
    for extension in ("mkv", "mp4"):
        padded = [{"length": frames_of(48_000) + more, "why": PADDED} if extension == "mp4" else {} for more in (0, 1_000)]
        yield several(f"tracks-{extension}-first", extension, ("aac", "aac"), ("default", "0"), 80, warns=two, **padded[0])
        yield several(f"tracks-{extension}-second", extension, ("aac", "aac"), ("default", "0"), 80, track=2, warns=two, **padded[1])
    second = {"ffmpeg_track": 2, "why": "Vocalizer takes the default track, ffmpeg the first"}
    yield several("tracks-mkv-default-second", "mkv", ("aac", "aac"), ("0", "default"), 80, warns=two, **second)
    length = {"length": frames_of(48_000) + 1_000}
    yield several("tracks-mp4-default-second", "mp4", ("aac", "aac"), ("0", "default"), 80, warns=two, **second, **length)
    second = {"ffmpeg_track": 2, "why": "Vocalizer takes the first track that it can decode"}
    yield several("tracks-mkv-ac3-first", "mkv", ("ac3", "aac"), ("default", "0"), 80, warns=two, **second)
    yield several("tracks-mp4-ac3-first", "mp4", ("ac3", "aac"), ("default", "0"), 80, warns=two, **second, **length)
    yield several("tracks-mkv-none", "mkv", ("aac", "aac"), ("default", "0"), 80, track=3, refused="there is no audio track 3; the file has 2")
    yield several("tracks-mkv-mixed", "mkv", ("libvorbis", "flac"), ("default", "0"), 140, track=2, warns=two)


def with_tags(container, codec, extension, db, *options, art=False, tags=TEXTS, name=None, **named):
    def make(path):
        pictures = ("-i", cover(), "-map", "0:a", "-map", "1:v", "-c:v", "copy", "-disposition:v", "attached_pic") if art else ()
        rate = 48_000 if codec == "libopus" else 44_100
        # An input without tags, so that those of the command count.
        media.ffmpeg("-i", source_of(rate), *pictures, "-c:a", codec, *options, *TAGS, path)

    name = name or f"tags-{container}-{codec.removeprefix('pcm_')}"
    return Case(name, container, codec, make, extension, frozenset({"ffmpeg"}), db=db, tags=tags + (" cover" if art else ""), **named)


def tagged():
    yield with_tags("mp3", "libmp3lame", "mp3", 90, "-id3v2_version", "3", art=True, name="tags-mp3-id3v2.3")
    yield with_tags("mp3", "libmp3lame", "mp3", 90, "-id3v2_version", "4", art=True, name="tags-mp3-id3v2.4")
    yield with_tags("flac", "flac", "flac", 140, art=True)
    yield with_tags("m4a", "aac", "m4a", 80, art=True, length=frames_of(44_100), why=PADDED)
    yield with_tags("m4a", "alac", "m4a", 140, art=True)
    trimmed = {"length": frames_of(44_100), "why": VORBIS_ONE_PAGE}
    yield with_tags("ogg", "libvorbis", "ogg", 90, **trimmed)
    yield with_tags("ogg", "flac", "oga", 140)
    flac_tags = [f"--tag={field}" for field in (f"TITLE={media.ID3_TITLE}", f"ARTIST={media.ID3_ARTIST}", f"ALBUM={media.ID3_ALBUM}")]
    flac = ("-sf", "--ogg", *flac_tags, "--picture=3|image/png|||COVER", "IN", "-o", "OUT")
    yield tool("ogg", "flac", "oga", "flac", *flac, name="tags-ogg-flac-cover", tags=TEXTS + " cover")
    yield with_tags("opus", "libopus", "opus", 60)
    yield with_tags("wav", "pcm_s16le", "wav", 140)
    yield with_tags("aiff", "pcm_s16be", "aiff", 140, "-write_id3v2", "1", art=True)
    yield with_tags("mkv", "flac", "mka", 140)
    yield with_tags("webm", "libopus", "webm", 60)
    yield with_tags("w64", "pcm_s16le", "w64", 140, tags="")
    picture = struct.pack(">II", 3, 9) + b"image/png" + bytes(20) + struct.pack(">I", len(media.png())) + media.png()
    import base64

    block = ("-metadata", "METADATA_BLOCK_PICTURE=" + base64.b64encode(picture).decode())
    yield with_tags("ogg", "libvorbis", "ogg", 90, *block, tags=TEXTS + " cover", name="tags-ogg-cover", **trimmed)
    yield with_tags("opus", "libopus", "opus", 60, *block, tags=TEXTS + " cover", name="tags-opus-cover")
    attach = ("-attach", cover(), "-metadata:s:t", "mimetype=image/png", "-metadata:s:t", "filename=cover.png")
    yield with_tags("mkv", "flac", "mka", 140, *attach, tags=TEXTS + " cover", name="tags-mkv-cover")


def damaged():
    early = ("ends_early",)
    for container, codec, extension in (
        ("wav", "pcm_s16le", "wav"),
        ("aiff", "pcm_s16be", "aiff"),
        ("au", "pcm_s16be", "au"),
        ("caf", "pcm_s16be", "caf"),
        ("w64", "pcm_s16le", "w64"),
    ):
        base = encoded(container, codec, extension)
        yield derived(base, f"cut-{container}", lambda data: data[: len(data) * 3 // 4 & ~3], warns=early)
    for container, codec, extension, db in (
        ("flac", "flac", "flac", 140),
        ("ogg", "libvorbis", "ogg", 90),
        ("ogg", "libopus", "opus", 60),
        ("mkv", "libvorbis", "mka", 90),
        ("mkv", "flac", "mka", 140),
    ):
        # Short pages, of which only the last is cut.
        pages = ("-page_duration", "50000") if container == "ogg" else ()
        base = encoded(container, codec, extension, *pages, rate=48_000, db=db)
        more = {"libvorbis": 2_048, "libopus": 960}[codec] if container == "ogg" else 0
        why = "Vocalizer also decodes the whole packets of the page that is cut" if more else ""
        yield derived(base, f"cut-{container}-{codec}", lambda data: data[: len(data) * 3 // 4], warns=early, extra=more, why=why)
    faststart = encoded("mp4", "aac", "mp4", "-movflags", "+faststart", db=80)
    yield derived(faststart, "cut-mp4-aac", lambda data: data[: len(data) * 3 // 4], warns=early)
    yield derived(encoded("mp4", "aac", "mp4"), "cut-mp4-before-its-index", lambda data: data[: len(data) * 3 // 4], refused="truncated")
    for container, codec, extension, db in (
        ("mkv", "libvorbis", "mka", 90),
        ("webm", "libopus", "webm", 60),
        ("m4a", "aac", "m4a", 80),
        ("m4a", "alac", "m4a", 140),
    ):
        padded = {"length": frames_of(48_000), "why": PADDED} if codec == "aac" else {}
        base = encoded(container, codec, extension, rate=48_000, db=db, **padded)
        for name, after in (("zeros", bytes(4_000)), ("id3v1", media.id3v1()), ("text", b"the end " * 30)):
            yield derived(base, f"{container}-{codec}-then-{name}", lambda data, after=after: data + after)


def refused():
    """Formats that Vocalizer names, and files that are no songs."""

    def no(container, codec, extension, message, *options, **named):
        return encoded(container, codec, extension, *options, name=named.pop("name", f"refused-{container}-{codec}"), refused=message, **named)

    yield no("ac3", "ac3", "ac3", "unsupported: Dolby Digital (AC-3)")
    yield no("eac3", "eac3", "eac3", "unsupported: Dolby Digital Plus (E-AC-3)")
    yield no("dts", "dca", "dts", "unsupported: DTS", "-strict", "-2", rate=48_000)
    yield no("truehd", "truehd", "thd", "unsupported: Dolby TrueHD", "-strict", "-2")
    yield no("wv", "wavpack", "wv", "unsupported: WavPack")
    yield no("tta", "tta", "tta", "unsupported: TTA")
    yield no("wma", "wmav2", "wma", "unsupported: WMA")
    yield no("avi", "libmp3lame", "avi", "unsupported: AVI")
    yield no("flv", "libmp3lame", "flv", "unsupported: Flash video (FLV)")
    yield no("ts", "aac", "ts", "unsupported: MPEG transport stream")
    yield no("m2ts", "ac3", "m2ts", "unsupported: MPEG transport stream")
    yield no("vob", "mp2", "vob", "unsupported: MPEG video (PS or VOB)")
    yield no("ogg", "libspeex", "spx", "unsupported: Speex", rate=16_000)
    yield no("voc", "pcm_u8", "voc", "unsupported: Creative Voice (VOC)")
    yield no("rm", "real_144", "rm", "unsupported: RealAudio", rate=8_000, channels=1, fmt="rm")
    yield no("wav", "libgsm_ms", "wav", "unsupported: WAV with GSM 6.10", rate=8_000, channels=1)
    yield no("wav", "g722", "wav", "unsupported: WAV with G.722", rate=16_000, channels=1)
    yield no("wav", "g726", "wav", "unsupported: WAV with G.72x ADPCM", "-b:a", "32k", rate=8_000, channels=1)
    yield no("wav", "wmav2", "wav", "unsupported: WAV with WMA")
    yield no("wav", "ac3", "wav", "unsupported: WAV with Dolby Digital (AC-3)")
    yield no("wav", "adpcm_yamaha", "wav", "unsupported: WAV with the codec 0x0020")
    yield no("wav", "aac", "wav", "unsupported: WAV or CAF with a codec")
    yield no("caf", "libgsm", "caf", "unsupported: CAF with the codec", rate=8_000, channels=1)
    yield no("au", "adpcm_g726le", "au", "unsupported: AU with", "-b:a", "32k", rate=8_000, channels=1)
    yield no("mkv", "ac3", "mka", "unsupported: ac-3")
    yield no("mkv", "wavpack", "mka", "unsupported: wavpack")
    yield no("mkv", "tta", "mka", "unsupported: tta")
    yield no("mkv", "eac3", "mka", "unsupported: e-ac-3")
    yield no("mkv", "dca", "mka", "unsupported: dts", "-strict", "-2", rate=48_000)
    yield no("mkv", "truehd", "mka", "unsupported: truehd", "-strict", "-2", rate=48_000)
    yield no("mkv", "g726", "mka", "unsupported: Matroska with G.72x ADPCM", "-b:a", "32k", rate=8_000, channels=1)
    yield no("mkv", "real_144", "mka", "unsupported: realaudio", rate=8_000, channels=1)
    yield no("mp4", "ac3", "mp4", "unsupported: ac-3")
    yield no("mp4", "eac3", "mp4", "unsupported: e-ac-3")
    yield no("mov", "libgsm", "mov", "unsupported: gsm", rate=8_000, channels=1)
    yield no("mkv", "wmav2", "mka", "unsupported: Matroska with WMA")
    yield tool("8svx", "pcm_s8", "8svx", "sox", "IN", "OUT", channels=1, rate=22_050, name="refused-8svx", refused="unsupported: Amiga 8SVX")
    yield tool("sph", "pcm_s16", "sph", "sox", "IN", "OUT", name="refused-sphere", refused="unsupported: NIST SPHERE")
    yield tool("amr", "amr-nb", "amr-nb", "sox", "IN", "OUT", rate=8_000, channels=1, name="refused-amr", refused="unsupported: AMR")

    def other(name, data, message):
        return made(f"refused-{name}", name, "", "bin", lambda: data, refused=message)

    yield other("empty", b"", "the file is empty")
    yield other("one-byte", b"R", "not an audio file")
    yield other("zeros", bytes(9_000), "not an audio file")
    yield other("noise", media.np.random.default_rng(3).bytes(9_000), "not an audio file")
    yield other("text", b"Lyrics of a song\n" * 40, "not an audio file")
    yield other("html", b"<!DOCTYPE html><html><body>404</body></html>" + bytes(500), "it is a web page")
    yield other("png", media.png(), "it is a picture")
    yield other("zip", b"PK\3\4" + bytes(500), "it is a ZIP archive")
    yield other("pdf", b"%PDF-1.7\n" + bytes(500), "it is a PDF document")
    yield other("playlist", b"#EXTM3U\nsong.mp3\n", "it is a playlist")
    yield other("cue", b'FILE "song.wav" WAVE\n  TRACK 01 AUDIO\n', "it is a cue sheet")
    yield other("midi", media.midi(), "unsupported: MIDI")
    yield other("dsf", b"DSD " + bytes(500), "unsupported: DSD")
    yield other("monkeys-audio", b"MAC \x96\x0f" + bytes(500), "unsupported: Monkey's Audio")
    yield other("musepack", b"MPCKSH" + bytes(500), "unsupported: Musepack")
    yield other("tag-alone", media.id3v2(3), "no data after the tags")
    yield other("wav-header-alone", media.wav(media.wav_fmt(1, 2, 44_100, 16), b""), "the audio has no samples")
    yield other("wav-without-fmt", b"RIFF\x14\0\0\0WAVEdata\x08\0\0\0" + bytes(8), "there is no fmt chunk")
    yield other("video-alone", media_without_sound(), "no audio track")


def media_without_sound():
    return media.run("ffmpeg", "-v", "error", *VIDEO, "-c:v", "mpeg4", "-movflags", "empty_moov", "-f", "mp4", "-")


def limits():
    zeros = bytes(40_000)

    def wav(name, fmt, message, data=zeros):
        return made(f"refused-wav-{name}", "wav", "pcm", "wav", lambda: media.wav(fmt, data), refused=message)

    yield wav("9-channels", media.wav_fmt(1, 9, 44_100, 16), "over the limit: 9 channels; maximum 8")
    yield wav("0-channels", media.wav_fmt(1, 0, 44_100, 16, block=4), "malformed: the header states 0 channels")
    yield wav("0-hz", media.wav_fmt(1, 2, 0, 16), "malformed: the header states a sample rate of 0 Hz")
    yield wav("500-hz", media.wav_fmt(1, 2, 500, 16), "over the limit: sample rate 500 Hz; minimum 1000 Hz")
    yield wav("768000-hz", media.wav_fmt(1, 2, 768_000, 16), "over the limit: sample rate 768000 Hz; maximum 384000 Hz")
    yield wav("64-bit-integers", media.wav_fmt(1, 2, 44_100, 64), "unsupported: WAV with samples of 64 bits")
    yield wav("16-bit-floats", media.wav_fmt(3, 2, 44_100, 16), "unsupported: WAV with samples of 16 bits")
    yield wav("not-numbers", media.wav_fmt(3, 2, 44_100, 32), "malformed", struct.pack("<f", float("nan")) * 4_000)
    yield wav("infinities", media.wav_fmt(3, 2, 44_100, 32), "malformed", struct.pack("<f", float("inf")) * 4_000)
