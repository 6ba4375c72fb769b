// Synchronised lyrics: reads LRC files, and finds the line that is sung.

const MOST_CHARACTERS = 500_000;
const MOST_LINES = 5000;
const STAMP = /^\s*\[(?:(\d{1,2}):)?(\d{1,3}):(\d{1,2})(?:[.:,](\d{1,3}))?\]/;
const TAG = /^\s*\[([a-z#]+):([^\]]*)\]\s*$/i;
// Times of single words.
const WORD = /<\d{1,3}:\d{1,2}(?:[.:,]\d{1,3})?>/g;

export class NoLyrics extends Error {}

/** Decodes a file: UTF-8, UTF-16 with a byte order mark, or else `otherwise`. @param {Uint8Array} bytes @param {string} otherwise */
export function decoded(bytes, otherwise) {
  const mark = (bytes[0] << 8) | bytes[1];
  if (mark === 0xfffe || mark === 0xfeff) return new TextDecoder(mark === 0xfeff ? 'utf-16be' : 'utf-16le').decode(bytes);
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    return new TextDecoder(otherwise).decode(bytes);
  }
}

/**
 * Reads an LRC file. What cannot be read is skipped; without any line with a time it throws `NoLyrics`.
 * @param {string} text
 * @returns {{ at: number, text: string }[]} lines in order of time, in seconds
 */
export function parse(text) {
  const lines = [];
  let offset = 0;
  for (let line of text.slice(0, MOST_CHARACTERS).replace(/^\ufeff/, '').split(/\r\n|\r|\n/)) {
    const tag = TAG.exec(line);
    // A positive offset shows the lines earlier.
    if (tag?.[1].toLowerCase() === 'offset' && Number.isFinite(Number(tag[2]))) offset = Number(tag[2]) / 1000;
    const times = [];
    for (let stamp = STAMP.exec(line); stamp; stamp = STAMP.exec(line)) {
      const [whole, hours = '0', minutes, seconds, part = '0'] = stamp;
      times.push(3600 * Number(hours) + 60 * Number(minutes) + Number(seconds) + Number(`0.${part}`));
      line = line.slice(whole.length);
    }
    const words = line.replace(WORD, '').replace(/\s+/g, ' ').trim();
    for (const at of times) if (lines.length < MOST_LINES) lines.push({ at, text: words });
  }
  if (!lines.some((line) => line.text)) throw new NoLyrics('no line with a time');
  return lines.map((line) => ({ ...line, at: Math.max(0, line.at - offset) })).sort((one, other) => one.at - other.at);
}

/**
 * Reads lyrics from the tags of a song: an LRC file, or else lines without times.
 * @param {string} text
 * @returns {{ at: number, text: string }[]}
 */
export function parseAny(text) {
  try {
    return parse(text);
  } catch {
    return text.trim() ? text.trim().split('\n').slice(0, MOST_LINES).map((line) => ({ at: Infinity, text: line.trim() })) : [];
  }
}

/** The index of the line that is sung at `seconds`; -1 before the first one. */
export function lineAt(lines, seconds) {
  let [low, high] = [0, lines.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (lines[middle].at <= seconds) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}
