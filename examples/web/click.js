// The click: where beats are, how a tempo is found from taps, and the sound.

const SOUND_S = 0.03;
const DECAY = 120;
const HERTZ = { strong: 1760, weak: 1175 };
const LEVEL = 0.5;
// Taps further apart than this begin a new count.
const PAUSE_S = 2.5;
const MOST_TAPS = 16;
export const SLOWEST_BPM = 30;
export const FASTEST_BPM = 300;

/**
 * The beats from `from` up to `to`, all in seconds of the song.
 * @param {{ bpm: number, first: number, bar: number }} grid `first` is a first beat of a bar of `bar` beats
 * @returns {{ at: number, strong: boolean }[]}
 */
export function beatsBetween({ bpm, first, bar }, from, to) {
  const each = 60 / bpm;
  const found = [];
  // A rounding error must not drop the beat at `from`.
  for (let n = Math.ceil((from - first) / each - 1e-6); first + n * each < to - 1e-6 * each; n += 1) found.push({ at: first + n * each, strong: n % bar === 0 });
  return found;
}

/** Collects taps; `tap` takes the seconds of the song at which one came. Returns the tempo after the second one: its BPM, and where the first tap should have been. */
export function tapper() {
  let taps = [];
  return {
    tap: (at) => {
      if (!(at > taps.at(-1)) || at - taps.at(-1) > PAUSE_S) taps = [];
      taps = [...taps, at].slice(-MOST_TAPS);
      const count = taps.length;
      if (count < 2) return null;
      // The line through all taps.
      const mean = (values) => values.reduce((sum, each) => sum + each, 0) / count;
      const [middle, center] = [(count - 1) / 2, mean(taps)];
      const each = mean(taps.map((tap, n) => (n - middle) * (tap - center))) / mean(taps.map((_, n) => (n - middle) ** 2));
      const bpm = Math.min(FASTEST_BPM, Math.max(SLOWEST_BPM, Math.round(600 / each) / 10));
      return { bpm, first: center - middle * each };
    },
  };
}

export class Click {
  #buffers = new Map();

  /** @param {BaseAudioContext} context @param {AudioNode} destination */
  constructor(context, destination) {
    this.context = context;
    this.frames = Math.round(SOUND_S * context.sampleRate);
    this.output = new GainNode(context, { gain: LEVEL });
    this.output.connect(destination);
  }

  buffer(strong) {
    if (!this.#buffers.has(strong)) {
      const buffer = new AudioBuffer({ length: this.frames, sampleRate: this.context.sampleRate });
      const hertz = strong ? HERTZ.strong : HERTZ.weak;
      buffer.copyToChannel(Float32Array.from({ length: this.frames }, (_, n) => {
        const seconds = n / this.context.sampleRate;
        return Math.sin(2 * Math.PI * hertz * seconds) * Math.exp(-DECAY * seconds) * Math.min(1, n / 16);
      }), 0);
      this.#buffers.set(strong, buffer);
    }
    return this.#buffers.get(strong);
  }
}
