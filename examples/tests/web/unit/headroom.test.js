import assert from 'node:assert/strict';
import test from 'node:test';
import { headroom } from '../../../web/headroom.js';

const STEMS = ['vocals', 'drums', 'bass', 'other'];
const levels = (vocals, drums = 1, bass = 1, other = 1) => ({ vocals, drums, bass, other });
const peaks = (...values) => new Map(STEMS.map((stem, index) => [stem, values[index]]));

test('a mix without raised levels is left as it is', () => {
  assert.equal(headroom(levels(1), peaks([255], [255], [255], [255])), 1);
  assert.equal(headroom(levels(0), null), 1);
});

test('quiet stems may be raised without being turned down', () => {
  assert.equal(headroom(levels(1.5), peaks([40], [40], [40], [40])), 1);
});

test('no mix exceeds full scale, whatever the stems are', () => {
  let state = 1;
  const random = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
  for (let song = 0; song < 200; song += 1) {
    // Random stems whose sum is within full scale.
    const moments = Array.from({ length: 64 }, () => {
      const each = STEMS.map(() => 2 * random() - 1);
      const sum = Math.abs(each.reduce((all, value) => all + value, 0));
      return each.map((value) => value / Math.max(1, sum));
    });
    const found = peaks(...STEMS.map((_, stem) => moments.map((each) => Math.round(255 * Math.abs(each[stem])))));
    const mix = levels(...STEMS.map(() => 1.5 * random()));
    const by = headroom(mix, found);
    const loudest = Math.max(...moments.map((each) => Math.abs(each.reduce((all, value, stem) => all + value * mix[STEMS[stem]], 0))));
    if (Object.values(mix).some((level) => level > 1)) assert.ok(by * loudest <= 1 + 1e-9, `${by} of ${loudest}`);
    assert.ok(by <= 1);
  }
});

test('the loudest moment decides', () => {
  const found = headroom(levels(1.5, 1.5, 1.5, 1.5), peaks([10, 58], [10, 58], [10, 58], [10, 58]));
  assert.ok(Math.abs(20 * Math.log10(found) + 2.8) < 0.1, `${found}`);
});

test('without peaks, stems are taken to be as loud as possible', () => {
  assert.equal(headroom(levels(1.5), null), 1 / 1.5);
});

test('stems that are not the whole song are turned down as far as they add up', () => {
  // Two stems that were chosen: what they cancelled out in the song is missing.
  const two = { guitar: 1.2, piano: 1 };
  const found = new Map([['guitar', [200]], ['piano', [200]]]);
  const loudest = (1.2 * 200 + 200) / 255;
  assert.ok(headroom(two, found) * loudest > 1, 'a song of these two stems would be at most this loud');
  const by = headroom(two, found, false);
  assert.ok(by * loudest <= 1 && by * loudest > 0.99, `${by} of ${loudest}`);
});

test('only audible stems count', () => {
  const found = peaks([150], [255], [255], [255]);
  assert.equal(headroom(levels(1.5, 0, 0, 0), found), 1);
  assert.ok(headroom(levels(1.5, 1, 0, 0), found) < 1);
  // A muted stem whose level is raised.
  assert.equal(headroom(levels(1, 0, 1, 1), found), 1);
});
