// The scroll positions of history entries, so that Back returns to where the user was.

const KEPT = 'vocalizer-places';
const MOST = 100;

// By the key of a history entry. Stored for this tab's session, so that they survive a reload.
/** @type {Map<string, number>} */
let places = new Map();
try { places = new Map(JSON.parse(sessionStorage.getItem(KEPT) ?? '[]')); } catch { /* storage is blocked */ }
let current = entry();
// The browser would scroll before the view is there.
history.scrollRestoration = 'manual';

// The key of the current history entry.
function entry() {
  if (!history.state?.key) history.replaceState({ key: Math.random().toString(36).slice(2) }, '');
  return history.state.key;
}

// Notes where the user is in the entry that is being left.
export function leave() {
  places.delete(current);
  places.set(current, window.scrollY);
  if (places.size > MOST) places.delete(places.keys().next().value);
}

// Returns the position of an entry that is visited again, or null for a new one.
export function arrive() {
  current = entry();
  return places.get(current) ?? null;
}

// Changes the address of this entry.
export const replaceAddress = (hash) => history.replaceState(history.state, '', hash);

// Adds an entry for the same view.
export function pushAddress(hash) {
  leave();
  history.pushState(null, '', hash);
  current = entry();
}

const MOVES = ['wheel', 'touchstart', 'keydown', 'pointerdown'];
let stop = () => {};

// Scrolls to a position as soon as the content is long enough, unless the user scrolls first.
export function scrollToPlace(top) {
  stop();
  window.scrollTo(0, top);
  if (window.scrollY >= top - 1) return;
  const grown = new ResizeObserver(() => {
    window.scrollTo(0, top);
    if (window.scrollY >= top - 1) stop();
  });
  stop = () => {
    grown.disconnect();
    for (const name of MOVES) window.removeEventListener(name, stop);
  };
  for (const name of MOVES) window.addEventListener(name, stop, { passive: true });
  grown.observe(document.body);
}

window.addEventListener('pagehide', () => {
  leave();
  try { sessionStorage.setItem(KEPT, JSON.stringify([...places])); } catch { /* storage is blocked */ }
});
