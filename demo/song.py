"""The score of "First Light": ten bars of music as data, and the parts that play them.

render.py turns these notes into sound; nothing here knows about audio.
"""
BPM = 104
BEAT = 60 / BPM  # seconds
SECONDS = 24.5  # ten bars, then the last chord rings on and fades
SEMITONES = 0  # above A
IS_MINOR = False

# One entry per half bar: the bass note, then the chord voiced around middle C.
CHORDS = [entry.split() for entry in (
    "D2 F#3 A3 C#4 E4,  E2 E3 A3 B3 D4,"       # intro: Dmaj7  E7sus4
    "A1 E3 G#3 C#4 E4,  A1 E3 G#3 B3 C#4,"     # Amaj7
    "C#2 E3 G#3 B3 E4,  C#2 E3 G#3 B3 C#4,"    # C#m7
    "D2 F#3 A3 C#4 E4,  D2 F#3 A3 C#4 F#4,"    # Dmaj7
    "D2 F3 A3 B3 D4,    D2 F3 A3 B3 F4,"       # Dm6, the borrowed chord under "again"
    "F#2 E3 A3 C#4 F#4, F#2 E3 A3 C#4 E4,"     # F#m7
    "D#2 F#3 A3 B3 D#4, D#2 F#3 A3 B3 F#4,"    # B7/D#
    "B1 F#3 A3 B3 D4,   E2 E3 G#3 B3 D4,"      # Bm7  E7
    "A1 E3 A3 C#4 E4,   D2 F3 A3 B3 D4,"       # A  Dm6
    "A1 E3 A3 B3 C#4 E4").split(",")]          # Aadd9

# bar, beat, length in beats, note, syllable in espeak-ng phonemes (en-us)
MELODY = [
    (1, 0.0, 1.5, "E4", "f'3:st"), (1, 1.5, 1.5, "A4", "l'aIt"),      # First light
    (1, 3.0, 0.5, "G#4", "'oU"), (1, 3.5, 0.5, "F#4", "v'3:"),        # over
    (2, 0.0, 0.5, "E4", "D'@"),                                       # the
    (2, 0.5, 1.0, "G#4", "w'O:"), (2, 1.5, 1.0, "E4", "t'3:"),        # water
    (2, 3.0, 0.5, "C#4", "k'O:"), (2, 3.5, 0.5, "E4", "l'IN"),        # calling
    (3, 0.0, 1.0, "F#4", "m'i:"), (3, 1.0, 2.0, "A4", "h'oUm"),       # me home
    (3, 3.0, 1.0, "G#4", "'a#"), (4, 0.0, 2.5, "F4", "g'En"),         # again
    (5, 0.0, 1.5, "F#4", "h'oUld"), (5, 1.5, 1.5, "A4", "'A:n"),      # Hold on
    (5, 3.0, 0.5, "G#4", "m'o@"), (5, 3.5, 0.5, "A4", "n'IN"),        # morning
    (6, 0.0, 0.5, "F#4", "'Iz"),                                      # is
    (6, 0.5, 1.0, "A4", "k'V"), (6, 1.5, 1.5, "B4", "m'IN"),          # coming
    (7, 0.0, 1.0, "B4", "g'oUld"), (7, 1.0, 0.5, "A4", "w'e@"),       # gold where
    (7, 1.5, 0.5, "F#4", "D'@"), (7, 2.0, 1.0, "G#4", "n'aIt"),       # the night
    (7, 3.0, 1.0, "B4", "h'az"), (8, 0.0, 3.0, "A4", "b'In"),         # has been
]
# A second voice below the lead for the last six syllables.
HARMONY = [(*event[:3], low, event[4]) for event, low in
           zip(MELODY[-6:], ("F#4", "F#4", "D4", "E4", "G#4", "E4"))]

# Drum patterns: General MIDI drum note -> velocities, one digit per sixteenth.
KICK, SNARE, HAT, OPEN, CRASH, RIDE, TOM1, TOM2, TOM3 = 36, 38, 42, 46, 49, 51, 50, 47, 43
PICKUP = {HAT: "5.3.5.3.5.3.5...", KICK: "8.......8.......", SNARE: "..........3.5678"}
VERSE = {KICK: "9.....6.8.6.....", SNARE: "....9..2.2..9...", HAT: "6.4.6.4.6.4.6.43"}
LIFT = {KICK: "9.....7.8.7..6..", SNARE: "....9..3.3..9..3", HAT: "6.4.6.4.6.4.6...",
        RIDE: "6...5...6...5...", OPEN: "..............6."}
FILL = {KICK: "9.....6.8...7...", SNARE: "....9...8.66....", HAT: "6.4.6.4.........",
        TOM1: "..........8.7...", TOM2: "............87..", TOM3: "..............88"}
STOP = {KICK: "9.....7.9...9...", SNARE: "....9...5566789.", HAT: "6.4.6.4.........",
        TOM3: "..............89"}
CODA = {KICK: "9...............", RIDE: "7......."}
BARS = [PICKUP, VERSE, VERSE, VERSE, FILL, LIFT, LIFT, FILL, STOP, CODA]
CRASHES = (1, 5, 9)


def change(bpm, semitones, is_minor):
    """Plays the song at another tempo or in another key, to test what finds them."""
    global BPM, BEAT, SECONDS, SEMITONES, IS_MINOR
    SECONDS *= BPM / bpm  # as many beats
    BPM, BEAT, SEMITONES, IS_MINOR = bpm, 60 / bpm, semitones, is_minor


def pitch(name):
    """MIDI number of a note name such as C#4, in the key that the song is played in."""
    scale = dict(zip("CDEFGAB", (0, 2, 4, 5, 7, 9, 11)))
    note = 12 * (int(name[-1]) + 1) + scale[name[0]] + name.count("#")
    # In A minor, these are C, D, F and G.
    flat = IS_MINOR and name[:-1] in ("C#", "D#", "F#", "G#")
    return note - flat + SEMITONES


def hertz(name):
    return 440 * 2 ** ((pitch(name) - 69) / 12)


def drums():
    """Notes are (beat, length in beats, MIDI number, velocity) throughout."""
    for bar, patterns in enumerate(BARS):
        if bar in CRASHES:
            yield bar * 4, 2, CRASH, 100
        for drum, steps in patterns.items():
            for step, digit in enumerate(steps):
                if digit.isdigit():
                    yield bar * 4 + step / 4, 0.25, drum, 14 * int(digit)


def bass():
    roots = [pitch(chord[0]) for chord in CHORDS]
    for half, root in enumerate(roots[:-1]):
        beat, following = half * 2, roots[half + 1]
        yield beat, 1.4, root, 104
        yield beat + 1.5, 0.25, root + (12 if half % 2 else 0), 84
        # Lead into the next root by step when it moves, else bounce on the fifth.
        approach = following + (-2 if following > root else 2) if following != root else root + 7
        yield beat + 1.75, 0.24, approach, 90
    yield 36, 6, roots[-1], 104


def piano():
    for half, chord in enumerate(CHORDS[:-1]):
        for offset, length, velocity in ((0, 0.9, 84), (1.0, 0.4, 62), (1.5, 0.45, 74)):
            for note in chord[1:]:
                yield half * 2 + offset, length, pitch(note), velocity
    for roll, note in enumerate(CHORDS[-1]):
        yield 36 + roll * 0.06, 6, pitch(note), 82


def guitar():
    for half, chord in enumerate(CHORDS[:-1]):
        tones = [pitch(note) for note in chord[1:5]]
        for step, tone in enumerate((0, 2, 3, 1)):
            yield half * 2 + step / 2, 0.9, tones[tone] + 12 * (step == 2), 78 - 6 * (step % 2)


def strings():
    for half, chord in enumerate(CHORDS):
        for note in chord[2:]:
            yield half * 2, 6 if half == 18 else 2.05, pitch(note) + 12, 58


def bells():
    """Short answers in the gaps that the voice leaves."""
    for beat, note in ((2, "A5"), (2.5, "G#5"), (3, "E5"), (18.5, "D5"), (19, "F5"), (19.5, "A5"),
                       (27.0, "D#6"), (27.5, "C#6"), (35, "F5"), (35.5, "G#5"), (36, "A5")):
        yield beat, 1, pitch(note), 70


# stem -> parts: (notes, channel, General MIDI program, reverb send, pan, volume)
PARTS = {
    "drums": [(drums, 9, 16, 22, 64, 110)],
    "bass": [(bass, 0, 33, 0, 64, 110)],
    "other": [(piano, 0, 0, 45, 52, 92), (guitar, 1, 25, 40, 92, 92),
              (strings, 2, 48, 70, 64, 70), (bells, 3, 11, 70, 30, 72)],
}
