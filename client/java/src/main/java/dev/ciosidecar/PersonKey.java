package dev.ciosidecar;

import static java.nio.charset.StandardCharsets.UTF_8;

import com.google.protobuf.ByteString;
import dev.ciosidecar.v1.BatchItem;
import dev.ciosidecar.v1.RudderEvent;
import java.nio.ByteBuffer;
import java.nio.CharBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.CodingErrorAction;

/** The key of an event's person. */
final class PersonKey {
  // U+FFFD in UTF-8.
  private static final byte[] REPLACEMENT = {(byte) 0xEF, (byte) 0xBF, (byte) 0xBD};

  private PersonKey() {}

  /**
   * Returns the key of an event: its ordering key, or the user id or else the anonymous id, or bytes of its
   * own if it has none of these.
   */
  static byte[] of(BatchItem item) {
    if (!item.getOrderingKey().isEmpty()) {
      return utf8(item.getOrderingKey());
    }
    return switch (item.getPayloadCase()) {
      case JSON -> ofJson(item.getJson());
      case EVENT -> ofTyped(item.getEvent());
      case PREPARED -> item.getPrepared().getBody().toByteArray();
      case PAYLOAD_NOT_SET -> new byte[0];
    };
  }

  private static byte[] ofTyped(RudderEvent event) {
    if (!event.getUserId().isEmpty()) {
      return utf8(event.getUserId());
    }
    return utf8(event.getAnonymousId().isEmpty() ? event.getMessageId() : event.getAnonymousId());
  }

  private static byte[] ofJson(ByteString event) {
    byte[] json = event.toByteArray();
    if (!event.isValidUtf8()) {
      return json;
    }
    byte[] id = IdScanner.id(json);
    return id.length == 0 ? json : id;
  }

  /** Returns a text in UTF-8, with U+FFFD instead of unpaired surrogates. */
  static byte[] utf8(String text) {
    if (text.chars().noneMatch(character -> Character.isSurrogate((char) character))) {
      return text.getBytes(UTF_8);
    }
    try {
      ByteBuffer encoded =
          UTF_8
              .newEncoder()
              .onMalformedInput(CodingErrorAction.REPLACE)
              .replaceWith(REPLACEMENT)
              .encode(CharBuffer.wrap(text));
      byte[] bytes = new byte[encoded.remaining()];
      encoded.get(bytes);
      return bytes;
    } catch (CharacterCodingException impossible) {
      throw new IllegalStateException(impossible);
    }
  }
}
