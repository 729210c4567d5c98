// A first-in-first-out queue in constant time.

/** A queue that also takes values back at its front. */
export class Queue<T> {
  #front: T[] = [];
  #values: T[] = [];
  #next = 0;

  get length(): number {
    return this.#front.length + this.#values.length - this.#next;
  }

  /** The value that `shift` would return. */
  get first(): T | undefined {
    return this.#front.length > 0 ? this.#front[this.#front.length - 1] : this.#values[this.#next];
  }

  /** Append a value. */
  push(value: T): void {
    this.#values.push(value);
  }

  /** Put values before all others, in their order. */
  putBack(values: readonly T[]): void {
    for (const value of values.toReversed()) this.#front.push(value);
  }

  /** Remove the first value and return it. */
  shift(): T | undefined {
    if (this.#front.length > 0) return this.#front.pop();
    const first = this.#values[this.#next];
    if (first === undefined) return undefined;
    this.#next += 1;
    if (this.#next === this.#values.length) {
      this.#values = [];
      this.#next = 0;
    } else if (this.#next >= 1024 && this.#next * 2 >= this.#values.length) {
      this.#values = this.#values.slice(this.#next);
      this.#next = 0;
    }
    return first;
  }
}
