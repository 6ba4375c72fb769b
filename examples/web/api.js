// Requests to the server, and the state of the connection.
import { toast } from './dom.js';
import { t } from './text.js';

export const connection = new EventTarget();
let offline = false;

// Dispatches `lost` when a request fails, then polls the server and dispatches `back` when it responds.
export function connectionLost() {
  if (offline) return;
  offline = true;
  connection.dispatchEvent(new Event('lost'));
  poll(1000);
}

// Asks whether the server is down.
export async function isDown() {
  const answer = await fetch('livez', { cache: 'no-store' }).catch(() => null);
  if (!answer?.ok) connectionLost();
  return offline;
}

// Resolves when the server is reachable.
export function untilReachable() {
  return offline ? new Promise((done) => connection.addEventListener('back', done, { once: true })) : Promise.resolve();
}

function poll(pause) {
  setTimeout(async () => {
    const answer = await fetch('livez', { cache: 'no-store' }).catch(() => null);
    if (!answer?.ok) return poll(Math.min(pause * 1.5, 8000));
    offline = false;
    connection.dispatchEvent(new Event('back'));
  }, pause);
}
window.addEventListener('offline', connectionLost);

/**
 * Returns a function that loads a module when it is first needed. While the server is down, it waits. If the server has another version of the page now,
 * it says so and resolves to null.
 * @template T
 * @param {() => Promise<T>} load
 * @returns {() => Promise<T | null>}
 */
export const onDemand = (load) => () => load().catch(async () => {
  if (await isDown()) {
    await untilReachable();
    const loaded = await load().catch(() => null);
    if (loaded) return loaded;
  }
  toast(t('load-failed'), { bad: true, action: t('reload'), run: () => location.reload(), lasts: 0 });
  return null;
});

// An error response from the server, or status 0 if the server is unreachable.
export class ApiError extends Error {
  constructor(status, errors = []) {
    super(errors.map((error) => error.message).join('; ') || `HTTP ${status}`);
    this.status = status;
    this.errors = errors;
    // Includes a proxy's error responses.
    this.unreachable = status === 0 || (status >= 502 && !errors.length) || (status === 503 && errors[0]?.code === 'unavailable');
  }

  has(code) {
    return this.errors.some((error) => error.code === code);
  }
}

// Parses an error response.
export function parseError(status, text) {
  let errors = [];
  try { errors = JSON.parse(text).errors ?? []; } catch { /* not JSON: a proxy's error page */ }
  return new ApiError(status, errors);
}

export async function ask(method, path, fields = null, headers = {}) {
  /** @type {RequestInit} */
  const options = { method, headers, cache: 'no-store' };
  if (fields) {
    options.headers = { 'Content-Type': 'application/json', ...headers };
    options.body = JSON.stringify(fields);
  }
  const answer = await fetch(path, options).catch(() => null);
  if (!answer) {
    connectionLost();
    throw new ApiError(0);
  }
  const text = await answer.text().catch(() => '');
  if (!answer.ok) {
    const error = parseError(answer.status, text);
    if (error.unreachable) connectionLost();
    throw error;
  }
  return JSON.parse(text).data;
}

// Fetches bytes `from` (inclusive) to `to` (exclusive) of a file, and its total size.
export async function bytes(path, from, to, signal = null) {
  const answer = await fetch(path, { headers: { Range: `bytes=${from}-${to - 1}` }, signal }).catch(() => null);
  const body = await answer?.arrayBuffer().catch(() => null);
  signal?.throwIfAborted();
  if (!body) {
    connectionLost();
    throw new ApiError(0);
  }
  if (answer.status === 206) {
    const total = Number(answer.headers.get('Content-Range').split('/')[1]);
    return { bytes: new Uint8Array(body), total };
  }
  if (answer.status === 200) return { bytes: new Uint8Array(body).subarray(from, to), total: body.byteLength };
  throw parseError(answer.status, new TextDecoder().decode(body));
}
