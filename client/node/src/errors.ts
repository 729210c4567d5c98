// What goes wrong between a caller and the sidecar. What goes wrong with an event is its Result.
//
// SidecarError
// ├── Unavailable     no sidecar answered for as long as the client was told to try
// ├── CallFailed      the call was refused, or its deadline passed
// ├── Aborted         the caller's own AbortSignal
// └── Closed          the stream or the client was closed, or the stream is finished

import { status as Code } from "@grpc/grpc-js";

/** The base of everything the client throws for a call. */
export class SidecarError extends Error {
  override name = "SidecarError";
}

/** No sidecar answered for as long as the client was told to try. */
export class Unavailable extends SidecarError {
  override name = "Unavailable";
}

/** The call was refused (the protocol was broken, a limit exceeded), or its deadline passed. */
export class CallFailed extends SidecarError {
  override name = "CallFailed";
  /** The status of the RPC by its name: INVALID_ARGUMENT, DEADLINE_EXCEEDED, … */
  readonly code: string;
  /** What the sidecar said of it. */
  readonly details: string;

  constructor(code: Code, details: string) {
    const word = Code[code];
    super(`${word}: ${details}`);
    this.code = word;
    this.details = details;
  }
}

/** The caller's AbortSignal ended it; `cause` is the signal's reason. */
export class Aborted extends SidecarError {
  // As Node's own, so that code which tells aborts from failures knows it.
  override name = "AbortError";
  readonly code = "ABORT_ERR";

  constructor(signal: AbortSignal) {
    super("the call was aborted", { cause: signal.reason });
  }
}

/** The stream or the client was closed by its owner, or the stream is finished and takes no more. */
export class Closed extends SidecarError {
  override name = "Closed";
}

/** The status of a failed RPC as one of our errors. */
export function callFailed(code: Code, details: string): SidecarError {
  return code === Code.UNAVAILABLE ? new Unavailable(details) : new CallFailed(code, details);
}

/**
 * Whether a stream that ended so may be opened again with some hope. INTERNAL is also what
 * grpc-js makes of a connection that breaks in the middle of a stream.
 */
export function worthAnotherTry(code: Code): boolean {
  return code === Code.UNAVAILABLE || code === Code.ABORTED || code === Code.INTERNAL;
}

/** The failure of a call whose answer makes no sense: another try would get the same one. */
export function contractBroken(fault: unknown): CallFailed {
  const text = fault instanceof Error ? fault.message : String(fault);
  return new CallFailed(Code.UNKNOWN, `the sidecar broke the contract: ${text}`);
}

/** Whatever was thrown as one of our errors. */
export function asSidecarError(fault: unknown): SidecarError {
  if (fault instanceof SidecarError) return fault;
  const text = fault instanceof Error ? fault.message : String(fault);
  return new SidecarError(`internal error in the client: ${text}`, { cause: fault });
}
