import assert from 'node:assert/strict';
import test from 'node:test';
import { NoLyrics, decoded, lineAt, parse } from '../../../web/lyrics.js';

const times = (text) => parse(text).map(({ at, text: words }) => [Math.round(at * 1000) / 1000, words]);

test('lines have their times, in any notation', () => {
  assert.deepEqual(times('[00:01.50]one\n[00:02]two\r\n[01:03:250] three \r[1:02:03.4]four'), [[1.5, 'one'], [2, 'two'], [63.25, 'three'], [3723.4, 'four']]);
});

test('a line with several times is sung several times, and lines are sorted', () => {
  assert.deepEqual(times('[00:30.00][00:10.00]chorus\n[00:20.00]verse'), [[10, 'chorus'], [20, 'verse'], [30, 'chorus']]);
});

test('tags are no lines, and the offset moves all lines', () => {
  assert.deepEqual(times('\ufeff[ti:Song]\n[ar:Someone]\n[offset:+500]\n[00:02.00]one\n[00:00.10]zero'), [[0, 'zero'], [1.5, 'one']]);
  assert.deepEqual(times('[offset:nonsense]\n[00:02.00]one'), [[2, 'one']]);
});

test('times of words are left out, and empty lines are kept as pauses', () => {
  assert.deepEqual(times('[00:01.00]<00:01.00>one <00:01.50>two\n[00:03.00]\n[00:04.00]three'), [[1, 'one two'], [3, ''], [4, 'three']]);
});

test('malformed files are read as far as possible, or refused', () => {
  assert.deepEqual(times('[00:01.00]good\n[00:xx]bad\n[99]bad\n[00:02.00\nplain words\n[]\n[00:03.00] last'), [[1, 'good'], [3, 'last']]);
  for (const text of ['', 'just words\nwithout times', '[ti:only a tag]', '[00:01.00]\n[00:02.00]', '\0\0\0', '[[[[[[00:01', `[${'9'.repeat(1000)}:00]x`]) {
    assert.throws(() => parse(text), NoLyrics, text.slice(0, 40));
  }
});

test('huge files end somewhere', () => {
  assert.equal(parse('[00:01.00]x\n'.repeat(100_000)).length, 5000);
  assert.equal(parse(`${'[00:01.00]'.repeat(10_000)}x`).length, 5000);
  assert.throws(() => parse(`${'[00:01.00]'.repeat(1_000_000)}x`), NoLyrics);
});

test('the line that is sung is the last one that has begun', () => {
  const lines = parse('[00:10.00]one\n[00:20.00]two\n[00:20.00]two again\n[00:30.00]three');
  assert.deepEqual([0, 9.99, 10, 15, 20, 29.9, 30, 1e6].map((at) => lineAt(lines, at)), [-1, -1, 0, 0, 2, 2, 3, 3]);
  assert.equal(lineAt([], 5), -1);
});

test('files of several encodings are decoded', () => {
  const utf8 = new TextEncoder().encode('Привет');
  assert.equal(decoded(utf8, 'windows-1251'), 'Привет');
  assert.equal(decoded(new Uint8Array([0xcf, 0xf0, 0xe8, 0xe2, 0xe5, 0xf2]), 'windows-1251'), 'Привет');
  assert.equal(decoded(new Uint8Array([0xff, 0xfe, 0x41, 0x00, 0x3f, 0x04]), 'windows-1252'), 'Aп');
  assert.equal(decoded(new Uint8Array([0xfe, 0xff, 0x00, 0x41]), 'windows-1252'), 'A');
  assert.equal(decoded(new Uint8Array(0), 'windows-1252'), '');
});
