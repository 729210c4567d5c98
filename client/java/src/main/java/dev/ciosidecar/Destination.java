package dev.ciosidecar;

import com.google.protobuf.ByteString;
import dev.ciosidecar.v1.DestinationSettings;
import java.util.Objects;

/**
 * A Customer.io workspace as the user configured it. Immutable; equal if the settings and the names are
 * equal.
 *
 * <p>A stream sends a destination once, however many events refer to it.
 */
public final class Destination {
  private final dev.ciosidecar.v1.Destination settings;
  private final String ref;

  private Destination(dev.ciosidecar.v1.Destination settings, String ref) {
    this.settings = settings;
    this.ref = ref;
  }

  /**
   * Makes a destination from the config that the RudderStack dashboard keeps.
   *
   * @param config a JSON object
   * @return the destination
   */
  public static Destination json(String config) {
    return json(ByteString.copyFromUtf8(config));
  }

  /**
   * Makes a destination from the bytes of the config that the RudderStack dashboard keeps.
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
   * Makes a destination from typed settings.
   *
   * @param settings the settings; a field that is not set has its default
   * @return the destination
   */
  public static Destination typed(DestinationSettings settings) {
    return new Destination(
        dev.ciosidecar.v1.Destination.newBuilder().setTyped(settings).build(), "");
  }

  /**
   * Makes a destination that the sidecar's own file declares under this name ({@code --destinations}): the
   * caller holds no credentials.
   *
   * @param ref the name that the sidecar knows
   * @return the destination
   * @throws IllegalArgumentException if the name is empty
   */
  public static Destination byRef(String ref) {
    if (ref.isEmpty()) {
      throw new IllegalArgumentException("a destination without config needs a name");
    }
    return new Destination(dev.ciosidecar.v1.Destination.getDefaultInstance(), ref);
  }

  /**
   * Sets the caller's own name for the destination.
   *
   * @param ref the name; the sidecar uses it in its logs and metrics, so it MUST NOT be a secret. May be
   *     empty
   * @return a copy with this name
   */
  public Destination named(String ref) {
    return new Destination(settings, Objects.requireNonNull(ref, "ref"));
  }

  /** Returns the message that declares the destination under a reference id; 0 if the call needs no id. */
  dev.ciosidecar.v1.Destination declaredAs(int referenceId) {
    return settings.toBuilder().setReferenceId(referenceId).setDestinationRef(ref).build();
  }

  /** Compares the settings and the names. */
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
