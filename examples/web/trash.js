// The trash: songs that this browser hides, and deletes on the server after some days. The server itself has no trash.
import { ask } from './api.js';
import { confirmed, explain, h, icon, setText, toast } from './dom.js';
import { currentUser, isUserKnown } from './session.js';
import { date, recall, remember, t } from './text.js';

export const DAYS = 7;
const LASTS_MS = DAYS * 24 * 3600 * 1000;
const CHECK_MS = 60_000;

// Dispatches `change`, and `deleted` with the ID of a song that no longer exists.
export const trash = new EventTarget();

// Kept in the browser, so that all tabs have the same trash and a reload keeps it.
/** @type {Map<string, { title: string, uploader: string | null, at: number }>} */
let entries = stored();

function stored() {
  try { return new Map(JSON.parse(recall('trash') ?? '[]')); } catch { return new Map(); }
}

function change(edit) {
  // Another tab may have changed it.
  if (recall('trash')) entries = stored();
  edit();
  remember('trash', JSON.stringify([...entries]));
  trash.dispatchEvent(new Event('change'));
}

export const isInTrash = (id) => entries.has(id);

// The songs in the trash that the current user may delete, the newest first.
export const trashed = () => [...entries].map(([id, entry]) => ({ id, ...entry })).filter(({ uploader }) => !uploader || uploader === currentUser()?.id).reverse();

/** @param {import('./songs.js').Song[]} list */
export const discard = (list) => change(() => {
  for (const { id, title, uploader_id: uploader } of list) entries.set(id, { title, uploader, at: Date.now() });
});

/** @param {string[]} ids */
export const restore = (ids) => change(() => {
  for (const id of ids) entries.delete(id);
});

// Deletes songs on the server. Throws the first error; that song and those after it stay in the trash.
export async function destroy(ids) {
  for (const id of ids) {
    await ask('DELETE', `songs/${id}`).catch((error) => { if (!error.has('not_found')) throw error; });
    trash.dispatchEvent(new CustomEvent('deleted', { detail: id }));
    restore([id]);
  }
}

// Deletes what has been in the trash long enough. A failure is tried again at the next check.
function check() {
  const due = trashed().filter(({ at }) => Date.now() - at >= LASTS_MS).map(({ id }) => id);
  if (due.length && isUserKnown()) destroy(due).catch(() => {});
}
setInterval(check, CHECK_MS);
// A visit may be short.
setTimeout(check, 3000);

window.addEventListener('storage', ({ key }) => {
  if (key !== 'vocalizer-trash') return;
  entries = stored();
  trash.dispatchEvent(new Event('change'));
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
    const { id, title, at } = song;
    const undo = h('button', { class: 'small', 'aria-label': t('restore-named', { title }), onclick: () => {
      restore([id]);
      heading.focus();
    } }, t('restore'));
    const now = h('button', { class: 'small danger', 'aria-label': t('delete-now-named', { title }), onclick: () => end([song]) }, t('delete-now'));
    return h('li', {}, h('span', { dir: 'auto' }, title), h('span', { class: 'dim' }, t('trash-until', { end: date(at + LASTS_MS) })), undo, now);
  }

  function show() {
    const songs = trashed();
    setText(lead, t('trash-lead', { n: DAYS }));
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
