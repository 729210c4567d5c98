// The ids of the person in the JSON of an event, without reading all of it.

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const ESCAPES = new Set(Buffer.from('"\\/bfnrt'));

/**
 * Reads the members userId and anonymousId of a JSON object, and of no object within it. Of several
 * members with one name, the last counts. It checks the object itself; of nested values, only where
 * they end.
 */
export class IdScanner {
  /** "" if the member is absent, or neither a non-empty string nor a number. */
  userId = "";
  /** As `userId`. */
  anonymousId = "";
  readonly #json: Buffer;
  #at = 0;

  constructor(json: Uint8Array) {
    this.#json = Buffer.from(json.buffer, json.byteOffset, json.byteLength);
  }

  /** Read the ids. Returns false if the text is no object. */
  scan(): boolean {
    this.#skipSpace();
    if (!this.#take("{")) return false;
    this.#skipSpace();
    if (this.#take("}")) return this.#isAtEnd();
    for (;;) {
      if (!this.#member()) return false;
      this.#skipSpace();
      if (this.#take("}")) return this.#isAtEnd();
      if (!this.#take(",")) return false;
      this.#skipSpace();
    }
  }

  #isAtEnd(): boolean {
    this.#skipSpace();
    return this.#at === this.#json.length;
  }

  #member(): boolean {
    const name = this.#string();
    if (name === undefined) return false;
    this.#skipSpace();
    if (!this.#take(":")) return false;
    this.#skipSpace();
    const member = textOf(name);
    if (member !== "userId" && member !== "anonymousId") return this.#skipValue();
    this[member] = "";
    const begin = this.#at;
    const first = this.#json[begin];
    if (first === QUOTE) {
      const text = this.#string();
      if (text === undefined) return false;
      this[member] = textOf(text);
      return true;
    }
    if (!this.#skipValue()) return false;
    if (first === 0x2d || isDigit(first)) this[member] = this.#json.toString("latin1", begin, this.#at);
    return true;
  }

  #skipValue(): boolean {
    switch (this.#json[this.#at]) {
      case QUOTE:
        return this.#string() !== undefined;
      case 0x7b: // {
      case 0x5b: // [
        return this.#skipNested();
      case 0x74:
        return this.#word("true");
      case 0x66:
        return this.#word("false");
      case 0x6e:
        return this.#word("null");
      default:
        return this.#number();
    }
  }

  /** Skip an object or a list. */
  #skipNested(): boolean {
    let depth = 0;
    while (this.#at < this.#json.length) {
      const byte = this.#json[this.#at];
      if (byte === QUOTE) {
        if (this.#string() === undefined) return false;
        continue;
      }
      if (byte === 0x7b || byte === 0x5b) depth += 1;
      else if (byte === 0x7d || byte === 0x5d) depth -= 1;
      this.#at += 1;
      if (depth === 0) return true;
    }
    return false;
  }

  /** Return the contents of a string, still with their escapes; undefined if it is none. */
  #string(): Buffer | undefined {
    if (!this.#take('"')) return undefined;
    const begin = this.#at;
    for (; this.#at < this.#json.length; this.#at += 1) {
      const byte = this.#json[this.#at] ?? 0;
      if (byte === QUOTE) {
        this.#at += 1;
        return this.#json.subarray(begin, this.#at - 1);
      }
      if (byte < 0x20) return undefined;
      if (byte === BACKSLASH && !this.#escape()) return undefined;
    }
    return undefined;
  }

  /** Check an escape, and move to its last character. */
  #escape(): boolean {
    this.#at += 1;
    const byte = this.#json[this.#at] ?? 0;
    if (byte !== 0x75) return ESCAPES.has(byte);
    const digits = this.#json.toString("latin1", this.#at + 1, this.#at + 5);
    this.#at += 4;
    return /^[0-9a-fA-F]{4}$/u.test(digits);
  }

  #number(): boolean {
    this.#take("-");
    if (!this.#take("0") && !this.#digits()) return false;
    if (this.#take(".") && !this.#digits()) return false;
    if (!this.#take("e") && !this.#take("E")) return true;
    if (!this.#take("+")) this.#take("-");
    return this.#digits();
  }

  #digits(): boolean {
    const begin = this.#at;
    while (isDigit(this.#json[this.#at])) this.#at += 1;
    return this.#at > begin;
  }

  #word(word: string): boolean {
    const begin = this.#at;
    this.#at += word.length;
    return this.#json.toString("latin1", begin, this.#at) === word;
  }

  #take(character: string): boolean {
    if (this.#json[this.#at] !== character.charCodeAt(0)) return false;
    this.#at += 1;
    return true;
  }

  #skipSpace(): void {
    for (;;) {
      const byte = this.#json[this.#at];
      if (byte !== 0x20 && byte !== 0x0a && byte !== 0x0d && byte !== 0x09) return;
      this.#at += 1;
    }
  }
}

/** Return the text of a string whose escapes are valid. Encoding it replaces unpaired surrogates by U+FFFD. */
function textOf(contents: Buffer): string {
  const text = contents.toString();
  return text.includes("\\") ? (JSON.parse(`"${text}"`) as string) : text;
}

function isDigit(byte: number | undefined): boolean {
  return byte !== undefined && byte >= 0x30 && byte <= 0x39;
}
