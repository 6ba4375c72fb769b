// Reads a part at another rate than its own. The browser's decoder converts it: well, and in another thread.

// Samples around a range that are converted with it, because the converter's filter looks beyond the range.
const MARGIN = 1024;
const HEAD_BYTES = 44;
const WIDTH = 3;
const FULL = 2 ** 23;

const greatestDivisor = (a, b) => (b ? greatestDivisor(b, a % b) : a);

/**
 * The samples of a part of `length` samples that a range needs. Both rates have a sample at its begin, so that nothing shifts.
 * @param {{ from: number, to: number, own: number, rate: number, length: number }} of `from` and `to` are at `rate`, the result at `own`
 */
export function needed({ from, to, own, rate, length }) {
  const common = greatestDivisor(own, rate);
  const [step, ownStep] = [rate / common, own / common];
  const steps = Math.max(0, Math.floor((from - MARGIN) / step));
  return { begin: steps * ownStep, end: Math.min(length, Math.ceil((to + MARGIN) / step) * ownStep), offset: from - steps * step };
}

// A WAV file of two channels in 24 bits.
/** @param {Float32Array[]} sides @param {number} rate */
function wav(sides, rate) {
  const frames = sides[0].length;
  const size = frames * 2 * WIDTH;
  const view = new DataView(new ArrayBuffer(HEAD_BYTES + size));
  const head = [[0, 0x52494646], [8, 0x57415645], [12, 0x666d7420], [36, 0x64617461]];
  for (const [at, name] of head) view.setUint32(at, name);
  for (const [at, value] of [[4, HEAD_BYTES - 8 + size], [16, 16], [24, rate], [28, rate * 2 * WIDTH], [40, size]]) view.setUint32(at, value, true);
  for (const [at, value] of [[20, 1], [22, 2], [32, 2 * WIDTH], [34, 8 * WIDTH]]) view.setUint16(at, value, true);
  let at = HEAD_BYTES;
  for (let n = 0; n < frames; n += 1) {
    for (const side of sides) {
      const value = Math.max(-FULL, Math.min(FULL - 1, Math.round(side[n] * FULL)));
      view.setUint16(at, value & 0xffff, true);
      view.setInt8(at + 2, value >> 16);
      at += WIDTH;
    }
  }
  return new Uint8Array(view.buffer);
}

export class Resampled {
  /**
   * @param {import('./source.js').Source} inner
   * @param {number} rate
   * @param {(data: Uint8Array<ArrayBuffer>, rate: number) => Promise<AudioBuffer>} decode
   */
  constructor(inner, rate, decode) {
    this.inner = inner;
    this.rate = rate;
    this.decode = decode;
    this.length = Math.floor((inner.length * rate) / inner.rate);
  }

  /**
   * Reads the samples `from` to `to`, or to the part's end.
   * @param {(channel: 0 | 1, samples: Float32Array) => void} write
   * @param {AbortSignal} signal
   */
  async read(from, to, write, signal) {
    const last = Math.min(to, this.length);
    if (last <= from) return;
    const { rate: own, length } = this.inner;
    const { begin, end, offset } = needed({ from, to: last, own, rate: this.rate, length });
    const sides = [0, 1].map(() => new Float32Array(end - begin));
    await this.inner.read(begin, end, (side, samples) => sides[side].set(samples), signal);
    const decoded = await this.decode(wav(sides, own), this.rate);
    signal?.throwIfAborted();
    for (const side of /** @type {const} */ ([0, 1])) write(side, decoded.getChannelData(side).subarray(offset, offset + last - from));
  }
}
