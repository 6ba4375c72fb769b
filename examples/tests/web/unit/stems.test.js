// Which stems a song has, and the names of their files.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fileName, hasStems, isVocal, numberOf, stemsOf } from '../../../web/stems.js';

// Its requests need a window.
globalThis.window = new EventTarget();
const { fieldsOf, isWhole } = await import('../../../web/models.js');

const SIX = ['song', 'drums', 'bass', 'other', 'vocals', 'guitar', 'piano', 'accompaniment'];

test('stems are shown in the order of the page and numbered in that of the server', () => {
  assert.deepEqual(stemsOf({ parts: SIX }), ['vocals', 'drums', 'bass', 'guitar', 'piano', 'other']);
  assert.deepEqual(SIX.slice(1, 7).map((stem) => numberOf({ parts: SIX }, stem)), [1, 2, 3, 4, 5, 6]);
  // Names that the page does not know come last.
  assert.deepEqual(stemsOf({ parts: ['song', 'kick', 'cymbals', 'vocals'] }), ['vocals', 'cymbals', 'kick']);
});

test('a song without details has the usual stems', () => {
  assert.deepEqual(stemsOf({}), ['vocals', 'drums', 'bass', 'other']);
  assert.equal(numberOf({}, 'vocals'), 4);
});

test('a song that is split again still has stems', () => {
  assert.equal(hasStems({ status: 'UPLOADED', parts: SIX }), true);
  assert.equal(hasStems({ status: 'UPLOADED', parts: ['song'] }), false);
  assert.equal(hasStems({ status: 'SPLIT' }), true);
});

test('karaoke silences voices only', () => {
  assert.deepEqual(['vocals', 'lead-vocals', 'back-vocals', 'instrumental', 'kick'].map(isVocal), [true, true, true, false, false]);
});

test('the server gives a dragged file the same name', () => {
  assert.equal(fileName({ title: 'Ada: First/Light', stem: 'piano', number: 6 }, 'wav'), '06 Ada_ First_Light (piano).wav');
  assert.equal(fileName({ title: 'First Light', stem: 'vocals', number: 4, tempo: 104, key: 'F#m' }, 'wav'), '04 First Light (vocals) 104 BPM F#m.wav');
  const long = fileName({ title: '𝄞'.repeat(200), stem: 'back-vocals', number: 10, tempo: 999, key: 'F#m' }, 'flac');
  assert.ok(new TextEncoder().encode(long).length <= 255);
});

test('the default model with all its stems needs no fields', () => {
  const four = { name: 'htdemucs', stems: ['drums', 'bass', 'other', 'vocals'], is_default: true, has_worker: true };
  assert.deepEqual(fieldsOf(four, four.stems), {});
  assert.deepEqual(fieldsOf(four, ['vocals']), { stems: 'vocals' });
  assert.deepEqual(fieldsOf({ ...four, name: 'best', is_default: false }, four.stems), { model: 'best' });
});

test('chosen stems do not add up to the song', () => {
  assert.equal(isWhole({ model: 'htdemucs' }, ['vocals', 'drums', 'bass', 'other']), true);
  assert.equal(isWhole({ model: 'htdemucs_6s' }, ['guitar', 'piano']), false);
});
