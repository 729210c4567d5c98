package dev.ciosidecar;

import static org.junit.jupiter.api.Assertions.assertEquals;

import dev.ciosidecar.v1.ItemRef;
import java.util.OptionalLong;
import org.junit.jupiter.api.Test;

/** The positions on the stream of items in earlier batches. */
class SentPositionsTest {
  private final SentPositions positions = new SentPositions();

  private OptionalLong find(long batchId, int position) {
    return positions.find(ItemRef.newBuilder().setBatchId(batchId).setPosition(position).build());
  }

  /** Consecutive and listed positions are found alike. */
  @Test
  void positionsAreFound() {
    positions.add(1, new long[] {5, 6, 7});
    positions.add(2, new long[] {3, 9});
    assertEquals(OptionalLong.of(7), find(1, 2));
    assertEquals(OptionalLong.of(9), find(2, 1));
    positions.add(4, new long[] {5, 1, 7});
    assertEquals(OptionalLong.of(1), find(4, 1));
    assertEquals(OptionalLong.empty(), find(1, 3));
    assertEquals(OptionalLong.empty(), find(2, -1));
    assertEquals(OptionalLong.empty(), find(3, 0));
  }

  /** The positions of the last ten thousand batches are remembered. */
  @Test
  void theOldestIsForgotten() {
    for (long batchId = 0; batchId <= 10_000; batchId++) {
      positions.add(batchId, new long[] {batchId});
    }
    assertEquals(OptionalLong.empty(), find(0, 0));
    assertEquals(OptionalLong.of(1), find(1, 0));
  }
}
