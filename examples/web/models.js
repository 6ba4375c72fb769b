// The models that songs can be split with, and how one is chosen.
import { ask } from './api.js';
import { h, setText } from './dom.js';
import { FOUR, inOrder, stemName } from './stems.js';
import { currentLanguage, duration, recall, remember, t } from './text.js';

/**
 * @typedef {{ name: string, stems: string[], is_default: boolean, has_worker: boolean, relative_cost?: number, licence?: string,
 *   seconds_per_minute?: number }} Model
 */

// Dispatches `change` when the models are known.
export const models = new EventTarget();
/** @type {Model[]} */
let known = [];

export async function loadModels() {
  known = (await ask('GET', 'models')).models;
  models.dispatchEvent(new Event('change'));
}

/** Whether there is a choice. */
export const hasChoice = () => known.length > 1;

const find = (name) => known.find((model) => model.name === name) ?? known.find((model) => model.is_default) ?? known[0];

/**
 * Whether stems of a song are all that its model makes, so that they add up to the song. A model that is not known makes the usual four.
 * @param {{ model?: string }} song
 * @param {string[]} stems
 */
export const isWhole = ({ model }, stems) => (known.find(({ name }) => name === model)?.stems ?? FOUR).every((stem) => stems.includes(stem));

// The stems that were last wanted of a model; all unless some were left out.
function wantedStems(model) {
  const kept = recall(`stems-${model.name}`)?.split(',').filter((stem) => model.stems.includes(stem)) ?? [];
  return kept.length ? kept : model.stems;
}

/**
 * Returns the form fields of a choice; none for the default model with all its stems.
 * @param {Model} model
 * @param {string[]} stems
 */
export function fieldsOf(model, stems) {
  const some = stems.length > 0 && stems.length < model.stems.length;
  return { ...!model.is_default && { model: model.name }, ...some && { stems: stems.join(',') } };
}

/** Returns the form fields of the choice for uploads. */
export function uploadFields() {
  if (!hasChoice()) return {};
  const model = find(recall('model'));
  return fieldsOf(model, wantedStems(model));
}

/**
 * What a model costs, in one line.
 * @param {Model} model
 */
function describe({ relative_cost: cost, licence, seconds_per_minute: seconds, has_worker: hasWorker }) {
  const speed = seconds !== undefined ? t('model-speed', { time: duration(seconds) }) : cost !== undefined && t('model-cost', { cost });
  return [speed, licence && t('model-licence', { licence }), !hasWorker && t('model-idle')].filter(Boolean).join(' · ');
}

/**
 * A choice of a model and of its stems, which is remembered for uploads unless it begins with a `name`.
 * @param {string} id
 * @param {string} [name]
 */
export function modelChoice(id, name) {
  const keep = (key, value) => { if (name === undefined) remember(key, value); };
  const select = h('select', { id, onchange: () => {
    keep('model', select.value);
    update();
  } });
  let shown = '';
  const about = h('p', { class: 'dim', id: `${id}-about` });
  select.setAttribute('aria-describedby', about.id);
  const boxes = h('div', { class: 'heard' });
  const element = h('div', { class: 'model-choice', hidden: true },
    h('div', { class: 'row' }, h('label', { for: id, t: 'model' }), select), about,
    h('fieldset', {}, h('legend', { class: 'unseen', t: 'model-stems' }), boxes));
  const ticked = () => [...boxes.querySelectorAll('input:checked')].map((/** @type {any} */ box) => box.value);

  function box(stem, wanted) {
    const input = h('input', { type: 'checkbox', value: stem, checked: wanted.includes(stem), onchange: () => {
      // At least one stem stays.
      if (!ticked().length) input.checked = true;
      keep(`stems-${select.value}`, ticked().join(','));
    } });
    return h('label', { class: 'option' }, input, h('span', {}, stemName(stem)));
  }

  function update() {
    element.hidden = !hasChoice();
    if (element.hidden) return;
    const model = find(select.value || (name ?? recall('model')));
    // The boxes keep the focus unless there is something new.
    const now = JSON.stringify([currentLanguage(), model, known]);
    if (now === shown) return;
    shown = now;
    const stems = name === undefined ? wantedStems(model) : model.stems;
    select.replaceChildren(...known.map((each) => h('option', { value: each.name }, each.is_default ? t('model-default', { name: each.name }) : each.name)));
    select.value = model.name;
    setText(about, describe(model));
    boxes.replaceChildren(...inOrder(model.stems).map((stem) => box(stem, stems)));
  }

  update();
  return {
    element,
    update,
    fields: () => fieldsOf(find(select.value), ticked()),
  };
}
