package dev.ciosidecar.polyglot;

import com.fasterxml.jackson.databind.JsonNode;
import dev.ciosidecar.CiosidecarClient;
import dev.ciosidecar.Deliver;
import dev.ciosidecar.Destination;
import dev.ciosidecar.Event;
import dev.ciosidecar.StreamOptions;
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

  /** Where events go that name nothing else; any will do, for all of them do. */
  Destination destination() {
    return destinations.isEmpty() ? Destination.json("{}") : destinations.get(0);
  }

  /** One line: the index of its config, a tab, the event's bytes. */
  Event event(byte[] line) {
    int tab = 0;
    while (line[tab] != '\t') {
      tab++;
    }
    int config = Integer.parseInt(new String(line, 0, tab));
    return Event.json(Arrays.copyOfRange(line, tab + 1, line.length))
        .withDestination(destinations.get(config));
  }

  StreamOptions options() {
    StreamOptions.Builder builder = StreamOptions.builder();
    option("max_batch_events", found -> builder.maxBatchEvents(found.asInt()));
    option("linger_ms", found -> builder.linger(Duration.ofMillis(found.asLong())));
    option("max_owed_events", found -> builder.maxOwedEvents(found.asInt()));
    option("max_receive_bytes", found -> builder.maxReceiveBytes(found.asInt()));
    option("reconnect_for_ms", found -> builder.reconnectFor(Duration.ofMillis(found.asLong())));
    deadline().ifPresent(builder::deadline);
    if (scenario.path("deliver").asBoolean()) {
      builder.delivery(Deliver.defaults());
    }
    return builder.build();
  }

  private void option(String name, Consumer<JsonNode> found) {
    JsonNode option = scenario.path("options").path(name);
    if (!option.isMissingNode() && !option.isNull()) {
      found.accept(option);
    }
  }
}
