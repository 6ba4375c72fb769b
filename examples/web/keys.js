// Keyboard shortcuts.
import { recall } from './text.js';

const PLACES = { BracketLeft: '[', BracketRight: ']', Slash: '/', Comma: ',', Period: '.' };

// The name of a key: its letter, or in a layout without Latin letters the letter at its place.
function named({ key, code, shiftKey }) {
  if (key.length > 1) return key;
  if (/^[a-z0-9[\]? ]$/i.test(key)) return key.toLowerCase();
  const place = /^(?:Key|Digit)(.)$/.exec(code)?.[1].toLowerCase() ?? PLACES[code] ?? key;
  return place === '/' && shiftKey ? '?' : place;
}

// Whether the event belongs to what is being typed, or to the browser.
function isTaken({ target, ctrlKey, metaKey, altKey }) {
  return ctrlKey || metaKey || altKey || Boolean(target.closest?.('input:not([type=radio], [type=range], [type=checkbox]), textarea, select, [contenteditable], dialog'));
}

const isOff = () => recall('keys') === 'off';

/** Whether the event asks for the list of shortcuts. */
export const asksForHelp = (event) => !isTaken(event) && !isOff() && named(event) === '?';

/** Whether the event is the space bar, and nothing that has the focus uses it. */
export const isFreeSpace = (event) => event.key === ' ' && !isTaken(event) && !isOff() && !event.target.closest?.('button, a, summary, input');

/**
 * Listens until the returned function is called. `act` maps names of keys to functions; `digit` takes the number of a stem and whether Shift is
 * pressed.
 */
export function shortcuts(act, digit) {
  // The space bar plays, except on a button that was reached with the keyboard: there it must press the button.
  let byPointer = false;
  let swallowed = false;
  const isForButton = ({ target }) => !byPointer && Boolean(target.closest?.('button, summary, [type=checkbox]'));

  function onKey(event) {
    const { target, code, shiftKey } = event;
    const key = named(event);
    if (key === 'Tab') byPointer = false;
    if (isTaken(event) || isOff() || (key === ' ' && isForButton(event))) return;
    const stem = /^Digit([1-9])$/.exec(code)?.[1];
    const run = stem ? () => digit(Number(stem) - 1, shiftKey) : act[key];
    // These move a slider or a choice. The slider of the position has steps too small to be useful.
    const moves = /^(Arrow|Home|End|Page)/.test(key) && target.matches?.('input') && target.id !== 'place';
    if (!run || moves || (stem && named(event) === '?')) return;
    event.preventDefault();
    swallowed = key === ' ';
    run();
  }
  // Some browsers press a focused button when the key is released.
  function onKeyUp(event) {
    if (event.key === ' ' && swallowed) event.preventDefault();
    swallowed = false;
  }
  const onPointer = () => { byPointer = true; };
  document.addEventListener('keydown', onKey);
  document.addEventListener('keyup', onKeyUp);
  document.addEventListener('pointerdown', onPointer, true);
  return () => {
    document.removeEventListener('keydown', onKey);
    document.removeEventListener('keyup', onKeyUp);
    document.removeEventListener('pointerdown', onPointer, true);
  };
}
