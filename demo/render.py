#!/usr/bin/env python3
"""Render "First Light", the demo song of Vocalizer, together with its true stems.

Everything comes from the notes in song.py: fluidsynth plays the instruments, espeak-ng
sings the lyric. The mixture is by construction the sum of the four stems, so the
song can serve as ground truth for separation. README.md says what each file is for.

    python3 demo/render.py [--out DIR] [--stems DIR]
    python3 demo/render.py --mixture FILE [--bpm N] [--semitones N] [--minor]
"""
import argparse
import array
import math
import random
import shutil
import struct
import subprocess
import sys
import tempfile
import wave
from pathlib import Path

sys.dont_write_bytecode = True  # keeps __pycache__ out of the source tree
import song  # noqa: E402
from song import HARMONY, MELODY, PARTS, hertz  # noqa: E402

RATE = 44100
STEMS = ("drums", "bass", "other", "vocals")  # the channel order of first-light.stems.flac
SMALL_RATE = 8000
SMALL_STEP = 128  # the small stems keep 9 of 16 bits: an error 32 dB or more below each, in 40 % of the bytes
SOUNDFONT = Path("/usr/share/sounds/sf2/FluidR3_GM.sf2")
TOOLS = ("fluidsynth", "espeak-ng", "ffmpeg")
PACKAGES = "fluidsynth fluid-soundfont-gm espeak-ng ffmpeg"

# Level of each stem while it plays, in dB relative to the vocals.
BALANCE = {"vocals": 0.0, "drums": -1.0, "bass": -2.5, "other": -3.0}
# Dynamics belong to the stem: a limiter on the mixture would break "the sum is the mixture".
EFFECTS = {
    "drums": "acompressor=threshold=0.1:ratio=3:attack=12:release=120,alimiter=limit=0.55:level=0",
    "bass": "acompressor=threshold=0.1:ratio=3:attack=15:release=150",
    "other": "highpass=f=110",
    "vocals": "highpass=f=140,equalizer=f=3000:t=q:w=1:g=3,treble=f=5000:g=5,"
              "acompressor=threshold=0.08:ratio=3:attack=8:release=120",
}


def frame_count():
    return int(RATE * song.SECONDS)


# ---------------------------------------------------------------- instruments

def variable_length(value):
    """A MIDI delta time: seven bits per byte, high bit set on all but the last."""
    data = [value & 0x7F]
    while value := value >> 7:
        data.insert(0, value & 0x7F | 0x80)
    return bytes(data)


def midi_file(parts, ticks=480):
    events = []  # (tick, order, message): at equal ticks a note off precedes a note on
    for index, (notes, channel, program, reverb, pan, volume) in enumerate(parts):
        events.append((0, 0, bytes([0xC0 | channel, program])))
        for controller, value in ((7, volume), (10, pan), (91, reverb), (93, 0)):
            events.append((0, 0, bytes([0xB0 | channel, controller, value])))
        human = random.Random(index)  # seeded: small unevenness, the same in each render
        for beat, length, note, velocity in notes():
            velocity = max(1, min(127, velocity + human.randint(-5, 5)))
            start = round(beat * ticks) + human.randint(0, 6)
            events.append((start, 2, bytes([0x90 | channel, note, velocity])))
            events.append((start + round(length * ticks), 1, bytes([0x80 | channel, note, 0])))
    track = b"\x00\xff\x51\x03" + round(60e6 / song.BPM).to_bytes(3, "big")
    now = 0
    for tick, _, message in sorted(events):
        track += variable_length(tick - now) + message
        now = tick
    # The end of track comes late, so that fluidsynth renders the last decay.
    track += variable_length(round(frame_count() / RATE / song.BEAT * ticks) - now + ticks) + b"\xff\x2f\x00"
    return b"MThd" + struct.pack(">IHHH", 6, 0, 1, ticks) + b"MTrk" + struct.pack(">I", len(track)) + track


def ffmpeg(*arguments, data=None):
    command = ["ffmpeg", "-v", "error", "-y", *map(str, arguments)]
    return subprocess.run(command, input=data, stdout=subprocess.PIPE, check=True).stdout


def raw(channels, samples="f32le", rate=RATE):
    return ["-f", samples, "-ar", rate, "-ac", channels]


def decode(path, channels, filters="anull"):
    return array.array("f", ffmpeg("-i", path, "-af", filters, *raw(channels), "-"))


def play(stem, work):
    midi, wav = work / f"{stem}.mid", work / f"{stem}.wav"
    midi.write_bytes(midi_file(PARTS[stem]))
    subprocess.run(["fluidsynth", "-niq", "-r", str(RATE), "-O", "float", "-T", "wav", "-g", "0.4",
                    "-o", "synth.reverb.room-size=0.5", "-o", "synth.reverb.level=0.5",
                    "-F", wav, SOUNDFONT, midi], check=True, stdout=subprocess.DEVNULL)
    return decode(wav, 2, EFFECTS[stem])


# ---------------------------------------------------------------- voice

# espeak-ng speaks 9 Hz below the pitch of its voice file; equal limits make a monotone.
VOICE = """name singer
language en-us
gender female
pitch {0} {0}
flutter 0
roughness 0
formant 0 105 80 150
formant 1 108 80 150
formant 2 110 70 150
formant 3 110 70 150
formant 4 115 80 200
formant 5 115 80 100
breath 0 2 3 3 3 3 3 2
consonants 120 120
"""


def syllable(phonemes, frequency, seconds, work):
    """One syllable on one pitch, not yet of the right length."""
    (work / "singer").write_text(VOICE.format(round(frequency) + 9))
    speed = 80 if seconds > 0.4 else 150
    subprocess.run(["espeak-ng", "--load", "-v", "singer", "-s", str(speed), "-z", "-w", "syllable.wav",
                    f"[[{phonemes}]]"], cwd=work, check=True)
    return decode(work / "syllable.wav", 1)


def vowel(sound, period):
    """Start and end of the vowel: the loud frames that repeat at the sung period."""
    hop, size, lag = 220, 880, round(period)
    frames = []
    for start in range(0, len(sound) - size - lag, hop):
        here, later = sound[start:start + size], sound[start + lag:start + lag + size]
        power, power_later = (sum(x * x for x in part) + 1e-9 for part in (here, later))
        likeness = sum(map(lambda x, y: x * y, here, later)) / math.sqrt(power * power_later)
        frames.append((math.sqrt(power / size), likeness))
    loudest = max(rms for rms, _ in frames)
    voiced = [i for i, (rms, likeness) in enumerate(frames) if rms > 0.4 * loudest and likeness > 0.85]
    return voiced[0] * hop, voiced[-1] * hop + size, loudest


def sing(melody, detune, delay, work):
    """Place each syllable with its vowel on the beat, stretched to the note's length.

    Overlapping grains two periods long are laid down at the sung period. Reading
    them slower than they are written lengthens the vowel without changing its colour.
    """
    out = array.array("f", bytes(4 * frame_count()))
    for bar, beat, length, note, phonemes in melody:
        seconds = length * song.BEAT
        frequency = hertz(note)
        period = RATE / round(frequency)  # espeak-ng takes whole hertz
        sound = syllable(phonemes, frequency, seconds, work)
        start, end, loudest = vowel(sound, period)
        tail = min(len(sound) - 1 - 2 * period, end + 0.12 * RATE)  # final consonant
        # Stretch the first half of the vowel only: a diphthong turns late when sung.
        room = max(0.02 * RATE, (seconds - 0.05) * RATE - (tail - start))
        first, last = start + 0.15 * (end - start), start + 0.5 * (end - start)
        if (seconds - 0.05) * RATE < tail - start:  # too long: shorten all of the vowel
            first, last = start + 0.1 * (end - start), start + 0.9 * (end - start)
            room = (seconds - 0.05) * RATE - (tail - start)
        rate = (last - first) / max(0.01 * RATE, last - first + room)
        onset = ((bar * 4 + beat) * song.BEAT + delay) * RATE - start
        gain = 0.2 / loudest
        read, written = 2 * period, 2 * period
        while read < tail:
            age = (written - start) / RATE  # seconds since the vowel began
            cents = detune - 70 * math.exp(-max(age, 0) / 0.05)  # scoop up into the note
            cents += 28 * min(1, max(0, age - 0.25) / 0.4) * math.sin(2 * math.pi * 5.4 * age)
            target = RATE / frequency * 2 ** (-cents / 1200)
            # Whole periods from the start of the vowel keep neighbouring grains in phase.
            grain = start + round((read - start) / period) * period
            edge = min(1, (tail - read) / (0.03 * RATE)) * min(1, read / (0.005 * RATE))
            for i in range(math.ceil(written - target), math.floor(written + target) + 1):
                place = grain + i - written
                whole, at = int(place), int(onset) + i
                if 0 <= whole < len(sound) - 1 and 0 <= at < len(out):
                    window = 0.5 + 0.5 * math.cos(math.pi * (i - written) / target)
                    value = sound[whole] + (place - whole) * (sound[whole + 1] - sound[whole])
                    out[at] += gain * edge * window * value
            written += target
            read += target * (rate if first < read < last else 1)
    return out


def vocals(work):
    """Lead, two quiet detuned doubles and the harmony, in a small hall of decaying noise."""
    dry = array.array("f", bytes(8 * frame_count()))
    for melody, detune, delay, left, right in ((MELODY, 0, 0, 1, 1), (MELODY, -8, 0.013, 0.3, 0.08),
                                               (MELODY, 8, 0.021, 0.08, 0.3), (HARMONY, 3, 0.01, 0.42, 0.5)):
        for i, value in enumerate(sing(melody, detune, delay, work)):
            dry[2 * i] += left * value
            dry[2 * i + 1] += right * value
    noise, hall, state = random.Random(7), array.array("f", [1, 1]), [0.0, 0.0]
    for i in range(1, int(1.3 * RATE)):
        decay = 0.012 * math.exp(-i / (0.28 * RATE)) * min(1, i / (0.02 * RATE))
        for side in (0, 1):
            state[side] += 0.35 * (noise.uniform(-1, 1) - state[side])  # air absorbs treble
            hall.append(decay * state[side])
    (work / "hall.f32").write_bytes(hall.tobytes())
    graph = f"[0]{EFFECTS['vocals']}[v];[v][1]afir=gtype=none"
    return array.array("f", ffmpeg(*raw(2), "-i", "-", *raw(2), "-i", work / "hall.f32",
                                   "-filter_complex", graph, *raw(2), "-", data=dry.tobytes()))


# ---------------------------------------------------------------- mixture

def playing_rms(sound):
    """RMS over the tenths of a second in which the stem plays (within 30 dB of its loudest)."""
    size = RATE // 10 * 2
    powers = [sum(x * x for x in sound[i:i + size]) / size for i in range(0, len(sound) - size, size)]
    active = [power for power in powers if power > max(powers) / 1000]
    return math.sqrt(sum(active) / len(active))


def levelled(stems):
    """The stems in balance and faded out, as 16-bit samples whose sum peaks at -1.5 dBFS."""
    frames = frame_count()
    fade = [math.cos(math.pi / 2 * max(0, 1 - (frames - i) / (2 * RATE))) for i in range(frames)]
    floats = []
    for stem, sound in stems.items():
        sound.extend([0.0] * (2 * frames - len(sound)))
        gain = 10 ** (BALANCE[stem] / 20) / playing_rms(sound)
        floats.append([gain * sound[i] * fade[i // 2] for i in range(2 * frames)])
    peak = max(map(abs, map(sum, zip(*floats))))
    scale = 32767 * 10 ** (-1.5 / 20) / peak  # leaves the MP3 encoder headroom
    return {stem: array.array("h", (round(scale * x) for x in sound)) for stem, sound in zip(stems, floats)}


def write_wav(path, samples):
    with wave.open(str(path), "wb") as file:
        file.setparams((2, 2, RATE, frame_count(), "NONE", ""))
        file.writeframes(samples.tobytes())


def write_mp3(path, mixture):
    ffmpeg(*raw(2, "s16le"), "-i", "-", "-b:a", "256k", "-flags", "+bitexact", "-metadata", "title=First Light",
           "-metadata", "artist=Vocalizer", "-metadata", "copyright=CC0 1.0 Universal", path, data=mixture.tobytes())


def write_small_stems(path, stems):
    """One channel per stem: left and right averaged, resampled by ffmpeg, rounded to SMALL_STEP."""
    channels = []
    for stem in STEMS:
        small = ffmpeg(*raw(2, "s16le"), "-i", "-", "-af", f"pan=mono|c0=0.5*c0+0.5*c1,aresample={SMALL_RATE}",
                       "-f", "s16le", "-", data=stems[stem].tobytes())
        channels.append([round(x / SMALL_STEP) * SMALL_STEP for x in array.array("h", small)])
    samples = array.array("h", (x for frame in zip(*channels) for x in frame))
    quad = "channelmap=0|1|2|3:quad"  # FLAC's own layout of four channels, each left where it is
    ffmpeg(*raw(len(STEMS), "s16le", SMALL_RATE), "-i", "-", "-af", quad, "-compression_level", "12",
           "-flags", "+bitexact", "-metadata", "title=First Light: drums, bass, other, vocals",
           "-metadata", "artist=Vocalizer", path, data=samples.tobytes())


def check_packages():
    missing = [tool for tool in TOOLS if not shutil.which(tool)] + [SOUNDFONT] * (not SOUNDFONT.exists())
    if missing:
        sys.exit(f"render.py: {', '.join(map(str, missing))} not found; run: apt-get install {PACKAGES}")


def main():
    here = Path(__file__).resolve().parent
    parser = argparse.ArgumentParser(description="Render the demo song and its true stems.")
    parser.add_argument("--out", type=Path, default=here, metavar="DIR",
                        help="where first-light.mp3 and first-light.stems.flac go (default: beside this script)")
    parser.add_argument("--stems", type=Path, default=here.parent / "target" / "demo" / "stems", metavar="DIR",
                        help="where the stems and the mixture go as WAV (default: target/demo/stems)")
    parser.add_argument("--mixture", type=Path, metavar="FILE", help="write only the mixture, as WAV")
    parser.add_argument("--bpm", type=float, default=song.BPM, metavar="N", help="another tempo, with --mixture")
    parser.add_argument("--semitones", type=int, default=0, metavar="N", help="higher or lower than A, with --mixture")
    parser.add_argument("--minor", action="store_true", help="in minor, with --mixture")
    options = parser.parse_args()
    is_changed = (options.bpm, options.semitones, options.minor) != (song.BPM, 0, False)
    if is_changed and not options.mixture:
        parser.error("the files of the demo have one tempo and key; give --mixture FILE")
    check_packages()
    song.change(options.bpm, options.semitones, options.minor)
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        stems = levelled({stem: vocals(work) if stem == "vocals" else play(stem, work) for stem in STEMS})
    mixture = array.array("h", map(sum, zip(*stems.values())))  # exact: sums of the written samples
    if options.mixture:
        return write_wav(options.mixture, mixture)

    for folder in (options.out, options.stems):
        folder.mkdir(parents=True, exist_ok=True)
    for name, samples in {**stems, "mixture": mixture}.items():
        write_wav(options.stems / f"{name}.wav", samples)
    write_mp3(options.out / "first-light.mp3", mixture)
    write_small_stems(options.out / "first-light.stems.flac", stems)
    print(f"wrote first-light.mp3 and first-light.stems.flac in {options.out}, the stems in {options.stems}")


if __name__ == "__main__":
    main()
