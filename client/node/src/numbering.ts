// The small numbers by which a stream names destinations, and connections.

/** Gives numbers, each declared once, and gives them anew where there are more than the server keeps. */
export class Numbering<T extends { readonly key: string }> {
  #max = 1;
  // The one that has had its number for longest comes first.
  readonly #numbers = new Map<string, number>();
  #undeclared: [number, T][] = [];

  /** Nothing is declared any more; a server keeps so many. */
  beginAnew(max: number): void {
    this.#max = Math.max(1, max);
    this.#numbers.clear();
    this.#undeclared = [];
  }

  /** The number for it; undefined if a batch that names these already needs all there are. */
  number(one: T, named: ReadonlySet<number>): number | undefined {
    const known = this.#numbers.get(one.key);
    if (known !== undefined) return known;
    let number = this.#numbers.size + 1;
    if (this.#numbers.size >= this.#max) {
      const [oldest] = this.#numbers;
      if (oldest === undefined || named.has(oldest[1])) return undefined;
      this.#numbers.delete(oldest[0]);
      number = oldest[1];
    }
    this.#numbers.set(one.key, number);
    this.#undeclared.push([number, one]);
    return number;
  }

  /** What was given a number since the last time, with that number. */
  takeUndeclared(): [number, T][] {
    const found = this.#undeclared;
    this.#undeclared = [];
    return found;
  }
}
