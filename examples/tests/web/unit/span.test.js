// Which part of a song the timeline shows, and which peaks it asks for.
import assert from 'node:assert/strict';
import test from 'node:test';
import { Span, loudest } from '../../../web/span.js';

const shown = ({ from, to }) => [from, to];

test('zooming keeps what is under the pointer where it is, and stays within the song', () => {
  const span = new Span(200);
  assert.ok(span.isWhole);
  assert.ok(span.zoom(2, 50));
  // A quarter of the view lies before second 50, as it did.
  assert.deepEqual(shown(span), [25, 125]);
  assert.ok(span.zoom(4, 125));
  assert.deepEqual(shown(span), [100, 125]);
  assert.ok(span.zoom(0.5, 100));
  assert.deepEqual(shown(span), [100, 150]);
  assert.ok(span.zoom(0.01, 140));
  assert.deepEqual(shown(span), [0, 200]);
  assert.ok(!span.zoom(0.5, 20), 'nothing changes');
});

test('the shortest view has two seconds, or the whole of a shorter song', () => {
  const span = new Span(200);
  span.zoom(1e9, 200);
  assert.deepEqual(shown(span), [198, 200]);
  assert.ok(span.isShortest);
  const brief = new Span(1.5);
  assert.ok(!brief.zoom(2, 1));
  assert.ok(brief.isShortest && brief.isWhole);
});

test('the view follows the playhead to its end and to the start of a loop', () => {
  const span = new Span(100);
  span.zoom(10, 0);
  assert.deepEqual(shown(span), [0, 10]);
  assert.ok(!span.follow(5, 9.39));
  assert.ok(span.follow(9.39, 9.41));
  assert.deepEqual(shown(span).map((at) => Math.round(at * 100) / 100), [8.61, 18.61]);
  // A loop begins again before the view.
  assert.ok(span.follow(15, 3));
  assert.ok(span.from <= 3 && span.to > 3);
});

test('the view does not follow a playhead that the user has left, or that jumped near its end', () => {
  const span = new Span(100);
  span.zoom(10, 0);
  span.scrollTo(50);
  assert.ok(!span.follow(5, 5.1));
  assert.deepEqual(shown(span), [50, 60]);
  assert.ok(!span.follow(51, 59.8), 'a click near the end');
  assert.ok(!span.follow(59.8, 59.9));
  assert.ok(span.follow(59.9, 60.1));
  assert.ok(span.reveal(10) && span.from < 10 && span.to > 10);
  assert.ok(!span.reveal(10.5));
});

test('at the end of the song the view rests', () => {
  const span = new Span(100);
  span.zoom(10, 100);
  assert.deepEqual(shown(span), [90, 100]);
  assert.ok(!span.follow(99.3, 99.5));
  assert.ok(!span.scrollTo(95));
});

test('peaks are asked for in parts that begin at multiples of their length', () => {
  const span = new Span(200);
  assert.deepEqual(span.tiles(), [], 'the peaks of the whole song are there');
  span.zoom(20, 0);
  span.scrollTo(30);
  assert.deepEqual(span.tiles(), [{ from: 16, to: 32 }, { from: 32, to: 48 }]);
  span.zoom(100, 31);
  span.scrollTo(26);
  assert.ok(Math.abs(span.seconds - 2) < 1e-9);
  assert.deepEqual(span.tiles(), [{ from: 24, to: 32 }]);
  // Never more than two parts per stem.
  for (let n = 0; n < 2000; n += 1) {
    span.zoom(2 ** (Math.sin(n) * 3), 100 + 100 * Math.sin(n * n));
    const tiles = span.tiles();
    assert.ok(tiles.length <= 2, JSON.stringify(tiles));
    if (tiles.length) assert.ok(tiles[0].from <= span.from && tiles.at(-1).to >= span.to);
  }
});

test('the loudest peak of a stretch is found where the server put it', () => {
  const peaks = { rate_hz: 100, frames: 1000, first_frame: 200, frames_per_value: 10, values: [1, 9, 2, 8, 3] };
  assert.equal(loudest(peaks, 2, 2.1), 1);
  assert.equal(loudest(peaks, 2, 2.11), 9);
  assert.equal(loudest(peaks, 2.2, 2.5), 8);
  assert.equal(loudest(peaks, 1.9, 2.1), null, 'begins before');
  assert.equal(loudest(peaks, 2.4, 2.6), null, 'ends after');
  assert.equal(loudest({ ...peaks, frames: 250 }, 2.4, 2.6), 3, 'the stem ends here');
});
