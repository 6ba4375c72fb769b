// Changes speed and pitch by overlap-add (WSOLA): frames of some 60 ms follow each other where they continue the sound best, and are read faster or
// slower for another pitch. All channels are cut at the same places, found in their sum: stems stay together, and add up to the stretched song.
// Attacks begin at their exact time and are copied as they are, neither blurred nor doubled. Knows no audio interface.

export const SLOWEST = 0.5;
export const FASTEST = 1.5;
export const MOST_SEMITONES = 12;

const FRAME_S = 0.06;
const FADE_S = 0.012;
// How far from its nominal place a frame may begin: more than half a period of the lowest bass note.
const SEARCH_S = 0.013;
// The length that is compared to find where a frame continues the sound.
const MATCH_S = 0.02;
// How much after an attack is copied as it is.
const HOLD_S = 0.035;
// The coarse search compares every fourth sample.
const COARSE = 4;
// An attack is a jump of the energy of the differences between samples: the mean of the next hops against that of the hops before.
const HOP = 64;
const NEXT_HOPS = 4;
const PAST_HOPS = 24;
const JUMP = 4;
const SILENCE = 1e-6;
const BETWEEN_ATTACKS_S = 0.05;
const PHASES = 512;
const HALF_TAPS = 8;

export const ratioOf = (semitones) => 2 ** (semitones / 12);

// Windowed sinc filters for reading between samples, one per phase; a higher pitch needs a lower cutoff.
const kernels = new Map();
function kernelOf(ratio) {
  if (kernels.has(ratio)) return kernels.get(ratio);
  const half = Math.ceil(HALF_TAPS * Math.max(1, ratio));
  const cutoff = 0.95 / Math.max(1, ratio);
  const taps = 2 * half;
  const table = new Float32Array((PHASES + 1) * taps);
  for (let phase = 0; phase <= PHASES; phase += 1) {
    const row = table.subarray(phase * taps, (phase + 1) * taps);
    let sum = 0;
    for (let n = 0; n < taps; n += 1) {
      const x = n - half + 1 - phase / PHASES;
      const angle = Math.PI * cutoff * x;
      row[n] = (x ? Math.sin(angle) / angle : 1) * (0.5 + 0.5 * Math.cos((Math.PI * x) / half));
      sum += row[n];
    }
    for (let n = 0; n < taps; n += 1) row[n] /= sum;
  }
  const kernel = { half, taps, table };
  kernels.clear();
  kernels.set(ratio, kernel);
  return kernel;
}

// Reads `count` samples at `place`, `place + ratio`, …; what lies outside is silent.
function read(source, place, ratio, kernel, out, at, count) {
  if (!kernel) {
    const from = Math.round(place);
    if (from >= 0 && from + count <= source.length) out.set(source.subarray(from, from + count), at);
    else for (let n = 0; n < count; n += 1) out[at + n] = source[from + n] ?? 0;
    return;
  }
  const { half, taps, table } = kernel;
  const inside = place - half >= 0 && place + count * ratio + half + 1 < source.length;
  for (let n = 0; n < count; n += 1) {
    const exact = place + n * ratio;
    const whole = Math.floor(exact);
    const row = Math.round((exact - whole) * PHASES) * taps;
    const first = whole - half + 1;
    let sum = 0;
    if (inside) for (let tap = 0; tap < taps; tap += 1) sum += source[first + tap] * table[row + tap];
    else for (let tap = 0; tap < taps; tap += 1) sum += (source[first + tap] ?? 0) * table[row + tap];
    out[at + n] = sum;
  }
}

// A quarter of the samples; bass, which says little about the place, is halved.
function coarse(samples) {
  const out = new Float32Array(Math.floor(samples.length / COARSE));
  let before = 0;
  for (let n = 0; n < out.length; n += 1) {
    let sum = 0;
    for (let each = 0; each < COARSE; each += 1) sum += samples[n * COARSE + each];
    out[n] = sum - 0.5 * before;
    before = sum;
  }
  return out;
}

/** Where attacks begin in `samples`, with their first 35 ms as history. @param {Float32Array} samples @param {number} rate */
export function attacks(samples, rate) {
  const energy = new Float32Array(Math.floor(samples.length / HOP));
  for (let hop = 0; hop < energy.length; hop += 1) {
    let sum = 0;
    for (let n = Math.max(1, hop * HOP); n < (hop + 1) * HOP; n += 1) sum += (samples[n] - samples[n - 1]) ** 2;
    energy[hop] = sum;
  }
  const mean = (from, to) => {
    let sum = 0;
    for (let n = from; n < to; n += 1) sum += energy[n];
    return sum / (to - from);
  };
  const found = [];
  for (let hop = PAST_HOPS; hop + NEXT_HOPS <= energy.length; hop += 1) {
    const next = mean(hop, hop + NEXT_HOPS);
    if (next < SILENCE || next < JUMP * mean(hop - PAST_HOPS, hop)) continue;
    let begins = hop;
    while (begins < hop + NEXT_HOPS - 1 && energy[begins] < next) begins += 1;
    found.push(begins * HOP);
    hop = begins + Math.round((BETWEEN_ATTACKS_S * rate) / HOP);
  }
  return found;
}

export class Stretcher {
  // The input position of the next sample, and how many follow before the next joint.
  #place = 0;
  #left = 0;
  // The sound that fades out after a joint, its length, and how much of it has been faded; and what would follow if there were a joint now.
  #tails;
  #fade = 0;
  #faded = 0;
  #coming;
  #hasComing = false;
  // Where the input must continue; otherwise the position has jumped.
  #expected = Number.NaN;
  #attack = -Infinity;

  /** @param {{ rate: number, channels: number, semitones?: number }} how */
  constructor({ rate, channels, semitones = 0 }) {
    const frames = (seconds) => Math.round(seconds * rate);
    this.rate = rate;
    this.ratio = ratioOf(semitones);
    this.kernel = semitones ? kernelOf(this.ratio) : null;
    this.frame = frames(FRAME_S);
    this.fade = frames(FADE_S);
    this.search = frames(SEARCH_S);
    this.match = frames(MATCH_S);
    this.hold = frames(HOLD_S);
    // The last one is the sum.
    const buffers = () => Array.from({ length: channels + 1 }, () => new Float32Array(this.match));
    this.#tails = buffers();
    this.#coming = buffers();
    this.before = Math.ceil(Math.max(1, this.ratio) * frames(FRAME_S + FADE_S)) + frames(SEARCH_S) + PAST_HOPS * HOP;
    this.after = frames(SEARCH_S) + Math.ceil(Math.max(1, this.ratio) * frames(FRAME_S + HOLD_S + MATCH_S)) + HALF_TAPS * 4;
  }

  /** The input that `render` needs for the samples `from` to `to`. It begins at a whole hop, so that attacks are found at the same places again. */
  needs(from, to) {
    const start = Math.floor((from - this.before) / HOP) * HOP;
    return { start, length: to + this.after - start };
  }

  /**
   * Renders the samples `from` to `to` into the first `frames` of `out`. `input` has what `needs` says: its first position, and a list of samples per channel.
   * @param {{ start: number, channels: Float32Array[] }} input
   * @param {Float32Array[]} out
   */
  render({ start, channels }, from, to, out, frames) {
    const sum = new Float32Array(channels[0].length);
    for (const samples of channels) for (let n = 0; n < sum.length; n += 1) sum[n] += samples[n];
    const input = { start, all: [...channels, sum], small: coarse(sum), attacks: attacks(sum, this.rate).map((at) => at + start) };
    const speed = (to - from) / frames;
    const hasJumped = from !== this.#expected;
    if (hasJumped) [this.#left, this.#attack] = [0, -Infinity];
    for (let at = 0; at < frames;) {
      if (!this.#left) this.#join(input, from + at * speed, speed, hasJumped && at === 0);
      const count = Math.min(this.#left, frames - at);
      channels.forEach((samples, index) => {
        read(samples, this.#place - start, this.ratio, this.kernel, out[index], at, count);
        this.#crossfade(out[index], this.#tails[index], at, count);
      });
      this.#faded += count;
      this.#place += count * this.ratio;
      this.#left -= count;
      at += count;
      if (this.#left && at < frames) continue;
      input.all.forEach((samples, index) => read(samples, this.#place - start, this.ratio, this.kernel, this.#coming[index], 0, this.match));
      this.#hasComing = true;
    }
    this.#expected = to;
  }

  #crossfade(out, tail, at, count) {
    const most = Math.min(count, this.#fade - this.#faded);
    for (let n = 0; n < most; n += 1) {
      const done = this.#faded + n;
      const gain = Math.sin((Math.PI / 2) * ((done + 0.5) / this.#fade)) ** 2;
      out[at + n] = gain * out[at + n] + (1 - gain) * tail[done];
    }
  }

  // Chooses where the next frame begins, whose nominal input position is `nominal`, and how long it is.
  #join(input, nominal, speed, hasJumped) {
    [this.#tails, this.#coming] = [this.#coming, this.#tails];
    this.#fade = this.#hasComing ? this.fade : 0;
    this.#faded = 0;
    const ahead = input.attacks.filter((each) => each >= nominal && each > this.#attack + this.fade);
    const wait = ahead.length ? (ahead[0] - nominal) / speed : Infinity;
    if (wait < 2 * this.fade) {
      this.#place = this.#whole(ahead[0] - wait * this.ratio);
      this.#fade = Math.min(this.#fade, Math.floor(wait));
      const next = ahead.length > 1 ? (ahead[1] - nominal) / speed - this.fade : Infinity;
      this.#left = Math.round(wait + Math.max(this.fade, Math.min(this.hold, next - wait)));
      [this.#attack] = ahead;
      return;
    }
    // So short that it fits between the last attack and the next one.
    const next = ahead[0] ?? Infinity;
    const room = Math.floor((next - this.#attack - this.fade) / this.ratio) - this.fade;
    this.#left = Math.max(this.fade, Math.min(this.frame, Math.round(wait) - this.fade, room));
    if (hasJumped) {
      // The first beat of a loop must not fade in.
      this.#fade = Math.min(this.#fade, HOP);
      this.#place = this.#whole(nominal);
      return;
    }
    // Before the next attack, so that it is not heard early; after the last one, so that it is not heard twice.
    const last = next - (this.#left + this.fade) * this.ratio;
    const to = Math.min(nominal + this.search, last);
    const from = Math.max(Math.min(nominal, to) - this.search, Math.min(to, this.#attack + this.fade));
    if (this.#place < from || this.#place > to) this.#place = this.#best(input, from, to);
  }

  #whole(place) {
    return this.kernel ? place : Math.round(place);
  }

  // The place from which the sum is most like what would follow.
  #best({ start, all, small }, from, to) {
    const tail = this.#tails.at(-1);
    const smallTail = coarse(tail);
    const first = Math.ceil((from - start) / COARSE);
    const near = mostAlike(smallTail, small, first, Math.max(first, Math.floor((to - start) / COARSE)), this.ratio);
    const low = Math.max(Math.ceil(from - start), (near - 1) * COARSE);
    return start + mostAlike(tail, all.at(-1), low, Math.max(low, Math.min(Math.floor(to - start), (near + 1) * COARSE)), this.ratio);
  }
}

// The offset between `from` and `to` at which `samples`, read in steps of `ratio`, correlate best with `pattern`.
function mostAlike(pattern, samples, from, to, ratio) {
  const steps = Int32Array.from(pattern, (_, n) => Math.round(n * ratio));
  let [best, found] = [-Infinity, from];
  for (let offset = Math.max(0, from); offset <= to && offset + steps.at(-1) < samples.length; offset += 1) {
    let [product, energy] = [0, 1e-9];
    // The first value of a coarse pattern lacks the one before it.
    for (let n = 1; n < pattern.length; n += 1) {
      const sample = samples[offset + steps[n]];
      product += sample * pattern[n];
      energy += sample * sample;
    }
    const score = product / Math.sqrt(energy);
    if (score > best) [best, found] = [score, offset];
  }
  return found;
}
