package dev.ciosidecar;

import com.google.protobuf.Struct;
import com.google.protobuf.Value;
import dev.ciosidecar.v1.JsonObject;
import dev.ciosidecar.v1.RudderEvent;
import java.util.stream.Stream;

/** The nesting of events that are built field by field. */
final class Nesting {
  /** The levels of messages that protobuf reads, below the message of the call. */
  private static final int MAX_DEPTH = 100;
  /** The level of a Struct in an event: request, Batch, BatchItem, RudderEvent, JsonObject, Struct. */
  private static final int STRUCT_DEPTH = 5;

  private Nesting() {}

  /** Returns whether the event nests too deeply for the sidecar. */
  @SuppressWarnings("deprecation") // userProperties
  static boolean isTooDeep(RudderEvent event) {
    return Stream.of(
            event.getTraits(),
            event.getProperties(),
            event.getContext(),
            event.getUserProperties(),
            event.getIdentifiers())
        .filter(JsonObject::hasFields)
        .anyMatch(json -> isTooDeep(json.getFields(), STRUCT_DEPTH));
  }

  private static boolean isTooDeep(Struct fields, int depth) {
    // A field is an entry of a map, which holds the value.
    return depth > MAX_DEPTH
        || fields.getFieldsMap().values().stream().anyMatch(value -> isTooDeep(value, depth + 2));
  }

  private static boolean isTooDeep(Value value, int depth) {
    if (depth > MAX_DEPTH) {
      return true;
    }
    return switch (value.getKindCase()) {
      case STRUCT_VALUE -> isTooDeep(value.getStructValue(), depth + 1);
      case LIST_VALUE ->
          depth + 1 > MAX_DEPTH
              || value.getListValue().getValuesList().stream()
                  .anyMatch(element -> isTooDeep(element, depth + 2));
      default -> false;
    };
  }
}
