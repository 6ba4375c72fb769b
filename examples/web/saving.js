// Whether to save data: then the player loads previews of a fifth of the size.
import { recall, remember } from './text.js';

/** The user's choice; without one, what the browser reports about the connection. */
export function savesData() {
  const chosen = recall('save-data');
  if (chosen !== null) return chosen === 'on';
  /** @type {{ saveData?: boolean, effectiveType?: string } | undefined} */
  const line = /** @type {any} */ (navigator).connection;
  return Boolean(line?.saveData) || ['slow-2g', '2g', '3g'].includes(line?.effectiveType);
}

export const saveData = (on) => remember('save-data', on ? 'on' : 'off');
