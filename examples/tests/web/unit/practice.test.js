import assert from 'node:assert/strict';
import test from 'node:test';
import { speedOfRound } from '../../../web/practice.js';
import { keyName } from '../../../web/tonality.js';

test('the speed rises step by step and stays at its end', () => {
  const train = { from: 60, to: 100, by: 5, every: 2 };
  assert.deepEqual([0, 1, 2, 3, 4, 15, 16, 17, 500].map((round) => speedOfRound(train, round)), [0.6, 0.6, 0.65, 0.65, 0.7, 0.95, 1, 1, 1]);
});

test('the last step may be shorter, and the speed may fall', () => {
  assert.deepEqual([0, 1, 2, 3].map((round) => speedOfRound({ from: 90, to: 100, by: 7, every: 1 }, round)), [0.9, 0.97, 1, 1]);
  assert.deepEqual([0, 1, 2, 3].map((round) => speedOfRound({ from: 120, to: 100, by: 15, every: 1 }, round)), [1.2, 1.05, 1, 1]);
});

test('a key moves with the pitch', () => {
  assert.equal(keyName({ tonic: 'A', mode: 'minor' }, 3), 'Cm');
  assert.equal(keyName({ tonic: 'C', mode: 'major' }, -12), 'C');
  assert.equal(keyName({ tonic: 'C', mode: 'major' }, -1), 'B');
  assert.equal(keyName({ tonic: '?', mode: 'major' }, 1), '');
});
