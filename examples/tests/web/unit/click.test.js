import assert from 'node:assert/strict';
import test from 'node:test';
import { beatsBetween, tapper } from '../../../web/click.js';

const grid = { bpm: 120, first: 0.25, bar: 4 };

test('beats lie on the grid, each fourth one is strong', () => {
  const beats = beatsBetween(grid, 0, 3);
  assert.deepEqual(beats.map(({ at }) => at), [0.25, 0.75, 1.25, 1.75, 2.25, 2.75]);
  assert.deepEqual(beats.map(({ strong }) => strong), [true, false, false, false, true, false]);
});

test('beats before the first one are counted, too', () => {
  const beats = beatsBetween(grid, -1.75, 0.25);
  assert.deepEqual(beats.map(({ at }) => at), [-1.75, -1.25, -0.75, -0.25]);
  assert.deepEqual(beats.map(({ strong }) => strong), [true, false, false, false]);
});

test('pieces that follow each other have each beat once', () => {
  for (const bpm of [61.7, 90, 133.3, 174]) {
    const times = [];
    for (let from = 0; from < 60; from += 8192 / 44100) times.push(...beatsBetween({ bpm, first: 0.1, bar: 3 }, from, from + 8192 / 44100).map(({ at }) => at));
    const whole = beatsBetween({ bpm, first: 0.1, bar: 3 }, 0, times.at(-1) + 0.01).map(({ at }) => at);
    assert.equal(times.length, whole.length);
  }
});

test('taps give the tempo and the beat, also if they are uneven', () => {
  const { tap } = tapper();
  assert.equal(tap(10), null);
  let found = null;
  [10.51, 10.99, 11.5, 12.01, 12.49, 13].forEach((at) => { found = tap(at); });
  assert.ok(Math.abs(found.bpm - 120) < 0.5, `${found.bpm}`);
  assert.ok(Math.abs(found.first - 10) < 0.01, `${found.first}`);
});

test('a pause or a jump back begins a new count', () => {
  const { tap } = tapper();
  tap(1);
  tap(1.5);
  assert.equal(tap(20), null);
  assert.equal(tap(20.4).bpm, 150);
  assert.equal(tap(3), null);
});
