// The player: a waveform and controls for each stem.
import { ask, untilReachable } from './api.js';
import { Engine, STEMS } from './engine.js';
import { announce, explain, h, icon, setText } from './dom.js';
import { clock, percent, t } from './text.js';

const SKIP_S = 5;
// A pointer that moves further than this selects a loop; otherwise it seeks.
const DRAG_PX = 6;
const SHORTEST_LOOP_S = 0.25;

// Reads the player settings of a song, stored for this tab's session.
function savedSettings(id) {
  try { return JSON.parse(sessionStorage.getItem(`vocalizer-mix-${id}`)) ?? {}; } catch { return {}; }
}

// Converts the mix of a share link to player settings. A silent stem is muted, so that unmuting makes it audible.
function sharedSettings({ levels }) {
  return { mix: Object.fromEntries(Object.entries(levels).map(([stem, level]) => [stem, { level: level || 1, mute: level === 0 }])) };
}

// `shared` is the mix of a share link; it replaces the saved settings.
export function player(song, shared = null) {
  const engine = new Engine(song.id);
  const before = shared ? sharedSettings(shared) : savedSettings(song.id);
  const mix = Object.fromEntries(STEMS.map((stem) => [stem, { level: 1, mute: false, solo: false, ...before.mix?.[stem] }]));
  const set = { volume: before.volume ?? 1, karaoke: before.karaoke ?? false, loop: before.loop ?? null };
  const peaks = {};
  let frameRequest = 0;
  let dragging = null;
  let closed = false;

  // Transport.
  const playIcon = h('span', {}, icon('play'));
  const play = h('button', { class: 'round', id: 'play', disabled: true, label: 'play', onclick: () => toggle() }, playIcon);
  const start = h('button', { class: 'plain', id: 'to-start', label: 'to-start', onclick: () => seek(0) }, icon('start'));
  const place = h('input', { type: 'range', id: 'place', min: 0, max: 1, step: 0.01, value: 0, label: 'place', disabled: true,
    oninput: () => seek(Number(place.value)) });
  const time = h('span', { class: 'time', id: 'time' }, '0:00');
  const loopOn = toggleButton('loop', 'loop', () => setLoop(engine.loop ? null : set.loop ?? region(), true), icon('loop'));
  const loopFrom = h('button', { class: 'small', id: 'loop-from', t: 'loop-from', onclick: () => setLoopEdge(0) });
  const loopTo = h('button', { class: 'small', id: 'loop-to', t: 'loop-to', onclick: () => setLoopEdge(1) });
  const loopRange = h('span', { class: 'dim', id: 'loop-range' });
  const karaoke = toggleButton('karaoke', 'karaoke', () => { set.karaoke = !set.karaoke; applyMix(); }, h('span', { t: 'karaoke' }));
  const volume = h('input', { type: 'range', id: 'volume', min: 0, max: 1, step: 0.01, value: set.volume, label: 'volume', oninput: () => {
    set.volume = Number(volume.value);
    applyMix();
  } });
  const choice = ['stems', 'original'].map((mode) => h('input', { type: 'radio', name: 'heard', id: `heard-${mode}`, value: mode, checked: mode === 'stems', onchange: () => setSource(mode) }));
  const heard = h('fieldset', { class: 'heard' }, h('legend', { class: 'unseen', t: 'heard' }),
    choice.map((input) => h('label', { class: 'option' }, input, h('span', { t: `heard-${input.value}` }))));
  const message = h('p', { class: 'message', id: 'player-status', role: 'status' });

  function toggleButton(id, label, press, ...children) {
    return h('button', { class: 'toggle', id, label, 'aria-pressed': 'false', onclick: press }, ...children);
  }

  // A track: mute, solo, level and waveform of one stem.
  const tracks = STEMS.map((stem) => {
    const mute = h('button', { class: 'toggle letter', 'aria-pressed': 'false', onclick: () => { mix[stem].mute = !mix[stem].mute; applyMix(); } }, h('span', { t: 'mute-letter' }));
    const solo = h('button', { class: 'toggle letter', 'aria-pressed': 'false', onclick: () => { mix[stem].solo = !mix[stem].solo; applyMix(); } }, h('span', { t: 'solo-letter' }));
    const level = h('input', { type: 'range', min: 0, max: 1.5, step: 0.01, value: mix[stem].level, oninput: () => { mix[stem].level = Number(level.value); applyMix(); },
      ondblclick: () => { mix[stem].level = 1; level.value = 1; applyMix(); } });
    const canvas = h('canvas', { 'aria-hidden': 'true' });
    const wave = h('div', { class: 'wave', 'data-stem': stem }, canvas, h('div', { class: 'region' }), h('div', { class: 'head' }));
    addPointerHandlers(wave);
    const element = h('div', { class: 'track', 'data-stem': stem, role: 'group' },
      h('div', { class: 'controls' }, h('span', { class: 'name', t: `stem-${stem}` }), mute, solo, level), wave);
    return { stem, element, mute, solo, level, canvas, wave };
  });
  const waves = h('div', { class: 'tracks' }, tracks.map(({ element }) => element));

  // A stem's effective level after mute, solo and karaoke.
  function audible(stem) {
    const alone = STEMS.some((each) => mix[each].solo);
    const silent = mix[stem].mute || (alone && !mix[stem].solo) || (set.karaoke && stem === 'vocals');
    return silent ? 0 : mix[stem].level;
  }

  function applyMix() {
    for (const { stem, element, mute, solo, level } of tracks) {
      const name = t(`stem-${stem}`);
      engine.setLevel(stem, audible(stem));
      element.classList.toggle('silent', audible(stem) === 0);
      element.setAttribute('aria-label', name);
      mute.setAttribute('aria-pressed', String(mix[stem].mute));
      solo.setAttribute('aria-pressed', String(mix[stem].solo));
      mute.setAttribute('aria-label', mute.title = t('mute', { stem: name }));
      solo.setAttribute('aria-label', solo.title = t('solo', { stem: name }));
      level.setAttribute('aria-label', t('level', { stem: name }));
      level.setAttribute('aria-valuetext', percent(Math.round(mix[stem].level * 100)));
    }
    engine.setVolume(set.volume);
    volume.setAttribute('aria-valuetext', percent(Math.round(set.volume * 100)));
    karaoke.setAttribute('aria-pressed', String(set.karaoke));
    save();
    element.dispatchEvent(new Event('mix'));
  }

  function save() {
    // Until the song is open, the stored settings have not been applied; do not overwrite them.
    if (!ready()) return;
    try {
      sessionStorage.setItem(`vocalizer-mix-${song.id}`, JSON.stringify({ mix, volume: set.volume, karaoke: set.karaoke, loop: set.loop, loopOn: Boolean(engine.loop), at: engine.position }));
    } catch { /* storage is blocked */ }
  }

  const seconds = (sample) => sample / engine.rate;
  const ready = () => !play.disabled;

  async function toggle() {
    if (!ready()) return;
    if (engine.isOn) await engine.pause();
    else await engine.play();
    save();
  }

  function seek(to) {
    if (!ready()) return;
    engine.seek(to * engine.rate);
    save();
    showPosition();
  }

  function region() {
    const from = Math.round(engine.position);
    return [from, Math.min(engine.length, from + 8 * engine.rate)];
  }

  // Loops a range in samples, or stops looping; remembers the last range.
  function setLoop(stretch, spoken = false) {
    if (!ready()) return;
    const loop = stretch ? [Math.max(0, Math.round(stretch[0])), Math.min(engine.length, Math.round(stretch[1]))] : null;
    if (loop && loop[1] - loop[0] < SHORTEST_LOOP_S * engine.rate) return;
    set.loop = loop ?? set.loop;
    engine.setLoop(loop);
    const at = engine.position;
    if (loop && (at < loop[0] || at >= loop[1])) engine.seek(loop[0]);
    showLoop();
    if (spoken) announce(loopRange.textContent || t('loops-not'));
    save();
    showPosition();
  }

  // Shows the loop.
  function showLoop() {
    const { loop, length } = engine;
    loopOn.setAttribute('aria-pressed', String(Boolean(loop)));
    waves.classList.toggle('looping', Boolean(loop));
    setText(loopRange, loop ? t('loops', { from: clock(seconds(loop[0])), to: clock(seconds(loop[1])) }) : '');
    if (!loop) return;
    waves.style.setProperty('--loop-from', loop[0] / length);
    waves.style.setProperty('--loop-to', loop[1] / length);
  }

  // Sets the loop's start or end to the current position.
  function setLoopEdge(end) {
    if (!ready()) return;
    const at = Math.round(engine.position);
    const [from, to] = engine.loop ?? [0, engine.length];
    setLoop(end ? [at > from ? from : 0, at] : [at, to > at ? to : engine.length], true);
  }

  async function setSource(mode) {
    setText(message, mode === 'original' ? t('getting-original') : '');
    try {
      await engine.choose(mode);
      setText(message, '');
    } catch (error) {
      setText(message, explain(error));
      choice[0].checked = true;
    }
    waves.classList.toggle('dimmed', choice[1].checked);
    element.dispatchEvent(new Event('mix'));
  }

  // Pointer input on a waveform: a click seeks, a drag selects a loop.
  function addPointerHandlers(wave) {
    const at = (event) => {
      const box = wave.getBoundingClientRect();
      return Math.min(1, Math.max(0, (event.clientX - box.left) / box.width));
    };
    wave.addEventListener('pointerdown', (event) => {
      if (!ready() || event.button !== 0) return;
      wave.setPointerCapture(event.pointerId);
      dragging = { x: event.clientX, from: at(event), moved: false };
    });
    wave.addEventListener('pointermove', (event) => {
      if (!dragging) return;
      dragging.moved ||= Math.abs(event.clientX - dragging.x) > DRAG_PX;
      if (!dragging.moved) return;
      waves.classList.add('looping');
      waves.style.setProperty('--loop-from', Math.min(dragging.from, at(event)));
      waves.style.setProperty('--loop-to', Math.max(dragging.from, at(event)));
    });
    wave.addEventListener('pointerup', (event) => {
      if (!dragging) return;
      const { from, moved } = dragging;
      dragging = null;
      const to = at(event);
      showLoop();
      if (moved) setLoop([Math.min(from, to) * engine.length, Math.max(from, to) * engine.length], true);
      else seek(seconds(to * engine.length));
    });
    wave.addEventListener('pointercancel', () => { dragging = null; showLoop(); });
  }

  // Drawing.
  function draw({ stem, canvas }) {
    const box = canvas.getBoundingClientRect();
    const scale = window.devicePixelRatio || 1;
    const [width, height] = [Math.round(box.width * scale), Math.round(box.height * scale)];
    if (!width || !height) return;
    Object.assign(canvas, { width, height });
    const pen = canvas.getContext('2d');
    pen.fillStyle = getComputedStyle(canvas).color;
    const values = peaks[stem]?.values;
    // Scale all stems by the loudest, so that they compare and a quiet song is still visible.
    const full = Math.max(24, ...Object.values(peaks).flatMap((each) => each.values));
    const [bar, gap] = [Math.max(1, Math.round(2 * scale)), Math.max(1, Math.round(scale))];
    const count = Math.floor(width / (bar + gap));
    for (let index = 0; index < count; index += 1) {
      let loudest = 0;
      if (values) {
        const [from, to] = [Math.floor((index * values.length) / count), Math.ceil(((index + 1) * values.length) / count)];
        for (let each = from; each < to; each += 1) loudest = Math.max(loudest, values[each]);
      }
      const tall = Math.max(bar, (loudest / full) * (height - 4));
      pen.fillRect(index * (bar + gap), (height - tall) / 2, bar, tall);
    }
  }
  const redraw = () => tracks.forEach(draw);
  const resized = new ResizeObserver(redraw);
  const recoloured = matchMedia('(prefers-color-scheme: dark)');
  recoloured.addEventListener('change', redraw);
  document.addEventListener('colours', redraw);

  function showPosition() {
    if (!ready()) return;
    const at = engine.position;
    waves.style.setProperty('--at', at / engine.length);
    setText(time, `${clock(seconds(at))} / ${clock(seconds(engine.length))}`);
    if (document.activeElement !== place || engine.isOn) place.value = seconds(at);
    place.setAttribute('aria-valuetext', t('place-told', { at: clock(seconds(at)), length: clock(seconds(engine.length)) }));
  }
  function tick() {
    showPosition();
    frameRequest = engine.isOn ? requestAnimationFrame(tick) : 0;
  }
  engine.addEventListener('state', () => {
    const on = engine.isOn || engine.state === 'waiting';
    playIcon.replaceChildren(icon(on ? 'pause' : 'play'));
    play.dataset.tLabel = on ? 'pause' : 'play';
    play.setAttribute('aria-label', play.title = t(play.dataset.tLabel));
    element.dataset.state = engine.state;
    setText(message, engine.state === 'waiting' ? t('buffering') : '');
    if (!frameRequest) tick();
    showPosition();
  });
  engine.addEventListener('no-audio', () => setText(message, t('no-sound')));
  engine.addEventListener('failed', async ({ detail }) => {
    await engine.pause();
    setText(message, explain(detail));
  });

  // Keyboard shortcuts; ignored while typing or if turned off.
  const keys = {
    ' ': toggle, k: () => karaoke.click(), l: () => loopOn.click(), '[': () => setLoopEdge(0), ']': () => setLoopEdge(1), o: () => choice[choice[0].checked ? 1 : 0].click(),
    0: () => seek(0), Home: () => seek(0), ArrowLeft: () => seek(seconds(engine.position) - SKIP_S), ArrowRight: () => seek(seconds(engine.position) + SKIP_S),
  };
  function onKey(event) {
    const { target, key, code } = event;
    const typing = target.closest?.('input:not([type=radio]), textarea, select, [contenteditable], dialog');
    if (event.ctrlKey || event.metaKey || event.altKey || typing || localStorage.getItem('vocalizer-keys') === 'off') return;
    // The space bar activates a focused button.
    if (key === ' ' && target.closest?.('button, a, label')) return;
    const digit = /^Digit([1-4])$/.exec(code);
    const act = digit ? () => tracks[digit[1] - 1][event.shiftKey ? 'solo' : 'mute'].click() : keys[key.length === 1 ? key.toLowerCase() : key];
    if (!act || (target.matches?.('input[type=radio]') && key.startsWith('Arrow'))) return;
    event.preventDefault();
    act();
  }
  document.addEventListener('keydown', onKey);
  const onPageHide = () => save();
  window.addEventListener('pagehide', onPageHide);

  const element = h('section', { class: 'player', id: 'player', label: 'player', 'data-state': 'opening' },
    h('div', { class: 'transport' }, start, play, time, place),
    h('div', { class: 'switches' }, karaoke, heard, h('div', { class: 'loops' }, loopOn, loopFrom, loopTo, loopRange), h('label', { class: 'volume' }, h('span', { t: 'volume' }), volume)),
    message, waves);

  // Load waveforms one at a time to leave the browser's few connections to playback.
  async function loadPeaks() {
    for (const track of tracks) {
      while (!closed && !peaks[track.stem]) {
        try {
          peaks[track.stem] = (await ask('GET', `songs/${song.id}/peaks/${track.stem}`)).peaks;
          redraw();
        } catch (error) {
          if (!error.unreachable) return;
          await untilReachable();
        }
      }
    }
  }

  async function open() {
    setText(message, t('opening'));
    tracks.forEach(({ canvas }) => resized.observe(canvas));
    loadPeaks();
    for (let opened = false; !opened;) {
      try {
        await engine.open();
        opened = true;
      } catch (error) {
        setText(message, explain(error));
        if (!error.unreachable) return;
        await untilReachable();
      }
      if (closed) return;
    }
    if (shared) {
      const samples = (ms) => (ms / 1000) * engine.rate;
      before.at = samples(shared.start_ms ?? 0);
      before.loop = shared.loop_ms?.map(samples);
      before.loopOn = Boolean(shared.loop_ms);
    }
    place.max = seconds(engine.length);
    place.disabled = play.disabled = false;
    element.dataset.state = 'paused';
    setText(message, '');
    engine.seek(Math.min(before.at ?? 0, engine.length));
    if (before.loopOn) setLoop(before.loop);
    applyMix();
    showPosition();
  }

  return {
    element,
    open,
    // Effective levels, for downloading the mix.
    levels: () => Object.fromEntries(STEMS.map((stem) => [stem, audible(stem)])),
    isOpen: ready,
    // The mix, the position and the loop, as the form fields of a share link.
    shared: () => {
      const ms = (sample) => Math.round(seconds(sample) * 1000);
      const levels = Object.fromEntries(STEMS.map((stem) => [stem, Math.round(audible(stem) * 1000) / 1000]));
      const [from, to] = engine.loop ?? [];
      return { ...levels, start_ms: ms(engine.position), ...(engine.loop && { loop_from_ms: ms(from), loop_to_ms: ms(to) }) };
    },
    update: () => { applyMix(); showLoop(); showPosition(); },
    close: () => {
      closed = true;
      save();
      engine.close();
      resized.disconnect();
      recoloured.removeEventListener('change', redraw);
      document.removeEventListener('colours', redraw);
      document.removeEventListener('keydown', onKey);
      window.removeEventListener('pagehide', onPageHide);
      cancelAnimationFrame(frameRequest);
    },
  };
}
