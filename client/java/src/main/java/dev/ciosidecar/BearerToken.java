package dev.ciosidecar;

import io.grpc.CallCredentials;
import io.grpc.Metadata;
import io.grpc.Status;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.Executor;
import java.util.function.Supplier;
import java.util.regex.Pattern;

/** Adds the bearer token of the moment to every call. */
final class BearerToken extends CallCredentials {
  private static final Metadata.Key<String> AUTHORIZATION =
      Metadata.Key.of("authorization", Metadata.ASCII_STRING_MARSHALLER);
  private static final Pattern VISIBLE = Pattern.compile("[!-~]+");

  private final Supplier<String> source;

  BearerToken(Supplier<String> source) {
    this.source = source;
  }

  /** Returns the token as it is; throws IllegalArgumentException if no header can have it. */
  static String checked(String token) {
    if (token == null || !VISIBLE.matcher(token).matches()) {
      throw new IllegalArgumentException(
          "a token consists of visible ASCII characters, at least one, and no spaces");
    }
    return token;
  }

  /** Returns the first line of a file that is neither blank nor a comment, or "". */
  static String firstLine(Path file) {
    try {
      return Files.readAllLines(file).stream()
          .map(String::strip)
          .filter(line -> !line.isEmpty() && !line.startsWith("#"))
          .findFirst()
          .orElse("");
    } catch (IOException failure) {
      throw new UncheckedIOException(failure);
    }
  }

  /** Throws IllegalArgumentException if the token would leave the host in plain text. */
  static void requireLocal(List<String> addresses) {
    for (String address : addresses) {
      if (!Addresses.isLocal(address)) {
        throw new IllegalArgumentException(
            "without TLS, the token would be sent to "
                + address
                + " in plain text: set credentials or, if the network is safe, insecure");
      }
    }
  }

  @Override
  public void applyRequestMetadata(RequestInfo call, Executor executor, MetadataApplier applier) {
    executor.execute(
        () -> {
          Metadata headers = new Metadata();
          try {
            headers.put(AUTHORIZATION, "Bearer " + checked(source.get()));
          } catch (RuntimeException failure) {
            // A file that is being replaced may be back for the next attempt.
            applier.fail(Status.UNAVAILABLE.withDescription("cannot read the token: " + reason(failure)));
            return;
          }
          applier.apply(headers);
        });
  }

  /** Returns why the token cannot be read. The message of a caller's exception may quote the token. */
  private static String reason(RuntimeException failure) {
    boolean isOurs =
        failure instanceof UncheckedIOException || failure instanceof IllegalArgumentException;
    return isOurs ? failure.getMessage() : failure.getClass().getSimpleName();
  }
}
