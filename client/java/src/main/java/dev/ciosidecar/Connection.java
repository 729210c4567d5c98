package dev.ciosidecar;

import com.google.protobuf.ByteString;
import dev.ciosidecar.v1.ConnectionSettings;
import java.util.Objects;

/**
 * What warehouse rows of one source become, as the user configured it. Records need one, and nothing else does.
 * Immutable; two with the same settings and name are one.
 */
public final class Connection {
  private final dev.ciosidecar.v1.Connection settings;
  private final String ref;

  private Connection(dev.ciosidecar.v1.Connection settings, String ref) {
    this.settings = settings;
    this.ref = ref;
  }

  /**
   * A connection from the config that the RudderStack dashboard keeps.
   *
   * @param config a JSON object
   * @return the connection
   */
  public static Connection json(String config) {
    return json(ByteString.copyFromUtf8(config));
  }

  /**
   * The same from bytes.
   *
   * @param config a JSON object in UTF-8; copied
   * @return the connection
   */
  public static Connection json(byte[] config) {
    return json(ByteString.copyFrom(config));
  }

  private static Connection json(ByteString config) {
    return new Connection(
        dev.ciosidecar.v1.Connection.newBuilder().setConfigJson(config).build(), "");
  }

  /**
   * A connection from typed settings.
   *
   * @param settings what is unset is the default
   * @return the connection
   */
  public static Connection typed(ConnectionSettings settings) {
    return new Connection(
        dev.ciosidecar.v1.Connection.newBuilder().setTyped(settings).build(), "");
  }

  /**
   * The same connection under the caller's own name for it.
   *
   * @param ref shows in the sidecar's log, so no secret; may be empty
   * @return another object with the same settings
   */
  public Connection named(String ref) {
    return new Connection(settings, Objects.requireNonNull(ref, "ref"));
  }

  /** The connection as it is declared under a number. */
  dev.ciosidecar.v1.Connection declaredAs(int number) {
    return settings.toBuilder().setNumber(number).setConnectionRef(ref).build();
  }

  /** Equal if the settings and the names are. */
  @Override
  public boolean equals(Object other) {
    return other instanceof Connection connection
        && settings.equals(connection.settings)
        && ref.equals(connection.ref);
  }

  @Override
  public int hashCode() {
    return Objects.hash(settings, ref);
  }

  /** {@return the name only} */
  @Override
  public String toString() {
    return "Connection[ref=" + ref + "]";
  }
}
