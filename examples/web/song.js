// A song's page: status, player and downloads.
import { ask, onDemand } from './api.js';
import { explain, h, icon, setText, toast } from './dom.js';
import { downloads } from './downloads.js';
import { labelEditor } from './labels.js';
import { limits } from './limits.js';
import { coverOf, listAddress, openness, remove, retry, state } from './list.js';
import { player } from './player.js';
import { cancel, results } from './results.js';
import { get, isLoaded, putAndRefresh, refresh, songs } from './songs.js';
import { hasStems } from './stems.js';
import { t, translate } from './text.js';
import { isInTrash, restore, trash } from './trash.js';

const ASK_MS = 15_000;
const sharing = onDemand(() => import('./share.js'));
const analysing = onDemand(() => import('./analysis.js'));

export function view(id) {
  const title = h('h1', { tabindex: -1, dir: 'auto' });
  const badge = h('span');
  const edit = h('button', { class: 'plain', label: 'rename', id: 'rename', onclick: () => rename() }, icon('edit'));
  const shareButton = h('button', { class: 'plain', label: 'share', id: 'share', onclick: () => share() }, icon('share'));
  const deleteButton = h('button', { class: 'plain', label: 'delete', id: 'delete', onclick: async () => {
    if (await remove(get(id))) location.hash = listAddress();
  } }, icon('delete'));
  const restoreButton = h('button', { id: 'restore', t: 'restore', onclick: () => restore([id]).catch((error) => toast(explain(error), { bad: true })) });
  const status = h('p', { class: 'lead', id: 'song-state', role: 'status' });
  const bar = h('progress', { max: 100, label: 'split-progress' });
  const why = h('p', { class: 'why', dir: 'auto' });
  const waiting = h('p', { id: 'waiting-for', role: 'status' });
  const retryButton = h('button', { class: 'primary', id: 'retry', t: 'try-again', onclick: () => retry(get(id)) });
  const cancelButton = h('button', { id: 'cancel-split', t: 'cancel-split', onclick: () => cancel(get(id)) });
  const stand = h('div', { class: 'card stand-alone' }, status, waiting, bar, why, h('div', { class: 'row' }, retryButton, cancelButton));
  const cover = coverOf(id);
  const tools = h('span', { class: 'head-tools' }, edit, shareButton, deleteButton);
  const head = h('div', { class: 'song-head' }, cover.element, title, badge, tools);
  const labels = labelEditor([id]);
  const inside = h('div');
  const element = h('article', { class: 'song-view' }, h('p', {}, h('a', { href: listAddress(), class: 'back' }, icon('back'), h('span', { t: 'all-songs' }))), head, labels.element, stand, inside);
  let playing = null;
  let takes = null;
  // Tempo and key.
  let heard = null;
  let choices = null;
  // The result that plays: a model and its stems.
  let shown = null;
  // Whether the next result plays as soon as it is open.
  let goesOn = false;
  let asked = false;

  async function share() {
    const module = await sharing();
    const song = get(id);
    if (song && element.isConnected) module?.shareDialog(song, playing?.isOpen() ? playing.shared() : null);
  }

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
    labels.element.hidden = !song;
    labels.update();
    if (!song) {
      if (!isLoaded()) return setText(status, t('loading'));
      endInside();
      inside.replaceChildren();
      const discarded = isInTrash(id);
      head.replaceChildren(title, ...discarded ? [restoreButton] : []);
      setText(title, t(discarded ? 'in-trash' : 'no-such-song'));
      document.title = 'Vocalizer';
      setText(status, discarded ? '' : t('no-such-song-why'));
      stand.hidden = discarded;
      [waiting, bar, why, retryButton, cancelButton].forEach((each) => { each.hidden = true; });
      return;
    }
    // A deletion may have been undone.
    if (!tools.parentNode) head.replaceChildren(cover.element, title, badge, tools);
    setText(title, song.title);
    document.title = `${song.title} · Vocalizer`;
    cover.update(song);
    badge.replaceChildren(openness(song));
    shareButton.hidden = !limits()?.max_shares;
    stand.hidden = song.status === 'SPLIT';
    setText(status, state(song));
    bar.hidden = song.status !== 'SPLITTING';
    bar.value = song.progress ?? 0;
    why.hidden = retryButton.hidden = song.status !== 'FAILED';
    cancelButton.hidden = !['UPLOADED', 'SPLITTING'].includes(song.status);
    setText(why, song.failure_reason ? t('why-failed', { why: song.failure_reason }) : '');
    waiting.hidden = !song.waiting_for;
    setText(waiting, song.waiting_for ? t('waiting-for', { model: song.model }) : '');
    if (hasStems(song)) open(song);
    choices?.update();
  }

  // Opens the player for the stems that the song has now.
  function open(song) {
    // Which stems there are is one of the details.
    if (song.status === 'SPLIT' && !song.parts) {
      if (!asked) refresh(id);
      asked = true;
      return;
    }
    asked = false;
    // While another model works, the earlier stems play on.
    if (playing && song.status !== 'SPLIT') return;
    const result = song.status === 'SPLIT' ? JSON.stringify([song.model, song.parts]) : '';
    if (result === shown && playing) return;
    goesOn ||= playing?.isOn() ?? false;
    const before = { playing, takes };
    playing?.close();
    shown = result;
    const mine = playing = player(song);
    takes = downloads(song, playing);
    if (before.playing) {
      // The choice of a result keeps the focus.
      before.playing.element.replaceWith(playing.element);
      before.takes.element.replaceWith(takes.element);
    } else {
      choices = results(() => get(id));
      inside.replaceChildren(playing.element, choices.element, takes.element);
      analyse(song);
    }
    playing.element.addEventListener('tempo', () => know());
    know();
    mine.open().then(() => {
      if (mine !== playing) return;
      if (goesOn) mine.toggle();
      goesOn = false;
    });
  }

  async function analyse(song) {
    const module = await analysing();
    if (!module || heard || !playing) return;
    heard = module.facts(song, know);
    playing.element.before(heard.element);
    await heard.load();
  }

  // Tells the tempo and the key to those who use them.
  function know() {
    if (!heard || !playing) return;
    heard.show();
    playing.know(heard.tempo(), heard.key());
    takes.name(heard.names());
  }

  function endInside() {
    playing?.close();
    choices?.end();
    playing = choices = heard = null;
  }

  // Fetch a song that is not in the loaded list.
  if (!get(id)) refresh(id).then(update);
  // Why a song waits may change.
  const asking = setInterval(() => { if (get(id)?.status === 'UPLOADED') refresh(id); }, ASK_MS);
  songs.addEventListener('change', update);
  trash.addEventListener('change', update);
  const ticking = setInterval(() => { if (get(id)?.status === 'SPLITTING') setText(status, state(get(id))); }, 1000);
  update();
  return {
    element,
    show: () => {
      // While it is replaced by the form of a new title, the page does not translate it.
      translate(head);
      translate(labels.element);
      update();
      playing?.update();
      takes?.update();
      heard?.show();
    },
    end: () => {
      songs.removeEventListener('change', update);
      trash.removeEventListener('change', update);
      clearInterval(ticking);
      clearInterval(asking);
      endInside();
    },
  };
}
