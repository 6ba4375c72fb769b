// The server's limits and upload rules.
import { ask } from './api.js';

let known = null;

// `null` until loaded.
export const limits = () => known;

export async function loadLimits() {
  known = (await ask('GET', 'limits')).limits;
}
