package dev.ciosidecar;

import io.grpc.ChannelCredentials;
import io.grpc.TlsChannelCredentials;
import java.io.IOException;
import java.nio.file.Path;

/** TLS from PEM files, for {@link CiosidecarClient.Builder#credentials}. */
public final class Tls {
  private Tls() {}

  /**
   * Returns credentials for TLS.
   *
   * @param rootCertificates the CA certificates that verify the sidecar's; {@code null}: those of Java
   * @return the credentials
   * @throws IOException if the file cannot be read
   */
  public static ChannelCredentials fromFiles(Path rootCertificates) throws IOException {
    return fromFiles(rootCertificates, null, null);
  }

  /**
   * Returns credentials for TLS with a certificate of the client (mTLS).
   *
   * @param rootCertificates the CA certificates that verify the sidecar's; {@code null}: those of Java
   * @param privateKey the client's key, if the sidecar requires client certificates; else {@code null}
   * @param certificateChain the client's certificate, together with its key; else {@code null}
   * @return the credentials
   * @throws IOException if a file cannot be read
   * @throws IllegalArgumentException if only one of key and certificate is given
   */
  public static ChannelCredentials fromFiles(
      Path rootCertificates, Path privateKey, Path certificateChain) throws IOException {
    if ((privateKey == null) != (certificateChain == null)) {
      throw new IllegalArgumentException(
          "give privateKey and certificateChain together, or neither");
    }
    TlsChannelCredentials.Builder builder = TlsChannelCredentials.newBuilder();
    if (rootCertificates != null) {
      builder.trustManager(rootCertificates.toFile());
    }
    if (privateKey != null) {
      builder.keyManager(certificateChain.toFile(), privateKey.toFile());
    }
    return builder.build();
  }
}
