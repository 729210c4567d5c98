package dev.ciosidecar;

import dev.ciosidecar.v1.ItemRef;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.OptionalLong;

/** Where on the stream the events of its batches were: an error may name an event that was answered before. */
final class SentPositions {
  private static final int MOST_BATCHES = 10_000;

  /** One batch; `listed` is null where the events are a run, as all are but those that are sent again. */
  private record Positions(long first, int count, long[] listed) {
    static Positions of(long[] positions) {
      int count = positions.length;
      boolean run = positions[count - 1] - positions[0] == count - 1;
      return new Positions(positions[0], count, run ? null : positions);
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
          return size() > MOST_BATCHES;
        }
      };

  /** Remembers a batch of at least one event. */
  void add(long batchId, long[] positions) {
    byBatch.put(batchId, Positions.of(positions));
  }

  void clear() {
    byBatch.clear();
  }

  /** The position of an item on the stream; empty if its batch is not remembered, or never held it. */
  OptionalLong find(ItemRef item) {
    Positions positions = byBatch.get(item.getBatchId());
    int index = item.getPosition();
    return positions == null || index < 0 || index >= positions.count()
        ? OptionalLong.empty()
        : OptionalLong.of(positions.at(index));
  }
}
