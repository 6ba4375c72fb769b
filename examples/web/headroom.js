// How far a mix with raised levels has to be turned down so that it cannot clip, in the player and in files.

/**
 * Returns a factor of at most 1. The song itself is within full scale, so a moment of the mix is at most as loud as the song plus what the levels add or
 * take away, and at most as loud as all stems together.
 * @param {Record<string, number>} levels of the stems
 * @param {Map<string, ArrayLike<number>> | null} peaks of the stems, each value from 0 to 255; without them they are taken to be at full scale
 */
export function headroom(levels, peaks) {
  const stems = Object.entries(levels);
  if (!stems.some(([, level]) => level > 1)) return 1;
  const bins = peaks ? Math.max(...[...peaks.values()].map(({ length }) => length)) : 1;
  let most = 1;
  for (let bin = 0; bin < bins; bin += 1) {
    let [all, more] = [0, 1];
    for (const [stem, level] of stems) {
      // The server rounds.
      const peak = peaks ? Math.min(1, ((peaks.get(stem)?.[bin] ?? 0) + 0.5) / 255) : 1;
      all += level * peak;
      more += Math.abs(level - 1) * peak;
    }
    most = Math.max(most, Math.min(all, more));
  }
  return 1 / most;
}
