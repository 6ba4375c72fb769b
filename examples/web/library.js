// Pages of a list that is too long to load as a whole: the server searches and sorts it.
import { ask } from './api.js';

// Songs to step over at once on the way to a page.
const STEP = 1000;
const SORTS = { newest: '-added', oldest: 'added', title: 'title', artist: 'artist', duration: 'duration', status: 'status' };

// The cursors of the current query, by the number of songs before them.
let current = '';
/** @type {Map<number, string>} */
let cursors = new Map();

const after = (cursor) => (cursor ? `&after=${encodeURIComponent(cursor)}` : '');

/**
 * Returns `count` songs behind the first `from` ones, and the number of all songs found.
 * @param {{ text: string, label: string, whose: string, sort: string }} filters
 * @returns {Promise<{ songs: import('./songs.js').Song[], total: number }>}
 */
export async function find({ text, label, whose, sort }, from, count) {
  const query = new URLSearchParams({ sort: SORTS[sort], whose, ...text.trim() && { q: text.trim().slice(0, 200) }, ...label && { label } }).toString();
  if (query !== current) {
    current = query;
    cursors = new Map([[0, '']]);
  }
  const mine = cursors;
  let at = Math.max(...[...mine.keys()].filter((position) => position <= from));
  while (at < from) {
    const page = await ask('GET', `songs/?${query}&limit=${Math.min(STEP, from - at)}${after(mine.get(at))}`);
    at += page.songs.length;
    // The page is behind the end.
    if (!page.next) return { songs: [], total: at };
    mine.set(at, page.next);
  }
  const page = await ask('GET', `songs/?${query}&details&total&limit=${count}${after(mine.get(from))}`);
  if (page.next) mine.set(from + page.songs.length, page.next);
  return { songs: page.songs, total: page.total };
}
