// The list of songs.
import { ask, onDemand } from './api.js';
import { announce, confirmed, explain, h, icon, setText, toast } from './dom.js';
import { limits } from './limits.js';
import { hasChoice, models } from './models.js';
import { pushAddress, replaceAddress } from './places.js';
import { currentUser } from './session.js';
import { all, get, hasMore, isLoaded, keep, putAndRefresh, remaining, songs, uploadTime } from './songs.js';
import { clock, compare, currentLanguage, date, duration, percent, recall, remember, t } from './text.js';
import { discard, restore, trashed } from './trash.js';

const PAGE = 50;
// A row shows so many labels, and how many more there are.
const ROW_LABELS = 3;
// After this, songs are restored in the trash.
const UNDO_MS = 10_000;
const COVER_TRIES = 3;
const COVER_PAUSE_MS = 1000;
const bulk = onDemand(() => import('./bulk.js'));
const ORDER = { SPLITTING: 0, UPLOADED: 1, UPLOADING: 1, FAILED: 2, SPLIT: 3 };

const SORTS = ['newest', 'oldest', 'title', 'artist', 'duration', 'status'];
// Of long lists, pages are asked for when typing pauses, and again some time after a change.
const TYPING_MS = 250;
const REFRESH_MS = 3000;

// Search, label, sort order and page are in the address; filter and sort order are preferences.
const preferredSort = () => (SORTS.includes(recall('sort')) ? recall('sort') : 'newest');
const filters = { text: '', label: '', whose: recall('whose') ?? 'all', sort: preferredSort(), page: 0 };

// The address of the list as it is, or was when another view was opened.
/** @param {{ text: string, label: string, sort: string, page: number }} filters */
export function listAddress({ text, label, sort, page } = filters) {
  const query = new URLSearchParams();
  if (text.trim()) query.set('q', text.trim());
  if (label) query.set('label', label);
  if (sort !== 'newest') query.set('sort', sort);
  if (page) query.set('page', String(page + 1));
  return query.size ? `#/?${query}` : '#/';
}

// The address of the songs with a label.
export const labelAddress = (label) => listAddress({ text: '', label, sort: preferredSort(), page: 0 });

function readAddress() {
  const query = new URLSearchParams(location.hash.split('?').slice(1).join('?'));
  filters.text = query.get('q') ?? '';
  filters.label = query.get('label') ?? '';
  // An address without any of these is a first visit.
  const sort = query.get('sort') ?? (query.size ? 'newest' : preferredSort());
  filters.sort = SORTS.includes(sort) ? sort : 'newest';
  filters.page = Math.max(0, Math.floor(Number(query.get('page') ?? 1)) - 1) || 0;
}

// The cover of a song, if its file has one that can be shown.
export function coverOf(id) {
  const address = `songs/${id}/cover`;
  let isBroken = false;
  let tries = 0;
  // The server makes few covers at once for each client.
  const retry = () => {
    tries += 1;
    if (tries > COVER_TRIES) element.hidden = isBroken = true;
    else setTimeout(() => { element.src = address; }, tries * COVER_PAUSE_MS);
  };
  const element = h('img', { class: 'cover', alt: '', loading: 'lazy', hidden: true, onerror: retry });
  return {
    element,
    update: (song) => {
      element.hidden = isBroken || !song?.has_cover;
      if (song?.has_cover && !element.src) element.src = address;
    },
  };
}

// A song's status as text.
export function state(song) {
  if (song.status === 'SPLITTING') {
    const seconds = remaining(song);
    const done = percent(song.progress ?? 0);
    return seconds === null ? t('splitting', { percent: done }) : t('splitting-left', { percent: done, left: duration(seconds) });
  }
  if (song.status === 'UPLOADED' && song.queue_position > 0) return t('queued', { n: song.queue_position });
  return t(`status-${song.status}`);
}

export const openness = (song) => h('span', { class: 'badge', 'data-open': String(!song.uploader_id) },
  icon(song.uploader_id ? 'lock' : 'open'), t(song.uploader_id ? 'badge-yours' : 'badge-open'));

// Deletes songs: moves them to the trash, or asks first if the server has none. Returns whether they go.
export async function remove(...list) {
  const n = list.length;
  const [{ title }] = list;
  const isFinal = limits() && !limits().trash_days;
  if (isFinal && !await confirmed(n === 1 ? t('delete-for-good', { title }) : t('delete-all-for-good', { n }), t('delete'))) return false;
  const close = isFinal ? () => {} : toast(n === 1 ? t('trashed', { title }) : t('trashed-many', { n }), { lasts: UNDO_MS, action: t('undo'), run: async () => {
    try {
      await restore(list.map(({ id }) => id));
      announce(n === 1 ? t('restored', { title }) : t('restored-many', { n }));
    } catch (error) {
      toast(explain(error), { bad: true });
    }
  } });
  discard(list).catch((error) => {
    close();
    toast(t('delete-failed', { why: explain(error) }), { bad: true });
  });
  return true;
}

export async function retry(song) {
  try {
    putAndRefresh((await ask('POST', `songs/${song.id}/retry`)).song);
    announce(t('retried', { title: song.title }));
  } catch (error) {
    toast(explain(error), { bad: true });
  }
}

// Labels that differ in case only are the same.
export const isSameLabel = (one, other) => one.toLowerCase() === other.toLowerCase();
const hasLabel = ({ labels = [] }, label) => labels.some((each) => isSameLabel(each, label));

// The labels of the loaded songs, each with the number of songs.
function countLabels() {
  const counts = new Map();
  for (const label of all().flatMap(({ labels = [] }) => labels)) {
    const key = label.toLowerCase();
    const count = counts.get(key) ?? { label, songs: 0 };
    count.songs += 1;
    // Always the same spelling.
    if (label < count.label) count.label = label;
    counts.set(key, count);
  }
  return [...counts.keys()].sort().map((key) => counts.get(key));
}

// What the small player plays.
let heard = { id: null, on: false };
document.addEventListener('mini', (/** @type {CustomEvent} */ { detail }) => { heard = detail; });

// A row and its update function, which changes it in place to keep the focus. `select` is called when its checkbox changes.
function row(id, select) {
  const title = h('a', { class: 'song-title', href: `#/songs/${id}`, dir: 'auto' });
  const check = h('input', { type: 'checkbox', class: 'check', onchange: () => select(check.checked) });
  const badge = h('span');
  const status = h('span', { class: 'state' });
  const bar = h('progress', { max: 100, label: 'split-progress' });
  const when = h('time', { class: 'dim' });
  const playIcon = h('span', {}, icon('play'));
  const playButton = h('button', { class: 'small plain', onclick: async () => (await import('./mini.js')).toggle(get(id), following) }, playIcon);
  const retryButton = h('button', { class: 'small', onclick: () => retry(get(id)) }, icon('retry'), h('span', { t: 'try-again' }));
  const deleteButton = h('button', { class: 'small plain', onclick: async () => {
    const other = element.nextElementSibling ?? element.previousElementSibling;
    if (!await remove(get(id))) return;
    (other?.querySelector('a') ?? document.querySelector('#search')).focus();
  } }, icon('delete'));
  const why = h('p', { class: 'why', dir: 'auto' });
  const by = h('span', { class: 'dim by', dir: 'auto' });
  const length = h('span', { class: 'dim length' });
  const labels = h('span', { class: 'labels' });
  const cover = coverOf(id);
  const element = h('li', { class: 'song', 'data-id': id }, cover.element, h('div', { class: 'names' }, h('label', { class: 'choice' }, check), title, by, length, badge, labels),
    h('div', { class: 'meta' }, h('div', { class: 'stand' }, status, bar), when),
    h('div', { class: 'actions' }, retryButton, playButton, deleteButton), why);
  const update = (song, isChosen) => {
    setText(title, song.title);
    cover.update(song);
    by.hidden = !song.artist;
    setText(by, song.artist ?? '');
    length.hidden = song.duration_ms === undefined;
    setText(length, length.hidden ? '' : clock(song.duration_ms / 1000));
    showLabels(song.labels ?? []);
    check.checked = isChosen;
    check.setAttribute('aria-label', t('select-named', { title: song.title }));
    element.dataset.status = song.status;
    if (badge.dataset.of !== `${Boolean(song.uploader_id)}${document.documentElement.lang}`) {
      badge.dataset.of = `${Boolean(song.uploader_id)}${document.documentElement.lang}`;
      badge.replaceChildren(openness(song));
    }
    setText(status, state(song));
    bar.hidden = song.status !== 'SPLITTING';
    bar.value = song.progress ?? 0;
    when.dateTime = song.uploaded_at;
    setText(when, date(song.uploaded_at));
    retryButton.hidden = song.status !== 'FAILED';
    why.hidden = song.status !== 'FAILED';
    setText(why, song.failure_reason ? t('why-failed', { why: song.failure_reason }) : '');
    deleteButton.setAttribute('aria-label', t('delete-named', { title: song.title }));
    showPlaying(song);
    deleteButton.title = t('delete');
    retryButton.setAttribute('aria-label', t('try-again-named', { title: song.title }));
  };
  function showLabels(names) {
    if (labels.dataset.of === names.join('\n')) return;
    labels.dataset.of = names.join('\n');
    labels.hidden = !names.length;
    const more = names.length - ROW_LABELS;
    labels.replaceChildren(...names.slice(0, ROW_LABELS).map((name) => h('span', { class: 'chip', dir: 'auto' }, name)), ...more > 0 ? [`+${more}`] : []);
  }
  // Whether the small player plays this song.
  const showPlaying = (song = get(id)) => {
    const on = heard.on && heard.id === id;
    playIcon.replaceChildren(icon(on ? 'pause' : 'play'));
    playButton.setAttribute('aria-label', t(on ? 'pause-named' : 'play-named', { title: song?.title ?? '' }));
    playButton.title = t(on ? 'pause' : 'play');
  };
  return { element, update, showPlaying };
}

// Newest first.
function newest(one, other) {
  const [a, b] = [uploadTime(one), uploadTime(other)];
  return Number(a < b) - Number(a > b);
}

// As the server does: without case and accents.
const fold = (text) => text.normalize('NFKD').replace(/\p{M}/gu, '').toLocaleLowerCase().trim();

function visibleSongs() {
  const words = fold(filters.text).split(/\s+/);
  const by = compare();
  // Sort newest first, so that the stable sorts below keep that order among equals.
  const whose = listedOwner();
  const chosen = all().filter((song) => {
    const theirs = whose === 'all' || Boolean(song.uploader_id) === (whose === 'mine');
    const text = fold(`${song.title}\n${song.artist ?? ''}`);
    return theirs && (!filters.label || hasLabel(song, filters.label)) && words.every((word) => text.includes(word));
  }).sort(newest);
  if (filters.sort === 'oldest') return chosen.reverse();
  const sorts = {
    title: (one, other) => by(one.title, other.title),
    artist: (one, other) => by(one.artist ?? '', other.artist ?? '') || by(one.title, other.title),
    duration: (one, other) => (one.duration_ms ?? -1) - (other.duration_ms ?? -1),
    status: (one, other) => ORDER[one.status] - ORDER[other.status],
  };
  return sorts[filters.sort] ? chosen.sort(sorts[filters.sort]) : chosen;
}

const listedOwner = () => (currentUser() ? filters.whose : 'all');

// Of a list that is too long to load: the page that the server found last.
let answer = { key: '', from: 0, ids: [], total: 0, labels: [] };

// Finds songs of a list that is too long to load.
async function search(from) {
  const { find } = await import('./library.js');
  const page = await find({ ...filters, whose: listedOwner() }, from, PAGE);
  keep(page.songs);
  return page;
}

const queryNow = () => JSON.stringify([filters.text.trim(), filters.label, listedOwner(), filters.sort]);
// The page of a long list on which the next song was found last.
let walked = { query: '', from: 0, list: [] };

// The next song that is split behind another one in the list as it is, or was when another view was opened; null behind the last one.
/** @returns {Promise<import('./songs.js').Song | null>} */
export async function following(id) {
  const behind = (list) => list.slice(list.findIndex((song) => song.id === id) + 1).find(({ status }) => status === 'SPLIT') ?? null;
  if (!hasMore()) return behind(visibleSongs());
  const isOn = walked.query === queryNow() && walked.list.some((song) => song.id === id);
  let { from, list } = isOn ? walked : { from: answer.from, list: answer.ids.map(get).filter(Boolean) };
  // The list has not been shown.
  if (!list.length) list = (await search(from)).songs;
  while (list.length) {
    const next = behind(list);
    walked = { query: queryNow(), from, list };
    if (next) return next;
    from += PAGE;
    list = (await search(from)).songs;
  }
  return null;
}

export function view() {
  readAddress();
  const rows = new Map();
  const pick = (name, label, options) => {
    const select = h('select', { id: name, label, onchange: () => {
      filters[name] = select.value;
      remember(name, select.value);
      first();
    } }, options.map((option) => h('option', { value: option, t: `${name}-${option}` })));
    select.value = filters[name];
    if (!select.value) select.value = filters[name] = options[0];
    return select;
  };
  const words = h('input', { type: 'search', id: 'search', label: 'search', hint: 'search', value: filters.text, oninput: () => {
    filters.text = words.value;
    first();
  } });
  const first = () => {
    filters.page = 0;
    replaceAddress(listAddress());
    show();
  };
  const whose = pick('whose', 'whose', ['all', 'mine', 'open']);
  const label = h('select', { id: 'label', label: 'label-filter', onchange: () => {
    filters.label = label.value;
    first();
  } });
  const list = h('ul', { class: 'songs', id: 'songs' });
  const count = h('p', { class: 'dim', id: 'count', role: 'status' });
  const turn = (by) => () => {
    filters.page += by;
    pushAddress(listAddress());
    show();
    heading.focus();
  };
  const back = h('button', { id: 'page-back', t: 'page-back', onclick: turn(-1) });
  const forth = h('button', { id: 'page-forth', t: 'page-forth', onclick: turn(1) });
  const pager = h('nav', { class: 'pager', label: 'pages' }, back, forth);
  // Several songs at once. The choice outlives searches and pages.
  const chosen = new Set();
  const chosenSongs = () => [...chosen].map(get).filter(Boolean);
  const choosing = h('button', { class: 'toggle small', id: 'choosing', t: 'select', 'aria-pressed': 'false', onclick: () => choose(choosing.getAttribute('aria-pressed') === 'false') });
  const chosenCount = h('span', { role: 'status' });
  const choosePage = h('button', { class: 'small', id: 'choose-page', t: 'select-page', onclick: () => {
    for (const id of rows.keys()) chosen.add(id);
    show();
  } });
  // What is done with the chosen songs is loaded when it is used.
  const change = (id, text, sign, run) => h('button', { class: 'small', id, onclick: async () => {
    const module = await bulk();
    if (module) run(module)(chosenSongs().map((song) => song.id));
  } }, icon(sign), h('span', { t: text }));
  const downloadChosen = change('download-chosen', 'take-home', 'download', (module) => module.downloadSongs);
  const labelChosen = change('label-chosen', 'label-them', 'label', (module) => module.labelSongs);
  const splitChosen = change('split-chosen', 'split-them', 'retry', (module) => module.splitSongs);
  const deleteChosen = h('button', { class: 'small danger', id: 'delete-chosen', onclick: async () => {
    const songs = chosenSongs();
    if (!await remove(...songs)) return;
    chosen.clear();
    show();
    choosing.focus();
  } }, icon('delete'), h('span', { t: 'delete' }));
  const choice = h('div', { class: 'chosen', role: 'group', label: 'select', hidden: true }, chosenCount, choosePage, downloadChosen, labelChosen, splitChosen, deleteChosen);
  function choose(yes) {
    choosing.setAttribute('aria-pressed', String(yes));
    list.classList.toggle('choosing', yes);
    choice.hidden = !yes;
    chosen.clear();
    show();
  }
  const discarded = h('p', {}, h('a', { id: 'trash-link', class: 'back', href: '#/trash' }, icon('delete'), h('span')));
  const heading = h('h2', { t: 'songs', tabindex: -1 });
  const tools = h('div', { class: 'tools' }, words, whose, label, pick('sort', 'sort', SORTS));

  // The page of a long list that the server is asked for.
  let asked = '';
  let waiting = null;
  const key = () => `${queryNow()} ${filters.page}`;

  async function askForPage() {
    const mine = asked = key();
    try {
      const from = filters.page * PAGE;
      const [{ songs: found, total }, { labels }] = await Promise.all([search(from), ask('GET', 'labels')]);
      if (mine !== key()) return;
      answer = { key: mine, from, ids: found.map(({ id }) => id), total, labels };
      show();
    } catch (error) {
      if (!error.unreachable) toast(explain(error), { bad: true });
    }
  }

  function refreshLater(pause) {
    clearTimeout(waiting);
    waiting = setTimeout(() => {
      waiting = null;
      if (hasMore()) askForPage();
    }, pause);
  }

  // The songs of the page, and the number of all songs found.
  function pageOfSongs() {
    if (hasMore()) {
      if (asked !== key()) {
        // The first page is asked for at once.
        if (asked) refreshLater(TYPING_MS);
        else askForPage();
        asked = key();
      }
      return { found: answer.ids.map(get).filter(Boolean), total: answer.total, isKnown: answer.key === key() };
    }
    const found = visibleSongs();
    return { found, total: found.length, isKnown: isLoaded() };
  }

  function show() {
    const { found, total, isKnown } = pageOfSongs();
    const pages = Math.max(1, Math.ceil(total / PAGE));
    // Until the list is loaded, the page in the address may not be there yet.
    if (isKnown) filters.page = Math.min(filters.page, pages - 1);
    const page = hasMore() ? found : found.slice(filters.page * PAGE, (filters.page + 1) * PAGE);
    whose.hidden = !currentUser();
    showLabelFilter();
    pager.hidden = pages === 1;
    back.disabled = filters.page === 0;
    forth.disabled = filters.page === pages - 1;
    const n = trashed().length;
    discarded.hidden = !n;
    setText(discarded.querySelector('span'), t('trash-of', { n }));
    const from = filters.page * PAGE + 1;
    const none = t(filters.text.trim() ? 'nothing-found' : filters.label ? 'nothing-labelled' : 'no-songs');
    setText(count, !isKnown && !page.length ? t('loading') : page.length ? t('songs-shown', { from, to: from + page.length - 1, n: total }) : none);
    const picked = chosenSongs();
    choosing.hidden = !page.length;
    setText(chosenCount, t('selected', { n: picked.length }));
    downloadChosen.disabled = !picked.some(({ status }) => status === 'SPLIT');
    deleteChosen.disabled = labelChosen.disabled = splitChosen.disabled = !picked.length;
    splitChosen.hidden = !hasChoice();
    const shown = new Set(page.map(({ id }) => id));
    for (const [id, { element }] of rows) {
      if (shown.has(id)) continue;
      element.remove();
      rows.delete(id);
    }
    let place = list.firstElementChild;
    for (const song of page) {
      if (!rows.has(song.id)) {
        rows.set(song.id, row(song.id, (yes) => {
          chosen[yes ? 'add' : 'delete'](song.id);
          show();
        }));
      }
      const { element, update } = rows.get(song.id);
      update(song, chosen.has(song.id));
      // Never move the row at `place`: moving a focused row would lose the focus.
      if (element === place) place = place.nextElementSibling;
      else list.insertBefore(element, place);
    }
  }

  function showLabelFilter() {
    const known = hasMore() ? answer.labels : countLabels();
    label.hidden = !known.length && !filters.label;
    const chosen = known.find((each) => isSameLabel(each.label, filters.label))?.label ?? filters.label;
    const now = JSON.stringify([currentLanguage(), known, chosen]);
    if (label.dataset.of === now) return;
    label.dataset.of = now;
    const options = known.map((each) => h('option', { value: each.label }, t('label-counted', { label: each.label, n: each.songs })));
    // A label that no song has may be in the address.
    const lacks = chosen && !known.some((each) => each.label === chosen);
    label.replaceChildren(h('option', { value: '', t: 'label-all' }), ...options, ...lacks ? [h('option', { value: chosen }, chosen)] : []);
    label.value = chosen;
  }

  const changed = () => {
    if (hasMore() && !waiting) refreshLater(REFRESH_MS);
    show();
  };
  const playing = () => { for (const { showPlaying } of rows.values()) showPlaying(); };
  document.addEventListener('mini', playing);
  songs.addEventListener('change', changed);
  models.addEventListener('change', show);
  const ticking = setInterval(() => { for (const [id, { update }] of rows) if (get(id)?.status === 'SPLITTING') update(get(id), chosen.has(id)); }, 1000);
  show();
  return {
    element: h('section', { class: 'list' }, h('div', { class: 'list-head' }, heading, choosing), tools, count, choice, list, pager, discarded),
    show,
    end: () => {
      songs.removeEventListener('change', changed);
      models.removeEventListener('change', show);
      document.removeEventListener('mini', playing);
      clearInterval(ticking);
      clearTimeout(waiting);
    },
  };
}
