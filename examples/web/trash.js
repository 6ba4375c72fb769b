// The trash of the server: deleted songs that can be restored for some days.
import { ask } from './api.js';
import { confirmed, explain, h, icon, setText, toast } from './dom.js';
import { limits } from './limits.js';
import { date, t } from './text.js';

// More than so many are not shown at once.
const PAGE = 1000;
// Several songs leave at once: ask for the list after the last one.
const PAUSE_MS = 300;

// Dispatches `change`, `deleted` with the ID of a song that was deleted here, and `restored` with a song.
export const trash = new EventTarget();

/** @typedef {{ id: string, title: string, end: string | null }} Trashed */
/** @type {Map<string, Trashed>} */
let entries = new Map();
// Songs that are being deleted here, which the server still lists.
/** @type {Map<string, Trashed>} */
const leaving = new Map();
let loading = null;
let timer = null;
// Changes made here, one after the other: Undo may come before the deletion is done.
/** @type {Promise<void>} */
let working = Promise.resolve();

const changed = () => trash.dispatchEvent(new Event('change'));
const tell = (name, detail) => trash.dispatchEvent(new CustomEvent(name, { detail }));

export const isInTrash = (id) => leaving.has(id) || entries.has(id);

// The songs that the current user may restore, the last deleted first.
export const trashed = () => [...leaving.values(), ...entries.values()];

// Loads the list. A later call cancels earlier ones.
export async function loadTrash() {
  const mine = loading = {};
  const { songs } = await ask('GET', `songs/trash?limit=${PAGE}`);
  if (loading !== mine) return;
  entries = new Map(songs.map(({ song: { id, title }, ends_at: end }) => [id, { id, title, end }]));
  changed();
}

// Loads the list soon, because a song was deleted anywhere.
export function refreshTrash() {
  clearTimeout(timer);
  timer = setTimeout(() => loadTrash().catch(() => {}), PAUSE_MS);
}

// A song is back: it was restored anywhere.
export function forget(id) {
  if (entries.delete(id)) changed();
}

/** @param {() => Promise<void>} work */
function afterwards(work) {
  const done = working.then(work);
  working = done.catch(() => {});
  return done;
}

// Deletes songs, which are hidden at once. After an error, that song and those after it are shown again.
/** @param {{ id: string, title: string }[]} list */
export function discard(list) {
  for (const { id, title } of [...list].reverse()) leaving.set(id, { id, title, end: null });
  changed();
  return afterwards(async () => {
    try {
      for (const { id } of list) {
        await ask('DELETE', `songs/${id}`).catch((error) => { if (!error.has('not_found')) throw error; });
        tell('deleted', id);
      }
      await loadTrash();
    } finally {
      for (const { id } of list) leaving.delete(id);
      changed();
    }
  });
}

// Restores songs. A song that is no longer in the trash is left out.
/** @param {string[]} ids */
export const restore = (ids) => afterwards(async () => {
  for (const id of ids) {
    const back = await ask('POST', `songs/${id}/restore`).catch((error) => { if (!error.has('not_found')) throw error; });
    entries.delete(id);
    if (back) tell('restored', back.song);
    changed();
  }
});

// Deletes songs in the trash for good.
/** @param {string[]} ids */
const destroy = (ids) => afterwards(async () => {
  for (const id of ids) {
    await ask('DELETE', `songs/trash/${id}`).catch((error) => { if (!error.has('not_found')) throw error; });
    entries.delete(id);
    changed();
  }
  // There may be more than fit on a page.
  await loadTrash();
});

// `back` is the address of the list.
export function view(back) {
  const lead = h('p', { class: 'lead' });
  const list = h('ul', { class: 'card discarded', id: 'trash' });
  const none = h('p', { class: 'dim', t: 'trash-none' });
  const empty = h('button', { class: 'danger', id: 'empty-trash', t: 'trash-empty', onclick: () => end(trashed()) });
  const heading = h('h1', { tabindex: -1, t: 'trash' });

  async function end(songs) {
    if (!await confirmed(songs.length === 1 ? t('delete-for-good', { title: songs[0].title }) : t('delete-all-for-good', { n: songs.length }), t('delete-now'))) return;
    destroy(songs.map(({ id }) => id)).catch((error) => toast(t('delete-failed', { why: explain(error) }), { bad: true }));
    heading.focus();
  }

  function row(song) {
    const { id, title } = song;
    const undo = h('button', { class: 'small', 'aria-label': t('restore-named', { title }), onclick: () => {
      restore([id]).catch((error) => toast(explain(error), { bad: true }));
      heading.focus();
    } }, t('restore'));
    const now = h('button', { class: 'small danger', 'aria-label': t('delete-now-named', { title }), onclick: () => end([song]) }, t('delete-now'));
    return h('li', {}, h('span', { dir: 'auto' }, title), h('span', { class: 'dim' }, song.end ? t('trash-until', { end: date(song.end) }) : ''), undo, now);
  }

  function show() {
    const songs = trashed();
    const days = limits()?.trash_days;
    lead.hidden = !days;
    setText(lead, days ? t('trash-lead', { n: days }) : '');
    list.hidden = empty.hidden = !songs.length;
    none.hidden = Boolean(songs.length);
    list.replaceChildren(...songs.map(row));
  }

  trash.addEventListener('change', show);
  show();
  return {
    element: h('section', {}, h('p', {}, h('a', { href: back, class: 'back' }, icon('back'), h('span', { t: 'all-songs' }))), heading, lead, none, list, empty),
    show,
    end: () => trash.removeEventListener('change', show),
  };
}
