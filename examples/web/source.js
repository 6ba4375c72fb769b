// Reads any range of a part's samples without downloading the rest: from the stored MP3, or, if its frame positions cannot be
// computed, from the WAV that the server creates from it.
import { ApiError, bytes } from './api.js';
import { MpegLayout, Unreadable, tagBytes } from './mpeg.js';

const HEAD_BYTES = 8192;
const WAV_HEAD_BYTES = 4096;

// One context per rate decodes everything: each context holds native memory and a thread until it is collected.
const decoders = new Map();
export function decode(data, rate) {
  if (!decoders.has(rate)) decoders.set(rate, new OfflineAudioContext(1, 1, rate));
  return decoders.get(rate).decodeAudioData(data.buffer);
}

class Mp3 {
  static async open(path) {
    let { bytes: head, total } = await bytes(path, 0, HEAD_BYTES);
    const begins = tagBytes(head);
    if (begins) ({ bytes: head } = await bytes(path, begins, begins + HEAD_BYTES));
    const layout = new MpegLayout(head, begins, total);
    return new Mp3(path, layout);
  }

  constructor(path, layout) {
    this.path = path;
    this.layout = layout;
    this.rate = layout.rate;
    this.length = layout.length;
  }

  async read(from, to, write, signal) {
    const stretch = this.layout.stretch(from, to);
    const { bytes: data } = await bytes(this.path, stretch.start, stretch.stop, signal);
    const decoded = await decode(this.layout.cut(data, stretch), this.rate);
    // Some decoders drop the first frames; these are the extra ones.
    const late = stretch.frames * this.layout.first.samples - decoded.length;
    const offset = stretch.lead - late;
    if (offset < 0 || decoded.length < offset) throw new Unreadable('decoder returned too few samples');
    for (const index of [0, 1]) write(index, decoded.getChannelData(Math.min(index, decoded.numberOfChannels - 1)).subarray(offset, offset + to - from));
  }
}

class Wav {
  path = '';
  channels = 0;
  rate = 0;
  // Bytes of a sample: two, or three in files of 24 bits.
  width = 2;
  begins = 0;
  length = 0;

  static async open(path) {
    const { bytes: head } = await bytes(path, 0, WAV_HEAD_BYTES);
    const view = new DataView(head.buffer, head.byteOffset, head.byteLength);
    const wav = Object.assign(new Wav(), { path });
    for (let at = 12; at + 8 <= head.length;) {
      const [name, size] = [view.getUint32(at), view.getUint32(at + 4, true)];
      if (name === 0x666d7420) Object.assign(wav, { channels: view.getUint16(at + 10, true), rate: view.getUint32(at + 12, true), width: view.getUint16(at + 22, true) / 8 });
      if (name === 0x64617461) return Object.assign(wav, { begins: at + 8, length: size / (wav.width * wav.channels) });
      at += 8 + size + (size % 2);
    }
    throw new Unreadable('no data chunk in WAV');
  }

  async read(from, to, write, signal) {
    const { width } = this;
    const each = width * this.channels;
    const { bytes: data } = await bytes(this.path, this.begins + from * each, this.begins + to * each, signal);
    const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
    for (const index of [0, 1]) {
      const out = new Float32Array(to - from);
      // The two most significant bytes are signed; the third, if there is one, is below them.
      const at = (n) => n * each + index * (each - width);
      if (width === 2) for (let n = 0; n < out.length; n += 1) out[n] = view.getInt16(at(n), true) / 32768;
      else for (let n = 0; n < out.length; n += 1) out[n] = (view.getInt16(at(n) + 1, true) * 256 + view.getUint8(at(n))) / 8388608;
      write(index, out);
    }
  }
}

// A part of a song: `rate`, `length` in samples, and `read`.
export class Source {
  // The original may be in any format, so read its WAV. A preview is an MP3 in any case.
  static async open(song, part, isPreview = false) {
    const wav = () => Wav.open(`songs/${song}/${part}.wav`);
    if (isPreview) {
      const full = () => Source.open(song, part);
      try {
        return new Source(await Mp3.open(`songs/${song}/${part}.mp3?quality=preview`), full);
      } catch (error) {
        // The server may be too busy to make it.
        if (error.unreachable || !(error instanceof ApiError || error instanceof Unreadable)) throw error;
        return full();
      }
    }
    try {
      return new Source(part === 'song' ? await wav() : await Mp3.open(`songs/${song}/${part}.mp3`), wav);
    } catch (error) {
      if (!(error instanceof Unreadable)) throw error;
      return new Source(await wav(), wav);
    }
  }

  constructor(inner, fallback) {
    /** @type {Mp3 | Wav | Source} */
    this.inner = inner;
    this.fallback = fallback;
  }

  get rate() { return this.inner.rate; }
  get length() { return this.inner.length; }

  /**
   * Reads the samples `from` to `to`, or to the part's end.
   * @param {(channel: 0 | 1, samples: Float32Array) => void} write
   * @param {AbortSignal} signal
   */
  async read(from, to, write, signal) {
    const last = Math.min(to, this.length);
    if (last <= from) return;
    try {
      await this.inner.read(from, last, write, signal);
    } catch (error) {
      const unreadable = error instanceof Unreadable || error.name === 'EncodingError';
      if (!unreadable || this.inner instanceof Wav) throw error;
      this.inner = await this.fallback();
      await this.inner.read(from, last, write, signal);
    }
  }
}
