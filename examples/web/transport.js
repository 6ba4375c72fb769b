// The bar above the stems, which stays in view: play, time, loop and the meter of the mix; below it the loop's edges and the volume.
import { h, icon, setText } from './dom.js';
import { meter } from './meter.js';
import { slider } from './slider.js';
import { clock, percent, t } from './text.js';

/** @param {{ toggle, toStart, toggleLoop, loopEdge: (end: 0 | 1) => void, setVolume: (volume: number) => void }} act */
export function transport(volumeAtFirst, act) {
  const playIcon = h('span', {}, icon('play'));
  const play = h('button', { class: 'round', id: 'play', disabled: true, label: 'play', onclick: act.toggle }, playIcon);
  const start = h('button', { class: 'plain', id: 'to-start', disabled: true, label: 'to-start', onclick: act.toStart }, icon('start'));
  const now = h('span', { class: 'now' }, '0:00');
  const whole = h('span', { class: 'dim' });
  const time = h('span', { class: 'time', id: 'time' }, now, whole);
  const loop = h('button', { class: 'toggle', id: 'loop', disabled: true, label: 'loop', 'aria-pressed': 'false', onclick: act.toggleLoop }, icon('loop'));
  const from = h('button', { class: 'small', id: 'loop-from', disabled: true, t: 'loop-from', onclick: () => act.loopEdge(0) });
  const to = h('button', { class: 'small', id: 'loop-to', disabled: true, t: 'loop-to', onclick: () => act.loopEdge(1) });
  const range = h('span', { class: 'dim', id: 'loop-range' });
  const volume = slider({ id: 'volume', min: 0, max: 1, step: 0.01, value: volumeAtFirst, label: 'volume' }, act.setVolume);
  const mixMeter = meter(2);
  const loud = h('p', { class: 'loud', id: 'too-loud', role: 'status' });

  return {
    element: h('div', { class: 'transport' }, start, play, time, loop, mixMeter.element),
    loops: h('div', { class: 'loops' }, from, to, range),
    volume: h('label', { class: 'volume' }, icon('volume'), volume),
    loud,
    // The song is open.
    enable: () => { for (const button of [play, start, loop, from, to]) button.disabled = false; },
    isEnabled: () => !play.disabled,
    pressLoop: () => loop.click(),
    showState: (on) => {
      playIcon.replaceChildren(icon(on ? 'pause' : 'play'));
      play.dataset.tLabel = on ? 'pause' : 'play';
      play.setAttribute('aria-label', play.title = t(play.dataset.tLabel));
    },
    showTime: (at, length) => {
      setText(now, clock(at));
      setText(whole, ` / ${clock(length)}`);
    },
    showLoop: (stretch) => {
      loop.setAttribute('aria-pressed', String(Boolean(stretch)));
      setText(range, stretch ? t('loops', { from: clock(stretch[0]), to: clock(stretch[1]) }) : '');
      return range.textContent || t('loops-not');
    },
    showVolume: (value) => volume.setAttribute('aria-valuetext', percent(Math.round(value * 100))),
    mixMeter,
    // Tells by how many decibels the mix is turned down so that raised levels do not clip.
    showLoud: (decibels) => setText(loud, decibels > 0 ? t('too-loud', { decibels }) : ''),
  };
}
