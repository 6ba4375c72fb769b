// A song's page: status, player and downloads.
import { ask } from './api.js';
import { STEMS } from './engine.js';
import { explain, h, icon, setText, toast } from './dom.js';
import { limits } from './limits.js';
import { listAddress, openness, remove, retry, state } from './list.js';
import { player } from './player.js';
import { shareDialog } from './share.js';
import { drop, get, isLoaded, put, putAndRefresh, songs } from './songs.js';
import { duration, recall, remember, t } from './text.js';
import { isInTrash, restore } from './trash.js';

const FORMATS = ['mp3', 'wav', 'flac'];

export function view(id) {
  const title = h('h1', { tabindex: -1, dir: 'auto' });
  const badge = h('span');
  const edit = h('button', { class: 'plain', label: 'rename', id: 'rename', onclick: () => rename() }, icon('edit'));
  const shareButton = h('button', { class: 'plain', label: 'share', id: 'share', onclick: () => shareDialog(get(id), playing?.isOpen() ? playing.shared : null) }, icon('share'));
  const deleteButton = h('button', { class: 'plain', label: 'delete', id: 'delete', onclick: () => {
    remove(get(id));
    location.hash = listAddress();
  } }, icon('delete'));
  const restoreButton = h('button', { id: 'restore', t: 'restore', onclick: () => restore([id]) });
  const status = h('p', { class: 'lead', id: 'song-state', role: 'status' });
  const bar = h('progress', { max: 100, label: 'split-progress' });
  const why = h('p', { class: 'why', dir: 'auto' });
  const retryButton = h('button', { class: 'primary', id: 'retry', t: 'try-again', onclick: () => retry(get(id)) });
  const stand = h('div', { class: 'card stand-alone' }, status, bar, why, retryButton);
  const head = h('div', { class: 'song-head' }, title, badge, edit, shareButton, deleteButton);
  const inside = h('div');
  const element = h('article', { class: 'song-view' }, h('p', {}, h('a', { href: listAddress(), class: 'back' }, icon('back'), h('span', { t: 'all-songs' }))), head, stand, inside);
  let playing = null;
  let takes = null;

  function rename() {
    const song = get(id);
    if (!song) return;
    const input = h('input', { value: song.title, label: 'title', maxlength: 200, dir: 'auto', id: 'new-title' });
    const trouble = h('span', { class: 'trouble', role: 'alert' });
    const back = () => {
      form.replaceWith(head);
      edit.focus();
    };
    const form = h('form', { class: 'song-head', onsubmit: async (event) => {
      event.preventDefault();
      try {
        putAndRefresh((await ask('PATCH', `songs/${id}`, { title: input.value })).song);
        back();
      } catch (error) {
        setText(trouble, explain(error));
        input.focus();
      }
    }, onkeydown: (event) => { if (event.key === 'Escape') back(); } }, h('h1', { class: 'unseen', t: 'rename' }), input, h('button', { class: 'primary', type: 'submit', t: 'save' }), h('button', { t: 'cancel', onclick: back }), trouble);
    head.replaceWith(form);
    input.select();
  }

  function update() {
    const song = get(id);
    if (!song) {
      if (!isLoaded()) return setText(status, t('loading'));
      playing?.close();
      playing = null;
      inside.replaceChildren();
      const discarded = isInTrash(id);
      head.replaceChildren(title, ...discarded ? [restoreButton] : []);
      setText(title, t(discarded ? 'in-trash' : 'no-such-song'));
      setText(status, discarded ? '' : t('no-such-song-why'));
      stand.hidden = discarded;
      [bar, why, retryButton].forEach((each) => { each.hidden = true; });
      return;
    }
    // A deletion may have been undone.
    if (!edit.parentNode) head.replaceChildren(title, badge, edit, shareButton, deleteButton);
    setText(title, song.title);
    document.title = `${song.title} · Vocalizer`;
    badge.replaceChildren(openness(song));
    shareButton.hidden = !limits()?.max_shares;
    stand.hidden = song.status === 'SPLIT';
    setText(status, state(song));
    bar.hidden = song.status !== 'SPLITTING';
    bar.value = song.progress ?? 0;
    why.hidden = retryButton.hidden = song.status !== 'FAILED';
    setText(why, song.failure_reason ? t('why-failed', { why: song.failure_reason }) : '');
    if (song.status === 'SPLIT' && !playing) {
      playing = player(song);
      takes = downloads(song, playing);
      inside.replaceChildren(playing.element, takes.element);
      playing.open();
    }
  }

  // Fetch a song that is not in the loaded list.
  if (!get(id)) ask('GET', `songs/${id}?details`).then((data) => put(data.song), (error) => { if (error.has?.('not_found')) { drop(id); update(); } });
  songs.addEventListener('change', update);
  const ticking = setInterval(() => { if (get(id)?.status === 'SPLITTING') setText(status, state(get(id))); }, 1000);
  update();
  return {
    element,
    show: () => {
      update();
      playing?.update();
      takes?.update();
    },
    end: () => {
      songs.removeEventListener('change', update);
      clearInterval(ticking);
      playing?.close();
    },
  };
}

// Download links for all parts of a song, in the preferred format.
export function downloads(song, playing) {
  let format = recall('format');
  if (!FORMATS.includes(format)) format = 'mp3';
  const links = [];
  const link = (name, path, { id = name, kept = true } = {}) => {
    const busy = h('span', { class: 'dim', role: 'status' });
    const anchor = h('a', { class: 'button take', id: `take-${id}`, download: true }, icon('download'), h('span', { t: `take-${name}` }), busy);
    anchor.addEventListener('click', (event) => prepare(event, anchor, kept));
    links.push({ anchor, path, busy });
    return anchor;
  };

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

  function update() {
    const levels = playing.levels();
    const heard = new URLSearchParams(Object.entries(levels).map(([stem, level]) => [stem, String(Math.round(level * 1000) / 1000)]));
    const silent = Object.values(levels).every((level) => level === 0);
    for (const { anchor, path } of links) anchor.href = path(format, heard);
    showMaking();
    const original = playing.hearsOriginal();
    const decibels = playing.tooLoud();
    mix.setAttribute('aria-disabled', String(silent || original));
    setText(note, original ? t('take-original') : silent ? t('take-silent') : decibels > 0 ? t('take-loud', { decibels }) : '');
    const { lossless } = song;
    quality.hidden = lossless === undefined;
    setText(quality, t(lossless ? 'lossless' : 'lossy'));
    setText(lead, t(lossless === undefined ? 'take-lead' : lossless ? 'take-lossless' : 'take-lossy'));
    setText(madeBy, origin(song.provenance));
  }

  const at = `songs/${song.id}`;
  const parts = [...STEMS, 'accompaniment', 'song'].map((part) => link(part, (kind) => `${at}/${part}.${kind}?download`));
  const zip = link('zip', (kind) => `${at}/stems.zip?format=${kind}`);
  const mix = link('mix', (kind, heard) => `${at}/mix.${kind}?${heard}`, { kept: false });
  const note = h('p', { class: 'dim', id: 'take-note', role: 'status' });
  const quality = h('span', { class: 'badge', id: 'quality' });
  const lead = h('p', { class: 'dim' });
  const madeBy = h('p', { class: 'dim', id: 'provenance' });
  const choices = FORMATS.map((kind) => h('label', { class: 'option' },
    h('input', { type: 'radio', name: 'format', value: kind, id: `format-${kind}`, checked: kind === format, onchange: () => {
      format = kind;
      remember('format', kind);
      update();
    } }), h('span', {}, kind.toUpperCase())));
  const element = h('section', { class: 'card take-home', id: 'take-home' }, h('h2', {}, h('span', { t: 'take-home' }), ' ', quality),
    h('fieldset', { class: 'heard' }, h('legend', { class: 'unseen', t: 'format' }), choices), lead,
    h('div', { class: 'takes' }, parts), h('div', { class: 'takes' }, zip, mix), note, madeBy);
  playing.element.addEventListener('mix', update);
  update();
  return { element, update };
}

// What made the stems, in one line.
function origin(made) {
  if (!made) return '';
  const { model, device, precision, program, took_ms: took, speed, weights } = made;
  const parts = [t('made-by', { model }), device, precision, took !== undefined && duration(took / 1000), speed !== undefined && t('made-speed', { speed }), program,
    weights && t('made-weights', { weights: weights.slice(0, 12) })];
  return parts.filter(Boolean).join(' · ');
}
