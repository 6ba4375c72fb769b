// The practice panel: speed, pitch, a loop that gets faster, and the click.
import { FASTEST_BPM, SLOWEST_BPM, tapper } from './click.js';
import { announce, h, setText } from './dom.js';
import { slider } from './slider.js';
import * as stretch from './stretch.js';
import { percent, recall, remember, signed, t } from './text.js';
import { keyName } from './tonality.js';

const { FASTEST, MOST_SEMITONES, SLOWEST } = stretch;
const SPEED_STEP = 0.05;
const BARS = [2, 3, 4, 5, 6, 7];
const FRESH = { speed: 1, semitones: 0, train: { from: 60, to: 100, by: 5, every: 1 }, bpm: 0, first: 0, bar: 4, countIn: false };

/** The speed of a repetition of the loop. @param {{ from: number, to: number, by: number, every: number }} train in percent, and rounds */
export function speedOfRound({ from, to, by, every }, round) {
  const steps = Math.floor(round / every);
  return (from < to ? Math.min(to, from + by * steps) : Math.max(to, from - by * steps)) / 100;
}

// The settings of a song, stored for its next visit; anything else in their place is ignored.
function stored(id) {
  try {
    const { train, ...kept } = JSON.parse(recall(`practice-${id}`) ?? '{}');
    const isNumber = (value) => Number.isFinite(value);
    const numbers = (values, names) => Object.fromEntries(names.filter((name) => isNumber(values?.[name])).map((name) => [name, values[name]]));
    return { ...FRESH, ...numbers(kept, ['speed', 'semitones', 'bpm', 'first', 'bar']), countIn: kept.countIn === true, train: { ...FRESH.train, ...numbers(train, ['from', 'to', 'by', 'every']) } };
  } catch {
    return structuredClone(FRESH);
  }
}

/**
 * What the panel contains. `act.setTempo` and `act.setClick` take what is to be heard; `act.startLoop` loops unless something is looped; `act.position` is in
 * seconds of the song; `act.tell` takes what differs from usual playback, for the panel's heading;
 * `act.tempo` is called when the user has changed the tempo.
 * @param {{ id: string }} song
 * @param {{ setTempo: (how: { speed: number, semitones: number, speedOf: ((round: number) => number) | null }, module: typeof stretch) => void,
 *   setClick: (grid: { bpm: number, first: number, bar: number } | null, isOn: boolean, countsIn: boolean) => void, startLoop: () => void, position: () => number,
 *   tell: (text: string) => void, tempo: () => void }} act
 */
export function practice(song, act) {
  const set = stored(song.id);
  const taps = tapper();
  let trains = false;
  let clicks = false;
  let isFound = false;

  // A slider with buttons for single steps.
  function dial({ name, min, max, step, normal }, changed) {
    let now = normal;
    const move = (value) => changed(Math.min(max, Math.max(min, Math.round(value / step) * step)));
    const input = slider({ id: name, min, max, step, value: normal, ondblclick: () => move(normal) }, move);
    const output = h('output', { for: name, id: `${name}-now` });
    const button = (end, sign, by) => h('button', { class: 'small step', label: `${name}-${end}`, onclick: () => move(now + by) }, sign);
    const element = h('div', { class: 'dial' }, h('label', { for: name, t: name }), output, h('div', { class: 'row' }, button('less', '−', -step), input, button('more', '+', step)));
    return {
      element,
      show: (value, text) => {
        now = value;
        input.value = value;
        input.setAttribute('aria-valuetext', text);
        setText(output, text);
      },
    };
  }
  const speed = dial({ name: 'speed', min: SLOWEST, max: FASTEST, step: SPEED_STEP, normal: 1 }, (value) => {
    trains = false;
    set.speed = Math.round(value * 100) / 100;
    applyTempo();
  });
  const pitch = dial({ name: 'pitch', min: -MOST_SEMITONES, max: MOST_SEMITONES, step: 1, normal: 0 }, (value) => { set.semitones = value; applyTempo(); });
  const keyText = h('span', { class: 'dim', id: 'key-now' });
  const reset = h('button', { class: 'small', id: 'practice-reset', t: 'practice-reset', onclick: () => {
    trains = false;
    Object.assign(set, { speed: 1, semitones: 0 });
    applyTempo();
  } });

  // A number that is applied when it is complete and allowed.
  function field(name, min, max, step, of, key, apply) {
    const input = h('input', { type: 'number', id: name, min, max, step, inputmode: 'decimal', value: of[key] || '', oninput: () => {
      const value = Number(input.value);
      const isGood = input.value !== '' && value >= min && value <= max;
      input.setAttribute('aria-invalid', String(!isGood));
      if (!isGood) return;
      of[key] = value;
      apply();
    } });
    return { input, element: h('label', { class: 'number' }, h('span', { t: name }), input) };
  }
  const [slowest, fastest] = [100 * SLOWEST, 100 * FASTEST];
  const train = h('input', { type: 'checkbox', id: 'train', onchange: () => {
    trains = train.checked;
    if (trains) act.startLoop();
    applyTempo();
  } });
  const trainFields = [
    field('train-from', slowest, fastest, 5, set.train, 'from', () => applyTempo()),
    field('train-to', slowest, fastest, 5, set.train, 'to', () => applyTempo()),
    field('train-by', 1, 50, 1, set.train, 'by', () => applyTempo()),
    field('train-every', 1, 99, 1, set.train, 'every', () => applyTempo()),
  ];
  const trained = h('p', { class: 'dim', id: 'train-now', role: 'status' });

  const click = h('input', { type: 'checkbox', id: 'click', onchange: () => { clicks = click.checked; applyClick(); } });
  const countIn = h('input', { type: 'checkbox', id: 'count-in', checked: set.countIn, onchange: () => { set.countIn = countIn.checked; applyClick(); } });
  const bpm = field('bpm', SLOWEST_BPM, FASTEST_BPM, 0.01, set, 'bpm', () => {
    isFound = false;
    applyClick();
    act.tempo();
  });
  const bar = h('select', { id: 'bar', onchange: () => { set.bar = Number(bar.value); applyClick(); } }, BARS.map((beats) => h('option', { value: beats, selected: beats === set.bar }, String(beats))));
  const clickText = h('p', { class: 'dim', id: 'click-now', role: 'status' });

  function tap(at) {
    const found = taps.tap(at);
    if (!found) return setText(clickText, t('tap-on'));
    isFound = false;
    Object.assign(set, found);
    bpm.input.value = set.bpm;
    bpm.input.setAttribute('aria-invalid', 'false');
    announce(t('bpm-now', { bpm: set.bpm }));
    applyClick();
    return act.tempo();
  }
  function beginBar() {
    isFound = false;
    set.first = act.position();
    applyClick();
  }

  const check = (input, name) => h('label', { class: 'option' }, input, h('span', { t: name }));
  const element = h('fieldset', { class: 'drills', disabled: true },
    h('div', { class: 'drill' }, speed.element, pitch.element, h('div', { class: 'row' }, keyText, reset), h('p', { class: 'dim', t: 'practice-note' })),
    h('div', { class: 'drill' }, check(train, 'train'), h('div', { class: 'numbers' }, trainFields.map((each) => each.element)), trained),
    h('div', { class: 'drill' }, h('div', { class: 'row' }, check(click, 'click'), check(countIn, 'count-in')),
      h('div', { class: 'numbers' }, bpm.element, h('label', { class: 'number' }, h('span', { t: 'bar' }), bar)),
      h('div', { class: 'row' }, h('button', { class: 'small', id: 'tap', t: 'tap', onclick: () => tap(act.position()) }), h('button', { class: 'small', id: 'first-beat', t: 'first-beat', onclick: beginBar })), clickText));

  function applyTempo() {
    const speedOf = trains ? (round) => speedOfRound(set.train, round) : null;
    act.setTempo({ speed: speedOf ? speedOf(0) : set.speed, semitones: set.semitones, speedOf }, stretch);
    save();
    show();
  }
  function applyClick() {
    act.setClick(set.bpm ? { bpm: set.bpm, first: set.first, bar: set.bar } : null, clicks, set.countIn);
    save();
    show();
  }
  // A tempo that the server found is not stored: it may find a better one.
  const save = () => remember(`practice-${song.id}`, JSON.stringify(isFound ? { ...set, bpm: 0, first: 0 } : set));

  let heard = { speed: set.speed, round: 0 };
  let key = null;
  function show() {
    const shown = trains ? heard.speed : set.speed;
    speed.show(shown, percent(Math.round(shown * 100)));
    const semitones = t('semitones', { n: set.semitones, signed: signed(set.semitones) });
    pitch.show(set.semitones, semitones);
    setText(keyText, key && set.semitones ? t('key-now', { key: `${keyName(key)} → ${keyName(key, set.semitones)}` }) : '');
    train.checked = trains;
    setText(trained, trains ? t('train-now', { round: heard.round + 1, speed: percent(Math.round(heard.speed * 100)) }) : '');
    setText(clickText, set.bpm ? '' : t('tap-hint'));
    const changed = [shown !== 1 && percent(Math.round(shown * 100)), set.semitones && semitones, clicks && set.bpm && t('bpm-now', { bpm: set.bpm })];
    act.tell(changed.filter(Boolean).join(' · '));
    reset.hidden = shown === 1 && !set.semitones;
  }

  show();
  return {
    element,
    // The song is open: apply what is stored.
    open: () => {
      element.disabled = false;
      if (set.speed !== 1 || set.semitones) applyTempo();
      if (set.countIn) applyClick();
      show();
    },
    show,
    // Tempo and key of the song, or null.
    know: (tempo, songKey) => {
      key = songKey;
      if (tempo && tempo.bpm !== set.bpm) {
        ({ isFound } = tempo);
        Object.assign(set, { bpm: tempo.bpm, first: tempo.first });
        bpm.input.value = set.bpm;
        bpm.input.setAttribute('aria-invalid', 'false');
        applyClick();
      } else show();
    },
    // What is heard now: the speed, and how often the loop was repeated.
    heard: (now) => {
      heard = now;
      show();
    },
    semitones: () => set.semitones,
    setPitch: (semitones) => {
      set.semitones = Math.min(MOST_SEMITONES, Math.max(-MOST_SEMITONES, semitones));
      applyTempo();
    },
    faster: (steps) => {
      trains = false;
      set.speed = Math.round(100 * Math.min(FASTEST, Math.max(SLOWEST, set.speed + steps * SPEED_STEP))) / 100;
      applyTempo();
      return percent(Math.round(set.speed * 100));
    },
    tap,
  };
}
