// The part of a song that the timeline shows, and which peaks it needs for that. Knows no browser.

const SHORTEST_S = 2;
// Where the playhead is after the view has followed it, and up to where it may run before that.
const ARRIVES = 0.08;
const LEAVES = 0.94;
// Playback moves the playhead by less than this between two pictures.
const JUMP_S = 1;
// The shortest part of a song whose peaks are fetched at once. Longer ones double, so that each begins at a multiple of its length.
const TILE_S = 8;

export class Span {
  from = 0;

  constructor(length) {
    this.length = length;
    this.to = length;
  }

  get seconds() {
    return this.to - this.from;
  }

  get isWhole() {
    return this.seconds >= this.length;
  }

  get isShortest() {
    return this.seconds <= Math.min(SHORTEST_S, this.length);
  }

  /** Shows a part that is `factor` times shorter; `anchor`, in seconds, keeps its place. Returns whether anything changed, as all do that follow. */
  zoom(factor, anchor) {
    const seconds = Math.min(this.length, Math.max(Math.min(SHORTEST_S, this.length), this.seconds / factor));
    return this.#show(anchor - ((anchor - this.from) / this.seconds) * seconds, seconds);
  }

  showAll() {
    return this.#show(0, this.length);
  }

  /** Moves the view to begin at a second. */
  scrollTo(from) {
    return this.#show(from, this.seconds);
  }

  /** Moves the view to a second that is not in it. */
  reveal(at) {
    return at >= this.from && at <= this.to ? false : this.scrollTo(at - ARRIVES * this.seconds);
  }

  /**
   * Follows the playhead from one second to another, unless it was out of view: then the user looks at something else. A playhead that jumped near
   * the end of the view may stay there.
   */
  follow(before, at) {
    if (before < this.from || before > this.to) return false;
    const limit = this.from + LEAVES * this.seconds;
    const leaves = before <= limit && at > limit && at - before < JUMP_S;
    return at < this.from || at > this.to || leaves ? this.scrollTo(at - ARRIVES * this.seconds) : false;
  }

  #show(from, seconds) {
    const begin = Math.min(Math.max(0, from), this.length - seconds);
    if (begin === this.from && begin + seconds === this.to) return false;
    [this.from, this.to] = [begin, begin + seconds];
    return true;
  }

  /** The parts of the song whose peaks the view needs, as seconds; none if those of the whole song are as fine. */
  tiles() {
    let length = TILE_S;
    while (length < this.seconds) length *= 2;
    if (length >= this.length) return [];
    const tiles = [];
    for (let from = Math.floor(this.from / length) * length; from < this.to; from += length) tiles.push({ from, to: from + length });
    return tiles;
  }
}

/** The loudest of the peaks, as the server sent them, between two seconds; null if they do not cover all of that. */
export function loudest({ rate_hz: rate, frames, first_frame: first, frames_per_value: each, values }, from, to) {
  const last = Math.min(to * rate, frames);
  if (from * rate < first || last > first + each * values.length) return null;
  let most = 0;
  for (let index = Math.floor((from * rate - first) / each); index * each + first < last; index += 1) most = Math.max(most, values[index]);
  return most;
}
