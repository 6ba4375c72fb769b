// The songs that may be seen, as they are now.
import { ask, connection, lost, there } from './api.js';

// Dispatches `change` whenever anything is different, `split` and `failed` with a song that has just become so, and `cut` when the
// server has ended the stream, as it does with the session that it began with.
export const songs = new EventTarget();

const PAGE = 200;
// So many of the newest are asked for, and as many again each time somebody wants older ones.
const STEP = 2000;
let most = STEP;
let rest = false;
const known = new Map();
const hidden = new Set();
const paces = new Map();
// What was heard of while the list was on its way; what the list says of those is older.
const heard = new Set();
let stream = null;
let loaded = false;
let loading = null;

export const isLoaded = () => loaded;
// Whether there are older ones that were not asked for.
export const hasMore = () => rest;
export const get = (id) => (hidden.has(id) ? undefined : known.get(id));
export const all = () => [...known.values()].filter((song) => !hidden.has(song.id));

const changed = () => songs.dispatchEvent(new Event('change'));

// A song as an answer or an event tells it.
export function put(song) {
  const before = known.get(song.id);
  heard.add(song.id);
  // What one answer leaves out, another has told.
  known.set(song.id, { ...song, uploaded_at: song.uploaded_at ?? before?.uploaded_at ?? new Date().toISOString() });
  pace(song);
  const ended = song.status === 'SPLIT' || song.status === 'FAILED';
  if (before && ended && before.status !== song.status) {
    songs.dispatchEvent(new CustomEvent(song.status === 'SPLIT' ? 'split' : 'failed', { detail: song }));
  }
  changed();
}

// A song as the answer to something done here tells it. What has become of it meanwhile may have been told before, or be just what
// was known: so it is looked at once more.
export function answered(song) {
  put(song);
  setTimeout(() => ask('GET', `songs/${song.id}`).then((data) => put(data.song), (error) => { if (error.has('not_found')) drop(song.id); }), 1500);
}

export function drop(id) {
  heard.add(id);
  if (known.delete(id)) changed();
}

export function hide(id, yes) {
  if (yes) hidden.add(id);
  else hidden.delete(id);
  changed();
}

// How fast a song gets on, from when it was first seen.
function pace(song) {
  if (song.status !== 'SPLITTING') return paces.delete(song.id);
  const first = paces.get(song.id);
  if (!first || song.progress < first.percent) paces.set(song.id, { at: Date.now(), percent: song.progress, now: song.progress, seen: Date.now() });
  else if (song.progress > first.now) Object.assign(first, { now: song.progress, seen: Date.now() });
}

// How long it will still take, in seconds, once that can be told.
export function left(song) {
  const seen = paces.get(song.id);
  if (!seen || seen.now <= seen.percent) return null;
  const each = (seen.seen - seen.at) / (seen.now - seen.percent);
  const told = (100 - seen.now) * each;
  // Counted down between two reports, but not to nothing while there is more to do.
  return Math.max(1000, told / 4, told - (Date.now() - seen.seen)) / 1000;
}

// Asks for the list, page by page. One that is asked for later makes those before it worth nothing.
async function reload() {
  const mine = {};
  loading = mine;
  heard.clear();
  const now = new Set();
  let after = '';
  let oldest = '';
  do {
    const page = await ask('GET', `songs/?details&limit=${PAGE}${after && `&after=${after}`}`);
    if (loading !== mine) return;
    for (const song of page.songs) {
      now.add(song.id);
      oldest = song.uploaded_at;
      if (heard.has(song.id)) continue;
      known.set(song.id, song);
      pace(song);
    }
    after = page.next ?? '';
    if (!loaded) changed();
  } while (after && now.size < most);
  rest = Boolean(after);
  const isOlder = (song) => rest && moment(song) < moment({ uploaded_at: oldest });
  for (const [id, song] of known) if (!now.has(id) && !heard.has(id) && !isOlder(song)) known.delete(id);
  loaded = true;
  changed();
}

// Asks for older songs, too.
export function more() {
  most += STEP;
  return reload();
}

// When a song was uploaded, as a text that sorts: times have as many digits as they need.
export const moment = ({ uploaded_at: at }) => at.replace('Z', '');

// Listens for changes; begins anew when somebody else is logged in.
export function follow() {
  stream?.close();
  const current = new EventSource('songs/events');
  stream = current;
  // What happened while nobody listened is in the list.
  current.onopen = () => reload().catch(() => {});
  current.addEventListener('song', (event) => put(JSON.parse(event.data)));
  current.addEventListener('deleted', (event) => drop(JSON.parse(event.data).id));
  current.onerror = () => {
    if (stream !== current) return;
    // A stream that ends is no server that is away: whether it is, the next question tells.
    current.close();
    fetch('livez', { cache: 'no-store' }).then((answer) => { if (!answer.ok) lost(); }, lost).then(async () => {
      await there();
      songs.dispatchEvent(new Event('cut'));
      setTimeout(() => { if (stream === current) follow(); }, 500);
    });
  };
}
connection.addEventListener('back', () => reload().catch(() => {}));
