// What the server takes, and from whom.
import { ask } from './api.js';

let known = null;

// `null` until the server has said.
export const limits = () => known;

export async function learn() {
  known = (await ask('GET', 'limits')).limits;
}
