// The player: holds the mix and the loop, and joins the engine, the transport, the stems, the timeline and the keys.
import { onDemand, untilReachable } from './api.js';
import { beatsBetween } from './click.js';
import { Engine } from './engine.js';
import { announce, explain, h, icon, setText } from './dom.js';
import { headroom } from './headroom.js';
import { shortcuts } from './keys.js';
import { isWhole } from './models.js';
import { outside } from './outside.js';
import { saveData, savesData } from './saving.js';
import { about, songs } from './songs.js';
import { FOUR, isVocal, stemsOf } from './stems.js';
import { recall, recallLevel, remember, t } from './text.js';
import { timeline } from './timeline.js';
import { stemTracks } from './tracks.js';
import { transport } from './transport.js';
import { waveforms } from './waveforms.js';

const SKIP_S = 5;
const FIRST_LOOP_S = 8;
const SHORTEST_LOOP_S = 0.25;
// The meters are smooth enough at a third of the pictures, and cost a third.
const PICTURES_PER_METER = 3;

const loadPractice = onDemand(() => import('./practice.js'));
const loadKaraoke = onDemand(() => import('./karaoke.js'));

// The song with which karaoke continues when its page opens. Another page ends that.
let nextSung = null;
window.addEventListener('hashchange', () => { if (location.hash !== `#/songs/${nextSung}`) nextSung = null; });

// Reads the player settings of a song, stored for this tab's session.
function savedSettings(id) {
  try { return JSON.parse(sessionStorage.getItem(`vocalizer-mix-${id}`)) ?? {}; } catch { return {}; }
}

// Converts the mix of a share link to player settings. A silent stem is muted, so that unmuting makes it audible.
function sharedSettings({ levels }) {
  return { mix: Object.fromEntries(Object.entries(levels).map(([stem, level]) => [stem, { level: level || 1, mute: level === 0 }])) };
}

// `shared` is the mix of a share link; it replaces the saved settings. A guest may change nothing that the server keeps.
export function player(song, shared = null, isGuest = false) {
  const stems = stemsOf(song);
  const engine = new Engine(song.id, stems, savesData());
  const before = shared ? sharedSettings(shared) : savedSettings(song.id);
  const mix = Object.fromEntries(stems.map((stem) => [stem, { level: 1, mute: false, solo: false, ...before.mix?.[stem] }]));
  // On the karaoke stage (`singing`), `guide` is the level of the vocals.
  const set = { volume: recallLevel('volume', 1), karaoke: before.karaoke ?? false, singing: false, guide: 0, loop: before.loop ?? null };
  let frameRequest = 0;
  let closed = false;
  let told = -1;
  /** @type {ReturnType<typeof import('./zoom.js').zoom> | null} */
  let zoomed = null;
  /** @type {ReturnType<typeof import('./markers.js').markers> | null} */
  let marks = null;
  // What all levels are multiplied with so that raised levels do not clip, also in downloads.
  let quieter = 1;

  const ready = () => bar.isEnabled();
  const seconds = (sample) => sample / engine.rate;

  const bar = transport(set.volume, {
    toggle: () => toggle(),
    toStart: () => seek(0),
    toggleLoop: () => setLoop(engine.loop ? null : set.loop ?? region(), true),
    loopEdge: (end) => setLoopEdge(end),
    setVolume: (volume) => { set.volume = volume; remember('volume', volume); applyMix(); },
  });
  const tracks = stemTracks(stems, mix, () => applyMix());
  const waves = waveforms(song, tracks.rows, () => applyMix());
  const time = timeline(tracks.rows, {
    ready,
    seek: (to) => seek(to),
    position: () => seconds(engine.position),
    resized: () => showPosition(),
    reveal: (at) => zoomed?.reveal(at),
    loop: ([from, to], spoken) => setLoop([from * engine.rate, to * engine.rate], spoken),
  });
  const karaoke = h('button', { class: 'toggle', id: 'karaoke', label: 'karaoke', 'aria-pressed': 'false', onclick: () => { set.karaoke = !set.karaoke; applyMix(); } }, h('span', { t: 'karaoke' }));
  const saving = h('button', { class: 'toggle', id: 'save-data', disabled: true, label: 'save-data-does', 'aria-pressed': String(engine.isPreview), onclick: () => setSaving(!savesData()) }, h('span', { t: 'save-data' }));
  const choice = ['stems', 'original'].map((mode) => h('input', { type: 'radio', name: 'heard', id: `heard-${mode}`, value: mode, checked: mode === 'stems', onchange: () => setSource(mode) }));
  const heard = h('fieldset', { class: 'heard', disabled: true }, h('legend', { class: 'unseen', t: 'heard' }),
    choice.map((input) => h('label', { class: 'option' }, input, h('span', { t: `heard-${input.value}` }))));
  const drilled = h('span', { class: 'dim', id: 'practice-now' });
  const panel = h('details', { class: 'practice', id: 'practice', ontoggle: () => practise() }, h('summary', {}, h('span', { t: 'practice' }), drilled));
  const singing = h('button', { class: 'primary', id: 'sing', disabled: true, onclick: () => openStage() }, icon('mic'), h('span', { t: 'sing' }));
  // The practice panel's content and the karaoke stage, once they are loaded.
  let drill = null;
  let known = { tempo: null, key: null };
  let stage = null;
  const goesOn = nextSung === song.id;
  nextSung = null;
  const message = h('p', { class: 'message', id: 'player-status', role: 'status' });
  const element = h('section', { class: 'player', id: 'player', label: 'player', 'data-state': 'opening' },
    bar.element, h('div', { class: 'switches' }, karaoke, heard, saving, bar.loops, bar.volume, singing), message, bar.loud, time.element, panel);

  // A stem's effective level after mute, solo and karaoke.
  function audible(stem) {
    if (set.singing && isVocal(stem)) return set.guide;
    const alone = stems.some((each) => mix[each].solo);
    const silent = mix[stem].mute || (alone && !mix[stem].solo);
    return silent || (set.karaoke && isVocal(stem)) ? 0 : mix[stem].level;
  }

  const allAudible = () => Object.fromEntries(stems.map((stem) => [stem, audible(stem)]));

  function applyMix() {
    const levels = allAudible();
    quieter = headroom(levels, waves.peaks(), isWhole(song, stems));
    stems.forEach((stem) => engine.setLevel(stem, quieter * levels[stem]));
    bar.showLoud(tooLoud());
    engine.setVolume(set.volume);
    tracks.show(audible);
    bar.showVolume(set.volume);
    karaoke.setAttribute('aria-pressed', String(set.karaoke));
    save();
    element.dispatchEvent(new Event('mix'));
  }

  // By how many decibels the mix is turned down.
  const tooLoud = () => Math.round(-200 * Math.log10(quieter)) / 10;

  function sing(on) {
    if (closed) return;
    set.singing = on;
    applyMix();
  }

  // Loads the practice panel. Returns null if that fails.
  async function practise() {
    const module = drill ? null : await loadPractice();
    if (module && !drill && !closed) {
      drill = module.practice(song, {
        setTempo: (how, stretch) => engine.setTempo(how, stretch),
        setClick,
        startLoop: () => { if (!engine.loop) setLoop(set.loop ?? region(), true); },
        position: () => seconds(engine.position),
        tell: (text) => setText(drilled, text),
        tempo: () => element.dispatchEvent(new Event('tempo')),
      });
      panel.append(drill.element);
      if (ready()) drill.open();
      drill.know(known.tempo, known.key);
    }
    return drill;
  }

  async function openStage() {
    const [module] = await Promise.all([loadKaraoke(), practise()]);
    if (!module || !drill || closed) return;
    stage ??= module.karaokeStage(song, {
      toggle,
      skip,
      setGuide: (level) => { set.guide = level; applyMix(); },
      enter: () => sing(true),
      leave: () => sing(false),
      next: (id) => {
        nextSung = id;
        location.hash = `#/songs/${id}`;
      },
      hasNext: !isGuest,
      semitones: drill.semitones,
      setPitch: drill.setPitch,
    });
    stage.show();
    stage.showState(engine.isOn);
    showPosition();
  }

  function setClick(grid, isOn, countsIn) {
    const beats = (from, to, counted) => beatsBetween(grid, seconds(from - counted), seconds(isOn ? to : from)).map(({ at, strong }) => ({ at: at * engine.rate, strong }));
    engine.setBeats(grid && (isOn || countsIn) ? beats : null, grid && countsIn ? (60 / grid.bpm) * grid.bar * engine.rate : 0);
  }

  function save() {
    // Until the song is open, the stored settings have not been applied; do not overwrite them.
    if (!ready()) return;
    try {
      sessionStorage.setItem(`vocalizer-mix-${song.id}`, JSON.stringify({ mix, karaoke: set.karaoke, loop: set.loop, loopOn: Boolean(engine.loop), at: engine.position }));
    } catch { /* storage is blocked */ }
  }

  function toggle() {
    if (!ready()) return;
    if (engine.isOn) engine.pause();
    else engine.play();
    save();
  }

  function seek(to) {
    if (!ready()) return;
    engine.seek(to * engine.rate);
    zoomed?.reveal(to);
    save();
    showPosition();
  }

  function region() {
    const from = Math.round(engine.position);
    return [from, Math.min(engine.length, from + FIRST_LOOP_S * engine.rate)];
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
    const text = showLoop();
    if (spoken) announce(text);
    save();
    showPosition();
  }

  function showLoop() {
    const range = engine.loop?.map(seconds) ?? null;
    time.showLoop(range);
    return bar.showLoop(range);
  }

  // Sets the loop's start or end to the current position.
  function setLoopEdge(end) {
    if (!ready()) return;
    const at = Math.round(engine.position);
    const [from, to] = engine.loop ?? [0, engine.length];
    setLoop(end ? [at > from ? from : 0, at] : [at, to > at ? to : engine.length], true);
  }

  async function setSaving(on) {
    saveData(on);
    showSaving();
    try {
      await engine.setPreview(on);
    } catch (error) {
      setText(message, explain(error));
    }
  }
  const showSaving = () => saving.setAttribute('aria-pressed', String(savesData()));

  async function setSource(mode) {
    setText(message, mode === 'original' ? t('getting-original') : '');
    try {
      await engine.choose(mode);
      setText(message, '');
    } catch (error) {
      setText(message, explain(error));
      choice[0].checked = true;
    }
    time.element.classList.toggle('dimmed', choice[1].checked);
    element.dispatchEvent(new Event('mix'));
  }

  function showPosition() {
    if (!ready()) return;
    const at = seconds(engine.position);
    stage?.tick(at);
    const whole = Math.floor(at);
    // Texts and sliders change once a second: they cost a layout.
    const tell = whole !== told || !engine.isOn;
    zoomed?.follow(at);
    time.showPosition(at, tell);
    if (!tell) return;
    told = whole;
    bar.showTime(at, seconds(engine.length));
  }

  function showPeaks() {
    const peaks = engine.peaks();
    tracks.rows.forEach(({ bar: meter }, index) => meter.show(peaks[index]));
    bar.mixMeter.show(...peaks.slice(stems.length));
  }

  let pictures = 0;
  function tick() {
    showPosition();
    pictures += 1;
    if (engine.isOn && pictures % PICTURES_PER_METER === 0) showPeaks();
    frameRequest = engine.isOn ? requestAnimationFrame(tick) : 0;
  }

  const tellOutside = () => controls.show(engine.isOn ? 'playing' : 'paused', seconds(engine.position), seconds(engine.length), engine.speed);
  let wasOn = false;
  engine.addEventListener('state', () => {
    bar.showState(engine.isOn);
    stage?.showState(engine.isOn);
    element.dataset.state = engine.state;
    setText(message, engine.state === 'waiting' ? t('buffering') : '');
    if (engine.isOn && !wasOn) controls.started();
    wasOn = engine.isOn;
    tellOutside();
    if (!engine.isOn) [bar.mixMeter, ...tracks.rows.map((row) => row.bar)].forEach((meter) => meter.clear());
    if (!frameRequest) tick();
  });
  engine.addEventListener('round', () => {
    drill?.heard({ speed: engine.speed, round: engine.round });
    tellOutside();
  });
  engine.addEventListener('no-audio', () => setText(message, t('no-sound')));
  engine.addEventListener('decoded', (/** @type {CustomEvent} */ { detail }) => waves.take(detail));
  engine.addEventListener('failed', (/** @type {CustomEvent} */ { detail }) => {
    engine.pause();
    setText(message, explain(detail));
  });

  const skip = (by) => seek(seconds(engine.position) + by);
  const controls = outside({
    about: () => about(song, isGuest),
    play: () => { if (!engine.isOn) toggle(); },
    pause: () => engine.pause(),
    isOn: () => engine.isOn,
    skip: (by) => { if (ready()) skip(by); },
    seek,
  });
  // Shortcuts of the practice panel.
  const faster = async (steps) => { if (ready() && await practise()) announce(drill.faster(steps)); };
  const tap = async (at) => { if (ready() && await practise()) drill.tap(at); };
  const endKeys = shortcuts({
    ' ': toggle, k: () => karaoke.click(), l: () => bar.pressLoop(), '[': () => setLoopEdge(0), ']': () => setLoopEdge(1), o: () => choice[choice[0].checked ? 1 : 0].click(),
    '-': () => faster(-1), '=': () => faster(1), '+': () => faster(1), t: () => { if (ready()) tap(seconds(engine.position)); },
    m: () => marks?.add(), ',': () => marks?.previous(), '.': () => marks?.next(),
    z: () => zoomed?.zoomIn(), x: () => zoomed?.zoomOut(), a: () => zoomed?.showAll(),
    0: () => seek(0), Home: () => seek(0), ArrowLeft: () => skip(-SKIP_S), ArrowRight: () => skip(SKIP_S),
  }, (stem, solo) => tracks.press(stem, solo ? 'solo' : 'mute'));
  const onPageHide = () => save();
  const onSongs = () => {
    controls.retitle();
    stage?.showControls();
  };
  songs.addEventListener('change', onSongs);
  window.addEventListener('pagehide', onPageHide);

  // Adds to the timeline what only an open song has.
  async function equip() {
    const [{ zoom }, { markers }] = await Promise.all([import('./zoom.js'), import('./markers.js')]);
    if (closed) return;
    zoomed = zoom(time, waves, {
      stems,
      length: seconds(engine.length),
      path: (stem) => `songs/${song.id}/peaks/${stem}`,
      position: () => seconds(engine.position),
      shows: () => {
        marks?.place();
        showPosition();
      },
    });
    marks = markers(song, time, { seek, position: () => seconds(engine.position), isGuest });
    element.append(marks.element);
    await marks.load();
  }

  async function open() {
    setText(message, t('opening'));
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
    waves.load();
    // The song has settings of an earlier visit.
    if (recall(`practice-${song.id}`) !== null) await practise();
    if (closed) return;
    if (shared) {
      const samples = (ms) => (ms / 1000) * engine.rate;
      before.at = samples(shared.start_ms ?? 0);
      before.loop = shared.loop_ms?.map(samples);
      before.loopOn = Boolean(shared.loop_ms);
    }
    bar.enable();
    heard.disabled = saving.disabled = false;
    time.open(seconds(engine.length));
    equip().catch(() => { /* without zoom and markers, the song plays all the same */ });
    element.dataset.state = 'paused';
    setText(message, '');
    engine.seek(Math.min(before.at ?? 0, engine.length));
    if (before.loopOn) setLoop(before.loop);
    applyMix();
    showPosition();
    drill?.open();
    singing.disabled = false;
    if (!goesOn) return;
    await openStage();
    if (!closed) toggle();
  }

  // Downloads may come before the song is open.
  applyMix();
  return {
    element,
    open,
    // Effective levels, for downloading the mix, and what is heard instead of it.
    levels: () => Object.fromEntries(stems.map((stem) => [stem, quieter * audible(stem)])),
    hearsOriginal: () => engine.mode === 'original',
    tooLoud,
    isOpen: ready,
    isOn: () => engine.isOn,
    toggle,
    // Tempo and key, for the practice panel.
    know: (tempo, key) => {
      known = { tempo, key };
      drill?.know(tempo, key);
    },
    // The mix, the position and the loop, as the form fields of a share link.
    shared: () => {
      const ms = (sample) => Math.round(seconds(sample) * 1000);
      const level = (stem) => Math.round(audible(stem) * 1000) / 1000;
      const levels = Object.fromEntries(FOUR.filter((stem) => stems.includes(stem)).map((stem) => [stem, level(stem)]));
      const others = stems.filter((stem) => !FOUR.includes(stem)).map((stem) => `${stem}:${level(stem)}`);
      const [from, to] = engine.loop ?? [];
      return { ...levels, ...(others.length ? { levels: others.join(',') } : {}), start_ms: ms(engine.position), ...(engine.loop && { loop_from_ms: ms(from), loop_to_ms: ms(to) }) };
    },
    update: () => { applyMix(); showLoop(); told = -1; zoomed?.update(); marks?.update(); showPosition(); drill?.show(); stage?.showControls(); },
    close: () => {
      closed = true;
      save();
      stage?.close();
      engine.close();
      waves.close();
      time.close();
      zoomed?.close();
      controls.close();
      endKeys();
      songs.removeEventListener('change', onSongs);
      window.removeEventListener('pagehide', onPageHide);
      cancelAnimationFrame(frameRequest);
    },
  };
}
