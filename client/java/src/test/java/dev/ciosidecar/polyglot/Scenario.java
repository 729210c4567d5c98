package dev.ciosidecar.polyglot;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.google.protobuf.ByteString;
import com.google.protobuf.ListValue;
import com.google.protobuf.Struct;
import com.google.protobuf.Value;
import dev.ciosidecar.Affinity;
import dev.ciosidecar.CiosidecarClient;
import dev.ciosidecar.DeliveryOptions;
import dev.ciosidecar.Destination;
import dev.ciosidecar.DetailLevel;
import dev.ciosidecar.Event;
import dev.ciosidecar.StreamOptions;
import dev.ciosidecar.Tls;
import dev.ciosidecar.v1.JsonObject;
import dev.ciosidecar.v1.RudderEvent;
import io.grpc.ChannelCredentials;
import io.grpc.InsecureChannelCredentials;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.function.Consumer;
import java.util.stream.Stream;
import java.util.stream.StreamSupport;

/** The first line of a scenario: the call, the addresses and the options. */
final class Scenario {
  private final JsonNode scenario;
  private final List<Destination> destinations;

  Scenario(JsonNode scenario) {
    this.scenario = scenario;
    this.destinations =
        Stream.concat(
                texts("configs").map(Destination::json), texts("refs").map(Destination::byRef))
            .toList();
  }

  private Stream<String> texts(String key) {
    return StreamSupport.stream(scenario.path(key).spliterator(), false).map(JsonNode::asText);
  }

  String call() {
    return scenario.path("call").asText();
  }

  Optional<Duration> deadline() {
    return scenario.hasNonNull("deadline_ms")
        ? Optional.of(Duration.ofMillis(scenario.get("deadline_ms").asLong()))
        : Optional.empty();
  }

  /** Returns after how many answers to cancel the call; more than there can be if it is not cancelled. */
  long cancelAfter() {
    return scenario.path("cancel_after").asLong(Long.MAX_VALUE);
  }

  /** Returns after how many answers to close the client; more than there can be if it is not closed. */
  long closeAfter() {
    return scenario.path("close_after").asLong(Long.MAX_VALUE);
  }

  /** Returns the batch that begins with the event, if any does. */
  Optional<JsonNode> batchFrom(int index) {
    return StreamSupport.stream(scenario.path("batches").spliterator(), false)
        .filter(batch -> batch.get("first").asInt() == index)
        .findFirst();
  }

  CiosidecarClient client() throws IOException {
    CiosidecarClient.Builder builder =
        CiosidecarClient.builder().addresses(addresses()).credentials(credentials());
    if (scenario.hasNonNull("token")) {
      builder.token(scenario.get("token").asText());
    }
    if (scenario.hasNonNull("connect_timeout_ms")) {
      builder.connectTimeout(Duration.ofMillis(scenario.get("connect_timeout_ms").asLong()));
    }
    return builder.build();
  }

  String[] addresses() {
    return StreamSupport.stream(scenario.path("addresses").spliterator(), false)
        .map(JsonNode::asText)
        .toArray(String[]::new);
  }

  ChannelCredentials credentials() throws IOException {
    if (!scenario.hasNonNull("ca_file")) {
      return InsecureChannelCredentials.create();
    }
    return Tls.fromFiles(path("ca_file"), path("key_file"), path("certificate_file"));
  }

  private Path path(String key) {
    return scenario.hasNonNull(key) ? Path.of(scenario.get(key).asText()) : null;
  }

  /** Returns the destination of the first config. */
  Destination destination() {
    return destinations.get(0);
  }

  /** Reads a line, which has the index of a config, a tab and the event's bytes; adds the event's options. */
  Event event(int index, byte[] line) throws IOException {
    int tab = 0;
    while (line[tab] != '\t') {
      tab++;
    }
    int config = Integer.parseInt(new String(line, 0, tab));
    byte[] json = Arrays.copyOfRange(line, tab + 1, line.length);
    boolean typed =
        StreamSupport.stream(scenario.path("typed").spliterator(), false)
            .anyMatch(listed -> listed.asInt() == index);
    Event event = typed ? Event.typed(message(json)) : Event.json(json);
    return withOptions(event, scenario.path("fields").path(Integer.toString(index)))
        .withDestination(destinations.get(config));
  }

  private static Event withOptions(Event event, JsonNode fields) {
    return event
        .withSourceType(fields.path("source_type").asText())
        .withOrderingKey(fields.path("ordering_key").asText())
        .withAttempt(fields.path("attempt").asInt())
        .withTraceparent(fields.path("traceparent").asText())
        .withTag(ByteString.copyFromUtf8(fields.path("tag").asText()))
        .withDontBatch(fields.path("dont_batch").asBoolean());
  }

  /** Builds the event field by field. */
  private static RudderEvent message(byte[] text) throws IOException {
    JsonNode json = new ObjectMapper().readTree(text);
    return RudderEvent.newBuilder()
        .setType(json.get("type").asText())
        .setUserId(json.get("userId").asText())
        .setEvent(json.get("event").asText())
        .setProperties(JsonObject.newBuilder().setFields(value(json.get("properties")).getStructValue()))
        .build();
  }

  private static Value value(JsonNode json) {
    Value.Builder value = Value.newBuilder();
    if (json.isObject()) {
      Struct.Builder fields = value.getStructValueBuilder();
      json.properties().forEach(field -> fields.putFields(field.getKey(), value(field.getValue())));
    } else if (json.isArray()) {
      ListValue.Builder values = value.getListValueBuilder();
      json.forEach(element -> values.addValues(value(element)));
    } else {
      value.setNumberValue(json.asDouble());
    }
    return value.build();
  }

  StreamOptions options() {
    StreamOptions.Builder builder = StreamOptions.builder();
    option("max_batch_events", option -> builder.maxBatchEvents(option.asInt()));
    option("linger_ms", option -> builder.linger(Duration.ofMillis(option.asLong())));
    option("max_batch_bytes", option -> builder.maxBatchBytes(option.asInt()));
    option("max_outstanding_bytes", option -> builder.maxOutstandingBytes(option.asLong()));
    option("unordered", option -> builder.unordered(option.asBoolean()));
    option(
        "affinity",
        option -> builder.affinity(Affinity.valueOf(option.asText().toUpperCase(Locale.ROOT))));
    option("client_name", option -> builder.clientName(option.asText()));
    option("client_version", option -> builder.clientVersion(option.asText()));
    option("max_outstanding_events", option -> builder.maxOutstandingEvents(option.asInt()));
    option("max_receive_bytes", option -> builder.maxReceiveBytes(option.asInt()));
    option("reconnect_for_ms", option -> builder.reconnectFor(Duration.ofMillis(option.asLong())));
    deadline().ifPresent(builder::deadline);
    delivery().ifPresent(builder::delivery);
    return builder.build();
  }

  /** Returns the options of the delivery, if the scenario delivers. */
  Optional<DeliveryOptions> delivery() {
    JsonNode deliver = scenario.path("deliver");
    if (!deliver.isObject() && !deliver.asBoolean()) {
      return Optional.empty();
    }
    DeliveryOptions options = DeliveryOptions.defaults();
    if (deliver.has("detail_level")) {
      options = options.detailLevel(DetailLevel.valueOf(deliver.get("detail_level").asText()));
    }
    if (deliver.has("include_requests")) {
      options = options.includeRequests(deliver.get("include_requests").asBoolean());
    }
    if (deliver.has("timeout_ms")) {
      options = options.timeout(Duration.ofMillis(deliver.get("timeout_ms").asLong()));
    }
    return Optional.of(options);
  }

  private void option(String name, Consumer<JsonNode> set) {
    JsonNode option = scenario.path("options").path(name);
    if (!option.isMissingNode() && !option.isNull()) {
      set.accept(option);
    }
  }
}
