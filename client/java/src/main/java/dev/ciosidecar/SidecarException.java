package dev.ciosidecar;

import io.grpc.Status;
import io.grpc.StatusRuntimeException;

/**
 * A failure of a call or a stream. The error of an event is in its {@link Result}.
 *
 * <p>The codes that a caller may want to distinguish:
 *
 * <ul>
 *   <li>{@code UNAVAILABLE}: no sidecar answered within the time limit; try later
 *   <li>{@code DEADLINE_EXCEEDED}: the deadline passed first
 *   <li>{@code CANCELLED}: the stream was closed, or the thread that called was interrupted
 *   <li>any other code: the sidecar refused the call; another attempt would fail too
 * </ul>
 */
public final class SidecarException extends RuntimeException {
  private static final long serialVersionUID = 1L;
  private static final String TOKEN_ADVICE =
      " (set token or tokenFile to a token of the sidecar's --auth-token-file)";

  /** The status of the RPC. */
  private final Status.Code code;

  /** The description of the failure, for people. */
  private final String details;

  SidecarException(Status.Code code, String details, Throwable cause) {
    super(code + ": " + details, cause);
    this.code = code;
    this.details = details;
  }

  SidecarException(Status.Code code, String details) {
    this(code, details, null);
  }

  static SidecarException of(StatusRuntimeException failure) {
    return of(failure.getStatus(), failure);
  }

  static SidecarException of(Status status, Throwable cause) {
    String advice = status.getCode() == Status.Code.UNAUTHENTICATED ? TOKEN_ADVICE : "";
    return new SidecarException(status.getCode(), describe(status) + advice, cause);
  }

  /** Returns the same failure for another thread, with the stack trace of that thread. */
  SidecarException again() {
    return new SidecarException(code, details, this);
  }

  /**
   * Returns the description of a status and of what caused it first: a lost connection is described by the cause only,
   * and a certificate that is not trusted by the cause of the cause.
   */
  static String describe(Status status) {
    String description = status.getDescription() == null ? "no more is known" : status.getDescription();
    Throwable cause = status.getCause();
    while (cause != null && cause.getCause() != null) {
      cause = cause.getCause();
    }
    return cause == null ? description : description + ": " + cause.getMessage();
  }

  /** {@return the status of the RPC} */
  public Status.Code code() {
    return code;
  }

  /** {@return the description by the sidecar or gRPC, for people} */
  public String details() {
    return details;
  }
}
