// How far a mix with raised levels has to be turned down so that it cannot clip, in the player and in files.

/**
 * Returns a factor of at most 1. A moment of the mix is at most as loud as all audible stems together. The song itself is within full scale, so if the stems
 * are the whole song, the mix is also at most as loud as the song plus what the levels add or take away.
 * @param {Record<string, number>} levels of the stems
 * @param {Map<string, ArrayLike<number>> | null} peaks of the stems, each value from 0 to 255; without them they are taken to be at full scale
 * @param {boolean} isWhole whether the stems add up to the song; stems that were chosen from those of a model do not
 */
export function headroom(levels, peaks, isWhole = true) {
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
    most = Math.max(most, isWhole ? Math.min(all, more) : all);
  }
  return 1 / most;
}
