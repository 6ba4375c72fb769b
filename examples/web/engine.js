// Plays a song's stems on one clock. Each segment is one multichannel buffer with all stems, played by one node, so the stems cannot
// drift apart; the next segment starts at the exact sample where it ends.
import { untilReachable } from './api.js';
import { Source } from './source.js';

export const STEMS = ['vocals', 'drums', 'bass', 'other'];

const SEGMENT = 131072;
const CACHED_SEGMENTS = 10;
const AHEAD_S = 4;
// How far ahead of the clock to schedule: the audio clock advances in steps of one render quantum.
const LEAD_S = 0.12;
const LATE_S = 0.04;
const TICK_MS = 200;
const FADE_S = 0.012;
const NO_AUDIO_MS = 3000;

// Dispatches `state` when `state` changes: paused, playing, waiting (for the network), ended; `failed` with an error; `no-audio` if the
// browser does not start audio output.
export class Engine extends EventTarget {
  #context = null;
  #inputs = {};
  #gains = new Map();
  #levels = new Map(STEMS.map((stem) => [stem, 1]));
  #volume = 1;
  #sources = {};
  #segments = new Map();
  #pieces = [];
  #next = 0;
  #frame = 0;
  #timer = null;
  #closed = false;
  #mode = 'stems';
  loop = null;
  state = 'paused';

  constructor(song) {
    super();
    this.song = song;
  }

  async open() {
    this.#sources.stems = await Promise.all(STEMS.map((stem) => Source.open(this.song, stem)));
    this.rate = this.#sources.stems[0].rate;
    this.length = Math.max(...this.#sources.stems.map(({ length }) => length));
  }

  // The playback position in samples.
  get position() {
    const now = this.#now();
    const piece = this.#pieces.findLast(({ frame }) => frame <= now) ?? this.#pieces[0];
    if (!piece) return this.#next;
    return Math.min(piece.from + Math.max(0, now - piece.frame), piece.to);
  }

  // Browsers start an audio context only after a user gesture.
  #createContext() {
    if (this.#context) return;
    const context = new AudioContext({ sampleRate: this.rate, latencyHint: 'balanced' });
    const volume = context.createGain();
    volume.gain.value = this.#volume;
    volume.connect(context.destination);
    const splitter = context.createChannelSplitter(2 * STEMS.length);
    for (const [index, stem] of STEMS.entries()) {
      const both = context.createChannelMerger(2);
      const gain = context.createGain();
      gain.gain.value = this.#levels.get(stem);
      splitter.connect(both, 2 * index, 0);
      splitter.connect(both, 2 * index + 1, 1);
      both.connect(gain).connect(volume);
      this.#gains.set(stem, gain);
    }
    this.#gains.set('volume', volume);
    this.#inputs = { stems: splitter, original: volume };
    this.#context = context;
  }

  #now() {
    return this.#context ? Math.floor(this.#context.currentTime * this.rate) : 0;
  }

  async play() {
    this.#createContext();
    if (this.state === 'ended') this.seek(0);
    this.#setState('waiting');
    // Without an audio device or permission to play, resume() never resolves.
    const timeout = setTimeout(() => this.dispatchEvent(new Event('no-audio')), NO_AUDIO_MS);
    await this.#context.resume();
    clearTimeout(timeout);
    clearInterval(this.#timer);
    this.#timer = setInterval(() => this.#pump(), TICK_MS);
    this.#pump();
  }

  // Suspends the clock and with it all scheduled playback.
  async pause() {
    clearInterval(this.#timer);
    this.#timer = null;
    if (this.state !== 'ended') this.#setState('paused');
    await this.#context?.suspend();
  }

  get isOn() {
    return this.#timer !== null;
  }

  seek(sample) {
    this.#stop(0);
    this.#next = Math.min(Math.max(0, Math.round(sample)), this.length);
    if (this.state === 'ended') this.#setState('paused');
    if (this.isOn) this.#pump();
    else this.#fetch(this.#next).catch(() => {});
  }

  // Sets the loop range; null stops looping.
  setLoop(loop) {
    this.loop = loop;
    this.#replan();
  }

  // Switches between stems and original at the same position, without a gap.
  async choose(mode) {
    if (mode === this.#mode) return;
    if (mode === 'original' && !this.#sources.original) this.#sources.original = [await Source.open(this.song, 'song')];
    if (this.isOn) await this.#fetch(this.position + LEAD_S * this.rate, mode);
    this.#mode = mode;
    this.#replan();
  }

  setLevel(stem, level) {
    this.#levels.set(stem, level);
    this.#fade(stem, level);
  }

  setVolume(volume) {
    this.#volume = volume;
    this.#fade('volume', volume);
  }

  #fade(name, level) {
    this.#gains.get(name)?.gain.setTargetAtTime(level, this.#context.currentTime, FADE_S);
  }

  close() {
    this.#closed = true;
    clearInterval(this.#timer);
    this.#context?.close();
  }

  #setState(state) {
    if (state === this.state) return;
    this.state = state;
    this.dispatchEvent(new Event('state'));
  }

  // Reschedules everything after the lead time with the current settings.
  #replan() {
    if (!this.#pieces.length) return;
    const frame = this.#now() + Math.ceil(LEAD_S * this.rate);
    const piece = this.#pieces.findLast((each) => each.frame <= frame) ?? this.#pieces[0];
    let next = Math.min(piece.from + Math.max(0, frame - piece.frame), piece.to);
    // If the loop's end falls within the lead time, continue from its start.
    const [from, to] = this.loop ?? [0, Infinity];
    if (from <= this.position && this.position < to && to <= next) next += from - to;
    this.#stop(frame / this.rate);
    this.#pieces = this.#pieces.filter((each) => each.frame < frame);
    [this.#next, this.#frame] = [next, Math.max(frame, piece.frame)];
    if (this.isOn) this.#pump();
  }

  // Stops playback at a time, or at once without one.
  #stop(time) {
    for (const { node, frame } of this.#pieces) {
      node.onended = null;
      // Cancel pieces that have not started.
      if (time && frame / this.rate < time) node.stop(time);
      else { node.stop(); node.disconnect(); }
    }
    if (!time) [this.#pieces, this.#frame] = [[], 0];
  }

  async #pump() {
    const [now, soon] = [this.#now(), Math.ceil(LEAD_S * this.rate)];
    this.#pieces = this.#pieces.filter(({ frame, from, to }) => frame + to - from > now);
    while (this.isOn && (this.#pieces.length === 0 || this.#frame < now + AHEAD_S * this.rate)) {
      if (this.loop && this.#next === this.loop[1]) this.#next = this.loop[0];
      if (this.#next >= this.length) {
        if (this.#pieces.length) break;
        this.#setState('ended');
        this.#next = 0;
        await this.pause();
        return;
      }
      const index = Math.floor(this.#next / SEGMENT);
      const segment = this.#segments.get(`${this.#mode}/${index}`);
      if (!segment?.channels) {
        if (!this.#pieces.length) this.#setState('waiting');
        this.#fetch(this.#next).then(() => { if (this.isOn) this.#pump(); }, () => {});
        return;
      }
      const past = this.loop && this.#next < this.loop[1] ? this.loop[1] : this.length;
      const to = Math.min((index + 1) * SEGMENT, past);
      // Too late for a gapless start: delay playback.
      if (this.#frame < now + LATE_S * this.rate) this.#frame = now + soon;
      this.#plan(segment.channels, index * SEGMENT, this.#next, to);
      this.#next = to;
    }
    if (this.isOn && this.#pieces.length) this.#setState('playing');
    if (this.isOn) this.#fetch(Math.min(this.#next, this.length - 1)).catch(() => {});
  }

  #plan(channels, begins, from, to) {
    const buffer = this.#context.createBuffer(channels.length, to - from, this.rate);
    for (const [index, channel] of channels.entries()) buffer.copyToChannel(channel.subarray(from - begins, to - begins), index);
    const node = new AudioBufferSourceNode(this.#context, { buffer });
    node.connect(this.#inputs[this.#mode]);
    node.start(this.#frame / this.rate);
    node.onended = () => { node.disconnect(); if (this.isOn) this.#pump(); };
    this.#pieces.push({ node, frame: this.#frame, from, to });
    this.#frame += to - from;
  }

  // Returns the segment that contains a sample; loads it if needed and waits while the server is unreachable.
  #fetch(sample, mode = this.#mode) {
    const index = Math.floor(Math.min(Math.max(0, sample), this.length - 1) / SEGMENT);
    const key = `${mode}/${index}`;
    const known = this.#segments.get(key);
    if (known) {
      // Move it to the end of the LRU order.
      this.#segments.delete(key);
      this.#segments.set(key, known);
      return known.coming;
    }
    const segment = {};
    segment.coming = this.#read(index, mode).then((channels) => { segment.channels = channels; }, (error) => {
      this.#segments.delete(key);
      if (!this.#closed) this.dispatchEvent(new CustomEvent('failed', { detail: error }));
      throw error;
    });
    this.#segments.set(key, segment);
    for (const old of this.#segments.keys()) {
      if (this.#segments.size <= CACHED_SEGMENTS) break;
      this.#segments.delete(old);
    }
    return segment.coming;
  }

  async #read(index, mode) {
    const [from, to] = [index * SEGMENT, Math.min((index + 1) * SEGMENT, this.length)];
    while (true) {
      try {
        return (await Promise.all(this.#sources[mode].map((source) => source.read(from, to)))).flat();
      } catch (error) {
        if (!error.unreachable || this.#closed) throw error;
        await untilReachable();
      }
    }
  }
}
