import assert from 'node:assert/strict';
import test from 'node:test';
import { Segments } from '../../../web/segments.js';

// A cache whose reads end when the test says so.
function made(most = 3) {
  const reads = new Map();
  const seen = { made: 0 };
  const cache = new Segments({
    most,
    make: () => ({ number: seen.made++ }),
    read: (key, buffer, signal) => new Promise((done, fail) => {
      reads.set(key, { done, fail, signal });
      signal.addEventListener('abort', () => fail(signal.reason));
    }),
  });
  const loaded = async (...keys) => {
    for (const key of keys) {
      const coming = cache.load(key);
      reads.get(key).done();
      await coming;
    }
  };
  return { cache, reads, seen, loaded };
}

test('a segment is there only once it has been read', async () => {
  const { cache, loaded } = made();
  const coming = cache.load(1);
  assert.equal(cache.get(1), undefined);
  await loaded(1);
  await coming;
  assert.deepEqual(cache.get(1), { number: 0 });
});

test('a segment is read once however often it is asked for', async () => {
  const { cache, loaded, seen } = made();
  cache.load(1);
  cache.load(1);
  await loaded(1);
  assert.equal(seen.made, 1);
});

test('memory is bounded: buffers of the segments unused for longest are used again', async () => {
  const { cache, loaded, seen } = made();
  await loaded(1, 2, 3);
  cache.load(1);
  await loaded(4, 5);
  assert.deepEqual([1, 2, 3, 4, 5].map((key) => Boolean(cache.get(key))), [true, false, false, true, true]);
  for (let key = 6; key < 200; key += 1) await loaded(key);
  assert.equal(seen.made, 3);
});

test('a buffer that plays is not used again before it has ended', async () => {
  const { cache, loaded } = made();
  await loaded(1);
  const playing = cache.get(1);
  const release = cache.use(1);
  await loaded(2, 3, 4, 5);
  assert.equal(cache.get(1), playing);
  release();
  await loaded(6, 7);
  assert.equal(cache.get(1), undefined);
});

test('loads that are not needed are aborted, loaded segments stay', async () => {
  const { cache, reads, loaded } = made();
  await loaded(1);
  const dropped = cache.load(2);
  const kept = cache.load(3);
  cache.abort(3);
  await assert.rejects(dropped, { name: 'AbortError' });
  assert.deepEqual([reads.get(2).signal.aborted, reads.get(3).signal.aborted], [true, false]);
  reads.get(3).done();
  await kept;
  assert.ok(cache.get(1) && cache.get(3) && !cache.get(2));
});

test('a failed load is tried again at the next call', async () => {
  const { cache, reads, loaded } = made();
  const coming = cache.load(1);
  reads.get(1).fail(new Error('broken'));
  await assert.rejects(coming, /broken/);
  await loaded(1);
  assert.ok(cache.get(1));
});
