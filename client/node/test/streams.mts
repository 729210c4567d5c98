// What tests of streams share: events in, answers out, and a sidecar that answers everything.

import { Client } from "ciosidecar";
import type { Answer, Event, SendOptions, StreamOptions, v1 } from "ciosidecar";

import type { Connection } from "./scripted.mjs";
import { CONFIG } from "./sidecar.mjs";

export const TRACK = '{"type":"track","userId":"u1","event":"Order"}';

/** The answers to events sent one after another on one stream. */
export async function streamed(
  addresses: string | string[],
  events: Iterable<string | { event: Event; options: SendOptions }>,
  options?: StreamOptions,
): Promise<Answer<Event>[]> {
  using client = new Client(addresses);
  await using stream = client.stream(CONFIG, options);
  const feed = async (): Promise<void> => {
    for (const one of events) {
      if (typeof one === "string") await stream.send(one);
      else await stream.send(one.event, undefined, one.options);
    }
    stream.finish();
  };
  const [answers] = await Promise.all([all(stream), feed()]);
  return answers;
}

/** All that there is to iterate over. */
export async function all<T>(found: AsyncIterable<T>): Promise<T[]> {
  const list = [];
  for await (const one of found) list.push(one);
  return list;
}

/** So many events, each another one. */
export function numbered(count: number): string[] {
  return Array.from({ length: count }, (_, index) => `{"n":${index}}`);
}

/** A script that answers everything, and tells of each batch. */
export function answering(onBatch: (batch: v1.Batch) => void, limits: Partial<v1.Limits> = {}) {
  return async (connection: Connection): Promise<void> => {
    await connection.open(limits);
    for (let batch = await connection.batch(); batch !== undefined; batch = await connection.batch()) {
      onBatch(batch);
      connection.answer(batch);
    }
  };
}
