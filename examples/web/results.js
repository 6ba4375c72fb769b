// Splitting a song with another model, and comparing what models made of it.
import { ask } from './api.js';
import { announce, explain, h, setText, toast } from './dom.js';
import { hasChoice, modelChoice, models } from './models.js';
import { putAndRefresh, read } from './songs.js';
import { recall, remember, t } from './text.js';

// Songs whose results are remembered, the latest last.
const KEPT_SONGS = 100;
const KEPT = 'results';

function remembered() {
  try { return new Map(JSON.parse(recall(KEPT) ?? '[]')); } catch { return new Map(); }
}

/** Returns the models whose results of a song this browser has seen. The server keeps them, so switching back takes no time. */
const seen = (id) => remembered().get(id) ?? [];

function noteResult({ id, model }) {
  const all = remembered();
  const before = all.get(id) ?? [];
  if (before.includes(model)) return;
  all.delete(id);
  all.set(id, [...before, model]);
  remember(KEPT, JSON.stringify([...all].slice(-KEPT_SONGS)));
}

/** Cancels the splitting of a song. */
export async function cancel(song) {
  try {
    putAndRefresh((await ask('POST', `songs/${song.id}/cancel`)).song);
    announce(t('cancelled', { title: song.title }));
  } catch (error) {
    toast(explain(error), { bad: true });
  }
}

/** The card with which a song is split again. `get` returns the song. */
export function results(get) {
  const choice = modelChoice('split-model', get().model ?? '');
  const trouble = h('p', { class: 'trouble', role: 'alert' });
  const button = h('button', { id: 'split-again', t: 'split-again', onclick: () => want(choice.fields()) });
  const options = h('div', { class: 'heard' });
  const compare = h('fieldset', { id: 'compare' }, h('legend', { t: 'compare' }), options);
  const lead = h('p', { class: 'dim' });
  let noted = '';
  // What is requested, and what was wanted since: the last choice counts, and requests cannot overtake each other.
  let running = null;
  let wanted = null;
  const element = h('section', { class: 'card', id: 'results' }, h('h2', { t: 'model' }), compare, lead, choice.element, button, trouble);

  async function want(fields) {
    wanted = fields;
    if (running) return;
    setText(trouble, '');
    button.disabled = true;
    const { id } = get();
    try {
      while (wanted) {
        [running, wanted] = [wanted, null];
        await ask('POST', `songs/${id}/split`, running);
        // The response has no details.
        if (!wanted) await read(id);
      }
      const song = get();
      if (song) announce(t(song.status === 'SPLIT' ? 'switched' : 'splitting-again', { model: song.model }));
    } catch (error) {
      setText(trouble, explain(error));
    }
    running = wanted = null;
    button.disabled = false;
    update();
  }

  // What can be heard at once. The radio buttons stay while only the choice changes, so that the keyboard keeps its place.
  function showResults(song) {
    const names = seen(song.id);
    compare.hidden = names.length < 2;
    if (options.dataset.of !== names.join()) {
      options.dataset.of = names.join();
      options.replaceChildren(...names.map((name) => h('label', { class: 'option' },
        h('input', { type: 'radio', name: 'result', value: name, onchange: () => want({ model: name }) }), h('span', {}, name))));
    }
    const model = running ? (wanted ?? running).model : song.status === 'SPLIT' && song.model;
    for (const input of options.querySelectorAll('input')) input.checked = input.value === model;
  }

  function update() {
    const song = get();
    if (!song) return;
    // Of a song that was just split, the details come later.
    if (song.status === 'SPLIT' && song.model && song.parts && noted !== song.model) noteResult(song);
    if (song.status === 'SPLIT' && song.parts) noted = song.model;
    element.hidden = !hasChoice();
    choice.update();
    showResults(song);
    setText(lead, song.status === 'SPLIT' ? t('split-again-lead') : t('split-again-kept'));
  }

  models.addEventListener('change', update);
  update();
  return { element, update, end: () => models.removeEventListener('change', update) };
}
