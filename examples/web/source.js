// Reads any range of a part's samples without downloading the rest: from the stored MP3, or, if its frame positions cannot be
// computed, from the WAV that the server creates from it.
import { bytes } from './api.js';

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
const HEAD_BYTES = 8192;

class Unreadable extends Error {}

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

class Mp3 {
  static async open(path) {
    let { bytes: head, total } = await bytes(path, 0, HEAD_BYTES);
    let begins = 0;
    if (head[0] === 0x49 && head[1] === 0x44 && head[2] === 0x33) {
      begins = 10 + ((head[6] << 21) | (head[7] << 14) | (head[8] << 7) | head[9]);
      ({ bytes: head } = await bytes(path, begins, begins + HEAD_BYTES));
    }
    const first = frame(head, 0);
    if (!first) throw new Unreadable('no MP3 frame found');
    const at = 4 + (first.version === 3 ? (first.mono ? 17 : 32) : first.mono ? 9 : 17);
    const view = new DataView(head.buffer, head.byteOffset, head.byteLength);
    // "Info" marks a constant bit rate; its flags say which fields follow: frame count, byte count, seek table, quality.
    if (view.getUint32(at) !== 0x496e666f || !(view.getUint32(at + 4) & 1)) throw new Unreadable('not a constant bit rate');
    const flags = view.getUint32(at + 4);
    const tag = at + 8 + 4 + (flags & 2 ? 4 : 0) + (flags & 4 ? 100 : 0) + (flags & 8 ? 4 : 0);
    const delay = (head[tag + 21] << 4) | (head[tag + 22] >> 4);
    const padding = ((head[tag + 22] & 15) << 8) | head[tag + 23];
    return Object.assign(new Mp3(), {
      path, total, first, rate: first.rate, begins: begins + first.size, frames: view.getUint32(at + 8),
      skip: delay || padding ? delay + DECODER_DELAY : 0, length: view.getUint32(at + 8) * first.samples - delay - padding,
    });
  }

  async read(from, to) {
    const last = Math.min(to, this.length);
    if (last <= from) return [new Float32Array(to - from), new Float32Array(to - from)];
    const { samples, mean } = this.first;
    const begin = Math.max(0, Math.floor((from + this.skip) / samples) - PREROLL_FRAMES);
    const end = Math.min(this.frames, Math.ceil((last + this.skip) / samples));
    const start = Math.max(this.begins, Math.floor(this.begins + begin * mean) - SLACK_BYTES);
    const { bytes: data } = await bytes(this.path, start, Math.min(this.total, Math.ceil(this.begins + end * mean) + SLACK_BYTES));
    let at = 0;
    for (; at <= 2 * SLACK_BYTES; at += 1) {
      const found = frame(data, at);
      if (sameFormat(found, this.first) && (end - begin < 2 || sameFormat(frame(data, at + found.size), this.first))) break;
    }
    let past = at;
    for (let count = begin; count < end; count += 1) {
      const found = frame(data, past);
      if (!sameFormat(found, this.first)) throw new Unreadable('frame not at the expected position');
      past += found.size;
    }
    const decoded = await new OfflineAudioContext(1, 1, this.rate).decodeAudioData(data.slice(at, past).buffer);
    // Some decoders drop the first frames; these are the extra ones.
    const late = (end - begin) * samples - decoded.length;
    const offset = from + this.skip - begin * samples - late;
    if (offset < 0 || decoded.length < offset) throw new Unreadable('decoder returned too few samples');
    const channel = (index) => {
      const all = decoded.getChannelData(Math.min(index, decoded.numberOfChannels - 1));
      const out = new Float32Array(to - from);
      out.set(all.subarray(offset, offset + last - from));
      return out;
    };
    return [channel(0), channel(1)];
  }
}

class Wav {
  static async open(path) {
    const { bytes: head } = await bytes(path, 0, 4096);
    const view = new DataView(head.buffer, head.byteOffset, head.byteLength);
    const wav = Object.assign(new Wav(), { path });
    for (let at = 12; at + 8 <= head.length;) {
      const [name, size] = [view.getUint32(at), view.getUint32(at + 4, true)];
      if (name === 0x666d7420) Object.assign(wav, { channels: view.getUint16(at + 10, true), rate: view.getUint32(at + 12, true) });
      if (name === 0x64617461) return Object.assign(wav, { begins: at + 8, length: size / (2 * wav.channels) });
      at += 8 + size + (size % 2);
    }
    throw new Unreadable('no data chunk in WAV');
  }

  async read(from, to) {
    const each = 2 * this.channels;
    const out = [new Float32Array(to - from), new Float32Array(to - from)];
    const last = Math.min(to, this.length);
    if (last <= from) return out;
    const { bytes: data } = await bytes(this.path, this.begins + from * each, this.begins + last * each);
    const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
    for (let index = 0; index < last - from; index += 1) {
      out[0][index] = view.getInt16(index * each, true) / 32768;
      out[1][index] = view.getInt16(index * each + each - 2, true) / 32768;
    }
    return out;
  }
}

// A part of a song: `rate`, `length` in samples, and `read(from, to)`, which returns both channels, padded with silence past the end.
export class Source {
  // The original may be in any format, so read its WAV.
  static async open(song, part) {
    const source = new Source();
    const wav = () => Wav.open(`songs/${song}/${part}.wav`);
    source.fallback = wav;
    try {
      source.inner = part === 'song' ? await wav() : await Mp3.open(`songs/${song}/${part}.mp3`);
    } catch (error) {
      if (!(error instanceof Unreadable)) throw error;
      source.inner = await wav();
    }
    return source;
  }

  get rate() { return this.inner.rate; }
  get length() { return this.inner.length; }

  async read(from, to) {
    try {
      return await this.inner.read(from, to);
    } catch (error) {
      const unreadable = error instanceof Unreadable || error instanceof DOMException;
      if (!unreadable || this.inner instanceof Wav) throw error;
      this.inner = await this.fallback();
      return this.inner.read(from, to);
    }
  }
}
