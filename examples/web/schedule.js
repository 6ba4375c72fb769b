// Decides which samples play at which frame of the audio clock. Knows no clock and no audio interface: the caller passes the time.

/** Samples `from` to `to` of the song, which start at `frame`. @typedef {{ frame: number, from: number, to: number, index: number }} Piece */

export class Schedule {
  /** @type {Piece[]} */
  #pieces = [];
  // The next sample to plan, and the frame where it starts.
  #next = 0;
  #frame = 0;
  /** The loop, in samples. @type {[number, number] | null} */
  loop = null;

  /**
   * `length` and `segment` are in samples; `lead`, `late` and `ahead` in frames: how far after now playback starts, below which distance
   * it is too late to continue without a gap, and how far to plan.
   */
  constructor({ length, segment, lead, late, ahead }) {
    Object.assign(this, { length, segment, lead, late, ahead });
  }

  /** The segment that contains a sample. */
  indexOf(sample) {
    return Math.floor(Math.min(Math.max(0, sample), this.length - 1) / this.segment);
  }

  /** The song's position in samples. */
  position(now) {
    const piece = this.#pieces.findLast(({ frame }) => frame <= now) ?? this.#pieces[0];
    return piece ? Math.min(piece.from + Math.max(0, now - piece.frame), piece.to) : this.#next;
  }

  /** Whether something plays or is about to. */
  isBusy(now) {
    return this.#pieces.some(({ frame, from, to }) => frame + to - from > now);
  }

  /** The segment that is needed next. */
  get upcoming() {
    return this.indexOf(this.loop && this.#next === this.loop[1] ? this.loop[0] : this.#next);
  }

  /** Forgets the plan and continues at a sample, as soon as possible. */
  seek(sample) {
    this.#pieces = [];
    this.#next = Math.min(Math.max(0, Math.round(sample)), this.length);
    this.#frame = 0;
  }

  /** Forgets the plan after the lead time and continues there, with the current loop. Returns the frame of the change, or null if nothing plays. */
  replan(now) {
    if (!this.isBusy(now)) return null;
    const frame = now + this.lead;
    const piece = this.#pieces.findLast((each) => each.frame <= frame) ?? this.#pieces[0];
    let next = Math.min(piece.from + Math.max(0, frame - piece.frame), piece.to);
    // If the loop's end falls within the lead time, continue from its start.
    const [from, to] = this.loop ?? [0, Infinity];
    const at = this.position(now);
    if (from <= at && at < to && to <= next) next += from - to;
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
    this.#pieces = this.#pieces.filter(({ frame, from, to }) => frame + to - from > now);
    if (this.#pieces.length && this.#frame >= now + this.ahead) return null;
    if (this.loop && this.#next === this.loop[1]) this.#next = this.loop[0];
    if (this.#next >= this.length) return this.#pieces.length ? null : { ended: true };
    const index = this.indexOf(this.#next);
    if (!has(index)) return { missing: index };
    const past = this.loop && this.#next < this.loop[1] ? this.loop[1] : this.length;
    const to = Math.min((index + 1) * this.segment, past);
    const fresh = this.#frame < now + this.late;
    if (fresh) this.#frame = now + this.lead;
    const piece = { frame: this.#frame, from: this.#next, to, index };
    this.#pieces.push(piece);
    this.#frame += to - this.#next;
    this.#next = to;
    return { piece, fresh };
  }
}
