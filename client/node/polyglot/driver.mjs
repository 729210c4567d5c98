// The contract suite's driver for this client; tests/polyglot/README.md says what is spoken here.
// It plays the package that `npm run build` left in dist.

import { createWriteStream, readFileSync } from "node:fs";
import { once } from "node:events";

import { credentials, status } from "@grpc/grpc-js";
import { Aborted, CallFailed, Client, Destination, Unavailable, v1 } from "ciosidecar";

const NEWLINE = 0x0a;
const TAB = 0x09;

/** The lines of standard input as bytes, read no further than they are taken. */
async function* inputLines() {
  let pieces = [];
  for await (const chunk of process.stdin) {
    let start = 0;
    for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, start)) {
      yield Buffer.concat([...pieces, chunk.subarray(start, end)]);
      pieces = [];
      start = end + 1;
    }
    if (start < chunk.length) pieces.push(chunk.subarray(start));
  }
  if (pieces.length > 0) yield Buffer.concat(pieces);
}

// Node's own stdout would hold up the whole program while nobody reads the pipe.
const output = createWriteStream("", { fd: 1 });

async function writeLine(found) {
  if (!output.write(`${JSON.stringify(found)}\n`)) await once(output, "drain");
}

class Events {
  read = 0;

  constructor(lines, configs) {
    this.lines = lines;
    this.destinations = configs.map((config) => new Destination(config));
  }

  async *[Symbol.asyncIterator]() {
    for await (const line of this.lines) {
      this.read += 1;
      const tab = line.indexOf(TAB);
      yield { index: Number(line.subarray(0, tab)), event: line.subarray(tab + 1) };
    }
  }
}

async function playTransform(client, scenario, events) {
  const payloads = [];
  for await (const { event } of events) payloads.push(event);
  const bounds = { timeoutMs: scenario.deadline_ms };
  for (const result of await client.transform(payloads, events.destinations[0], bounds)) {
    await writeLine(written(result));
  }
}

async function playStream(client, scenario, events, outcome) {
  const options = scenario.options ?? {};
  const cancel = new AbortController();
  const stream = client.stream(undefined, {
    maxBatchEvents: options.max_batch_events,
    lingerMs: options.linger_ms,
    maxOwedEvents: options.max_owed_events,
    maxReceiveBytes: options.max_receive_bytes,
    reconnectForMs: options.reconnect_for_ms,
    delivery: scenario.deliver ? { detailForEveryItem: true } : undefined,
    timeoutMs: scenario.deadline_ms,
    signal: cancel.signal,
  });
  const feeding = feed(stream, events).catch((failure) => failure);
  try {
    let answered = 0;
    for await (const { result } of stream) {
      await writeLine(written(result));
      answered += 1;
      if (answered === scenario.cancel_after) cancel.abort();
    }
  } finally {
    outcome.reconnects = stream.reconnects;
  }
  const failure = await feeding;
  if (failure !== undefined) throw failure;
}

async function feed(stream, events) {
  try {
    for await (const { index, event } of events) {
      await stream.send(event, undefined, { destination: events.destinations[index] });
    }
  } finally {
    stream.finish();
  }
}

async function playRaw(scenario, lines, outcome) {
  const root = scenario.ca_file === undefined ? undefined : readFileSync(scenario.ca_file);
  const trust = root === undefined ? credentials.createInsecure() : credentials.createSsl(root);
  const client = new v1.SidecarServiceClient(scenario.addresses[0], trust, {
    "grpc.max_receive_message_length": -1,
    "grpc.max_send_message_length": -1,
  });
  const deadline = scenario.deadline_ms === undefined ? undefined : Date.now() + scenario.deadline_ms;
  const call = client.transformStream({ deadline });
  const ended = new Promise((resolve) => call.once("status", resolve));
  const send = async () => {
    for await (const line of lines) {
      outcome.events_read += 1;
      const request = v1.TransformStreamRequest.decode(Buffer.from(line.toString(), "base64"));
      await new Promise((taken) => call.write(request, taken));
    }
    call.end();
  };
  // The call may end before the input does, which is then of no interest.
  void send();
  let answered = 0;
  try {
    for await (const response of call) {
      const bytes = v1.TransformStreamResponse.encode(response).finish();
      await writeLine({ response: Buffer.from(bytes).toString("base64") });
      answered += 1;
      if (answered === scenario.cancel_after) call.cancel();
    }
  } catch (failure) {
    if (failure.code === undefined) throw failure;
  }
  const { code, details } = await ended;
  client.close();
  if (code !== status.OK) throw new CallFailed(code, details);
}

function written(result) {
  const { position, status, error, warnings, filterReason, delivery } = result;
  return {
    position,
    status,
    requests: result.requests.map((request) => ({
      method: request.method,
      url: request.url,
      endpoint_path: request.endpointPath,
      headers: request.headers,
      body: Buffer.from(request.body).toString(),
      positions: request.positions,
    })),
    error: error && { code: error.code, type: error.type, message: error.message, retryable: error.retryable },
    warnings: warnings.length > 0 ? warnings.map(({ code }) => code) : undefined,
    filter_reason: filterReason,
    delivery: delivery && { attempts: delivery.attempts, http_status: delivery.httpStatus, reason: delivery.reason },
  };
}

/** How a call ended, by the name of a gRPC status; undefined for what is no failure of a call. */
function endOf(failure) {
  if (failure instanceof Unavailable) return { end: "UNAVAILABLE", message: failure.message };
  if (failure instanceof CallFailed) return { end: failure.code, message: failure.details };
  if (failure instanceof Aborted) return { end: "CANCELLED", message: failure.message };
  return undefined;
}

async function main() {
  const lines = inputLines();
  const scenario = JSON.parse((await lines.next()).value);
  const outcome = { end: "OK", message: "", reconnects: 0, events_read: 0 };
  const tls = scenario.ca_file && { rootCertificates: readFileSync(scenario.ca_file) };
  const client = new Client(scenario.addresses, { tls });
  const events = new Events(lines, scenario.configs);
  try {
    if (scenario.call === "raw") await playRaw(scenario, lines, outcome);
    else if (scenario.call === "stream") await playStream(client, scenario, events, outcome);
    else await playTransform(client, scenario, events);
  } catch (failure) {
    const end = endOf(failure);
    if (end === undefined) throw failure;
    Object.assign(outcome, end);
  }
  client.close();
  await writeLine({ ...outcome, events_read: outcome.events_read + events.read });
  output.end();
  await once(output, "finish");
  // Input that nobody took any more would keep the program.
  process.exit(0);
}

await main();
