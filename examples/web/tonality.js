// Names of keys.
const TONICS = ['C', 'C#', 'D', 'D#', 'E', 'F', 'F#', 'G', 'G#', 'A', 'A#', 'B'];

/** A key's name, moved by semitones: Am, F#. @param {{ tonic: string, mode: string }} key */
export function keyName({ tonic, mode }, semitones = 0) {
  const at = TONICS.indexOf(tonic);
  return at < 0 ? '' : `${TONICS[(at + semitones + 12 * 12) % 12]}${mode === 'minor' ? 'm' : ''}`;
}
