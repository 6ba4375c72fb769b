import assert from 'node:assert/strict';
import test from 'node:test';
import { Stretcher, attacks } from '../../../web/stretch.js';

const RATE = 44100;
const GRAIN = 8192;
const SPEEDS = [0.5, 0.8, 0.95, 1.1, 1.5];

const samples = (seconds, of) => Float32Array.from({ length: Math.round(seconds * RATE) }, (_, n) => of(n / RATE));
const tone = (hertz, seconds, level = 0.5) => samples(seconds, (t) => level * Math.sin(2 * Math.PI * hertz * t));

// Noise that is the same in each run.
function noise(seed) {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 31 - 1;
  };
}

// Drum hits: noise that decays, at these seconds.
function hits(seconds, times, level = 0.8) {
  const random = noise(7);
  const out = samples(seconds, () => 0);
  for (const at of times) {
    for (let n = 0; n < 0.04 * RATE && Math.round(at * RATE) + n < out.length; n += 1) out[Math.round(at * RATE) + n] += level * Math.exp(-n / 300) * random();
  }
  return out;
}

// A song of notes, each with partials, a soft beginning and an end.
function melody(seconds, base) {
  const steps = [0, 4, 7, 12, 7, 4, 2, 5];
  return samples(seconds, (t) => {
    const hertz = base * 2 ** (steps[Math.floor(t / 0.25) % steps.length] / 12);
    const into = t % 0.25;
    const shape = Math.min(1, into / 0.02, (0.25 - into) / 0.02);
    return 0.1 * shape * [1, 2, 3, 4].reduce((sum, n) => sum + Math.sin(2 * Math.PI * hertz * n * t) / n, 0);
  });
}

const sum = (channels) => channels[0].map((_, n) => channels.reduce((all, each) => all + each[n], 0));

// Renders pieces as the engine does. `parts` are ranges of samples, one after the other; by default the whole.
function rendered(channels, { speed = 1, semitones = 0, parts = [[0, channels[0].length]] }) {
  const stretcher = new Stretcher({ rate: RATE, channels: channels.length, semitones });
  const pieces = channels.map(() => []);
  let carry = 0;
  for (const [begin, end] of parts) {
    for (let from = begin; from < end; from += GRAIN) {
      const to = Math.min(end, from + GRAIN);
      const exact = carry + (to - from) / speed;
      const frames = Math.round(exact);
      carry = exact - frames;
      const { start, length } = stretcher.needs(from, to);
      const input = channels.map((all) => {
        const part = new Float32Array(length);
        part.set(all.subarray(Math.max(0, start), start + length), Math.max(0, -start));
        return part;
      });
      const out = channels.map(() => new Float32Array(frames));
      stretcher.render({ start, channels: input }, from, to, out, frames);
      out.forEach((piece, channel) => pieces[channel].push(piece));
    }
  }
  return pieces.map((all) => {
    const out = new Float32Array(all.reduce((length, piece) => length + piece.length, 0));
    all.reduce((at, piece) => {
      out.set(piece, at);
      return at + piece.length;
    }, 0);
    return out;
  });
}

// The frequency with the most energy, to 0.01 Hz.
function pitch(all, near) {
  const power = (hertz) => {
    let [real, imaginary] = [0, 0];
    for (let n = 0; n < all.length; n += 1) {
      const value = all[n] * (0.5 - 0.5 * Math.cos((2 * Math.PI * n) / all.length));
      real += value * Math.cos((2 * Math.PI * hertz * n) / RATE);
      imaginary += value * Math.sin((2 * Math.PI * hertz * n) / RATE);
    }
    return real ** 2 + imaginary ** 2;
  };
  let best = near;
  for (const [step, reach] of [[1, 6], [0.1, 1], [0.01, 0.1]]) {
    const around = best;
    let most = 0;
    for (let hertz = around - reach; hertz <= around + reach; hertz += step) {
      const found = power(hertz);
      if (found > most) [most, best] = [found, hertz];
    }
  }
  return best;
}

// Where sound begins after silence of at least 15 ms.
function onsets(all, level = 0.15) {
  const found = [];
  let quiet = RATE;
  for (let n = 0; n < all.length; n += 1) {
    if (Math.abs(all[n]) < level) quiet += 1;
    else {
      if (quiet > 0.015 * RATE) found.push(n / RATE);
      quiet = 0;
    }
  }
  return found;
}

test('a tone of 440 Hz an octave higher has 880 ± 1 Hz, and an octave lower 220 ± 1 Hz', (t) => {
  for (const [semitones, expected] of [[12, 880], [-12, 220], [7, 440 * 2 ** (7 / 12)], [-1, 440 * 2 ** (-1 / 12)]]) {
    for (const speed of [0.5, 1.5]) {
      const [out] = rendered([tone(440, 1.6)], { speed, semitones });
      const found = pitch(out.subarray(0, RATE), expected);
      t.diagnostic(`440 Hz, ${semitones} semitones at ${speed}: ${found.toFixed(2)} Hz, not ${expected.toFixed(2)}`);
      assert.ok(Math.abs(found - expected) < 1, `${semitones} semitones at ${speed}: ${found.toFixed(2)} Hz`);
    }
  }
});

test('another speed does not change the pitch', () => {
  for (const speed of SPEEDS) {
    const found = pitch(rendered([tone(440, 1.6)], { speed })[0].subarray(0, RATE), 440);
    assert.ok(Math.abs(found - 440) < 1, `${speed}: ${found.toFixed(2)} Hz`);
  }
});

test('a steady tone keeps its level and has no clicks', () => {
  for (const hertz of [55, 110, 440, 1760]) {
    for (const [speed, semitones] of [[0.5, 0], [0.8, 0], [1.5, 0], [1, 3], [0.7, -5]]) {
      const out = rendered([tone(hertz, 2.5)], { speed, semitones })[0].subarray(RATE / 2);
      const heard = hertz * 2 ** (semitones / 12);
      const steepest = out.reduce((most, value, n) => (n ? Math.max(most, Math.abs(value - out[n - 1])) : most), 0);
      assert.ok(steepest < 1.35 * 0.5 * 2 * Math.sin((Math.PI * heard) / RATE), `${hertz} Hz at ${speed}, ${semitones}: a step of ${steepest}`);
      // The level of whole periods, at least 10 ms.
      const window = Math.round((Math.ceil(0.01 * heard) / heard) * RATE);
      const level = (at) => Math.sqrt(out.subarray(at, at + window).reduce((all, value) => all + value * value, 0) / window);
      const levels = [];
      for (let at = 0; at + RATE / 2 < out.length; at += RATE / 200) levels.push(level(at));
      assert.ok(Math.min(...levels) > 0.85 * Math.max(...levels), `${hertz} Hz at ${speed}, ${semitones}: ${Math.min(...levels)} to ${Math.max(...levels)}`);
    }
  }
});

test('the sound has the length of the song divided by the speed, to 1 %', (t) => {
  const all = Float32Array.from([...tone(440, 8), ...samples(1, () => 0)]);
  for (const speed of SPEEDS) {
    for (const semitones of [0, 5]) {
      const [out] = rendered([all], { speed, semitones });
      assert.equal(out.length, Math.round(all.length / speed));
      const end = out.findLastIndex((value) => Math.abs(value) > 0.1) / RATE;
      t.diagnostic(`8 s at ${speed}, ${semitones} semitones: ${end.toFixed(3)} s of sound, not ${(8 / speed).toFixed(3)}`);
      assert.ok(Math.abs(end - 8 / speed) < 0.01 * (8 / speed), `${speed}, ${semitones}: sound until ${end} s`);
    }
  }
});

test('a click track keeps its onsets within 5 ms, and each is heard once', (t) => {
  const times = Array.from({ length: 9 }, (_, n) => 0.31 + n * 0.4567);
  for (const speed of SPEEDS) {
    for (const semitones of [0, 12, -12]) {
      const found = onsets(rendered([hits(5, times)], { speed, semitones })[0]);
      assert.equal(found.length, times.length, `${speed}, ${semitones}: ${found}`);
      const off = Math.max(...found.map((at, n) => Math.abs(at - times[n] / speed)));
      t.diagnostic(`clicks at ${speed}, ${semitones} semitones: at most ${(1000 * off).toFixed(2)} ms off`);
      assert.ok(off < 0.005, `${speed}, ${semitones}: ${(1000 * off).toFixed(2)} ms`);
    }
  }
});

test('drums keep their time over a bass that sounds, too', () => {
  const times = Array.from({ length: 16 }, (_, n) => 0.2 + n * 0.25);
  const drums = hits(5, times);
  for (const speed of [0.5, 0.8, 1.5]) {
    const [heard] = rendered([drums, melody(5, 110)], { speed });
    const found = onsets(heard, 0.25);
    assert.equal(found.length, times.length, `${speed}: ${found}`);
    const off = Math.max(...found.map((at, n) => Math.abs(at - times[n] / speed)));
    assert.ok(off < 0.005, `${speed}: ${(1000 * off).toFixed(2)} ms`);
  }
});

test('a tom is hit once, although its sound resembles what follows', () => {
  const times = [0.3, 0.8, 1.3];
  const toms = samples(1.8, (t) => {
    const since = t - (times.findLast((at) => at <= t) ?? Infinity);
    return since >= 0 ? 0.8 * Math.exp(-since / 0.02) * Math.sin(2 * Math.PI * 150 * since) : 0;
  });
  for (const [speed, semitones] of [[0.5, 0], [0.5, 12], [0.7, 0]]) {
    const found = onsets(rendered([toms], { speed, semitones })[0], 0.48);
    assert.equal(found.length, times.length, `${speed}, ${semitones}: ${found}`);
  }
});

test('stems add up to the stretched song, so that a muted stem moves none of the others', () => {
  const stems = [melody(4, 220), hits(4, [0.3, 0.8, 1.3, 1.8, 2.3, 2.8, 3.3]), tone(82.4, 4, 0.3), melody(4, 330)];
  for (const [speed, semitones] of [[0.5, 0], [0.8, 4], [1.4, -3]]) {
    const apart = sum(rendered(stems, { speed, semitones }));
    const [together] = rendered([sum(stems)], { speed, semitones });
    const off = apart.reduce((most, value, n) => Math.max(most, Math.abs(value - together[n])), 0);
    assert.ok(off < 1e-5, `${speed}, ${semitones}: differs by ${off}`);
  }
});

test('at its own speed and pitch the song is the same, sample by sample', () => {
  const all = sum([melody(3, 220), hits(3, [0.5, 1, 1.5])]);
  assert.deepEqual(rendered([all], {})[0], all);
});

test('a loop begins with its first beat, at its exact time', () => {
  const times = [1, 1.5, 2, 2.5];
  const at = (seconds) => Math.round(seconds * RATE);
  const loop = [at(1), at(1.9)];
  const [out] = rendered([hits(4, times)], { speed: 0.5, parts: [[at(0.5), at(1)], loop, loop, loop] });
  const found = onsets(out);
  const expected = [1, 2, 2.8, 3.8, 4.6, 5.6];
  assert.equal(found.length, expected.length, `${found}`);
  found.forEach((time, n) => assert.ok(Math.abs(time - expected[n]) < 0.002, `${found}`));
});

test('attacks are found where energy jumps, not in steady sounds', () => {
  const times = [0.5, 1, 1.5];
  const found = attacks(hits(2, times), RATE).map((at) => at / RATE);
  assert.equal(found.length, 3);
  found.forEach((at, n) => assert.ok(Math.abs(at - times[n]) < 0.003, `${found}`));
  for (const hertz of [41, 82, 110, 440, 3000]) assert.deepEqual(attacks(tone(hertz, 2).subarray(RATE / 2), RATE), [], `${hertz} Hz`);
});

test('four stereo stems take less time to render than to play', () => {
  const stems = Array.from({ length: 8 }, (_, n) => melody(3, 110 * (n + 1)));
  for (const [speed, semitones] of [[0.5, 0], [0.8, 0], [1, 12], [0.5, 12]]) {
    const before = process.cpuUsage().user;
    const [out] = rendered(stems, { speed, semitones });
    const took = (process.cpuUsage().user - before) / 1e6;
    console.log(`# speed ${speed}, ${semitones} semitones: ${((100 * took * RATE) / out.length).toFixed(1)} % of one core`);
    assert.ok(took < out.length / RATE);
  }
});
