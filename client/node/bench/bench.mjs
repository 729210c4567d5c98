// Measure how many events a second a stream transforms.
//
//     npm run bench -- ADDRESS EVENTS.jsonl
//
// Prints one line of JSON. coalesced: the stream gathers events into messages. one_a_message: each
// message holds one event. one_at_a_time: each message holds one event, and the next one is sent after
// its answer, as by a caller without this client's streams.

import { readFileSync } from "node:fs";

import { Client } from "ciosidecar";

const SECONDS = 3;
const CONFIG = { siteID: "an-example-site-id", apiKey: "an-example-api-key" };

async function eventsPerS(client, events, options) {
  await run(client, events, options, 0);
  return run(client, events, options, SECONDS);
}

/** Send the events repeatedly, for so many seconds, and at least a thousand. Return the events a second. */
async function run(client, events, options, seconds) {
  let answered = 0;
  const startedMs = performance.now();
  const passedS = () => (performance.now() - startedMs) / 1000;
  function* repeated() {
    for (let count = 0; count < 1000 || passedS() < seconds; count += 1) yield events[count % events.length];
  }
  for await (const { result } of client.stream(CONFIG, options).map(repeated())) {
    if (!result.ok) throw new Error(`an event has status ${result.status} ${result.error?.code}`);
    answered += 1;
  }
  return Math.round(answered / passedS());
}

const [address, file] = process.argv.slice(2);
if (file === undefined) throw new Error("usage: npm run bench -- ADDRESS EVENTS.jsonl");
const events = readFileSync(file, "utf8").split("\n").filter(Boolean).map((line) => Buffer.from(line));
const client = new Client(address);
const figures = {
  coalesced_events_per_s: await eventsPerS(client, events, {}),
  one_a_message_events_per_s: await eventsPerS(client, events, { maxBatchEvents: 1 }),
  one_at_a_time_events_per_s: await eventsPerS(client, events, { maxOutstandingEvents: 1 }),
};
console.log(JSON.stringify(figures));
client.close();
