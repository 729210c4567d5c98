package dev.ciosidecar;

/** Which results of a delivery have a {@link Result#delivery}. */
public enum DetailLevel {
  /** Results of events that were not delivered, were sent more than once, or have a warning. Faster. */
  NOTABLE(dev.ciosidecar.v1.DetailLevel.DETAIL_LEVEL_NOTABLE),
  /** All results. */
  ALL(dev.ciosidecar.v1.DetailLevel.DETAIL_LEVEL_ALL);

  private final dev.ciosidecar.v1.DetailLevel message;

  DetailLevel(dev.ciosidecar.v1.DetailLevel message) {
    this.message = message;
  }

  /** Returns the value of the contract. */
  dev.ciosidecar.v1.DetailLevel message() {
    return message;
  }
}
