// The server, asked; and whether it is there.

export const connection = new EventTarget();
let away = false;

// It did not answer: everybody hears of it, and hears again when it does.
export function lost() {
  if (away) return;
  away = true;
  connection.dispatchEvent(new Event('lost'));
  look(1000);
}

// Ends when the server is there.
export function there() {
  return away ? new Promise((done) => connection.addEventListener('back', done, { once: true })) : Promise.resolve();
}

function look(pause) {
  setTimeout(async () => {
    const answer = await fetch('livez', { cache: 'no-store' }).catch(() => null);
    if (!answer?.ok) return look(Math.min(pause * 1.5, 8000));
    away = false;
    connection.dispatchEvent(new Event('back'));
  }, pause);
}
window.addEventListener('offline', lost);

// A refusal: what the server says is wrong, or that there is no server.
export class Refusal extends Error {
  constructor(status, errors = []) {
    super(errors.map((error) => error.message).join('; ') || `HTTP ${status}`);
    this.status = status;
    this.errors = errors;
    // Also what a proxy says in its place.
    this.away = status === 0 || (status >= 502 && !errors.length) || (status === 503 && errors[0]?.code === 'unavailable');
  }

  has(code) {
    return this.errors.some((error) => error.code === code);
  }
}

// A refusal made of an answer's status and text.
export function refusal(status, text) {
  let errors = [];
  try { errors = JSON.parse(text).errors ?? []; } catch { /* no envelope: a proxy's page */ }
  return new Refusal(status, errors);
}

export async function ask(method, path, fields) {
  const options = { method, cache: 'no-store' };
  if (fields) {
    options.headers = { 'Content-Type': 'application/json' };
    options.body = JSON.stringify(fields);
  }
  const answer = await fetch(path, options).catch(() => null);
  if (!answer) {
    lost();
    throw new Refusal(0);
  }
  const text = await answer.text().catch(() => '');
  if (!answer.ok || answer.status === 202) {
    const refused = refusal(answer.status, text);
    if (refused.away) lost();
    throw refused;
  }
  return JSON.parse(text).data;
}

// Bytes `from` to before `to` of a file, and how many it has in all.
export async function bytes(path, from, to) {
  const answer = await fetch(path, { headers: { Range: `bytes=${from}-${to - 1}` } }).catch(() => null);
  const body = await answer?.arrayBuffer().catch(() => null);
  if (!body) {
    lost();
    throw new Refusal(0);
  }
  if (answer.status === 206) {
    const total = Number(answer.headers.get('Content-Range').split('/')[1]);
    return { bytes: new Uint8Array(body), total };
  }
  if (answer.status === 200) return { bytes: new Uint8Array(body).subarray(from, to), total: body.byteLength };
  throw refusal(answer.status, new TextDecoder().decode(body));
}
