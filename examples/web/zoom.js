// Zoom and scroll of the timeline: buttons, keys, wheel and two fingers, and the finer peaks of what is shown.
import { connection, parseError } from './api.js';
import { announce, h } from './dom.js';
import { slider } from './slider.js';
import { Span, loudest } from './span.js';
import { clock, t } from './text.js';

const STEP = 2;
// Pixels of a wheel that double the zoom.
const WHEEL_PX = 240;
// As many values as there may be pixels; the server sends no more.
const POINTS = 2048;
const AT_ONCE = 2;
const KEPT = 96;
// A view that lasts shorter than this fetches nothing.
const SETTLE_MS = 120;

/**
 * Adds the controls to a timeline of `length` seconds. `path` is the address of a stem's peaks, `shows` is called when the view has changed.
 * @param {ReturnType<typeof import('./timeline.js').timeline>} time
 * @param {ReturnType<typeof import('./waveforms.js').waveforms>} waves
 * @param {{ stems: string[], length: number, path: (stem: string) => string, position: () => number, shows: () => void }} of
 */
export function zoom(time, waves, { stems, length, path, position, shows }) {
  const span = new Span(length);
  // Fetched peaks by stem and part of the song, those used last at the end.
  const kept = new Map();
  let loads = new Map();
  let settling = null;
  let before = position();

  const button = (name, text, run) => h('button', { class: 'small', id: name, label: name, onclick: run }, h('span', { 'aria-hidden': 'true' }, text));
  const out = button('zoom-out', '−', () => zoomBy(1 / STEP));
  const into = button('zoom-in', '+', () => zoomBy(STEP));
  const all = h('button', { class: 'small', id: 'zoom-all', t: 'zoom-all', onclick: () => tell(span.showAll()) });
  const scroll = slider({ id: 'scroll', min: 0, max: 0, step: 'any', value: 0, label: 'scroll' }, (from) => change(span.scrollTo(from)));
  time.tools.append(out, into, all, scroll);

  // The playhead keeps its place if it is in view, else the middle.
  const anchor = () => (position() >= span.from && position() <= span.to ? position() : (span.from + span.to) / 2);
  const zoomBy = (factor) => tell(span.zoom(factor, anchor()));

  function change(isNew) {
    if (!isNew) return false;
    show();
    clearTimeout(settling);
    settling = setTimeout(load, SETTLE_MS);
    shows();
    return true;
  }
  function tell(isNew) {
    if (change(isNew)) announce(span.isWhole ? t('zoomed-all') : t('zoomed', { from: clock(span.from), to: clock(span.to) }));
  }

  function show() {
    time.setView(span.from, span.to);
    draw();
    all.disabled = out.disabled = span.isWhole;
    into.disabled = span.isShortest;
    scroll.hidden = span.isWhole;
    scroll.max = length - span.seconds;
    scroll.value = span.from;
    scroll.setAttribute('aria-valuetext', t('loops', { from: clock(span.from), to: clock(span.to) }));
  }

  const key = (stem, { from, to }) => `${stem} ${from} ${to}`;
  function draw() {
    const tiles = span.tiles();
    const detail = (stem, from, to) => {
      const tile = tiles.find((each) => from * length < each.to);
      const peaks = tile && kept.get(key(stem, tile));
      // A bar may reach into the next part.
      return peaks ? loudest(peaks, Math.max(tile.from, from * length), Math.min(tile.to, to * length)) : null;
    };
    waves.show({ from: span.from / length, to: span.to / length, detail: tiles.length ? detail : null });
  }

  // Fetches what the view needs, two at a time, and aborts what it no longer needs.
  function load() {
    const wanted = new Map(span.tiles().flatMap((tile) => stems.map((stem) => [key(stem, tile), { stem, tile }])));
    for (const [name, abort] of loads) if (!wanted.has(name)) abort.abort();
    loads = new Map([...loads].filter(([name]) => wanted.has(name)));
    for (const [name, { stem, tile }] of wanted) {
      const peaks = kept.get(name);
      kept.delete(name);
      if (peaks) kept.set(name, peaks);
      else if (!loads.has(name) && loads.size < AT_ONCE) fetchTile(name, stem, tile);
    }
    for (const name of kept.keys()) if (kept.size > Math.max(KEPT, wanted.size)) kept.delete(name);
  }
  async function fetchTile(name, stem, { from, to }) {
    const abort = new AbortController();
    loads.set(name, abort);
    try {
      const answer = await fetch(`${path(stem)}?from_ms=${from * 1000}&to_ms=${to * 1000}&points=${POINTS}`, { signal: abort.signal });
      if (!answer.ok) throw parseError(answer.status, await answer.text());
      kept.set(name, (await answer.json()).data.peaks);
    } catch {
      // What the whole song's peaks show remains; the next view or the server's return tries again.
      if (loads.get(name) === abort) loads.delete(name);
      return;
    }
    if (loads.get(name) === abort) loads.delete(name);
    draw();
    load();
  }

  function onWheel(event) {
    const isZoom = event.ctrlKey || event.metaKey;
    const across = event.shiftKey ? event.deltaX || event.deltaY : event.deltaX;
    if (!isZoom && (span.isWhole || Math.abs(across) <= (event.shiftKey ? 0 : Math.abs(event.deltaY)))) return;
    event.preventDefault();
    // Some browsers count lines.
    const px = event.deltaMode ? 16 : 1;
    if (isZoom) change(span.zoom(2 ** ((-event.deltaY * px) / WHEEL_PX), time.at(event)));
    else change(span.scrollTo(span.from + (across * px * span.seconds) / time.ruler.clientWidth));
  }

  // Two fingers: the seconds under them stay under them.
  const fingers = new Map();
  let held = null;
  const pair = () => {
    const [one, other] = [...fingers.values()].sort((a, b) => a.clientX - b.clientX);
    return { apart: Math.max(20, other.clientX - one.clientX), middle: { clientX: (one.clientX + other.clientX) / 2 } };
  };
  function onDown(event) {
    if (event.pointerType !== 'touch') return;
    fingers.set(event.pointerId, event);
    if (fingers.size !== 2) return;
    event.stopPropagation();
    time.endScrub();
    held = { apart: pair().apart, second: time.at(pair().middle), seconds: span.seconds };
  }
  function onMove(event) {
    if (!fingers.has(event.pointerId)) return;
    fingers.set(event.pointerId, event);
    if (!held || fingers.size !== 2) return;
    event.stopPropagation();
    const { apart, middle } = pair();
    const isScaled = span.zoom((span.seconds * apart) / (held.seconds * held.apart), held.second);
    const isMoved = span.scrollTo(span.from + held.second - under(middle));
    change(isScaled || isMoved);
  }
  // The second under a pointer in the view that is not drawn yet.
  function under({ clientX }) {
    const box = time.ruler.getBoundingClientRect();
    return span.from + ((clientX - box.left) / box.width) * span.seconds;
  }
  function onUp(event) {
    if (!fingers.delete(event.pointerId) || !held) return;
    // Neither finger clicks.
    event.stopPropagation();
    if (!fingers.size) held = null;
  }

  time.element.addEventListener('wheel', onWheel, { passive: false });
  for (const [name, run] of Object.entries({ pointerdown: onDown, pointermove: onMove, pointerup: onUp, pointercancel: onUp })) {
    time.element.addEventListener(name, /** @type {EventListener} */ (run), true);
  }
  connection.addEventListener('back', load);
  show();

  return {
    zoomIn: () => zoomBy(STEP),
    zoomOut: () => zoomBy(1 / STEP),
    showAll: () => tell(span.showAll()),
    reveal: (at) => change(span.reveal(at)),
    follow: (at) => {
      if (!time.isScrubbing()) change(span.follow(before, at));
      before = at;
    },
    update: show,
    close: () => {
      clearTimeout(settling);
      connection.removeEventListener('back', load);
      for (const abort of loads.values()) abort.abort();
    },
  };
}
