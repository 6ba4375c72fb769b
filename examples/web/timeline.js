// Time across all stems: the ruler, the playhead, what has passed, and the loop with its handles. It shows the whole song, or a part of it.
import { h } from './dom.js';
import { slider } from './slider.js';
import { clock, t } from './text.js';

// A pointer that moves further than this drags; otherwise it clicks.
const DRAG_PX = 6;
// Seconds between two labels of the ruler, and how far apart labels must be.
const STEPS_S = [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600];
const LABEL_PX = 64;
const NUDGE_S = 0.1;
const BIG_NUDGE_S = 1;

// A time on the ruler, with tenths of a second if there are any.
const label = (seconds) => clock(seconds) + (seconds % 1 ? (seconds % 1).toFixed(1).slice(1) : '');

/**
 * `rows` are the stems' tracks. `act.seek` takes seconds; `act.loop` takes the range in seconds and whether to announce it; `act.ready` tells
 * whether the song is open, and `act.position` where it is; `act.reveal` shows a second; `act.resized` asks for the position to be shown again.
 */
export function timeline(rows, act) {
  let length = 1;
  let [begin, end] = [0, 1];
  let [width, height] = [0, 0];
  let shown = -1;
  let loop = null;
  const place = slider({ id: 'place', min: 0, max: 1, step: 0.01, value: 0, label: 'place', disabled: true }, act.seek);
  const scale = h('canvas', { 'aria-hidden': 'true' });
  const handles = ['from', 'to'].map((name, end) => handle(name, end));
  // The names and the lines of the markers, which markers.js fills.
  const flags = h('div', { class: 'flags', 'aria-hidden': 'true' });
  const marks = h('div', { class: 'marks' });
  const ruler = h('div', { class: 'ruler' }, scale, place, flags, handles);
  const past = h('div', { class: 'past' });
  const head = h('div', { class: 'head' });
  const lane = h('div', { class: 'lane', 'aria-hidden': 'true' }, h('div', { class: 'region' }), past, marks, head);
  // For the controls of zoom.js, which take their place before they are loaded.
  const tools = h('div', { class: 'zoom', role: 'group', label: 'zoom' });
  const element = h('div', { class: 'tracks' }, tools, ruler, rows.map((row) => row.element), lane);

  // The second under a pointer, and where a second is: from 0 to 1 in what is shown.
  const at = (event) => {
    const box = ruler.getBoundingClientRect();
    return begin + Math.min(1, Math.max(0, (event.clientX - box.left) / box.width)) * (end - begin);
  };
  const share = (seconds) => (seconds - begin) / (end - begin);

  function handle(name, edge) {
    const grip = h('div', { class: `handle ${name}`, role: 'slider', tabindex: 0, id: `handle-${name}`, label: `loop-${name}`, 'aria-valuemin': 0, hidden: true });
    let dragged = null;
    const moved = (seconds) => (edge ? [loop[0], Math.max(seconds, loop[0])] : [Math.min(seconds, loop[1]), loop[1]]);
    grip.addEventListener('pointerdown', (event) => {
      if (event.button !== 0) return;
      event.preventDefault();
      grip.focus({ preventScroll: true });
      grip.setPointerCapture(event.pointerId);
      dragged = loop;
    });
    grip.addEventListener('pointermove', (event) => {
      if (!dragged) return;
      dragged = moved(at(event));
      showRange(dragged);
    });
    grip.addEventListener('pointerup', () => {
      if (dragged && dragged !== loop) act.loop(dragged, true);
      dragged = null;
      showRange(loop);
    });
    grip.addEventListener('pointercancel', () => { dragged = null; showRange(loop); });
    grip.addEventListener('keydown', (event) => {
      const step = (event.shiftKey ? BIG_NUDGE_S : NUDGE_S) * ({ ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1 }[event.key] ?? 0);
      if (!step || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      event.stopPropagation();
      act.loop(moved(loop[edge] + step), false);
      act.reveal(loop[edge]);
    });
    grip.addEventListener('focus', () => { if (loop) act.reveal(loop[edge]); });
    return grip;
  }

  // Shows a loop range without setting it.
  function showRange(range) {
    if (!range) return;
    const shares = range.map(share);
    element.style.setProperty('--loop-from', shares[0]);
    element.style.setProperty('--loop-to', shares[1]);
    handles.forEach((grip, edge) => {
      grip.classList.toggle('away', shares[edge] < 0 || shares[edge] > 1);
      grip.setAttribute('aria-valuenow', range[edge].toFixed(2));
      grip.setAttribute('aria-valuetext', clock(range[edge]));
    });
  }

  // A click seeks. Dragging sideways scrubs; dragging up or down on a touch screen scrolls the page and seeks nothing.
  let scrub = null;
  // The slider of the ruler covers the whole song, so that it takes the pointer only while that is shown.
  for (const wave of [...rows.map((row) => row.wave), ruler]) {
    wave.addEventListener('pointerdown', (event) => {
      if (!act.ready() || event.button !== 0 || (wave === ruler && event.target !== scale)) return;
      wave.setPointerCapture(event.pointerId);
      scrub = { x: event.clientX, before: act.position(), moved: event.pointerType === 'mouse' };
      if (scrub.moved) act.seek(at(event));
    });
    wave.addEventListener('pointermove', (event) => {
      if (!scrub) return;
      scrub.moved ||= Math.abs(event.clientX - scrub.x) > DRAG_PX;
      if (scrub.moved && event.clientX !== scrub.x) act.seek(at(event));
      scrub.x = scrub.moved ? event.clientX : scrub.x;
    });
    wave.addEventListener('pointerup', (event) => {
      if (scrub && !scrub.moved) act.seek(at(event));
      scrub = null;
    });
    wave.addEventListener('pointercancel', () => {
      if (scrub?.moved) act.seek(scrub.before);
      scrub = null;
    });
  }

  function drawRuler() {
    const ratio = window.devicePixelRatio || 1;
    if (!width) return;
    Object.assign(scale, { width: Math.round(width * ratio), height: Math.round(height * ratio) });
    const pen = scale.getContext('2d');
    pen.scale(ratio, ratio);
    const style = getComputedStyle(scale);
    pen.fillStyle = style.color;
    pen.font = `${style.fontSize} ${style.fontFamily}`;
    const step = STEPS_S.find((each) => (each / (end - begin)) * width >= LABEL_PX) ?? STEPS_S.at(-1);
    for (let n = 5 * Math.floor(begin / step); (n * step) / 5 <= end; n += 1) {
      const x = Math.round(share((n * step) / 5) * width);
      const tall = n % 5 ? 3 : 8;
      pen.fillRect(x, height - tall, 1, tall);
      // In tenths, without what binary fractions lack.
      const text = label(Math.round((n * step) / 0.5) / 10);
      if (n % 5 === 0 && x + 4 + pen.measureText(text).width < width) pen.fillText(text, x + 4, height - 9);
    }
  }
  const resized = new ResizeObserver(() => {
    ({ width, height } = ruler.getBoundingClientRect());
    shown = -1;
    drawRuler();
    act.resized();
  });
  const recoloured = matchMedia('(prefers-color-scheme: dark)');
  resized.observe(ruler);
  recoloured.addEventListener('change', drawRuler);
  document.addEventListener('colours', drawRuler);

  return {
    element,
    ruler,
    tools,
    flags,
    marks,
    share,
    at,
    isScrubbing: () => Boolean(scrub),
    // Ends a drag of the playhead: another finger has come, so the first one did not seek.
    endScrub: () => {
      if (scrub?.moved) act.seek(scrub.before);
      scrub = null;
    },
    // Shows these seconds of the song.
    setView: (from, to) => {
      [begin, end, shown] = [from, to, -1];
      element.classList.toggle('zoomed', to - from < length);
      drawRuler();
      showRange(loop);
    },
    open: (seconds) => {
      length = end = seconds;
      place.max = seconds;
      place.disabled = false;
      handles.forEach((grip) => grip.setAttribute('aria-valuemax', seconds.toFixed(2)));
      ({ width, height } = ruler.getBoundingClientRect());
      drawRuler();
    },
    // Moves the playhead; `tell` also updates the slider that keyboards and screen readers use, which costs a layout.
    showPosition: (seconds, tell) => {
      // In whole pixels of the screen, so that a long song moves it a few times a second and not at each picture.
      const ratio = window.devicePixelRatio || 1;
      const x = Math.round(share(seconds) * width * ratio) / ratio;
      if (x !== shown) {
        shown = x;
        head.style.transform = `translateX(${x}px)`;
        past.style.transform = `scaleX(${width ? Math.min(1, Math.max(0, x / width)) : 0})`;
      }
      if (!tell) return;
      place.value = seconds;
      place.setAttribute('aria-valuetext', t('place-told', { at: clock(seconds), length: clock(length) }));
    },
    showLoop: (range) => {
      loop = range;
      element.classList.toggle('looping', Boolean(range));
      handles.forEach((grip) => { grip.hidden = !range; });
      showRange(range);
    },
    close: () => {
      resized.disconnect();
      recoloured.removeEventListener('change', drawRuler);
      document.removeEventListener('colours', drawRuler);
    },
  };
}
