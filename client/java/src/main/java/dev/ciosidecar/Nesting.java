package dev.ciosidecar;

import com.google.protobuf.Struct;
import com.google.protobuf.Value;
import dev.ciosidecar.v1.Json;
import dev.ciosidecar.v1.Message;
import java.util.stream.Stream;

/** How deeply events that are built field by field are nested. */
final class Nesting {
  /** How many levels of messages the sidecar reads, below a call's own message. */
  private static final int MAX_DEPTH = 100;
  /** The level of a Struct that is a field of an event: request, batch, item, message, Json, Struct. */
  private static final int STRUCT_DEPTH = 5;

  private Nesting() {}

  /** Whether the sidecar could not read the event. */
  static boolean isTooDeep(Message event) {
    return Stream.of(
            event.getTraits(),
            event.getProperties(),
            event.getContext(),
            event.getUserProperties(),
            event.getIdentifiers())
        .filter(Json::hasFields)
        .anyMatch(json -> isTooDeep(json.getFields(), STRUCT_DEPTH));
  }

  private static boolean isTooDeep(Struct fields, int depth) {
    // A field is an entry of a map, which holds the value.
    return depth > MAX_DEPTH
        || fields.getFieldsMap().values().stream().anyMatch(one -> isTooDeep(one, depth + 2));
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
                  .anyMatch(one -> isTooDeep(one, depth + 2));
      default -> false;
    };
  }
}
