// Decides which samples play at which frame of the audio clock. Knows no clock and no audio interface: the caller passes the time.

/**
 * Samples `from` to `to` of the song, which play for `frames` frames from `frame` on at `speed`. `round` counts the repetitions of the loop; `delay` frames
 * before a first piece are for a count-in.
 * @typedef {{ frame: number, frames: number, from: number, to: number, index: number, speed: number, round: number, delay: number }} Piece
 */

export class Schedule {
  /** @type {Piece[]} */
  #pieces = [];
  // The next sample to plan, and the frame where it starts; pieces have whole frames, and what is left of a frame is carried to the next one.
  #next = 0;
  #frame = 0;
  #carry = 0;
  #round = 0;
  /** The loop, in samples. @type {[number, number] | null} */
  loop = null;
  /** Samples per frame of what is planned next. */
  speed = 1;
  /** The speed of a repetition of the loop, if it changes. @type {((round: number) => number) | null} */
  speedOf = null;
  /** The longest piece, and how many samples after a piece must be loaded, too. */
  grain = Infinity;
  margin = 0;
  /** How many more frames the next start waits. */
  delay = 0;

  /**
   * `length` and `segment` are in samples; `lead`, `late` and `ahead` in frames: how far after now playback starts, below which distance
   * it is too late to continue without a gap, and how far to plan.
   */
  constructor({ length, segment, lead, late, ahead }) {
    this.length = length;
    this.segment = segment;
    this.lead = lead;
    this.late = late;
    this.ahead = ahead;
  }

  /** The segment that contains a sample. */
  indexOf(sample) {
    return Math.floor(Math.min(Math.max(0, sample), this.length - 1) / this.segment);
  }

  /** What plays, or plays next. */
  playing(now) {
    return this.#pieces.findLast(({ frame }) => frame <= now) ?? this.#pieces[0];
  }

  /** The song's position in samples. */
  position(now) {
    const piece = this.playing(now);
    return piece ? Math.min(piece.from + Math.max(0, now - piece.frame) * piece.speed, piece.to) : this.#next;
  }

  /** Whether something plays or is about to. */
  isBusy(now) {
    return this.#pieces.some(({ frame, frames }) => frame + frames > now);
  }

  /** The segment that is needed next. */
  get upcoming() {
    return this.indexOf(this.loop && this.#next === this.loop[1] ? this.loop[0] : this.#next);
  }

  /** How often the loop has been repeated, in what is planned. */
  get round() {
    return this.#round;
  }

  /** Counts the repetitions of the loop from here. */
  restart() {
    for (const piece of this.#pieces) piece.round = 0;
    this.#begin(0);
  }

  #begin(round) {
    this.#round = round;
    if (this.speedOf) this.speed = this.speedOf(round);
  }

  /** Forgets the plan and continues at a sample, as soon as possible. */
  seek(sample) {
    // Rounds that were planned and not heard do not count.
    this.#begin(this.#pieces[0]?.round ?? this.#round);
    this.#pieces = [];
    this.#next = Math.min(Math.max(0, Math.round(sample)), this.length);
    this.#frame = 0;
    this.delay = 0;
  }

  /** Forgets the plan after the lead time and continues there, with the current loop. Returns the frame of the change, or null if nothing plays. */
  replan(now) {
    if (!this.isBusy(now)) return null;
    const frame = now + this.lead;
    const piece = this.playing(frame);
    let next = Math.min(Math.round(piece.from + Math.max(0, frame - piece.frame) * piece.speed), piece.to);
    // If the loop's end falls within the lead time, continue from its start.
    const [from, to] = this.loop ?? [0, Infinity];
    const at = this.position(now);
    const repeats = from <= at && at < to && to <= next;
    if (repeats) next += from - to;
    this.#begin(piece.round + Number(repeats));
    this.#pieces = [];
    this.#next = next;
    this.#frame = Math.max(frame, piece.frame);
    return this.#frame;
  }

  /**
   * Plans the next piece. `has` tells whether a segment is loaded.
   * @returns {{ piece: Piece, fresh: boolean } | { missing: number } | { ended: true } | null} `fresh`: it does not continue the piece
   * before it; null: enough is planned
   */
  plan(now, has) {
    this.#pieces = this.#pieces.filter(({ frame, frames }) => frame + frames > now);
    if (this.#pieces.length && this.#frame >= now + this.ahead) return null;
    const repeats = this.loop && this.#next === this.loop[1];
    const from = repeats ? this.loop[0] : this.#next;
    if (from >= this.length) return this.#pieces.length ? null : { ended: true };
    const index = this.indexOf(from);
    const past = this.loop && from < this.loop[1] ? this.loop[1] : this.length;
    const to = Math.min((index + 1) * this.segment, past, from + this.grain);
    const missing = [index, this.indexOf(to - 1 + this.margin)].find((each) => !has(each));
    if (missing !== undefined) return { missing };
    if (repeats) this.#begin(this.#round + 1);
    const fresh = this.#frame < now + this.late;
    if (fresh) [this.#frame, this.#carry] = [now + this.lead + this.delay, 0];
    const exact = this.#carry + (to - from) / this.speed;
    const frames = Math.max(1, Math.round(exact));
    const piece = { frame: this.#frame, frames, from, to, index, speed: this.speed, round: this.#round, delay: fresh ? this.delay : 0 };
    this.delay = fresh ? 0 : this.delay;
    this.#pieces.push(piece);
    this.#frame += frames;
    this.#carry = exact - frames;
    this.#next = to;
    return { piece, fresh };
  }
}
