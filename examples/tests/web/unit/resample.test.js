import assert from 'node:assert/strict';
import test from 'node:test';
import { needed } from '../../../web/resample.js';

const LENGTH = 10_000_000;
const RATES = [[96000, 44100], [22050, 44100], [192000, 44100], [8000, 44100], [88200, 44100], [44100, 48000], [44099, 44100]];

test('the samples that are converted begin where both rates have one', () => {
  for (const [own, rate] of RATES) {
    for (const from of [0, 1, 131072, 5 * 131072, 2_000_003]) {
      const { begin, offset } = needed({ from, to: from + 1000, own, rate, length: LENGTH });
      assert.equal((begin * rate) % own, 0, `${own} at ${rate} from ${from}`);
      assert.equal((begin * rate) / own + offset, from);
    }
  }
});

test('there are enough samples around a range for the filter, except at the ends of the part', () => {
  for (const [own, rate] of RATES) {
    const [from, to] = [1_000_000, 1_131_072];
    const { begin, end, offset } = needed({ from, to, own, rate, length: LENGTH });
    assert.ok(offset >= 1024 && (end - begin) * (rate / own) - offset >= to - from + 1023, `${own} at ${rate}`);
    assert.deepEqual(needed({ from: 0, to: 10, own, rate, length: 40 }), { begin: 0, end: 40, offset: 0 });
  }
});
