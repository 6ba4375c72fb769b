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

  const values = (stem) => (known.size === rows.length ? known : heard).get(stem);

  function draw() {
    asked = false;
    // Scale all stems by the loudest, so that they compare and a quiet song is still visible.
    const full = rows.reduce((most, { stem }) => values(stem).reduce((one, other) => Math.max(one, other), most), QUIETEST_FULL);
    const scale = window.devicePixelRatio || 1;
    const [bar, gap] = [Math.max(1, Math.round(2 * scale)), Math.max(1, Math.round(scale))];
    for (const { stem, canvas } of rows) {
      const box = canvas.getBoundingClientRect();
      const [width, height] = [Math.round(box.width * scale), Math.round(box.height * scale)];
      if (!width || !height) continue;
      Object.assign(canvas, { width, height });
      const pen = canvas.getContext('2d');
      pen.fillStyle = getComputedStyle(canvas).color;
      const peaks = values(stem);
      const count = Math.floor(width / (bar + gap));
      for (let index = 0; index < count; index += 1) {
        const [from, to] = [Math.floor((index * peaks.length) / count), Math.ceil(((index + 1) * peaks.length) / count)];
        let loudest = 0;
        for (let each = from; each < to; each += 1) loudest = Math.max(loudest, peaks[each]);
        const tall = Math.max(bar, (loudest / full) * (height - 4));
        pen.fillRect(index * (bar + gap), (height - tall) / 2, bar, tall);
      }
      canvas.parentNode.classList.toggle('drawing', known.size < rows.length);
    }
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
