package dev.ciosidecar;

import io.grpc.Status;
import io.grpc.StatusRuntimeException;

/**
 * What went wrong between a caller and the sidecar. What went wrong with one event is in its {@link Result}.
 *
 * <p>The codes a caller may want to tell apart:
 *
 * <ul>
 *   <li>{@code UNAVAILABLE}: no sidecar answered for as long as the client was told to try; try later
 *   <li>{@code DEADLINE_EXCEEDED}: the deadline passed first
 *   <li>{@code CANCELLED}: the stream was closed, or the thread that called was interrupted
 *   <li>anything else: the sidecar refused the call; to make it again would change nothing
 * </ul>
 */
public final class SidecarException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  /** The status of the RPC. */
  private final Status.Code code;

  /** What is known beyond the code. */
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
    return new SidecarException(status.getCode(), describe(status), cause);
  }

  /** The same failure for another thread, with the trace of its own call. */
  SidecarException again() {
    return new SidecarException(code, details, this);
  }

  /** What a status says; of a lost connection only its cause says anything. */
  static String describe(Status status) {
    String description = status.getDescription() == null ? "no more is known" : status.getDescription();
    return status.getCause() == null ? description : description + ": " + status.getCause().getMessage();
  }

  /** {@return the status of the RPC} */
  public Status.Code code() {
    return code;
  }

  /** {@return what the sidecar, or gRPC, said of it; for people} */
  public String details() {
    return details;
  }
}
