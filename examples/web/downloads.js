// Downloads of a song: single parts, stems as one archive, the mix; and stems to drag out of the page.
import { h, icon, setText, toast } from './dom.js';
import { dragHandle } from './drag.js';
import { FOUR, isVocal, numberOf, stemName, stemsOf } from './stems.js';
import { duration, recall, remember, t } from './text.js';

const FORMATS = ['mp3', 'wav', 'flac'];

/** What asks for names for audio workstations: stems are numbered, and have the tempo and the key in their names. @param {{ tempo: number, key: string }} of */
export const stemNames = ({ tempo, key }) => ['numbered', ...tempo ? [`tempo=${tempo}`] : [], ...key ? [`key=${encodeURIComponent(key)}`] : []].join('&');

// Download links for all parts of a song, in the preferred format. Stems become handles in the player's tracks, too.
export function downloads(song, playing) {
  let format = recall('format');
  if (!FORMATS.includes(format)) format = 'mp3';
  const stems = stemsOf(song);
  const links = [];
  const offer = (anchor, path, { kept = true, shows = 'dim' } = {}) => {
    const busy = h('span', { class: shows, role: 'status' });
    anchor.append(busy);
    anchor.addEventListener('click', (event) => prepare(event, anchor, kept));
    links.push({ anchor, path, busy });
    return anchor;
  };
  const link = (name, text, path, options) => offer(
    h('a', { class: 'button take', id: `take-${name}`, download: true }, icon('download'), h('span', { t: text }, stemName(name))), path, options);

  // Files that this page has seen to exist, and the one that is being made for each link. Both are addresses, as a link's address changes
  // with the format.
  const made = new Set();
  const making = new Map();
  const showMaking = () => {
    for (const { anchor, busy } of links) setText(busy, making.get(anchor)?.href === anchor.href ? t('take-making') : '');
  };

  // A file that is not stored has to be created first. Wait until it exists, then start the download.
  async function prepare(event, anchor, kept) {
    if (anchor.getAttribute('aria-disabled') === 'true' || making.get(anchor)?.href === anchor.href) return event.preventDefault();
    if (!kept) return toast(t('take-mixing'));
    if (format === 'mp3' && anchor.id !== 'take-accompaniment' || made.has(anchor.href)) return undefined;
    event.preventDefault();
    // Another format was wanted before.
    making.get(anchor)?.abort.abort();
    const mine = { href: anchor.href, abort: new AbortController() };
    making.set(anchor, mine);
    showMaking();
    try {
      // GET creates the file, HEAD does not. One byte is enough; archives do not support ranges, so cancel the response.
      const answer = await fetch(mine.href, { headers: { Range: 'bytes=0-0' }, signal: mine.abort.signal });
      await answer.body?.cancel();
      if (!answer.ok) throw new Error(t('take-failed'));
      made.add(mine.href);
    } catch (error) {
      if (error.name !== 'AbortError') toast(t('take-failed'), { bad: true });
    }
    if (making.get(anchor) !== mine) return undefined;
    making.delete(anchor);
    showMaking();
    if (made.has(anchor.href)) anchor.click();
    return undefined;
  }

  const chosen = () => stems.filter((_, at) => boxes[at].checked);

  function update() {
    const levels = playing.levels();
    const silent = Object.values(levels).every((level) => level === 0);
    const some = chosen();
    for (const { anchor, path } of links) anchor.href = path(format, levels);
    for (const handle of handles) handle.update(format);
    showMaking();
    const original = playing.hearsOriginal();
    const decibels = playing.tooLoud();
    mix.setAttribute('aria-disabled', String(silent || original));
    zip.setAttribute('aria-disabled', String(!some.length));
    setText(zip.querySelector('span'), t(some.length === stems.length ? 'take-zip' : 'take-some', { n: some.length }));
    setText(note, original ? t('take-original') : silent ? t('take-silent') : decibels > 0 ? t('take-loud', { decibels }) : '');
    const { lossless } = song;
    quality.hidden = lossless === undefined;
    setText(quality, t(lossless ? 'lossless' : 'lossy'));
    quality.toggleAttribute('data-lossy', !lossless);
    setText(lead, t(lossless === undefined ? 'take-lead' : lossless ? 'take-lossless' : 'take-lossy'));
    // What a format keeps, next to its name.
    for (const { kind, mark } of marks) setText(mark, lossless === undefined ? '' : t(lossless && kind !== 'mp3' ? 'lossless' : 'lossy'));
    setText(madeBy, origin(song.provenance));
  }

  const at = `songs/${song.id}`;
  let label = { tempo: 0, key: '' };
  const stemPath = (stem) => (kind) => `${at}/${stem}.${kind}?download&${stemNames(label)}`;
  const parts = [
    ...stems.map((stem) => link(stem, `stem-${stem}`, stemPath(stem))),
    ...stems.some(isVocal) && stems.length > 1 ? [link('accompaniment', 'take-accompaniment', (kind) => `${at}/accompaniment.${kind}?download`)] : [],
    link('song', 'take-song', (kind) => `${at}/song.${kind}?download`),
  ];
  const boxes = stems.map((stem) => h('input', { type: 'checkbox', name: 'zip-stem', value: stem, checked: true, onchange: () => update() }));
  const inZip = h('fieldset', { class: 'heard', id: 'zip-stems' }, h('legend', { class: 'dim', t: 'take-stems' }),
    stems.map((stem, index) => h('label', { class: 'option' }, boxes[index], h('span', { t: `stem-${stem}` }, stem))));
  const zip = link('zip', 'take-zip', (kind) => `${at}/stems.zip?format=${kind}&stems=${chosen()}&${stemNames(label)}`);
  delete zip.querySelector('span').dataset.t;
  const mix = link('mix', 'take-mix', (kind, levels) => `${at}/mix.${kind}?${gains(levels)}`, { kept: false });
  const note = h('p', { class: 'dim', id: 'take-note', role: 'status' });
  const quality = h('span', { class: 'badge', id: 'quality' });
  const lead = h('p', { class: 'dim' });
  const madeBy = h('p', { class: 'dim', id: 'provenance' });
  const marks = FORMATS.map((kind) => ({ kind, mark: h('span', { class: 'dim' }) }));
  const choices = marks.map(({ kind, mark }) => h('label', { class: 'option' },
    h('input', { type: 'radio', name: 'format', value: kind, id: `format-${kind}`, checked: kind === format, onchange: () => {
      format = kind;
      remember('format', kind);
      update();
    } }), h('span', {}, kind.toUpperCase()), ' ', mark));
  const handles = stems.map((stem) => {
    const handle = dragHandle({ song, stem, number: numberOf(song, stem), label: () => label });
    offer(handle.element, stemPath(stem), { shows: 'unseen' });
    playing.element.querySelector(`.track[data-stem="${CSS.escape(stem)}"] .controls`).prepend(handle.element);
    return handle;
  });
  const element = h('section', { class: 'card take-home', id: 'take-home' }, h('h2', {}, h('span', { t: 'take-home' }), ' ', quality),
    h('fieldset', { class: 'heard' }, h('legend', { class: 'unseen', t: 'format' }), choices), lead,
    h('div', { class: 'takes' }, parts), inZip, h('div', { class: 'takes' }, zip, mix), note, madeBy);
  playing.element.addEventListener('mix', update);
  update();
  return {
    element,
    update,
    // The tempo and the key for names.
    name: (known) => {
      label = known;
      update();
    },
  };
}

// The levels as parameters of a mix, never rounded up: the mix is turned down just as far as it must be. The stems of further models have one parameter
// together.
function gains(levels) {
  const query = new URLSearchParams();
  const others = [];
  for (const [stem, level] of Object.entries(levels)) {
    const gain = String(Math.floor(level * 1000 + 1e-6) / 1000);
    if (FOUR.includes(stem)) query.set(stem, gain);
    else others.push(`${stem}:${gain}`);
  }
  if (others.length) query.set('levels', others.join(','));
  return query;
}

// What made the stems, in one line.
function origin(made) {
  if (!made) return '';
  const { model, device, precision, program, took_ms: took, speed, weights } = made;
  const parts = [t('made-by', { model }), device, precision, took !== undefined && duration(took / 1000), speed !== undefined && t('made-speed', { speed }), program,
    weights && t('made-weights', { weights: weights.slice(0, 12) })];
  return parts.filter(Boolean).join(' · ');
}
