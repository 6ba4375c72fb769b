// The view that a share link opens: one song's player and downloads, without an account.
import { ask, onDemand, untilReachable } from './api.js';
import { explain, h, setText } from './dom.js';
import { state } from './list.js';
import { player } from './player.js';
import { downloads } from './downloads.js';
import { date, t } from './text.js';

const POLL_MS = 3000;
const analysing = onDemand(() => import('./analysis.js'));

export function view(secret) {
  const title = h('h1', { tabindex: -1, dir: 'auto' }, t('loading'));
  const lead = h('p', { class: 'lead', id: 'shared-lead' });
  const status = h('p', { id: 'song-state', role: 'status' });
  const inside = h('div');
  const element = h('article', { class: 'song-view', id: 'shared' }, title, lead, status, inside);
  let shared = null;
  let trouble = null;
  let playing = null;
  let takes = null;
  // Tempo and key.
  let heard = null;
  let timer = null;
  let ended = false;

  async function load() {
    try {
      shared = await ask('GET', 'share', null, { Authorization: `Bearer ${secret}` });
    } catch (error) {
      if (!error.unreachable) {
        trouble = error;
        return show();
      }
      await untilReachable();
      return ended || load();
    }
    if (ended) return undefined;
    // Players and downloads cannot send headers. The browser sends this cookie for this song only.
    const path = new URL(`songs/${shared.song.id}`, document.baseURI).pathname;
    // biome-ignore lint/suspicious/noDocumentCookie: Firefox has no cookie store
    document.cookie = `share=${secret}; Path=${path}; SameSite=Strict${location.protocol === 'https:' ? '; Secure' : ''}`;
    // Which stems there are is one of the details; without them, the usual ones are likely.
    const detailed = await ask('GET', `songs/${shared.song.id}?details`).catch(() => shared);
    if (ended) return undefined;
    shared.song = { ...shared.song, ...detailed.song };
    show();
    if (shared.song.status === 'SPLIT') start();
    else if (shared.song.status !== 'FAILED') timer = setTimeout(load, POLL_MS);
    return undefined;
  }

  function start() {
    playing = player(shared.song, shared.mix, true);
    takes = downloads(shared.song, playing);
    inside.replaceChildren(playing.element, takes.element);
    playing.element.addEventListener('tempo', know);
    playing.open();
    analyse();
  }

  async function analyse() {
    const module = await analysing();
    if (!module || ended) return;
    heard = module.facts(shared.song, know);
    playing.element.before(heard.element);
    await heard.load();
  }

  // Tells the tempo and the key to those who use them.
  function know() {
    if (!heard || ended) return;
    heard.show();
    playing.know(heard.tempo(), heard.key());
    takes.name(heard.names());
  }

  function show() {
    if (trouble) {
      setText(title, trouble.has('not_found') ? t('no-such-share') : t('share-trouble'));
      setText(status, trouble.has('not_found') ? t('no-such-share-why') : explain(trouble));
      return;
    }
    if (!shared) return setText(title, t('loading'));
    const { song, expires_at: end } = shared;
    document.title = `${song.title} · Vocalizer`;
    setText(title, song.title);
    setText(lead, end ? t('shared-until', { end: date(end) }) : t('shared'));
    setText(status, song.status === 'SPLIT' ? '' : state(song));
    playing?.update();
    takes?.update();
    heard?.show();
  }

  load();
  return {
    element,
    show,
    end: () => {
      ended = true;
      clearTimeout(timer);
      playing?.close();
    },
  };
}
