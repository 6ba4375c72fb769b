import assert from 'node:assert/strict';
import test from 'node:test';
import { MpegLayout, Unreadable, tagBytes } from '../../../web/mpeg.js';

const [SAMPLES, KBITS, RATE] = [1152, 128, 44100];
const MEAN = (SAMPLES / 8) * ((KBITS * 1000) / RATE);

// A file of MPEG 1 layer III frames with a constant bit rate, whose padding keeps the mean size, as encoders do.
function file(count, { info = 'Info', delay = 576, padding = 1000 } = {}) {
  const frames = [];
  let [ideal, real] = [0, 0];
  for (let n = 0; n <= count; n += 1) {
    ideal += MEAN;
    const padded = ideal - real >= Math.floor(MEAN) + 1;
    const frame = new Uint8Array(Math.floor(MEAN) + (padded ? 1 : 0));
    frame.set([0xff, 0xfb, (9 << 4) | (padded ? 2 : 0), 0]);
    real += frame.length;
    frames.push(frame);
  }
  const view = new DataView(frames[0].buffer);
  [...info].forEach((letter, at) => view.setUint8(36 + at, letter.charCodeAt(0)));
  view.setUint32(40, 1);
  view.setUint32(44, count);
  view.setUint8(48 + 21, delay >> 4);
  view.setUint8(48 + 22, ((delay & 15) << 4) | (padding >> 8));
  view.setUint8(48 + 23, padding & 255);
  const all = new Uint8Array(real);
  let at = 0;
  for (const frame of frames) {
    all.set(frame, at);
    at += frame.length;
  }
  return all;
}

test('the length leaves out what the encoder added', () => {
  const data = file(1000);
  assert.equal(new MpegLayout(data, 0, data.length).length, 1000 * SAMPLES - 1576);
});

test('any range of samples is found in a small part of the file', () => {
  const data = file(3000);
  const layout = new MpegLayout(data.subarray(0, 8192), 0, data.length);
  for (const from of [0, 1, 1151, 131072, 1_234_567, layout.length - 5000]) {
    const to = Math.min(layout.length, from + 131072);
    const stretch = layout.stretch(from, to);
    const cut = layout.cut(data.subarray(stretch.start, stretch.stop), stretch);
    assert.equal(cut[0], 0xff);
    assert.ok(stretch.lead >= 0 && stretch.lead + to - from <= stretch.frames * SAMPLES, `range at ${from}`);
    // The frames of the range, those before it that they depend on, and a few bytes.
    assert.ok(stretch.stop - stretch.start < ((to - from) / SAMPLES + 12) * MEAN, `bytes at ${from}`);
  }
});

test('decoding starts before the first sample wanted', () => {
  const layout = new MpegLayout(file(3000), 0, 1e6);
  assert.ok(layout.stretch(1_000_000, 1_100_000).lead >= 8 * SAMPLES);
});

test('a variable bit rate and other files are refused, not misread', () => {
  assert.throws(() => new MpegLayout(file(10, { info: 'Xing' }), 0, 1e4), Unreadable);
  assert.throws(() => new MpegLayout(new Uint8Array(8192), 0, 1e4), Unreadable);
  assert.throws(() => new MpegLayout(new Uint8Array(0), 0, 0), Unreadable);
  assert.throws(() => new MpegLayout(file(10).subarray(0, 20), 0, 20), Unreadable);
});

test('damaged frames are noticed', () => {
  const data = file(3000);
  const layout = new MpegLayout(data, 0, data.length);
  const stretch = layout.stretch(500_000, 600_000);
  const bytes = data.slice(stretch.start, stretch.stop);
  bytes.fill(0, 20_000, 21_000);
  assert.throws(() => layout.cut(bytes, stretch), Unreadable);
});

test('the length of a tag is read', () => {
  assert.equal(tagBytes(new Uint8Array([0x49, 0x44, 0x33, 4, 0, 0, 0, 0, 2, 1])), 10 + 257);
  assert.equal(tagBytes(file(1)), 0);
});
