// A level meter: one bar per channel, moved by transforms, which cost no layout.
import { h } from './dom.js';

const FLOOR_DB = -48;
// How far a bar may fall from one picture to the next.
const FALL = 0.06;
// A bar moves by whole steps, so that most pictures change little.
const STEPS = 90;

/** `show` takes the channels' peaks, where 1 is full scale. */
export function meter(channels = 1) {
  const bars = Array.from({ length: channels }, () => h('i'));
  const shown = new Float32Array(channels);
  const element = h('span', { class: 'meter', 'aria-hidden': 'true' }, bars.map((bar) => h('b', {}, bar)));
  function move(index, exact) {
    const height = Math.round(exact * STEPS) / STEPS;
    if (height === shown[index]) return;
    shown[index] = height;
    bars[index].style.transform = `scaleX(${height.toFixed(3)})`;
  }
  return {
    element,
    show: (...peaks) => {
      element.classList.toggle('over', Math.max(...peaks) > 1);
      bars.forEach((_, index) => {
        const height = peaks[index] > 0 ? Math.max(0, 1 - (20 * Math.log10(peaks[index])) / FLOOR_DB) : 0;
        move(index, Math.min(1, Math.max(height, shown[index] - FALL)));
      });
    },
    clear: () => bars.forEach((_, index) => move(index, 0)),
  };
}
