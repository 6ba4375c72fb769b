// Whether to save data: then the player loads previews of a fifth of the size.
import { recall, remember } from './text.js';

// Phones, in both orientations. Safari and Firefox report nothing about the connection.
const PHONE = '(pointer: coarse) and (max-width: 760px), (pointer: coarse) and (max-height: 500px)';

/** The user's choice; without one, what the browser reports about the connection, and whether this is a phone. */
export function savesData() {
  const chosen = recall('save-data');
  if (chosen !== null) return chosen === 'on';
  /** @type {{ saveData?: boolean, effectiveType?: string } | undefined} */
  const line = /** @type {any} */ (navigator).connection;
  return Boolean(line?.saveData) || ['slow-2g', '2g', '3g'].includes(line?.effectiveType) || matchMedia(PHONE).matches;
}

export const saveData = (on) => remember('save-data', on ? 'on' : 'off');
