// Where the samples of an MP3 with a constant bit rate are, computed from its head. Knows no network and no decoder.

const RATES_HZ = { 3: [44100, 48000, 32000], 2: [22050, 24000, 16000], 0: [11025, 12000, 8000] };
const KBIT_S = {
  3: [0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320],
  2: [0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160],
};
// Frames to decode before the first one needed: a frame may depend on earlier ones (bit reservoir).
const PREROLL_FRAMES = 8;
// How far a frame may be from the position that the mean frame size predicts.
const SLACK_BYTES = 8;
// The decoder's delay in samples, in addition to the encoder's.
const DECODER_DELAY = 529;
const INFO = 0x496e666f;

export class Unreadable extends Error {}

// Parses an MP3 frame header (layer III); returns null if there is none.
function frame(data, at) {
  if (at + 4 > data.length || data[at] !== 0xff || (data[at + 1] & 0xe6) !== 0xe2) return null;
  const version = (data[at + 1] >> 3) & 3;
  const rate = RATES_HZ[version]?.[(data[at + 2] >> 2) & 3];
  const kbits = KBIT_S[version === 3 ? 3 : 2][data[at + 2] >> 4];
  if (!rate || !kbits) return null;
  const samples = version === 3 ? 1152 : 576;
  const mean = (samples / 8) * ((kbits * 1000) / rate);
  return { version, rate, kbits, samples, mean, mono: data[at + 3] >> 6 === 3, size: Math.floor(mean) + ((data[at + 2] >> 1) & 1) };
}

const sameFormat = (one, other) => one && other && one.version === other.version && one.rate === other.rate && one.kbits === other.kbits;

/** The length of the ID3 tag at the start of a file; 0 without one. */
export function tagBytes(head) {
  if (head[0] !== 0x49 || head[1] !== 0x44 || head[2] !== 0x33) return 0;
  return 10 + ((head[6] << 21) | (head[7] << 14) | (head[8] << 7) | head[9]);
}

/** A range of bytes that decodes to a range of samples. @typedef {{ start: number, stop: number, frames: number, lead: number }} Stretch */

export class MpegLayout {
  /** Reads the layout from the bytes after the tag, which begin at `begins` in a file of `total` bytes. */
  constructor(head, begins, total) {
    const first = frame(head, 0);
    if (!first) throw new Unreadable('no MP3 frame found');
    const at = 4 + (first.version === 3 ? (first.mono ? 17 : 32) : first.mono ? 9 : 17);
    const view = new DataView(head.buffer, head.byteOffset, head.byteLength);
    // "Info" marks a constant bit rate; its flags say which fields follow: frame count, byte count, seek table, quality.
    if (head.length < at + 8 || view.getUint32(at) !== INFO || !(view.getUint32(at + 4) & 1)) throw new Unreadable('not a constant bit rate');
    const flags = view.getUint32(at + 4);
    const tag = at + 8 + 4 + (flags & 2 ? 4 : 0) + (flags & 4 ? 100 : 0) + (flags & 8 ? 4 : 0);
    const delay = (head[tag + 21] << 4) | (head[tag + 22] >> 4);
    const padding = ((head[tag + 22] & 15) << 8) | head[tag + 23];
    this.first = first;
    this.rate = first.rate;
    this.total = total;
    this.begins = begins + first.size;
    this.frames = view.getUint32(at + 8);
    this.skip = delay || padding ? delay + DECODER_DELAY : 0;
    this.length = this.frames * first.samples - delay - padding;
  }

  /** @returns {Stretch} the bytes of the samples `from` to `to`; `lead` is how many decoded samples come before `from`. */
  stretch(from, to) {
    const { samples, mean } = this.first;
    const begin = Math.max(0, Math.floor((from + this.skip) / samples) - PREROLL_FRAMES);
    const end = Math.min(this.frames, Math.ceil((to + this.skip) / samples));
    return {
      start: Math.max(this.begins, Math.floor(this.begins + begin * mean) - SLACK_BYTES),
      stop: Math.min(this.total, Math.ceil(this.begins + end * mean) + SLACK_BYTES),
      frames: end - begin,
      lead: from + this.skip - begin * samples,
    };
  }

  /** Cuts the whole frames of a stretch out of its bytes. */
  cut(data, { frames }) {
    let at = 0;
    for (; at <= 2 * SLACK_BYTES; at += 1) {
      const found = frame(data, at);
      if (sameFormat(found, this.first) && (frames < 2 || sameFormat(frame(data, at + found.size), this.first))) break;
    }
    let past = at;
    for (let count = 0; count < frames; count += 1) {
      const found = frame(data, past);
      if (!sameFormat(found, this.first)) throw new Unreadable('frame not at the expected position');
      past += found.size;
    }
    return data.slice(at, past);
  }
}
