package dev.ciosidecar;

import static java.nio.charset.StandardCharsets.US_ASCII;
import static java.nio.charset.StandardCharsets.UTF_8;

import java.util.Arrays;

/**
 * Reads the members userId and anonymousId of a JSON object, and of no object within it. Of several members
 * with one name, the last counts. Checks the object itself; of nested values, only where they end.
 */
final class IdScanner {
  private static final byte[] NONE = {};
  private static final byte[] USER_ID = "userId".getBytes(US_ASCII);
  private static final byte[] ANONYMOUS_ID = "anonymousId".getBytes(US_ASCII);
  private static final int END = -1;

  private final byte[] json;
  private int at;
  // The contents of the last string, still with their escapes.
  private int contentsBegin;
  private int contentsEnd;
  private boolean contentsEscaped;
  private byte[] userId = NONE;
  private byte[] anonymousId = NONE;

  private IdScanner(byte[] json) {
    this.json = json;
  }

  /**
   * Returns the user id of an event or else its anonymous id; no bytes if the event has neither, or is no
   * JSON object. The JSON MUST be valid UTF-8.
   */
  static byte[] id(byte[] json) {
    IdScanner scanner = new IdScanner(json);
    if (!scanner.object()) {
      return NONE;
    }
    return scanner.userId.length > 0 ? scanner.userId : scanner.anonymousId;
  }

  private boolean object() {
    skipSpace();
    if (!take('{')) {
      return false;
    }
    skipSpace();
    if (take('}')) {
      return isAtEnd();
    }
    while (member()) {
      skipSpace();
      if (take('}')) {
        return isAtEnd();
      }
      if (!take(',')) {
        return false;
      }
      skipSpace();
    }
    return false;
  }

  private boolean isAtEnd() {
    skipSpace();
    return at == json.length;
  }

  private boolean member() {
    if (!string()) {
      return false;
    }
    byte[] name = contents();
    skipSpace();
    if (!take(':')) {
      return false;
    }
    skipSpace();
    if (Arrays.equals(name, USER_ID)) {
      userId = idValue();
      return userId != null;
    }
    if (Arrays.equals(name, ANONYMOUS_ID)) {
      anonymousId = idValue();
      return anonymousId != null;
    }
    return skipValue();
  }

  /** Returns a string, the text of a number, or no bytes for any other value; null if there is no value. */
  private byte[] idValue() {
    int begin = at;
    int first = current();
    if (first == '"') {
      return string() ? contents() : null;
    }
    if (!skipValue()) {
      return null;
    }
    return first == '-' || isDigit(first) ? Arrays.copyOfRange(json, begin, at) : NONE;
  }

  private boolean skipValue() {
    return switch (current()) {
      case '"' -> string();
      case '{', '[' -> skipNested();
      case 't' -> word("true");
      case 'f' -> word("false");
      case 'n' -> word("null");
      default -> number();
    };
  }

  /** Skips an object or a list. */
  private boolean skipNested() {
    int depth = 0;
    while (at < json.length) {
      byte character = json[at];
      if (character == '"') {
        if (!string()) {
          return false;
        }
        continue;
      }
      if (character == '{' || character == '[') {
        depth++;
      } else if (character == '}' || character == ']') {
        depth--;
      }
      at++;
      if (depth == 0) {
        return true;
      }
    }
    return false;
  }

  /** Reads a string, and keeps where its contents are. */
  private boolean string() {
    if (!take('"')) {
      return false;
    }
    contentsBegin = at;
    contentsEscaped = false;
    for (; at < json.length; at++) {
      int character = json[at] & 0xFF;
      if (character == '"') {
        contentsEnd = at++;
        return true;
      }
      if (character < ' ') {
        return false;
      }
      if (character == '\\') {
        contentsEscaped = true;
        if (!escape()) {
          return false;
        }
      }
    }
    return false;
  }

  /** Checks an escape, and moves to its last character. */
  private boolean escape() {
    at++;
    if (current() != 'u') {
      return current() != END && "\"\\/bfnrt".indexOf(current()) >= 0;
    }
    for (int digit = 0; digit < 4; digit++) {
      at++;
      if (Character.digit(current(), 16) < 0) {
        return false;
      }
    }
    return true;
  }

  /** Returns the contents of the last string in UTF-8, without escapes. */
  private byte[] contents() {
    if (!contentsEscaped) {
      return Arrays.copyOfRange(json, contentsBegin, contentsEnd);
    }
    String escaped = new String(json, contentsBegin, contentsEnd - contentsBegin, UTF_8);
    StringBuilder text = new StringBuilder(escaped.length());
    for (int index = 0; index < escaped.length(); index++) {
      char character = escaped.charAt(index);
      if (character != '\\') {
        text.append(character);
        continue;
      }
      char kind = escaped.charAt(++index);
      if (kind == 'u') {
        text.append((char) Integer.parseInt(escaped, index + 1, index + 5, 16));
        index += 4;
      } else {
        text.append(unescaped(kind));
      }
    }
    return PersonKey.utf8(text.toString());
  }

  private static char unescaped(char kind) {
    return switch (kind) {
      case 'b' -> '\b';
      case 'f' -> '\f';
      case 'n' -> '\n';
      case 'r' -> '\r';
      case 't' -> '\t';
      default -> kind;
    };
  }

  private boolean number() {
    take('-');
    if (!take('0') && !digits()) {
      return false;
    }
    if (take('.') && !digits()) {
      return false;
    }
    if (!take('e') && !take('E')) {
      return true;
    }
    if (!take('+')) {
      take('-');
    }
    return digits();
  }

  private boolean digits() {
    int begin = at;
    while (isDigit(current())) {
      at++;
    }
    return at > begin;
  }

  private static boolean isDigit(int character) {
    return character >= '0' && character <= '9';
  }

  private boolean word(String word) {
    for (int index = 0; index < word.length(); index++) {
      if (!take(word.charAt(index))) {
        return false;
      }
    }
    return true;
  }

  private boolean take(char character) {
    if (current() != character) {
      return false;
    }
    at++;
    return true;
  }

  /** Returns the character at hand, or the byte of one that is not ASCII; END if there is none. */
  private int current() {
    return at < json.length ? json[at] & 0xFF : END;
  }

  private void skipSpace() {
    while (current() == ' ' || current() == '\n' || current() == '\r' || current() == '\t') {
      at++;
    }
  }
}
