// Markers: named times in a song. The server keeps them, so that they are the same on all devices.
import { ask } from './api.js';
import { announce, explain, h, icon, setText, toast } from './dom.js';
import { clock, t } from './text.js';

// As many characters as the server takes.
const MOST_CHARS = 100;
// Back from just behind a marker leads to the one before it.
const BEHIND_S = 1;
const AHEAD_S = 0.05;

/**
 * Shows a song's markers in a timeline, and a list of them. `isGuest` may look at them only.
 * @param {{ id: string }} song
 * @param {ReturnType<typeof import('./timeline.js').timeline>} time
 * @param {{ seek: (at: number) => void, position: () => number, isGuest: boolean }} act
 */
export function markers(song, time, act) {
  const path = `songs/${song.id}/markers`;
  /** @type {{ id: string, at_ms: number, name: string }[]} */
  let all = [];
  let renamed = null;

  const add = h('button', { class: 'small', id: 'marker-add', label: 'marker-add', onclick: () => create() }, icon('flag'));
  const count = h('span', { class: 'dim' });
  const list = h('ol', { class: 'tokens', id: 'markers-list', label: 'markers' });
  const none = h('p', { class: 'dim', t: act.isGuest ? 'markers-none' : 'markers-hint' });
  const element = h('details', { class: 'practice', id: 'markers' }, h('summary', {}, h('span', { t: 'markers' }), count), none, list);
  if (!act.isGuest) time.tools.prepend(add);

  const at = (marker) => marker.at_ms / 1000;
  const told = (marker) => ({ name: marker.name, time: clock(at(marker)) });

  function show() {
    all.sort((one, other) => one.at_ms - other.at_ms);
    setText(count, all.length ? String(all.length) : '');
    none.hidden = all.length > 0;
    list.replaceChildren(...all.map(row));
    time.marks.replaceChildren(...all.map(() => h('i')));
    // The list below is for keyboards and screen readers.
    time.flags.replaceChildren(...all.map((marker) => h('span', { title: marker.name, onclick: () => act.seek(at(marker)) }, marker.name)));
    place();
  }

  // Moves flags and lines to where their times are in what the timeline shows.
  function place() {
    for (const [index, marker] of all.entries()) {
      const share = time.share(at(marker));
      for (const shown of [time.marks.children[index], time.flags.children[index]]) {
        shown.hidden = share < 0 || share > 1;
        shown.style.setProperty('--at', share);
      }
    }
  }

  function row(marker) {
    if (renamed === marker.id) return h('li', { class: 'entry' }, nameForm(marker));
    const button = (name, sign, run) => {
      const element = h('button', { class: 'small', 'data-does': name, onclick: run }, icon(sign));
      element.title = t(`marker-${name}`, told(marker));
      element.setAttribute('aria-label', element.title);
      return element;
    };
    const jump = h('button', { class: 'plain jump', 'data-does': 'jump', onclick: () => act.seek(at(marker)) }, h('span', { class: 'dim' }, clock(at(marker))), ' ', h('span', { dir: 'auto' }, marker.name));
    const change = act.isGuest ? [] : [button('rename', 'edit', () => rename(marker)), button('delete', 'delete', () => remove(marker))];
    return h('li', { 'data-id': marker.id }, jump, change);
  }

  function nameForm(marker) {
    const input = h('input', { value: marker.name, maxlength: MOST_CHARS, label: 'marker-name', onkeydown: (event) => { if (event.key === 'Escape') end(marker); } });
    return h('form', { class: 'row', onsubmit: (event) => {
      event.preventDefault();
      const name = input.value.trim();
      if (name) change(marker, { name });
      else input.focus();
    } }, input, h('button', { class: 'small', type: 'submit', t: 'save' }));
  }
  function rename(marker) {
    renamed = marker.id;
    show();
    list.querySelector('input').select();
  }
  // Ends renaming, and leads back to the button that began it.
  function end(marker) {
    renamed = null;
    show();
    list.querySelector(`[data-id="${marker.id}"] [data-does=rename]`)?.focus();
  }

  // Runs a change of the list on the server; shows why it failed.
  async function doing(work) {
    try {
      await work();
      return true;
    } catch (error) {
      toast(t('marker-failed', { why: explain(error) }), { bad: true });
      return false;
    }
  }

  async function create(fields = { at_ms: Math.round(act.position() * 1000), name: t('marker-number', { n: all.length + 1 }) }) {
    await doing(async () => {
      const { marker } = await ask('POST', path, fields);
      all.push(marker);
      show();
      announce(t('marker-added', told(marker)));
    });
  }
  async function change(marker, fields) {
    await doing(async () => {
      Object.assign(marker, (await ask('PATCH', `${path}/${marker.id}`, fields)).marker);
      end(marker);
    });
  }
  async function remove(marker) {
    const index = all.indexOf(marker);
    await doing(async () => {
      await ask('DELETE', `${path}/${marker.id}`);
      all = all.filter((other) => other !== marker);
      show();
      const next = list.children[Math.min(index, all.length - 1)]?.querySelector('[data-does=delete]');
      (next ?? element.querySelector('summary')).focus();
      const { at_ms, name } = marker;
      toast(t('marker-deleted', told(marker)), { action: t('undo'), run: () => create({ at_ms, name }) });
    });
  }

  function jump(marker) {
    if (!marker) return;
    act.seek(at(marker));
    announce(t('marker-here', told(marker)));
  }

  return {
    element,
    load: async () => {
      all = (await ask('GET', path)).markers;
      show();
    },
    add: () => { if (!act.isGuest) create(); },
    previous: () => jump(all.findLast((marker) => at(marker) < act.position() - BEHIND_S)),
    next: () => jump(all.find((marker) => at(marker) > act.position() + AHEAD_S)),
    place,
    update: show,
  };
}
