// Dialogs that change several songs at once.
import { facts } from './analysis.js';
import { ask } from './api.js';
import { announce, explain, h, setText, toast } from './dom.js';
import { stemNames } from './downloads.js';
import { labelEditor } from './labels.js';
import { modelChoice } from './models.js';
import { get, putAndRefresh, songs, titleOf } from './songs.js';
import { listed, recall, t } from './text.js';

function dialogOf(id, heading, n, ...content) {
  const dialog = h('dialog', { id, 'aria-labelledby': `${id}-heading`, onclose: () => dialog.remove() },
    h('h2', { id: `${id}-heading` }, t(heading, { n })), ...content);
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}

/** @param {string[]} ids */
export function labelSongs(ids) {
  const editor = labelEditor(ids);
  songs.addEventListener('change', editor.update);
  const dialog = dialogOf('label-dialog', 'label-songs', ids.length, editor.element,
    h('div', { class: 'row' }, h('button', { t: 'close', onclick: () => dialog.close() })));
  dialog.addEventListener('close', () => songs.removeEventListener('change', editor.update));
  // A label leads to the list below.
  editor.element.addEventListener('click', ({ target }) => { if (target.closest('a')) dialog.close(); });
  dialog.querySelector('input').focus();
}

/** @param {string[]} ids */
export function splitSongs(ids) {
  const choice = modelChoice('split-all-model', '');
  const trouble = h('p', { class: 'trouble', role: 'alert' });
  const button = h('button', { class: 'primary', id: 'split-all', t: 'split-again', onclick: async () => {
    setText(trouble, '');
    button.disabled = true;
    const left = [...ids];
    try {
      while (left.length) {
        putAndRefresh((await ask('POST', `songs/${left[0]}/split`, choice.fields())).song);
        left.shift();
      }
      announce(t('split-songs-done', { n: ids.length }));
      dialog.close();
    } catch (error) {
      setText(trouble, explain(error));
      // Those before it are being split.
      ids = left;
      button.disabled = false;
    }
  } });
  const dialog = dialogOf('split-dialog', 'split-songs', ids.length, choice.element, trouble,
    h('div', { class: 'row' }, button, h('button', { t: 'cancel', onclick: () => dialog.close() })));
}

let isPreparing = false;

/** Downloads the stems of the songs that have them, one archive each. @param {string[]} ids */
export async function downloadSongs(ids) {
  if (isPreparing) return;
  isPreparing = true;
  try {
    await prepare(ids);
  } finally {
    isPreparing = false;
  }
}

/** @param {string[]} ids */
async function prepare(ids) {
  const list = ids.map(get).filter((song) => song?.status === 'SPLIT');
  const format = recall('format') ?? 'mp3';
  const failed = [];
  for (const [at, song] of list.entries()) {
    const close = toast(t('download-preparing', { at: at + 1, of: list.length }), { lasts: 0 });
    // The names match those on the page of the song.
    const known = facts(song, () => {});
    await known.load();
    const href = `songs/${song.id}/stems.zip?format=${format}&${stemNames(known.names())}`;
    // One byte makes the server prepare the archive; a failure would be a broken download.
    const answer = await fetch(href, { headers: { Range: 'bytes=0-0' } }).catch(() => null);
    await answer?.body?.cancel().catch(() => {});
    close();
    if (answer?.ok) h('a', { href, download: true }).click();
    else failed.push(titleOf(song));
  }
  if (failed.length) toast(t('downloads-failed', { n: failed.length, of: list.length, titles: listed(failed) }), { bad: true, lasts: 0 });
}
