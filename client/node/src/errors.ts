// The errors of calls and streams. An event's error is in its Result.
//
// SidecarError
// ├── Unavailable     no sidecar answered within the time limit or the attempts
// ├── CallFailed      the server refused the call, or the deadline passed
// ├── Aborted         the caller's AbortSignal ended the call or stream
// └── Closed          the stream or the client was closed, or the stream is finished

import { status as Code } from "@grpc/grpc-js";

/** The base of all errors of calls and streams. */
export class SidecarError extends Error {
  override name = "SidecarError";
}

/** No sidecar answered a unary call within its attempts, or a stream within `reconnectForMs`. */
export class Unavailable extends SidecarError {
  override name = "Unavailable";
}

/** The server refused the call (the protocol was broken, a limit exceeded), or the deadline passed. */
export class CallFailed extends SidecarError {
  override name = "CallFailed";
  /** The name of the gRPC status: INVALID_ARGUMENT, DEADLINE_EXCEEDED, … */
  readonly code: string;
  /** The message of the gRPC status. */
  readonly details: string;

  constructor(code: Code, details: string) {
    const codeName = Code[code];
    super(`${codeName}: ${details}`);
    this.code = codeName;
    this.details = details;
  }
}

/** The caller's AbortSignal ended the call or stream. `cause` is the signal's reason. */
export class Aborted extends SidecarError {
  // Node's own name and code, so that code which recognises Node's aborts recognises this one.
  override name = "AbortError";
  readonly code = "ABORT_ERR";

  constructor(signal: AbortSignal) {
    super("the call was aborted", { cause: signal.reason });
  }
}

/** The caller closed the stream or the client, or the stream is finished and accepts no events. */
export class Closed extends SidecarError {
  override name = "Closed";
}

const TOKEN_ADVICE = " (set token or tokenFile to a token of the sidecar's --auth-token-file)";

/** Return the error for the status of a failed RPC. */
export function callFailed(code: Code, details: string): SidecarError {
  if (code === Code.UNAVAILABLE) return new Unavailable(details);
  return new CallFailed(code, code === Code.UNAUTHENTICATED ? details + TOKEN_ADVICE : details);
}

/**
 * Tell whether another call may succeed after this status. INTERNAL is among them because grpc-js
 * reports it for a connection that breaks during a stream.
 */
export function isRetryable(code: Code): boolean {
  return code === Code.UNAVAILABLE || code === Code.ABORTED || code === Code.INTERNAL;
}

/** Return the error for a response that breaks the contract. It is permanent: another call would get the same. */
export function contractBroken(fault: unknown): CallFailed {
  return new CallFailed(Code.UNKNOWN, `the sidecar broke the contract: ${messageOf(fault)}`);
}

/** Return the error as it is if it is a SidecarError; otherwise wrap it. */
export function asSidecarError(fault: unknown): SidecarError {
  if (fault instanceof SidecarError) return fault;
  return new SidecarError(`internal error in the client: ${messageOf(fault)}`, { cause: fault });
}

function messageOf(fault: unknown): string {
  return fault instanceof Error ? fault.message : String(fault);
}
