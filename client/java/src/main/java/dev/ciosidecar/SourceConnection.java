package dev.ciosidecar;

import com.google.protobuf.ByteString;
import dev.ciosidecar.v1.ConnectionSettings;

/**
 * The connection of a source to a destination, as the user configured it. It says what warehouse rows become.
 * Records and audiences need a connection; other events do not. Immutable; equal if the settings are equal.
 */
public final class SourceConnection {
  private final dev.ciosidecar.v1.SourceConnection settings;

  private SourceConnection(dev.ciosidecar.v1.SourceConnection settings) {
    this.settings = settings;
  }

  /**
   * Makes a connection from the config that the RudderStack dashboard keeps.
   *
   * @param config a JSON object
   * @return the connection
   */
  public static SourceConnection json(String config) {
    return json(ByteString.copyFromUtf8(config));
  }

  /**
   * Makes a connection from the bytes of the config that the RudderStack dashboard keeps.
   *
   * @param config a JSON object in UTF-8; copied
   * @return the connection
   */
  public static SourceConnection json(byte[] config) {
    return json(ByteString.copyFrom(config));
  }

  private static SourceConnection json(ByteString config) {
    return new SourceConnection(
        dev.ciosidecar.v1.SourceConnection.newBuilder().setConfigJson(config).build());
  }

  /**
   * Makes a connection from typed settings.
   *
   * @param settings the settings; a field that is not set has its default
   * @return the connection
   */
  public static SourceConnection typed(ConnectionSettings settings) {
    return new SourceConnection(
        dev.ciosidecar.v1.SourceConnection.newBuilder().setTyped(settings).build());
  }

  /** Returns the message that declares the connection under a reference id. */
  dev.ciosidecar.v1.SourceConnection declaredAs(int referenceId) {
    return settings.toBuilder().setReferenceId(referenceId).build();
  }

  /** Compares the settings. */
  @Override
  public boolean equals(Object other) {
    return other instanceof SourceConnection connection && settings.equals(connection.settings);
  }

  @Override
  public int hashCode() {
    return settings.hashCode();
  }

  /** {@return the name of the class only} */
  @Override
  public String toString() {
    return "SourceConnection[]";
  }
}
