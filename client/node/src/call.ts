// One call of TransformStream, from OpenStream to its status.

import type { ClientDuplexStream, StatusObject, status as Code } from "@grpc/grpc-js";

import { Finish, TransformStreamRequest } from "./gen/index.js";
import type { OpenStream, TransformStreamResponse } from "./gen/index.js";

/** The status of a call. */
export interface CallStatus {
  readonly code: Code;
  readonly details: string;
}

type Duplex = ClientDuplexStream<TransformStreamRequest, TransformStreamResponse>;

/** A call of TransformStream. */
export class Call {
  /** True once the server has answered OpenStream. */
  opened = false;
  /** True once the server has sent Drain. */
  draining = false;
  /** True while the socket has not taken the last message. Events are gathered meanwhile. */
  writing = false;
  /** True once Finish is sent. */
  finished = false;
  /** Resolves after the last response. Rejects with what `onResponse` threw. */
  readonly ended: Promise<CallStatus>;
  readonly #call: Duplex;

  constructor(call: Duplex, open: OpenStream, onResponse: (response: TransformStreamResponse) => void) {
    this.#call = call;
    this.ended = new Promise((resolve, reject) => {
      let finalStatus: StatusObject | undefined;
      let readAll = false;
      const end = (): void => {
        if (finalStatus !== undefined && readAll) resolve({ code: finalStatus.code, details: finalStatus.details });
      };
      call.on("data", (response: TransformStreamResponse) => {
        try {
          onResponse(response);
        } catch (fault) {
          reject(fault instanceof Error ? fault : new Error(String(fault)));
          call.cancel();
        }
      });
      // The status follows every error, and contains it.
      call.on("error", () => undefined);
      call.on("status", (status) => {
        finalStatus = status;
        end();
      });
      call.on("end", () => {
        readAll = true;
        end();
      });
    });
    call.write(request({ $case: "open", value: open }));
  }

  /** Send messages. onWritten: called once the socket has taken them. */
  send(messages: readonly TransformStreamRequest[], onWritten: () => void): void {
    const last = messages.length - 1;
    this.writing = true;
    messages.forEach((message, index) => {
      if (index < last) this.#call.write(message);
      else {
        this.#call.write(message, () => {
          this.writing = false;
          onWritten();
        });
      }
    });
  }

  /** Send Finish and half-close the call. */
  finish(): void {
    this.finished = true;
    this.#call.write(request({ $case: "finish", value: Finish.create() }));
    this.#call.end();
  }

  /** Cancel the call. */
  cancel(): void {
    this.#call.cancel();
  }
}

function request(message: NonNullable<TransformStreamRequest["message"]>): TransformStreamRequest {
  return { ...TransformStreamRequest.create(), message };
}
