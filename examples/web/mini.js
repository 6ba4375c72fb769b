// A small player below every view: it plays a song of the list while the user opens other views.
import { announce, explain, h, icon, setText, toast } from './dom.js';
import { isFreeSpace } from './keys.js';
import { outside } from './outside.js';
import { savesData } from './saving.js';
import { account } from './session.js';
import { slider } from './slider.js';
import { about, get, songs, titleOf } from './songs.js';
import { clock, t, translate } from './text.js';

const audio = new Audio();
/** @type {import('./songs.js').Song | null} */
let song = null;
// Files of the song that have not been tried.
let files = [];
/** @type {(id: string) => Promise<import('./songs.js').Song | null>} */
let following;
/** @type {ReturnType<typeof outside> | null} */
let controls = null;

const playIcon = h('span', {}, icon('play'));
const play = h('button', { class: 'round', id: 'mini-play', label: 'play', onclick: () => toggle(song) }, playIcon);
const title = h('a', { class: 'mini-title', dir: 'auto' });
const time = h('span', { class: 'dim', id: 'mini-time' });
const place = slider({ id: 'mini-place', min: 0, max: 1, step: 1, value: 0, label: 'place' }, (at) => { audio.currentTime = at; });
const forth = h('button', { class: 'plain', id: 'mini-next', label: 'next-song', onclick: skip }, icon('next'));
const bar = h('section', { id: 'mini', label: 'mini-player' }, play, forth, title, place, time, h('button', { class: 'plain', id: 'mini-close', label: 'close', onclick: close }, icon('close')));

const isOn = () => !audio.paused && !audio.ended;
const length = () => (Number.isFinite(audio.duration) ? audio.duration : 0);

// Rows of the list show what plays.
function tell() {
  document.dispatchEvent(new CustomEvent('mini', { detail: { id: song?.id ?? null, on: isOn() } }));
}

function show() {
  const on = isOn();
  playIcon.replaceChildren(icon(on ? 'pause' : 'play'));
  play.dataset.tLabel = on ? 'pause' : 'play';
  play.setAttribute('aria-label', play.title = t(play.dataset.tLabel));
  showTime();
  tell();
}

function showTime() {
  place.max = String(Math.ceil(length()));
  place.value = String(Math.floor(audio.currentTime));
  place.setAttribute('aria-valuetext', clock(audio.currentTime));
  // A preview has to be made first.
  setText(time, length() ? `${clock(audio.currentTime)} / ${clock(length())}` : audio.readyState ? '' : t('loading'));
  if (song && length()) controls?.show(isOn() ? 'playing' : 'paused', audio.currentTime, length(), 1);
}

for (const name of ['play', 'pause', 'ended', 'loadedmetadata']) audio.addEventListener(name, show);
audio.addEventListener('timeupdate', showTime);
audio.addEventListener('play', () => controls?.started());
audio.addEventListener('error', () => {
  if (!song) return;
  if (files.length) {
    // The connection may have failed in the middle.
    const at = audio.currentTime;
    load();
    audio.currentTime = at;
    return;
  }
  toast(t('mini-failed', { title: titleOf(song) }), { bad: true });
  close();
});
// The song may be renamed, deleted, or no longer be visible to who is signed in.
songs.addEventListener('change', () => {
  if (!song) return;
  if (!get(song.id)) return close();
  setText(title, titleOf(song));
  controls?.retitle();
});
account.addEventListener('change', () => { if (song?.uploader_id) close(); });
// On a song's page, the space bar belongs to its player.
document.addEventListener('keydown', (event) => {
  if (!song || !isFreeSpace(event) || document.querySelector('#player')) return;
  event.preventDefault();
  if (!event.repeat) toggle(song);
});

function close() {
  const hadFocus = bar.contains(document.activeElement);
  audio.pause();
  song = null;
  audio.removeAttribute('src');
  controls?.close();
  controls = null;
  bar.remove();
  tell();
  if (hadFocus) document.querySelector('main')?.focus({ preventScroll: true });
}

// Loads the next file, and plays it. It fails if another song is chosen meanwhile; a file that cannot be played is an `error` event.
function load() {
  audio.src = files.shift();
  return audio.play().catch(() => {});
}

function open(next) {
  song = next;
  // The first one is the upload, which may be large, or in a format that this browser does not know.
  files = [`songs/${song.id}/song.mp3`, `songs/${song.id}/song.mp3?quality=preview`];
  if (savesData()) files.reverse();
  // The language may have changed since.
  translate(bar);
  title.href = `#/songs/${song.id}`;
  setText(title, titleOf(song));
  controls ??= outside({
    about: () => (song ? about(song) : { title: '' }),
    play: () => audio.play(),
    pause: () => audio.pause(),
    isOn,
    next: skip,
    skip: (seconds) => { audio.currentTime += seconds; },
    seek: (seconds) => { audio.currentTime = seconds; },
  });
  if (!bar.isConnected) document.querySelector('footer').before(bar);
  return load();
}

/** Plays a song, or pauses it if it plays. `after` finds the song behind another one. */
export async function toggle(next, after = following) {
  following = after;
  if (next.id !== song?.id) return open(next);
  if (isOn()) return audio.pause();
  return audio.play().catch(() => {});
}

async function skip() {
  try {
    const next = await following(song?.id);
    if (!next) return toast(t('mini-last'));
    announce(t('mini-plays', { title: next.title }));
    return toggle(next);
  } catch (error) {
    return toast(explain(error), { bad: true });
  }
}
