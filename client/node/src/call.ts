// One call of TransformStream, from Open to its end. What it is for is the stream's business.

import type { ClientDuplexStream, StatusObject, status as Code } from "@grpc/grpc-js";

import { Finish, TransformStreamRequest } from "./gen/index.js";
import type { Open, TransformStreamResponse } from "./gen/index.js";

/** How a call ended. */
export interface Ended {
  readonly code: Code;
  readonly details: string;
}

type Duplex = ClientDuplexStream<TransformStreamRequest, TransformStreamResponse>;

/** A stream of the wire. */
export class Call {
  /** The server has answered Open. */
  opened = false;
  /** The server has said that it is going away. */
  draining = false;
  /** A message is on its way into the socket: the next one waits, and gathers events meanwhile. */
  writing = false;
  /** Nothing more will be sent. */
  finished = false;
  /** Fulfilled once every response is through; rejected with what `onResponse` threw. */
  readonly ended: Promise<Ended>;
  readonly #call: Duplex;

  constructor(call: Duplex, opening: Open, onResponse: (response: TransformStreamResponse) => void) {
    this.#call = call;
    this.ended = new Promise((resolve, reject) => {
      let status: StatusObject | undefined;
      let readAll = false;
      const end = (): void => {
        if (status !== undefined && readAll) resolve({ code: status.code, details: status.details });
      };
      call.on("data", (response: TransformStreamResponse) => {
        try {
          onResponse(response);
        } catch (fault) {
          reject(fault instanceof Error ? fault : new Error(String(fault)));
          call.cancel();
        }
      });
      // What it says is in the status, which always comes.
      call.on("error", () => undefined);
      call.on("status", (found) => {
        status = found;
        end();
      });
      call.on("end", () => {
        readAll = true;
        end();
      });
    });
    call.write(request({ $case: "open", value: opening }));
  }

  /** Sends these; `written` when the socket has taken them. */
  send(messages: readonly TransformStreamRequest[], written: () => void): void {
    const last = messages.length - 1;
    this.writing = true;
    messages.forEach((message, index) => {
      if (index < last) this.#call.write(message);
      else {
        this.#call.write(message, () => {
          this.writing = false;
          written();
        });
      }
    });
  }

  /** Says that nothing more will come. */
  finish(): void {
    this.finished = true;
    this.#call.write(request({ $case: "finish", value: Finish.create() }));
    this.#call.end();
  }

  cancel(): void {
    this.#call.cancel();
  }
}

function request(message: NonNullable<TransformStreamRequest["message"]>): TransformStreamRequest {
  return { ...TransformStreamRequest.create(), message };
}
