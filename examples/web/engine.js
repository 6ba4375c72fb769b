// Plays a song's stems on one clock. Each segment is one multichannel buffer with all stems, played by one node, so the stems cannot
// drift apart; the next segment starts at the exact sample where it ends. What plays when is decided by schedule.js.
import { onDemand, untilReachable } from './api.js';
import { Click } from './click.js';
import { Schedule } from './schedule.js';
import { Segments } from './segments.js';
import { Source, decode } from './source.js';
import { t } from './text.js';

const resampling = onDemand(() => import('./resample.js'));

const SEGMENT = 131072;
// A segment of a part takes 1 MiB.
const KEPT = { stems: 48, original: 6 };
const AHEAD_S = 4;
// How far ahead of the clock to schedule, in addition to the output's own latency: the audio clock advances in steps.
const LEAD_S = 0.04;
const LATE_S = 0.015;
const MOST_LEAD_S = 0.5;
const TICK_MS = 200;
// Every start and stop of sound is faded, so that none clicks.
const FADE_S = 0.008;
const LEVEL_FADE_S = 0.012;
// Seeks that follow each other faster than this are one: only the last one loads and plays.
const SETTLE_MS = 150;
// The time until the last fade has been heard and the clock may stop.
const SLEEP_MS = 300;
const NO_AUDIO_MS = 3000;
const METER_SAMPLES = 2048;
// With another speed or pitch, pieces of this length are rendered one by one, so that the first sound comes soon and this thread is never held up for long.
const GRAIN = 8192;

// Dispatches `state` when `state` changes: paused, playing, waiting (for the network), ended; `decoded` with the samples of a segment;
// `failed` with an error; `no-audio` if the browser does not start audio output; `round` when the loop repeats or the speed changes.
export class Engine extends EventTarget {
  #context = null;
  #inputs = {};
  #gains = new Map();
  #meters = [];
  #scratch = new Float32Array(METER_SAMPLES);
  #levels;
  #volume = 1;
  #sources = {};
  #segments = {};
  #schedule = null;
  // What plays without interruption: its nodes, and the gain that fades it in and out.
  #run = null;
  #on = false;
  // Whether the audio clock runs for what plays.
  #runs = false;
  #timer = null;
  #sleep = null;
  #settling = null;
  #sought = -Infinity;
  #choice = null;
  #closed = false;
  #mode = 'stems';
  #semitones = 0;
  // What renders another speed or pitch; loaded by who sets one. @type {typeof import('./stretch.js') | null}
  #stretch = null;
  // Rendered pieces and their input: memory that is used again.
  #rendered = { stems: [], original: [] };
  #input = [];
  #output = [];
  #heard = '';
  #click = null;
  #beats = null;
  #countIn = 0;
  state = 'paused';

  constructor(song, stems, isPreview = false) {
    super();
    this.isPreview = isPreview;
    this.song = song;
    this.stems = stems;
    this.#levels = new Map(stems.map((stem) => [stem, 1]));
  }

  async open() {
    const stems = await this.#openStems();
    this.rate = stems[0].rate;
    this.#sources.stems = await this.#atOneRate(stems);
    this.length = Math.max(...this.#sources.stems.map(({ length }) => length));
    this.#schedule = new Schedule({ length: this.length, segment: SEGMENT, ahead: AHEAD_S * this.rate, lead: 0, late: 0 });
    this.#segments.stems = this.#cache('stems', this.stems.length);
  }

  #openStems() {
    return Promise.all(this.stems.map((stem) => Source.open(this.song, stem, this.isPreview)));
  }

  // All parts play on one clock, so all are read at its rate. The upload, or previews, may have another one.
  async #atOneRate(sources) {
    if (sources.every(({ rate }) => rate === this.rate)) return sources;
    const module = await resampling();
    if (!module) throw new Error(t('load-failed'));
    return sources.map((source) => (source.rate === this.rate ? source : new module.Resampled(source, this.rate, decode)));
  }

  async #openOriginal() {
    return this.#atOneRate([await Source.open(this.song, 'song', this.isPreview)]);
  }

  // Continues with previews, or with files at full quality, at the same position. What is loaded is heard to its end.
  async setPreview(isPreview) {
    this.isPreview = isPreview;
    const stems = await this.#atOneRate(await this.#openStems());
    const original = this.#sources.original && await this.#openOriginal();
    if (this.isPreview !== isPreview || this.#closed) return;
    Object.assign(this.#sources, { stems, original });
    Object.values(this.#segments).forEach((cache) => cache.clear());
    if (!this.#settling) this.#continue();
  }

  #cache(mode, parts) {
    const channels = 2 * parts;
    const make = () => new AudioBuffer({ length: SEGMENT, numberOfChannels: channels, sampleRate: this.rate });
    const most = Math.ceil(KEPT[mode] / parts);
    const cache = new Segments({ most, make, read: (index, buffer, signal) => this.#read(mode, index, buffer, signal) });
    return Object.assign(cache, { channels });
  }

  // The playback position in samples.
  get position() {
    return this.#schedule?.position(this.#now()) ?? 0;
  }

  get mode() {
    return this.#mode;
  }

  // The speed that is heard, and the number of the loop's repetition.
  get speed() {
    return this.#schedule.playing(this.#now())?.speed ?? this.#schedule.speed;
  }

  get round() {
    return this.#schedule.playing(this.#now())?.round ?? this.#schedule.round;
  }

  get loop() {
    return this.#schedule?.loop ?? null;
  }

  // Browsers start an audio context only after a user gesture.
  #createContext() {
    if (this.#context) return;
    const context = new AudioContext({ sampleRate: this.rate, latencyHint: 'balanced' });
    const volume = context.createGain();
    volume.gain.value = this.#volume;
    volume.connect(context.destination);
    const splitter = context.createChannelSplitter(2 * this.stems.length);
    // The mix is measured before the volume: a download has no volume.
    const mix = new ChannelSplitterNode(context, { numberOfOutputs: 2 });
    const meter = () => new AnalyserNode(context, { fftSize: METER_SAMPLES });
    for (const [index, stem] of this.stems.entries()) {
      const both = context.createChannelMerger(2);
      const gain = context.createGain();
      gain.gain.value = this.#levels.get(stem);
      splitter.connect(both, 2 * index, 0);
      splitter.connect(both, 2 * index + 1, 1);
      both.connect(gain).connect(volume);
      gain.connect(mix);
      this.#meters.push(gain.connect(meter()));
      this.#gains.set(stem, gain);
    }
    for (const side of [0, 1]) {
      const sum = meter();
      mix.connect(sum, side);
      this.#meters.push(sum);
    }
    this.#gains.set('volume', volume);
    this.#inputs = { stems: splitter, original: volume };
    this.#click = new Click(context, volume);
    // Phones stop the sound for calls and other programs, and unplugged devices stop it, too.
    context.addEventListener('statechange', () => { if (this.#runs && context.state !== 'running') this.#interrupted(); });
    this.#context = context;
    const latency = context.baseLatency || 0;
    this.#schedule.lead = Math.ceil((latency + LEAD_S) * this.rate);
    this.#schedule.late = Math.ceil((latency + LATE_S) * this.rate);
  }

  #now() {
    return this.#context ? Math.floor(this.#context.currentTime * this.rate) : 0;
  }

  // When a fade that is ordered now is certain to be heard as a whole.
  #soon() {
    return this.#context.currentTime + this.#schedule.lead / this.rate;
  }

  async play() {
    this.#createContext();
    if (this.state === 'ended') this.seek(0);
    this.#on = true;
    clearTimeout(this.#sleep);
    this.#schedule.delay = Math.round(this.#countIn / this.#schedule.speed);
    this.#setState('waiting');
    // Without an audio device or permission to play, resume() never resolves.
    const timeout = setTimeout(() => this.dispatchEvent(new Event('no-audio')), NO_AUDIO_MS);
    await this.#context.resume();
    clearTimeout(timeout);
    if (!this.#on) return;
    this.#runs = true;
    clearInterval(this.#timer);
    this.#timer = setInterval(() => this.#pump(), TICK_MS);
    this.#pump();
  }

  pause() {
    this.#stop(this.state === 'ended' ? 'ended' : 'paused', this.position);
  }

  // What was planned must not be heard when the clock runs again.
  #interrupted() {
    this.#run?.gain.disconnect();
    this.pause();
  }

  // Fades out, and stops the clock afterwards.
  #stop(state, position) {
    this.#on = this.#runs = false;
    clearInterval(this.#timer);
    this.#schedule.seek(position);
    if (this.#context) {
      this.#fadeOut(this.#soon());
      clearTimeout(this.#sleep);
      this.#sleep = setTimeout(() => this.#context.suspend(), SLEEP_MS);
    }
    this.#setState(state);
  }

  get isOn() {
    return this.#on;
  }

  seek(sample) {
    this.#schedule.seek(sample);
    if (this.state === 'ended') this.#setState('paused');
    const cache = this.#segments[this.#mode];
    cache.abort(this.#schedule.upcoming);
    const [now, before] = [performance.now(), this.#sought];
    this.#sought = now;
    clearTimeout(this.#settling);
    this.#settling = null;
    const quick = now - before < SETTLE_MS;
    if (quick) this.#settling = setTimeout(() => { this.#settling = null; this.#continue(); }, SETTLE_MS);
    // Without data for the new position, end the old sound; otherwise it lasts until the new one starts.
    if (this.#on && (quick || !cache.get(this.#schedule.upcoming))) this.#fadeOut(this.#soon());
    if (!quick) this.#continue();
  }

  #continue() {
    if (this.#on) this.#pump();
    else this.#load(this.#schedule.upcoming);
  }

  // Sets the loop range; null stops looping.
  setLoop(loop) {
    this.#schedule.loop = loop;
    this.#schedule.restart();
    this.#replan();
  }

  /**
   * Sets the speed and the pitch, each without changing the other one.
   * @param {{ speed: number, semitones: number, speedOf?: ((round: number) => number) | null }} how `speedOf` is the speed of a repetition of the loop
   * @param {typeof import('./stretch.js')} stretch
   */
  setTempo({ speed, semitones, speedOf = null }, stretch) {
    this.#semitones = semitones;
    this.#stretch = stretch;
    const isPlain = speed === 1 && !semitones && !speedOf;
    const margin = isPlain ? 0 : new stretch.Stretcher({ rate: this.rate, channels: 0, semitones }).after;
    Object.assign(this.#schedule, { speed, speedOf, grain: isPlain ? Infinity : GRAIN, margin });
    this.#schedule.restart();
    this.#replan();
    this.#tellRound();
  }

  /**
   * Sets the click, and how many samples of the song are counted in before playback.
   * @param {((from: number, to: number, counted: number) => { at: number, strong: boolean }[]) | null} beats between two samples, and in `counted` samples before them
   * @param {number} countIn
   */
  setBeats(beats, countIn) {
    this.#beats = beats;
    this.#countIn = countIn;
    this.#replan();
  }

  // Switches between stems and original at the same position, without a gap.
  async choose(mode) {
    const mine = {};
    this.#choice = mine;
    if (mode === 'original' && !this.#sources.original) {
      this.#sources.original = await this.#openOriginal();
      this.#segments.original = this.#cache('original', 1);
    }
    const index = () => this.#schedule.indexOf(this.position + this.#schedule.lead);
    while (this.#on && !this.#segments[mode].get(index())) {
      await this.#segments[mode].load(index()).catch((error) => { if (error.name !== 'AbortError') throw error; });
    }
    // Another choice, made later, counts.
    if (this.#choice !== mine || mode === this.#mode) return;
    this.#segments[this.#mode].abort();
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
    this.#gains.get(name)?.gain.setTargetAtTime(level, this.#context.currentTime, LEVEL_FADE_S);
  }

  // The peaks of the last moments: of each stem, and of the mix's two sides before the volume.
  peaks() {
    return this.#meters.map((meter) => {
      meter.getFloatTimeDomainData(this.#scratch);
      let peak = 0;
      for (const sample of this.#scratch) if (sample > peak || -sample > peak) peak = Math.abs(sample);
      return peak;
    });
  }

  close() {
    this.#closed = true;
    this.#on = this.#runs = false;
    clearInterval(this.#timer);
    clearTimeout(this.#sleep);
    clearTimeout(this.#settling);
    Object.values(this.#segments).forEach((cache) => cache.clear());
    this.#context?.close();
  }

  #setState(state) {
    if (state === this.state) return;
    this.state = state;
    this.dispatchEvent(new Event('state'));
  }

  // Plans again from the end of the lead time, with the current settings.
  #replan() {
    const frame = this.#schedule.replan(this.#now());
    if (frame !== null) this.#fadeIn(frame);
    if (this.#on) this.#pump();
  }

  // Starts a run at a frame; the one before fades out there.
  #fadeIn(frame) {
    const begins = frame / this.rate;
    this.#fadeOut(begins);
    const gain = new GainNode(this.#context, { gain: 0 });
    gain.gain.setValueAtTime(0, begins);
    gain.gain.linearRampToValueAtTime(1, begins + FADE_S);
    gain.connect(this.#inputs[this.#mode]);
    const isPlain = this.#schedule.grain === Infinity;
    const channels = this.#segments[this.#mode].channels;
    const stretcher = isPlain ? null : new this.#stretch.Stretcher({ rate: this.rate, channels, semitones: this.#semitones });
    this.#run = { gain, begins, nodes: new Set(), stretcher };
  }

  #fadeOut(time) {
    if (!this.#run) return;
    const { gain: { gain }, begins, nodes } = this.#run;
    // It may still be fading in.
    gain.cancelScheduledValues(time);
    gain.linearRampToValueAtTime(Math.min(1, Math.max(0, (time - begins) / FADE_S)), time);
    gain.linearRampToValueAtTime(0, time + FADE_S);
    for (const node of nodes) node.stop(time + FADE_S);
    this.#run = null;
  }

  #pump() {
    if (!this.#on || this.#settling) return;
    const cache = this.#segments[this.#mode];
    for (;;) {
      const next = this.#schedule.plan(this.#now(), (index) => Boolean(cache.get(index)));
      if (next?.ended) return this.#stop('ended', 0);
      if (!next?.piece) {
        this.#load(next?.missing ?? this.#schedule.upcoming);
        break;
      }
      const { piece, fresh } = next;
      if (fresh || !this.#run) this.#fadeIn(piece.frame);
      const { stretcher } = this.#run;
      if (!this.#start(piece, cache, fresh)) {
        this.#run.gain.disconnect();
        this.#run = null;
        this.#schedule.seek(piece.from);
        this.#schedule.delay = piece.delay;
        // Rendering may be what takes so long.
        if (stretcher) this.#schedule.lead = Math.min(2 * this.#schedule.lead, MOST_LEAD_S * this.rate);
      }
      // Let the page work before the next piece is rendered.
      if (stretcher && !document.hidden) {
        setTimeout(() => this.#pump());
        break;
      }
    }
    this.#tellRound();
    this.#setState(this.#schedule.isBusy(this.#now()) ? 'playing' : 'waiting');
  }

  #tellRound() {
    const heard = `${this.round} ${this.speed}`;
    if (heard === this.#heard) return;
    this.#heard = heard;
    this.dispatchEvent(new Event('round'));
  }

  // The longest rendered piece.
  get #grainFrames() {
    return Math.ceil(GRAIN / this.#stretch.SLOWEST) + 2;
  }

  // Starts a piece. Returns false if this thread was held up, so that a first piece would start late and overlap the next one.
  #start(piece, cache, fresh) {
    const { frame, frames, from, to, index, speed, delay } = piece;
    const { stretcher } = this.#run;
    const isLate = () => fresh && this.#now() >= frame;
    if (stretcher) {
      const free = this.#rendered[this.#mode];
      const buffer = free.pop() ?? new AudioBuffer({ length: this.#grainFrames, numberOfChannels: cache.channels, sampleRate: this.rate });
      this.#render(stretcher, piece, cache, buffer);
      if (isLate()) {
        free.push(buffer);
        return false;
      }
      this.#play(buffer, frame, 0, frames, this.#run.gain, () => free.push(buffer));
    } else {
      if (isLate()) return false;
      this.#play(cache.get(index), frame, from - index * SEGMENT, frames, this.#run.gain, cache.use(index));
    }
    for (const { at, strong } of this.#beats?.(from, to, delay * speed) ?? []) {
      this.#play(this.#click.buffer(strong), Math.round(frame + (at - from) / speed), 0, this.#click.frames, this.#click.output);
    }
    return true;
  }

  // Plays a part of a buffer within the current run.
  #play(buffer, frame, offset, frames, output, release = () => {}) {
    const run = this.#run;
    const node = new AudioBufferSourceNode(this.#context, { buffer });
    node.connect(output);
    node.start(frame / this.rate, offset / this.rate, frames / this.rate);
    run.nodes.add(node);
    node.onended = () => {
      node.disconnect();
      run.nodes.delete(node);
      if (run !== this.#run && !run.nodes.size) run.gain.disconnect();
      release();
      this.#pump();
    };
  }

  #render(stretcher, { from, to, frames }, cache, buffer) {
    const { start, length } = stretcher.needs(from, to);
    const channels = [];
    for (let channel = 0; channel < cache.channels; channel += 1) {
      if (!(this.#input[channel]?.length >= length)) this.#input[channel] = new Float32Array(length);
      this.#output[channel] ??= new Float32Array(this.#grainFrames);
      const samples = this.#input[channel].subarray(0, length).fill(0);
      channels.push(samples);
      for (let at = Math.max(0, start); at < start + length;) {
        const index = Math.floor(at / SEGMENT);
        const end = Math.min(start + length, (index + 1) * SEGMENT);
        cache.get(index)?.copyFromChannel(samples.subarray(at - start, end - start), channel, at - index * SEGMENT);
        at = end;
      }
    }
    stretcher.render({ start, channels }, from, to, this.#output, frames);
    for (let channel = 0; channel < cache.channels; channel += 1) buffer.copyToChannel(this.#output[channel].subarray(0, frames), channel);
  }

  // Loads a segment, and plans on when it has come. One that is loaded is only kept for longer: nothing new can be planned.
  #load(index) {
    const cache = this.#segments[this.#mode];
    const isLoaded = Boolean(cache.get(index));
    const coming = cache.load(index);
    if (!isLoaded) coming.then(() => this.#pump(), () => { /* reported by #read */ });
  }

  // Fills a buffer with a segment; waits while the server is unreachable.
  async #read(mode, index, buffer, signal) {
    for (let channel = 0; channel < buffer.numberOfChannels; channel += 1) buffer.getChannelData(channel).fill(0);
    const [from, to] = [index * SEGMENT, (index + 1) * SEGMENT];
    const read = (source, part) => source.read(from, to, (side, samples) => buffer.copyToChannel(samples, 2 * part + side), signal);
    for (;;) {
      try {
        await Promise.all(this.#sources[mode].map(read));
        if (mode === 'stems') this.dispatchEvent(new CustomEvent('decoded', { detail: { buffer, from, length: this.length } }));
        return;
      } catch (error) {
        signal.throwIfAborted();
        if (!error.unreachable) {
          if (!this.#closed) this.dispatchEvent(new CustomEvent('failed', { detail: error }));
          throw error;
        }
        await untilReachable();
        signal.throwIfAborted();
      }
    }
  }
}
