package dev.ciosidecar.polyglot;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.google.protobuf.ByteString;
import com.google.protobuf.ListValue;
import com.google.protobuf.Struct;
import com.google.protobuf.Value;
import dev.ciosidecar.CiosidecarClient;
import dev.ciosidecar.Deliver;
import dev.ciosidecar.Destination;
import dev.ciosidecar.Event;
import dev.ciosidecar.StreamOptions;
import dev.ciosidecar.v1.Json;
import dev.ciosidecar.v1.Message;
import io.grpc.ChannelCredentials;
import io.grpc.InsecureChannelCredentials;
import io.grpc.TlsChannelCredentials;
import java.io.File;
import java.io.IOException;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.function.Consumer;
import java.util.stream.StreamSupport;

/** The first line of a scenario: what to call, where, and how. */
final class Scenario {
  private final JsonNode scenario;
  private final List<Destination> destinations;

  Scenario(JsonNode scenario) {
    this.scenario = scenario;
    this.destinations =
        StreamSupport.stream(scenario.path("configs").spliterator(), false)
            .map(config -> Destination.json(config.asText()))
            .toList();
  }

  String call() {
    return scenario.path("call").asText();
  }

  Optional<Duration> deadline() {
    return scenario.hasNonNull("deadline_ms")
        ? Optional.of(Duration.ofMillis(scenario.get("deadline_ms").asLong()))
        : Optional.empty();
  }

  /** After how many answers the call is to be cancelled; more than there can be if it is not. */
  long cancelAfter() {
    return scenario.path("cancel_after").asLong(Long.MAX_VALUE);
  }

  /** After how many answers the client is to be closed; more than there can be if it is not. */
  long closeAfter() {
    return scenario.path("close_after").asLong(Long.MAX_VALUE);
  }

  /** The batch that begins with the event, if one does. */
  Optional<JsonNode> batchFrom(int index) {
    return StreamSupport.stream(scenario.path("batches").spliterator(), false)
        .filter(one -> one.get("first").asInt() == index)
        .findFirst();
  }

  CiosidecarClient client() throws IOException {
    CiosidecarClient.Builder builder =
        CiosidecarClient.builder().addresses(addresses()).credentials(credentials());
    return builder.build();
  }

  String[] addresses() {
    return StreamSupport.stream(scenario.path("addresses").spliterator(), false)
        .map(JsonNode::asText)
        .toArray(String[]::new);
  }

  ChannelCredentials credentials() throws IOException {
    return scenario.hasNonNull("ca_file")
        ? TlsChannelCredentials.newBuilder()
            .trustManager(new File(scenario.get("ca_file").asText()))
            .build()
        : InsecureChannelCredentials.create();
  }

  /** The first config. */
  Destination destination() {
    return destinations.get(0);
  }

  /** One line: the index of its config, a tab, the event's bytes; and what is said about it. */
  Event event(int index, byte[] line) throws IOException {
    int tab = 0;
    while (line[tab] != '\t') {
      tab++;
    }
    int config = Integer.parseInt(new String(line, 0, tab));
    byte[] json = Arrays.copyOfRange(line, tab + 1, line.length);
    boolean typed =
        StreamSupport.stream(scenario.path("typed").spliterator(), false)
            .anyMatch(one -> one.asInt() == index);
    Event event = typed ? Event.typed(message(json)) : Event.json(json);
    return said(event, scenario.path("fields").path(Integer.toString(index)))
        .withDestination(destinations.get(config));
  }

  private static Event said(Event event, JsonNode fields) {
    Event found =
        event
            .withSourceType(fields.path("source_type").asText())
            .withOrderingKey(fields.path("ordering_key").asText())
            .withAttempt(fields.path("attempt").asInt())
            .withTraceparent(fields.path("traceparent").asText())
            .withTag(ByteString.copyFromUtf8(fields.path("tag").asText()));
    return fields.path("dont_batch").asBoolean() ? found.alone() : found;
  }

  /** The event built field by field. */
  private static Message message(byte[] json) throws IOException {
    JsonNode told = new ObjectMapper().readTree(json);
    return Message.newBuilder()
        .setType(told.get("type").asText())
        .setUserId(told.get("userId").asText())
        .setEvent(told.get("event").asText())
        .setProperties(Json.newBuilder().setFields(value(told.get("properties")).getStructValue()))
        .build();
  }

  private static Value value(JsonNode told) {
    Value.Builder value = Value.newBuilder();
    if (told.isObject()) {
      Struct.Builder fields = value.getStructValueBuilder();
      told.properties().forEach(one -> fields.putFields(one.getKey(), value(one.getValue())));
    } else if (told.isArray()) {
      ListValue.Builder values = value.getListValueBuilder();
      told.forEach(one -> values.addValues(value(one)));
    } else {
      value.setNumberValue(told.asDouble());
    }
    return value.build();
  }

  StreamOptions options() {
    StreamOptions.Builder builder = StreamOptions.builder();
    option("max_batch_events", found -> builder.maxBatchEvents(found.asInt()));
    option("linger_ms", found -> builder.linger(Duration.ofMillis(found.asLong())));
    option("max_batch_bytes", found -> builder.maxBatchBytes(found.asInt()));
    option("max_owed_bytes", found -> builder.maxOwedBytes(found.asLong()));
    option("unordered", found -> builder.unordered(found.asBoolean()));
    option("client_name", found -> builder.clientName(found.asText()));
    option("client_version", found -> builder.clientVersion(found.asText()));
    option("max_owed_events", found -> builder.maxOwedEvents(found.asInt()));
    option("max_receive_bytes", found -> builder.maxReceiveBytes(found.asInt()));
    option("reconnect_for_ms", found -> builder.reconnectFor(Duration.ofMillis(found.asLong())));
    deadline().ifPresent(builder::deadline);
    JsonNode deliver = scenario.path("deliver");
    if (deliver.isObject() || deliver.asBoolean()) {
      builder.delivery(deliver(deliver));
    }
    return builder.build();
  }

  private static Deliver deliver(JsonNode told) {
    Deliver found = Deliver.defaults();
    if (told.has("detail_for_every_item")) {
      found = found.detailForEveryItem(told.get("detail_for_every_item").asBoolean());
    }
    if (told.has("include_requests")) {
      found = found.includeRequests(told.get("include_requests").asBoolean());
    }
    return told.has("timeout_ms")
        ? found.timeout(Duration.ofMillis(told.get("timeout_ms").asLong()))
        : found;
  }

  private void option(String name, Consumer<JsonNode> found) {
    JsonNode option = scenario.path("options").path(name);
    if (!option.isMissingNode() && !option.isNull()) {
      found.accept(option);
    }
  }
}
