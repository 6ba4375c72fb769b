// Tempo and key of a song: what the server found, and the tempo that the user made of it.
import { ask } from './api.js';
import { FASTEST_BPM, SLOWEST_BPM } from './click.js';
import { announce, h, setText } from './dom.js';
import { recall, remember, t } from './text.js';
import { keyName } from './tonality.js';

// Below this confidence, what was found is shown as a guess and not put into the names of files.
const SURE = 0.3;

// The practice panel stores a typed or tapped tempo with its settings.
const settings = (id) => { try { return JSON.parse(recall(`practice-${id}`) ?? '{}') ?? {}; } catch { return {}; } };

/**
 * The line with tempo and key. `changed` is called when they are known, and when the user changes the tempo here.
 * @param {{ id: string }} song
 * @param {() => void} changed
 */
export function facts(song, changed) {
  /** @type {{ tempo: { bpm: number, confidence: number, first_beat_ms: number } | null, key: { tonic: string, mode: string, confidence: number } | null }} */
  let found = { tempo: null, key: null };
  const tempo = h('span', { id: 'tempo-found' });
  const key = h('span', { id: 'key-found' });
  const scale = (name, factor, sign) => h('button', { class: 'small', id: name, label: name, onclick: () => multiply(factor) }, sign);
  const half = scale('tempo-half', 0.5, '½');
  const double = scale('tempo-double', 2, '×2');
  const element = h('p', { class: 'facts row', id: 'facts', hidden: true }, tempo, half, double, key);

  // The user's tempo goes before the one that was found.
  function known() {
    const { bpm, first } = settings(song.id);
    if (bpm > 0) return { bpm, first: first ?? 0, isSure: true, isFound: false };
    return found.tempo && { bpm: Math.round(found.tempo.bpm * 100) / 100, first: found.tempo.first_beat_ms / 1000, isSure: found.tempo.confidence >= SURE, isFound: true };
  }

  function multiply(factor) {
    const now = known();
    remember(`practice-${song.id}`, JSON.stringify({ ...settings(song.id), bpm: now.bpm * factor, first: now.first }));
    show();
    announce(tempo.textContent);
    changed();
  }

  function show() {
    const now = known();
    const text = now ? t('bpm-now', { bpm: Math.round(now.bpm * 10) / 10 }) : '';
    setText(tempo, now && !now.isSure ? t('perhaps', { what: text }) : text);
    half.hidden = !now;
    double.hidden = !now;
    half.disabled = !now || now.bpm / 2 < SLOWEST_BPM;
    double.disabled = !now || now.bpm * 2 > FASTEST_BPM;
    const name = found.key ? t('key-now', { key: keyName(found.key) }) : '';
    setText(key, found.key && found.key.confidence < SURE ? t('perhaps', { what: name }) : name);
    element.hidden = !now && !found.key;
  }

  return {
    element,
    show,
    // Without an answer, the song plays as well.
    load: async () => {
      const data = await ask('GET', `songs/${song.id}/analysis`).catch(() => null);
      found = data?.analysis ?? found;
      show();
      if (data) changed();
    },
    tempo: known,
    key: () => found.key,
    // What is put into the names of files.
    names: () => {
      const now = known();
      return { tempo: now?.isSure ? Math.round(now.bpm) : 0, key: found.key && found.key.confidence >= SURE ? keyName(found.key) : '' };
    },
  };
}
