// The songs visible to the user, kept up to date by server-sent events.
import { ask, connection, connectionLost, untilReachable } from './api.js';
import { connect } from './stream.js';
import { forget, isInTrash, loadTrash, refreshTrash, trash } from './trash.js';

// Dispatches `change` on any change, `split` and `failed` with a song that has just reached that status, and `user` when the signed-in user
// may have changed: the server closes the event stream when the session ends.
export const songs = new EventTarget();

const PAGE = 200;
// How many songs to load. Of longer lists, the server searches and sorts the pages.
const MOST = 2000;
let rest = false;
/**
 * @typedef {{ id: string, title: string, uploader_id: string | null, uploaded_at: string, status: string, progress?: number, hash: string,
 *   queue_position?: number, failure_reason?: string, lossless?: boolean, provenance?: Record<string, any>, model?: string, parts?: string[],
 *   waiting_for?: string, artist?: string, duration_ms?: number, has_cover?: boolean,
 *   labels?: string[] }} Song
 */
/** @type {Map<string, Song>} */
const known = new Map();
const paces = new Map();
// Songs with events received while the list was loading; the list's data for them is older.
const updatedDuringLoad = new Set();
let loaded = false;
let loading = null;

export const isLoaded = () => loaded;
// Whether older songs have not been loaded.
export const hasMore = () => rest;
export const get = (id) => (isInTrash(id) ? undefined : known.get(id));
/** A song's title now: it may have been renamed since `song` was fetched. */
export const titleOf = (song) => get(song.id)?.title ?? song.title;
/** What the system's controls show of a song that plays. Who has only a share link cannot load the cover like that.
 * @param {Song} song */
export function about(song, isGuest = false) {
  const { title, artist, has_cover } = get(song.id) ?? song;
  return { title, artist, cover: has_cover && !isGuest ? `songs/${song.id}/cover` : undefined };
}
export const all = () => [...known.values()].filter((song) => !isInTrash(song.id));

const changed = () => songs.dispatchEvent(new Event('change'));

// Stores a song from a response or an event.
export function put(song) {
  const before = known.get(song.id);
  updatedDuringLoad.add(song.id);
  const ended = song.status === 'SPLIT' || song.status === 'FAILED';
  // Some responses omit details. Those of the stems, and why a song waits, are no longer true in another status.
  const { uploaded_at = new Date().toISOString(), model, parts, lossless, provenance, waiting_for, artist, duration_ms, has_cover, labels } = before ?? {};
  const isSame = before?.status === song.status;
  const details = song.parts ? {} : { model, ...(isSame || song.status !== 'SPLIT') && { parts }, ...isSame && { lossless, provenance, waiting_for } };
  known.set(song.id, { uploaded_at, artist, duration_ms, has_cover, labels, ...details, ...song });
  forget(song.id);
  pace(song);
  if (before && ended && !isSame) {
    songs.dispatchEvent(new CustomEvent(song.status === 'SPLIT' ? 'split' : 'failed', { detail: song }));
  }
  changed();
}

// Stores a song from the response to a change made here. An event about a later state may have arrived before the response, so fetch
// the song once more.
export function putAndRefresh(song) {
  put(song);
  setTimeout(() => refresh(song.id), 1500);
}

// Requests of a song's details, at most, while events about it come.
const MOST_READS = 4;

/** Fetches a song with its details. What an event has said meanwhile is newer than the response, which is then requested again. */
export async function read(id) {
  for (let n = 1; ; n += 1) {
    const before = known.get(id);
    const { song } = await ask('GET', `songs/${id}?details`);
    if (known.get(id) === before || n === MOST_READS) return put(song);
  }
}

/** Fetches a song with its details; one that is gone leaves the list, and other failures do not matter. */
export const refresh = (id) => read(id).catch((error) => { if (error.has?.('not_found')) drop(id); });

export function drop(id) {
  updatedDuringLoad.add(id);
  if (known.delete(id)) changed();
}
trash.addEventListener('change', changed);
trash.addEventListener('deleted', (/** @type {CustomEvent} */ { detail }) => drop(detail));
trash.addEventListener('restored', (/** @type {CustomEvent} */ { detail }) => putAndRefresh(detail));

// Measures a song's progress rate since it was first seen.
function pace(song) {
  if (song.status !== 'SPLITTING') return paces.delete(song.id);
  const first = paces.get(song.id);
  if (!first || song.progress < first.percent) paces.set(song.id, { at: Date.now(), percent: song.progress, now: song.progress, seen: Date.now() });
  else if (song.progress > first.now) Object.assign(first, { now: song.progress, seen: Date.now() });
}

// Estimates the remaining time in seconds; returns null if unknown.
export function remaining(song) {
  const seen = paces.get(song.id);
  if (!seen || seen.now <= seen.percent) return null;
  const each = (seen.seen - seen.at) / (seen.now - seen.percent);
  const estimate = (100 - seen.now) * each;
  // Count down between two progress reports, but not to zero.
  return Math.max(1000, estimate / 4, estimate - (Date.now() - seen.seen)) / 1000;
}

// Loads the list page by page. A later call cancels earlier ones.
async function reload() {
  const mine = {};
  loading = mine;
  updatedDuringLoad.clear();
  const now = new Set();
  let after = '';
  let oldest = '';
  do {
    const page = await ask('GET', `songs/?details&limit=${PAGE}${after && `&after=${after}`}`);
    if (loading !== mine) return;
    for (const song of page.songs) {
      now.add(song.id);
      oldest = song.uploaded_at;
      if (updatedDuringLoad.has(song.id)) continue;
      known.set(song.id, song);
      pace(song);
    }
    after = page.next ?? '';
    if (!loaded) changed();
  } while (after && now.size < MOST);
  rest = Boolean(after);
  const isOlder = (song) => rest && uploadTime(song) < uploadTime({ uploaded_at: oldest });
  for (const [id, song] of known) if (!now.has(id) && !updatedDuringLoad.has(id) && !isOlder(song)) known.delete(id);
  loaded = true;
  changed();
}

// Stores songs of a page that the server has just returned.
/** @param {Song[]} list */
export function keep(list) {
  for (const song of list) {
    known.set(song.id, song);
    pace(song);
  }
}

// The upload time as a sortable string: the number of fraction digits varies.
export const uploadTime = ({ uploaded_at: at }) => at.replace('Z', '');

// Subscribes to the events of a user; called again when the user changes.
let user;
export function subscribe(now = user) {
  user = now;
  stream(now);
}

const stream = connect({
  // Reload the list to catch changes from before the stream opened.
  open: () => {
    reload().catch(() => {});
    loadTrash().catch(() => {});
  },
  event: (name, data) => {
    if (name === 'song') return put(data);
    drop(data.id);
    refreshTrash();
  },
  user: () => songs.dispatchEvent(new Event('user')),
  cut: async () => {
    // The end of a stream does not mean that the server is down; check /livez.
    await fetch('livez', { cache: 'no-store' }).then((answer) => { if (!answer.ok) connectionLost(); }, connectionLost);
    await untilReachable();
    songs.dispatchEvent(new Event('user'));
    setTimeout(subscribe, 500);
  },
});
connection.addEventListener('back', () => reload().catch(() => {}));
