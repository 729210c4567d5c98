// First in, first out, in constant time.

/** A queue that also takes things back at its front. */
export class Queue<T> {
  #front: T[] = [];
  #items: T[] = [];
  #next = 0;

  get length(): number {
    return this.#front.length + this.#items.length - this.#next;
  }

  /** The one that `shift` would take. */
  get first(): T | undefined {
    return this.#front.length > 0 ? this.#front[this.#front.length - 1] : this.#items[this.#next];
  }

  push(one: T): void {
    this.#items.push(one);
  }

  /** Puts these before all others, in their order. */
  putBack(some: readonly T[]): void {
    for (const one of some.toReversed()) this.#front.push(one);
  }

  shift(): T | undefined {
    if (this.#front.length > 0) return this.#front.pop();
    const first = this.#items[this.#next];
    if (first === undefined) return undefined;
    this.#next += 1;
    if (this.#next === this.#items.length) {
      this.#items = [];
      this.#next = 0;
    } else if (this.#next >= 1024 && this.#next * 2 >= this.#items.length) {
      this.#items = this.#items.slice(this.#next);
      this.#next = 0;
    }
    return first;
  }
}
