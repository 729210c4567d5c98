// Functions for tests of streams.

import { Client } from "ciosidecar";
import type { Answer, Event, SendOptions, StreamOptions, v1 } from "ciosidecar";

import type { ServerStream } from "./scripted.mjs";
import { CONFIG } from "./sidecar.mjs";

export const TRACK = '{"type":"track","userId":"u1","event":"Order"}';

/** Send events one after another on one stream, and return the answers. */
export async function streamed(
  addresses: string | string[],
  events: Iterable<string | { event: Event; options: SendOptions }>,
  options?: StreamOptions,
): Promise<Answer<Event>[]> {
  using client = new Client(addresses);
  await using stream = client.stream(CONFIG, options);
  const feed = async (): Promise<void> => {
    for (const send of events) {
      if (typeof send === "string") await stream.send(send);
      else await stream.send(send.event, undefined, send.options);
    }
    stream.finish();
  };
  const [answers] = await Promise.all([all(stream), feed()]);
  return answers;
}

/** Return all values of an iterable. */
export async function all<T>(values: AsyncIterable<T>): Promise<T[]> {
  const list = [];
  for await (const value of values) list.push(value);
  return list;
}

/** Return so many different events. */
export function numbered(count: number): string[] {
  return Array.from({ length: count }, (_, index) => `{"n":${index}}`);
}

/** Return a script that answers all events. onBatch: gets each batch. */
export function answering(onBatch: (batch: v1.Batch) => void, limits: Partial<v1.Limits> = {}) {
  return async (server: ServerStream): Promise<void> => {
    await server.accept(limits);
    for (let batch = await server.batch(); batch !== undefined; batch = await server.batch()) {
      onBatch(batch);
      server.answer(batch);
    }
  };
}
