package dev.ciosidecar;

import com.google.protobuf.ByteString;
import dev.ciosidecar.v1.DestinationSettings;
import java.util.Objects;

/**
 * A Customer.io workspace as the user configured it. Immutable; two with the same settings and name are one.
 *
 * <p>It travels once a stream, however many events name it.
 */
public final class Destination {
  private final dev.ciosidecar.v1.Destination settings;
  private final String ref;

  private Destination(dev.ciosidecar.v1.Destination settings, String ref) {
    this.settings = settings;
    this.ref = ref;
  }

  /**
   * A destination from the config that the RudderStack dashboard keeps.
   *
   * @param config a JSON object
   * @return the destination
   */
  public static Destination json(String config) {
    return json(ByteString.copyFromUtf8(config));
  }

  /**
   * The same from bytes.
   *
   * @param config a JSON object in UTF-8; copied
   * @return the destination
   */
  public static Destination json(byte[] config) {
    return json(ByteString.copyFrom(config));
  }

  private static Destination json(ByteString config) {
    return new Destination(
        dev.ciosidecar.v1.Destination.newBuilder().setConfigJson(config).build(), "");
  }

  /**
   * A destination from typed settings.
   *
   * @param settings what is unset is the default
   * @return the destination
   */
  public static Destination typed(DestinationSettings settings) {
    return new Destination(
        dev.ciosidecar.v1.Destination.newBuilder().setTyped(settings).build(), "");
  }

  /**
   * The same destination under the caller's own name for it.
   *
   * @param ref shows in the sidecar's log, so no secret; may be empty
   * @return another object with the same settings
   */
  public Destination named(String ref) {
    return new Destination(settings, Objects.requireNonNull(ref, "ref"));
  }

  /** The destination as it is declared under a number; 0 where the call has only one. */
  dev.ciosidecar.v1.Destination declaredAs(int number) {
    return settings.toBuilder().setNumber(number).setDestinationRef(ref).build();
  }

  /** Equal if the settings and the names are. */
  @Override
  public boolean equals(Object other) {
    return other instanceof Destination destination
        && settings.equals(destination.settings)
        && ref.equals(destination.ref);
  }

  @Override
  public int hashCode() {
    return Objects.hash(settings, ref);
  }

  /** {@return the name only: the settings hold credentials} */
  @Override
  public String toString() {
    return "Destination[ref=" + ref + "]";
  }
}
