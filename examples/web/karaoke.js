// Karaoke: a view that fills the screen, with large lyrics and few controls.
import { ask } from './api.js';
import { announce, explain, h, icon, setText } from './dom.js';
import { following } from './list.js';
import { NoLyrics, decoded, lineAt, parse, parseAny } from './lyrics.js';
import { slider } from './slider.js';
import { titleOf } from './songs.js';
import { currentLanguage, percent, recall, recallLevel, remember, signed, t, translate } from './text.js';

const MOST_BYTES = 1_000_000;
const SKIP_S = 5;
const LATER_S = 0.1;
// Who sings chooses it once for all songs. The key is a song's own: it is the pitch of its practice settings.
let guide = recallLevel('guide', 0);

// The song after this one in the list, which begins again at its end.
async function after(id) {
  const next = await following(id) ?? await following(null);
  return next?.id === id ? null : next;
}

// The lyrics of a song, stored in this browser: the file's text, and by how many seconds they are late.
function stored(id) {
  try {
    const { text, later } = JSON.parse(recall(`lyrics-${id}`)) ?? {};
    return { text, lines: parseAny(text), later: Number(later) || 0 };
  } catch {
    return { text: '', lines: [], later: 0 };
  }
}

/**
 * @param {{ id: string, title: string }} song
 * @param {{ toggle: () => void, skip: (seconds: number) => void, setGuide: (level: number) => void, enter: () => void, leave: () => void,
 *   next: (id: string) => void, hasNext: boolean, semitones: () => number, setPitch: (semitones: number) => void }} act `act.next` opens another song, which continues here
 */
export function karaokeStage(song, act) {
  let lyrics = stored(song.id);
  let sung = -2;
  let position = 0;
  /** @type {Promise<WakeLockSentinel | null> | undefined} */
  let wake;
  // Whether the browser shows its dialog to choose a file, for which it leaves full screen.
  let chooses = false;
  // Whether another song continues here.
  let goesOn = false;

  const title = h('h2', { id: 'stage-title', dir: 'auto' });
  const place = h('div', { class: 'lyrics', id: 'lyrics', role: 'region', tabindex: 0, label: 'lyrics' });
  const trouble = h('p', { class: 'trouble', role: 'alert' });
  const input = h('input', { type: 'file', accept: '.lrc,text/plain', hidden: true, id: 'lyrics-file', oncancel: () => { chooses = false; }, onchange: () => {
    chooses = false;
    take(input.files[0]);
    input.value = '';
  } });
  const choose = h('button', { class: 'small', id: 'lyrics-choose', onclick: () => {
    chooses = true;
    input.click();
  } });
  const remove = h('button', { class: 'small', id: 'lyrics-remove', t: 'lyrics-remove', onclick: () => keep({ text: '', lines: [], later: 0 }) });
  const playIcon = h('span', {}, icon('play'));
  const play = h('button', { class: 'round', id: 'stage-play', label: 'play', onclick: act.toggle }, playIcon);
  const full = h('button', { class: 'small', id: 'stage-full', t: 'full-screen', onclick: () => fill() });
  const next = h('button', { id: 'next-song', t: 'next-song', hidden: true, onclick: async () => {
    try {
      const other = await after(song.id);
      goesOn = Boolean(other) && dialog.open;
      if (goesOn) act.next(other.id);
    } catch (error) {
      setText(trouble, explain(error));
    }
  } });
  const level = slider({ id: 'guide', min: 0, max: 1, step: 0.05, value: guide }, (value) => {
    guide = value;
    remember('guide', value);
    act.setGuide(value);
    showControls();
  });
  // A value with a button on each side.
  function pair(name, change) {
    const value = h('output', { id: `${name}-value` });
    const button = (end, sign, by) => h('button', { class: 'small step', id: `${name}-${end}`, label: `${name}-${end}`, onclick: () => { change(by); showControls(); } }, sign);
    return { value, element: h('div', { class: 'pair', role: 'group', label: name }, h('span', { t: name }), button('less', '−', -1), value, button('more', '+', 1)) };
  }
  const pitch = pair('pitch', (by) => act.setPitch(act.semitones() + by));
  const later = pair('lyrics-time', (by) => keep({ ...lyrics, later: Math.round((lyrics.later + by * LATER_S) * 10) / 10 }));
  const dialog = h('dialog', { class: 'stage', id: 'stage', 'aria-labelledby': 'stage-title' },
    h('div', { class: 'stage-head' }, title, h('button', { class: 'plain', id: 'stage-close', label: 'close', onclick: () => dialog.close() }, icon('close'))),
    place, trouble, input,
    h('div', { class: 'stage-foot' }, play, h('label', { class: 'pair' }, h('span', { t: 'guide' }), level), pitch.element, later.element, choose, remove, full, next));

  dialog.addEventListener('close', () => {
    act.leave();
    wake?.then((lock) => lock?.release());
    document.removeEventListener('visibilitychange', stayAwake);
    if (document.fullscreenElement && !goesOn) document.exitFullscreen();
    dialog.remove();
  });
  // Leaving full screen leaves the stage, too: Escape does both.
  const onFull = () => {
    full.hidden = Boolean(document.fullscreenElement) || !document.documentElement.requestFullscreen;
    if (!document.fullscreenElement && !chooses) dialog.close();
  };
  // The space bar plays whatever has the focus; Enter presses a button. Arrows move a slider that has the focus.
  dialog.addEventListener('keydown', (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || (event.key !== ' ' && event.target.matches('input'))) return;
    const run = { ' ': act.toggle, ArrowLeft: () => act.skip(-SKIP_S), ArrowRight: () => act.skip(SKIP_S) }[event.key];
    if (!run) return;
    event.preventDefault();
    if (event.key !== ' ' || !event.repeat) run();
  });
  // Some browsers press a button when the key is released.
  dialog.addEventListener('keyup', (event) => { if (event.key === ' ') event.preventDefault(); });
  // Files dropped here are lyrics, not uploads.
  for (const name of ['dragenter', 'dragleave', 'dragover', 'drop']) {
    dialog.addEventListener(name, (event) => {
      event.preventDefault();
      event.stopPropagation();
      if (name === 'drop') take(event.dataTransfer.files[0]);
    });
  }

  async function take(file) {
    if (!file) return;
    setText(trouble, '');
    try {
      if (file.size > MOST_BYTES) throw new NoLyrics('too large');
      const text = decoded(new Uint8Array(await file.arrayBuffer()), currentLanguage() === 'ru' ? 'windows-1251' : 'windows-1252');
      keep({ text, lines: parse(text), later: 0 });
      announce(t('lyrics-taken', { n: lyrics.lines.length }));
    } catch (error) {
      setText(trouble, error instanceof NoLyrics ? t('lyrics-bad', { name: file.name }) : explain(error));
    }
  }

  function keep(now) {
    const isSame = now.lines === lyrics.lines;
    lyrics = now;
    const isKept = remember(`lyrics-${song.id}`, JSON.stringify({ text: lyrics.text, later: lyrics.later }));
    setText(trouble, isKept ? '' : t('lyrics-not-kept'));
    if (!isSame) draw();
    tick(position);
    showControls();
  }

  function draw() {
    sung = -2;
    place.replaceChildren(...lyrics.lines.length ? lyrics.lines.map(({ text }) => h('p', { dir: 'auto' }, text || '♪')) : [h('p', { class: 'none', t: 'lyrics-none' })]);
  }

  function showControls() {
    setText(title, titleOf(song));
    setText(pitch.value, signed(act.semitones()));
    setText(later.value, t('seconds', { seconds: signed(lyrics.later) }));
    setText(choose, t(lyrics.lines.length ? 'lyrics-other' : 'lyrics-choose'));
    level.setAttribute('aria-valuetext', percent(Math.round(guide * 100)));
    remove.hidden = !lyrics.lines.length;
    later.element.hidden = !lyrics.lines.some(({ at }) => Number.isFinite(at));
  }

  // Shows the lyrics in the tags of the song, until the user has chosen others or removed them.
  async function showTagged() {
    if (recall(`lyrics-${song.id}`)) return;
    const { lyrics: text } = await ask('GET', `songs/${song.id}/lyrics`).catch(() => ({ lyrics: null }));
    if (!text || lyrics.lines.length) return;
    lyrics = { text, lines: parseAny(text), later: 0 };
    draw();
    tick(position);
    showControls();
  }

  async function showNext() {
    const other = act.hasNext && await after(song.id).catch(() => null);
    next.hidden = !other;
  }

  // Without full screen, the dialog covers the page all the same.
  function fill() {
    document.documentElement.requestFullscreen?.().catch(() => { full.hidden = false; });
  }

  // Keeps the screen on. The browser lets it go when the page is hidden.
  function stayAwake() {
    if (!document.hidden) wake = navigator.wakeLock?.request('screen').catch(() => null);
  }

  // Marks the line that is sung, and moves it to the middle.
  function tick(seconds) {
    position = seconds;
    if (!dialog.open || !lyrics.lines.length) return;
    const at = lineAt(lyrics.lines, seconds - lyrics.later);
    if (at === sung) return;
    place.children[sung]?.removeAttribute('aria-current');
    sung = at;
    const line = /** @type {HTMLElement} */ (place.children[Math.max(0, at)]);
    if (at >= 0) line.setAttribute('aria-current', 'true');
    const calm = matchMedia('(prefers-reduced-motion: reduce)').matches;
    place.scrollTo({ top: line.offsetTop + line.offsetHeight / 2 - place.clientHeight / 2, behavior: calm ? 'auto' : 'smooth' });
  }

  function show() {
    goesOn = false;
    act.setGuide(guide);
    act.enter();
    draw();
    document.body.append(dialog);
    // The language may have changed since.
    translate(dialog);
    showControls();
    dialog.showModal();
    tick(position);
    play.focus();
    showNext();
    showTagged();
    chooses = false;
    full.hidden = true;
    if (!document.fullscreenElement) fill();
    document.addEventListener('fullscreenchange', onFull);
    document.addEventListener('visibilitychange', stayAwake);
    stayAwake();
  }

  return {
    show,
    tick,
    showState: (on) => {
      playIcon.replaceChildren(icon(on ? 'pause' : 'play'));
      play.dataset.tLabel = on ? 'pause' : 'play';
      play.setAttribute('aria-label', play.title = t(play.dataset.tLabel));
    },
    // Titles, or the list, have changed.
    showControls: () => {
      showControls();
      if (dialog.open) showNext();
    },
    close: () => {
      document.removeEventListener('fullscreenchange', onFull);
      dialog.close();
      dialog.remove();
    },
  };
}
