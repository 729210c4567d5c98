package dev.ciosidecar;

import dev.ciosidecar.v1.ItemRef;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.OptionalLong;
import java.util.stream.IntStream;

/**
 * The positions on the stream of the events in sent batches. An error may refer to an event that is answered.
 */
final class SentPositions {
  private static final int MAX_BATCHES = 10_000;

  /** One batch. `listed` is null if the positions are consecutive, as they are unless events were resent. */
  private record Positions(long first, int count, long[] listed) {
    static Positions of(long[] positions) {
      long first = positions[0];
      // Of a lane, the last position may be right by chance: events of other lanes join it in any order.
      boolean consecutive =
          IntStream.range(0, positions.length).allMatch(index -> positions[index] == first + index);
      return new Positions(first, positions.length, consecutive ? null : positions);
    }

    long at(int index) {
      return listed == null ? first + index : listed[index];
    }
  }

  private final Map<Long, Positions> byBatch =
      new LinkedHashMap<>() {
        private static final long serialVersionUID = 1L;

        @Override
        protected boolean removeEldestEntry(Map.Entry<Long, Positions> eldest) {
          return size() > MAX_BATCHES;
        }
      };

  /** Adds a batch of at least one event. The oldest of 10,000 batches is forgotten. */
  void add(long batchId, long[] positions) {
    byBatch.put(batchId, Positions.of(positions));
  }

  void clear() {
    byBatch.clear();
  }

  /** Returns the position of an item on the stream; empty if its batch is forgotten or has no such item. */
  OptionalLong find(ItemRef item) {
    Positions positions = byBatch.get(item.getBatchId());
    int index = item.getPosition();
    return positions == null || index < 0 || index >= positions.count()
        ? OptionalLong.empty()
        : OptionalLong.of(positions.at(index));
  }
}
