// Labels of songs: what shows, adds and removes them.
import { ask } from './api.js';
import { announce, explain, h, icon, setText } from './dom.js';
import { isSameLabel, labelAddress } from './list.js';
import { get, put } from './songs.js';
import { currentLanguage, t } from './text.js';

// As many characters as the server takes.
const MOST_CHARS = 40;

/**
 * Shows the labels of songs, and a form to add further ones. Of one song, each label leads to all songs with it.
 * @param {string[]} ids
 */
export function labelEditor(ids) {
  const songs = () => ids.map(get).filter(Boolean);
  const list = h('ul', { class: 'labels', label: 'labels' });
  const known = h('datalist', { id: 'known-labels' });
  const input = h('input', { id: 'new-label', label: 'label-new', hint: 'label-new', maxlength: MOST_CHARS, list: known.id, dir: 'auto', autocomplete: 'off', onfocus: suggest });
  const trouble = h('span', { class: 'trouble', role: 'alert' });
  const form = h('form', { class: 'row label-form', onsubmit: (event) => {
    event.preventDefault();
    add(input.value.trim());
  } }, input, h('button', { class: 'small', type: 'submit', id: 'add-label', t: 'label-add' }), known);
  const element = h('div', { class: 'label-editor' }, list, form, trouble);

  // The labels, each with the songs that have it.
  function labels() {
    const found = new Map();
    for (const song of songs()) {
      for (const label of song.labels ?? []) {
        const key = label.toLowerCase();
        found.set(key, { label, ids: [...found.get(key)?.ids ?? [], song.id] });
      }
    }
    return [...found.keys()].sort().map((key) => found.get(key));
  }

  async function suggest() {
    // The form works without suggestions.
    const all = await ask('GET', 'labels').catch(() => ({ labels: [] }));
    known.replaceChildren(...all.labels.map(({ label }) => h('option', { value: label })));
  }

  // Changes songs one after the other; what has been changed remains if one fails. Returns whether all were changed.
  async function change(which, request) {
    setText(trouble, '');
    try {
      for (const id of which) put((await request(`songs/${id}/labels`)).song);
      return true;
    } catch (error) {
      setText(trouble, explain(error));
      return false;
    } finally {
      update();
    }
  }

  async function add(label) {
    if (!label) return input.focus();
    const lacking = songs().filter((song) => !(song.labels ?? []).some((each) => isSameLabel(each, label)));
    if (!await change(lacking.map(({ id }) => id), (path) => ask('POST', path, { label }))) return input.focus();
    input.value = '';
    input.focus();
    return announce(t('label-added', { label }));
  }

  async function remove({ label, ids: which }) {
    const at = labels().findIndex((each) => each.label === label);
    if (!await change(which, (path) => ask('DELETE', `${path}?label=${encodeURIComponent(label)}`))) return;
    announce(t('label-removed', { label }));
    const buttons = list.querySelectorAll('button');
    (buttons[Math.min(at, buttons.length - 1)] ?? input).focus();
  }

  function row(entry) {
    const { label } = entry;
    const button = h('button', { class: 'small plain', 'aria-label': t('label-remove', { label }), title: t('label-remove', { label }), onclick: () => remove(entry) }, icon('close'));
    const name = ids.length === 1 ? h('a', { href: labelAddress(label), dir: 'auto' }, label)
      : h('span', {}, t('label-counted', { label, n: entry.ids.length }));
    return h('li', { class: 'chip' }, name, button);
  }

  // Rows stay while nothing changes, so that they keep the focus.
  function update() {
    const now = labels();
    const shown = JSON.stringify([currentLanguage(), now]);
    if (list.dataset.of === shown) return;
    list.dataset.of = shown;
    list.hidden = !now.length;
    list.replaceChildren(...now.map(row));
  }

  update();
  return { element, update };
}
