// The reference ids by which the batches of a stream refer to destinations and source connections.

/**
 * Assigns reference ids. An id is declared once. If there are more values than the server keeps, the
 * value that has had its id for the longest loses it to a new one.
 */
export class ReferenceTable<T extends { readonly key: string }> {
  #maxIds = 1;
  // In the order of assignment.
  readonly #ids = new Map<string, number>();
  #undeclared: [number, T][] = [];

  /** Forget all ids: a new call has declared none. maxIds: how many the server keeps. */
  reset(maxIds: number): void {
    this.#maxIds = Math.max(1, maxIds);
    this.#ids.clear();
    this.#undeclared = [];
  }

  /** Return the id of a value. usedIds: the ids that the batch needs. undefined: it needs all there are. */
  referenceId(value: T, usedIds: ReadonlySet<number>): number | undefined {
    const assignedId = this.#ids.get(value.key);
    if (assignedId !== undefined) return assignedId;
    let id = this.#ids.size + 1;
    if (this.#ids.size >= this.#maxIds) {
      const [oldest] = this.#ids;
      if (oldest === undefined || usedIds.has(oldest[1])) return undefined;
      this.#ids.delete(oldest[0]);
      id = oldest[1];
    }
    this.#ids.set(value.key, id);
    this.#undeclared.push([id, value]);
    return id;
  }

  /** Return the values that got an id since the last call of this method, each with its id. */
  takeUndeclared(): [number, T][] {
    const undeclared = this.#undeclared;
    this.#undeclared = [];
    return undeclared;
  }
}
