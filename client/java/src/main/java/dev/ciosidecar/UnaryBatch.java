package dev.ciosidecar;

import dev.ciosidecar.v1.Batch;
import dev.ciosidecar.v1.DeliverRequest;
import dev.ciosidecar.v1.TransformRequest;
import java.util.ArrayList;
import java.util.List;

/** The batch of a unary call, with everything that it refers to. */
final class UnaryBatch {
  private final List<dev.ciosidecar.v1.Destination> destinations = new ArrayList<>();
  private final List<dev.ciosidecar.v1.SourceConnection> connections = new ArrayList<>();
  private final Batch.Builder batch = Batch.newBuilder();

  /**
   * Makes the batch.
   *
   * @param destination the destination of the events that name none; null if there is none
   * @throws IllegalArgumentException if an event has no destination and is no prepared request
   */
  UnaryBatch(List<Event> events, Destination destination) {
    ReferenceTable<Destination> destinationIds = new ReferenceTable<>(Integer.MAX_VALUE);
    ReferenceTable<SourceConnection> connectionIds = new ReferenceTable<>(Integer.MAX_VALUE);
    if (events.isEmpty()) {
      // A call needs a destination even if its batch is empty.
      destinationIds.referenceId(destination);
    }
    for (Event event : events) {
      batch.addItems(
          event.item().toBuilder()
              .setDestination(destinationIds.referenceId(event.destinationOr(destination)))
              .setConnection(connectionIds.referenceId(event.connection().orElse(null))));
    }
    destinationIds.takeUndeclared((used, id) -> destinations.add(used.declaredAs(id)));
    connectionIds.takeUndeclared((used, id) -> connections.add(used.declaredAs(id)));
  }

  TransformRequest transformRequest() {
    return TransformRequest.newBuilder()
        .addAllDestinations(destinations)
        .addAllConnections(connections)
        .setBatch(batch)
        .build();
  }

  DeliverRequest deliverRequest(DeliveryOptions options) {
    return DeliverRequest.newBuilder()
        .addAllDestinations(destinations)
        .addAllConnections(connections)
        .setBatch(batch)
        .setDelivery(options.message())
        .build();
  }
}
