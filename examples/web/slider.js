// A slider that a finger can swipe over: scrolling the page does not move it.
import { h } from './dom.js';

const DRAG_PX = 6;

/** `moved` takes the value; `attributes` go to the input. */
export function slider(attributes, moved) {
  // While it is not known whether a touch scrolls, drags or taps: the value before, and the one that the browser has set.
  let touch = null;
  const input = h('input', { type: 'range', ...attributes });
  const set = (value) => {
    input.value = value;
    moved(Number(input.value));
  };
  input.addEventListener('pointerdown', (event) => {
    touch = event.pointerType === 'touch' ? { x: event.clientX, before: input.value, wanted: input.value } : null;
  });
  input.addEventListener('pointermove', (event) => { if (touch && Math.abs(event.clientX - touch.x) > DRAG_PX) touch = null; });
  input.addEventListener('input', () => {
    if (!touch) return moved(Number(input.value));
    touch.wanted = input.value;
    input.value = touch.before;
    return undefined;
  });
  input.addEventListener('pointerup', () => {
    if (touch && touch.wanted !== touch.before) set(touch.wanted);
    touch = null;
  });
  input.addEventListener('pointercancel', () => { touch = null; });
  return input;
}
