// Draws the stems' waveforms: from what has been decoded at first, from the server's peaks as soon as all have come.
import { ask, untilReachable } from './api.js';

// As many values as the server sends.
const BINS = 2048;
// The browser has six connections to a server; the other ones are for playback.
const AT_ONCE = 2;
// Every sample would take long, and draws the same picture.
const STEP = 4;
const QUIETEST_FULL = 24;

/** `rows` have a `stem` and a `canvas`; `came` is called when all peaks have come. */
export function waveforms(song, rows, came = () => {}) {
  const heard = new Map(rows.map(({ stem }) => [stem, new Uint8Array(BINS)]));
  const known = new Map();
  let closed = false;
  let asked = false;
  // What is shown, as shares of the song; `detail` knows finer values than those of the whole song.
  let view = { from: 0, to: 1, detail: null };

  const values = (stem) => (known.size === rows.length ? known : heard).get(stem);

  function draw() {
    asked = false;
    // Scale all stems by the loudest, so that they compare and a quiet song is still visible.
    const full = rows.reduce((most, { stem }) => values(stem).reduce((one, other) => Math.max(one, other), most), QUIETEST_FULL);
    const scale = window.devicePixelRatio || 1;
    const [bar, gap] = [Math.max(1, Math.round(2 * scale)), Math.max(1, Math.round(scale))];
    const sizes = rows.map(({ canvas }) => {
      const box = canvas.getBoundingClientRect();
      return [Math.round(box.width * scale), Math.round(box.height * scale)];
    });
    for (const [row, { stem, canvas }] of rows.entries()) {
      const [width, height] = sizes[row];
      if (!width || !height) continue;
      Object.assign(canvas, { width, height });
      const pen = canvas.getContext('2d');
      pen.fillStyle = getComputedStyle(canvas).color;
      const peaks = values(stem);
      const count = Math.floor(width / (bar + gap));
      const each = (view.to - view.from) / count;
      // Bars keep their places in the song while it scrolls.
      const first = Math.floor(view.from / each);
      for (let index = first; (index + 0.5) * each < view.to; index += 1) {
        const [from, to] = [index * each, (index + 1) * each];
        const tall = Math.max(bar, ((view.detail?.(stem, from, to) ?? loudest(peaks, from, to)) / full) * (height - 4));
        pen.fillRect(Math.round((from - view.from) / each) * (bar + gap), (height - tall) / 2, bar, tall);
      }
      canvas.parentNode.classList.toggle('drawing', known.size < rows.length);
    }
  }
  // The loudest value between two places in the song, from 0 to 1.
  function loudest(peaks, from, to) {
    let most = 0;
    for (let each = Math.max(0, Math.floor(from * peaks.length)); each < to * peaks.length && each < peaks.length; each += 1) most = Math.max(most, peaks[each]);
    return most;
  }
  function redraw() {
    if (asked || closed) return;
    asked = true;
    requestAnimationFrame(draw);
  }

  const resized = new ResizeObserver(redraw);
  const recoloured = matchMedia('(prefers-color-scheme: dark)');
  recoloured.addEventListener('change', redraw);
  document.addEventListener('colours', redraw);
  rows.forEach(({ canvas }) => resized.observe(canvas));

  async function fetchPeaks(queue) {
    while (queue.length && !closed) {
      const stem = queue.shift();
      while (!closed && !known.has(stem)) {
        try {
          known.set(stem, (await ask('GET', `songs/${song.id}/peaks/${stem}`)).peaks.values);
        } catch (error) {
          if (!error.unreachable) return;
          await untilReachable();
        }
      }
    }
    redraw();
    if (!closed && known.size === rows.length) came();
  }

  return {
    /** @param {{ from: number, to: number, detail: ((stem: string, from: number, to: number) => number | null) | null }} shown */
    show: (shown) => {
      view = shown;
      redraw();
    },
    // The peaks of all stems, or null.
    peaks: () => (known.size === rows.length ? known : null),
    load: () => {
      const queue = rows.map(({ stem }) => stem);
      for (let n = 0; n < AT_ONCE; n += 1) fetchPeaks(queue);
    },
    // Takes decoded samples of all stems, two channels each, which begin at sample `from` of `length`.
    take: ({ buffer, from, length }) => {
      if (known.size === rows.length) return;
      const perBin = length / BINS;
      rows.forEach(({ stem }, index) => {
        const bins = heard.get(stem);
        for (const side of [0, 1]) {
          const samples = buffer.getChannelData(2 * index + side);
          for (let n = 0; n < samples.length && from + n < length; n += STEP) {
            const bin = Math.floor((from + n) / perBin);
            bins[bin] = Math.max(bins[bin], Math.min(255, Math.abs(samples[n]) * 255));
          }
        }
      });
      redraw();
    },
    close: () => {
      closed = true;
      resized.disconnect();
      recoloured.removeEventListener('change', redraw);
      document.removeEventListener('colours', redraw);
    },
  };
}
