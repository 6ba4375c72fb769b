// Dialogs that change several songs at once.
import { ask } from './api.js';
import { announce, explain, h, setText } from './dom.js';
import { labelEditor } from './labels.js';
import { modelChoice } from './models.js';
import { putAndRefresh, songs } from './songs.js';
import { t } from './text.js';

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
