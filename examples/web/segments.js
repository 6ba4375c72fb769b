// The decoded segments of a song: a bounded cache whose buffers are used again, and the loads in flight, which can be aborted.

export class Segments {
  #entries = new Map();
  #free = [];

  /**
   * @param {object} how
   * @param {number} how.most how many segments to keep
   * @param {() => object} how.make returns a new buffer for a segment
   * @param {(key: string, buffer: object, signal: AbortSignal) => Promise<void>} how.read fills a buffer
   */
  constructor({ most, make, read }) {
    this.most = most;
    this.make = make;
    this.read = read;
  }

  /** The buffer of a loaded segment. */
  get(key) {
    const entry = this.#entries.get(key);
    return entry?.loaded ? entry.buffer : undefined;
  }

  /** Loads a segment unless it is loaded or loading. Rejects with an AbortError after `abort`. */
  load(key) {
    let entry = this.#entries.get(key);
    // Move it to the end of the order of use.
    if (entry) this.#entries.delete(key);
    else {
      this.#trim(this.most - 1);
      entry = this.#begin(key);
    }
    this.#entries.set(key, entry);
    return entry.coming;
  }

  #begin(key) {
    const abort = new AbortController();
    const entry = { abort, users: 0, loaded: false, buffer: this.#free.pop() ?? this.make() };
    entry.coming = this.read(key, entry.buffer, abort.signal).then(() => {
      abort.signal.throwIfAborted();
      entry.loaded = true;
    }).catch((error) => {
      if (this.#entries.get(key) === entry) this.#entries.delete(key);
      this.#free.push(entry.buffer);
      throw error;
    });
    return entry;
  }

  /** Marks a segment as in use until the returned function is called. */
  use(key) {
    const entry = this.#entries.get(key);
    entry.users += 1;
    return () => {
      entry.users -= 1;
      this.#trim(this.most);
    };
  }

  /** Aborts all loads except those of these segments. */
  abort(...kept) {
    for (const [key, entry] of this.#entries) {
      if (entry.loaded || kept.includes(key)) continue;
      this.#entries.delete(key);
      entry.abort.abort();
    }
  }

  /** Aborts all loads and drops all segments. */
  clear() {
    this.abort();
    this.#entries.clear();
    this.#free = [];
  }

  // Drops the segments that were not used for longest. A buffer that is read or played is not used again.
  #trim(most) {
    for (const [key, entry] of this.#entries) {
      if (this.#entries.size <= most) return;
      if (!entry.loaded || entry.users) continue;
      this.#entries.delete(key);
      this.#free.push(entry.buffer);
    }
  }
}
