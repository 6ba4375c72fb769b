// One row per stem: name, mute, solo, level, meter and waveform.
import { h } from './dom.js';
import { meter } from './meter.js';
import { slider } from './slider.js';
import { stemName } from './stems.js';
import { percent, t } from './text.js';

const MOST = 1.5;

/** The rows of `stems`. `mix` has `level`, `mute` and `solo` per stem; `changed` is called after each change by the user. */
export function stemTracks(stems, mix, changed) {
  const rows = stems.map((stem) => {
    const letter = (name) => h('button', { class: 'toggle letter', 'aria-pressed': 'false', onclick: () => {
      mix[stem][name] = !mix[stem][name];
      changed();
    } }, h('span', { t: `${name}-letter` }));
    const [mute, solo] = ['mute', 'solo'].map(letter);
    const set = (value) => {
      mix[stem].level = value;
      changed();
    };
    const level = slider({ min: 0, max: MOST, step: 0.01, value: mix[stem].level, ondblclick: () => set(1) }, set);
    const bar = meter();
    const canvas = h('canvas', { 'aria-hidden': 'true' });
    const wave = h('div', { class: 'wave drawing', 'data-stem': stem }, canvas);
    const element = h('div', { class: 'track', 'data-stem': stem, role: 'group' },
      h('div', { class: 'controls' }, h('span', { class: 'name', t: `stem-${stem}` }, stem), mute, solo, h('span', { class: 'fader' }, level, bar.element)), wave);
    return { stem, element, mute, solo, level, bar, canvas, wave };
  });

  return {
    rows,
    press: (index, name) => rows[index]?.[name].click(),
    // Shows the mix; `audible` returns a stem's effective level.
    show: (audible) => {
      for (const { stem, element, mute, solo, level } of rows) {
        const name = stemName(stem);
        element.classList.toggle('silent', audible(stem) === 0);
        element.setAttribute('aria-label', name);
        mute.setAttribute('aria-pressed', String(mix[stem].mute));
        solo.setAttribute('aria-pressed', String(mix[stem].solo));
        mute.setAttribute('aria-label', mute.title = t('mute', { stem: name }));
        solo.setAttribute('aria-label', solo.title = t('solo', { stem: name }));
        level.value = mix[stem].level;
        level.setAttribute('aria-label', t('level', { stem: name }));
        level.setAttribute('aria-valuetext', level.title = percent(Math.round(mix[stem].level * 100)));
      }
    },
  };
}
