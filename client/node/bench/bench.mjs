// How many events a second come back through a stream, by how they travel.
//
//     npm run bench -- ADDRESS EVENTS.jsonl
//
// Prints one line of JSON. coalesced: sent one by one, gathered into messages by the stream.
// one_a_message: the same with one event in each message. one_at_a_time: one event in each message,
// and the next is sent when its answer is there, as by a caller without a stream of ours.

import { readFileSync } from "node:fs";

import { Client } from "ciosidecar";

const SECONDS = 3;
const CONFIG = { siteID: "an-example-site-id", apiKey: "an-example-api-key" };

async function eventsPerS(client, events, options) {
  await run(client, events, options, 0);
  return run(client, events, options, SECONDS);
}

/** All events, again and again for so many seconds, and a thousand at least. */
async function run(client, events, options, seconds) {
  let answered = 0;
  const began = performance.now();
  const passedS = () => (performance.now() - began) / 1000;
  function* sent() {
    for (let count = 0; count < 1000 || passedS() < seconds; count += 1) yield events[count % events.length];
  }
  for await (const { result } of client.stream(CONFIG, options).map(sent())) {
    if (!result.ok) throw new Error(`an event came to ${result.status} ${result.error?.code}`);
    answered += 1;
  }
  return Math.round(answered / passedS());
}

const [address, file] = process.argv.slice(2);
if (file === undefined) throw new Error("say npm run bench -- ADDRESS EVENTS.jsonl");
const events = readFileSync(file, "utf8").split("\n").filter(Boolean).map((line) => Buffer.from(line));
const client = new Client(address);
const figures = {
  coalesced_events_per_s: await eventsPerS(client, events, {}),
  one_a_message_events_per_s: await eventsPerS(client, events, { maxBatchEvents: 1 }),
  one_at_a_time_events_per_s: await eventsPerS(client, events, { maxOwedEvents: 1 }),
};
console.log(JSON.stringify(figures));
client.close();
