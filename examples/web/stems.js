// The stems of a song: which it has, in which order, and what they are called.
import { t } from './text.js';

// The stems of the default models.
export const FOUR = ['vocals', 'drums', 'bass', 'other'];
const ORDER = ['vocals', 'lead-vocals', 'back-vocals', 'drums', 'bass', 'guitar', 'piano', 'instrumental', 'other', 'rest'];
// Parts that are not stems.
const MIXED = ['song', 'accompaniment'];

const place = (stem) => (ORDER.includes(stem) ? ORDER.indexOf(stem) : ORDER.length);

/** Returns stems in the order in which the page shows them. */
export const inOrder = (stems) => [...stems].sort((one, other) => place(one) - place(other) || one.localeCompare(other));

const listed = (song) => (song.parts ?? []).filter((part) => !MIXED.includes(part));

/** Whether stems can be played now: a song that is split again still has its earlier ones. */
export const hasStems = (song) => song.status === 'SPLIT' || listed(song).length > 0;

/** Returns the number of a stem in the names of files, which is its place in the server's order. */
export const numberOf = (song, stem) => (listed(song).length ? listed(song) : ['drums', 'bass', 'other', 'vocals']).indexOf(stem) + 1;

/**
 * The name of a stem's file, as the server names it. A colon would end the name in a drag's `DownloadURL`.
 * @param {{ title: string, stem: string, number: number, tempo?: number, key?: string }} of
 */
export function fileName({ title, stem, number, tempo = 0, key = '' }, format) {
  const name = `${String(number).padStart(2, '0')} ${[...title].slice(0, 49).join('')} (${stem})${tempo ? ` ${tempo} BPM` : ''}${key ? ` ${key}` : ''}.${format}`;
  return name.replace(/[/\\:*?"<>|]/g, '_');
}

/** Returns the stems of a song. */
export function stemsOf(song) {
  const stems = listed(song);
  return stems.length ? inOrder(stems) : FOUR;
}

/** Whether karaoke silences a stem. */
export const isVocal = (stem) => /^(lead-|back-)?vocals$/.test(stem);

/** Models may have stems that the page does not know; these have their own names. */
export const stemName = (stem) => t(`stem-${stem}`, {}, stem);
