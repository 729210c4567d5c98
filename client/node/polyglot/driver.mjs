// The TypeScript client's driver for the contract suite. tests/polyglot/README.md describes its input
// and output. The driver uses the package that `npm run build` wrote to dist.

import { createWriteStream, readFileSync } from "node:fs";
import { once } from "node:events";

import { credentials, status } from "@grpc/grpc-js";
import { Aborted, BatchEntry, CallFailed, Client, Closed, Destination, SidecarError, Unavailable, tlsFromFiles, v1 } from "ciosidecar";

const NEWLINE = 0x0a;
const TAB = 0x09;

/** Yield the lines of standard input as bytes, and read no further than they are taken. */
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

// process.stdout would block the whole program while the pipe is full.
const output = createWriteStream("", { fd: 1 });

async function writeLine(line) {
  if (!output.write(`${JSON.stringify(line)}\n`)) await once(output, "drain");
}

/** The events of the input, read as they are taken: each an entry with its index. */
class Entries {
  read = 0;

  constructor(lines, scenario) {
    this.lines = lines;
    this.destinations = scenario.configs.map((config) => new Destination(config));
    this.destinations.push(...(scenario.refs ?? []).map((ref) => Destination.byRef(ref)));
    this.fields = scenario.fields ?? {};
    this.typed = new Set(scenario.typed);
  }

  async *[Symbol.asyncIterator]() {
    for await (const line of this.lines) {
      const index = this.read;
      this.read += 1;
      const tab = line.indexOf(TAB);
      const destination = this.destinations[Number(line.subarray(0, tab))];
      const event = line.subarray(tab + 1);
      const options = { destination, ...fieldsOf(this.fields[index] ?? {}) };
      yield { index, entry: new BatchEntry(this.typed.has(index) ? rudderEventOf(event) : event, undefined, options) };
    }
  }
}

/** Build the event as fields. */
function rudderEventOf(json) {
  const { type, userId, event, properties } = JSON.parse(json.toString());
  const rudderEvent = v1.RudderEvent.fromPartial({ type, userId, event });
  rudderEvent.properties = { ...v1.JsonObject.create(), form: { $case: "fields", value: properties } };
  return rudderEvent;
}

function fieldsOf({ source_type, ordering_key, attempt, dont_batch, traceparent, tag }) {
  const fields = { sourceType: source_type, orderingKey: ordering_key, attempt, dontBatch: dont_batch, traceparent };
  if (tag !== undefined) fields.tag = Buffer.from(tag);
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}

function timeoutOf({ deadline_ms: timeoutMs }) {
  return timeoutMs === undefined ? {} : { timeoutMs };
}

async function playTransform(client, scenario, entries) {
  const batch = await allOf(entries);
  await writeResults(await client.transform(batch, entries.destinations[0], timeoutOf(scenario)));
}

async function playDeliver(client, scenario, entries) {
  const batch = await allOf(entries);
  const options = { delivery: deliveryOf(scenario.deliver), ...timeoutOf(scenario) };
  await writeResults(await client.deliver(batch, entries.destinations[0], options));
}

async function allOf(entries) {
  const batch = [];
  for await (const { entry } of entries) batch.push(entry);
  return batch;
}

async function writeResults(results) {
  for (const result of results) await writeLine(lineOf(result));
}

function deliveryOf(deliver) {
  if (deliver === undefined) return undefined;
  if (deliver === true) return {};
  const { detail_level: level, include_requests: includeRequests, timeout_ms: timeoutMs } = deliver;
  return { detailLevel: level?.toLowerCase(), includeRequests, timeoutMs };
}

async function playStream(client, scenario, entries, outcome) {
  const options = scenario.options ?? {};
  const cancel = new AbortController();
  const stream = client.stream(undefined, {
    maxBatchEvents: options.max_batch_events,
    maxBatchBytes: options.max_batch_bytes,
    lingerMs: options.linger_ms,
    maxOutstandingEvents: options.max_outstanding_events,
    maxOutstandingBytes: options.max_outstanding_bytes,
    maxReceiveBytes: options.max_receive_bytes,
    reconnectForMs: options.reconnect_for_ms,
    unordered: options.unordered,
    affinity: options.affinity,
    clientName: options.client_name,
    clientVersion: options.client_version,
    delivery: deliveryOf(scenario.deliver),
    ...timeoutOf(scenario),
    signal: cancel.signal,
  });
  const feeding = feed(stream, scenario, entries, outcome).catch((failure) => failure);
  try {
    let answered = 0;
    for await (const { result } of stream) {
      await writeLine(lineOf(result));
      answered += 1;
      if (answered === scenario.cancel_after) cancel.abort();
      if (answered === scenario.close_after) client.close();
    }
  } finally {
    outcome.reconnects = stream.reconnects;
  }
  const failure = await feeding;
  if (failure !== undefined) throw failure;
}

async function feed(stream, scenario, entries, outcome) {
  const batches = new Map((scenario.batches ?? []).map((batch) => [batch.first, batch]));
  const events = entries[Symbol.asyncIterator]();
  try {
    for (let next = await events.next(); !next.done; next = await events.next()) {
      const { index, entry } = next.value;
      const batch = batches.get(index);
      try {
        if (batch === undefined) await stream.send(entry.event, entry.attachment, entry.options);
        else {
          const batchEntries = [entry];
          while (batchEntries.length < batch.count) batchEntries.push((await events.next()).value.entry);
          await stream.sendBatch(batchEntries, { timeoutMs: batch.timeout_ms });
        }
      } catch (failure) {
        if (failure instanceof SidecarError) throw failure;
        outcome.refused.push(index);
      }
    }
  } finally {
    stream.finish();
  }
}

async function playRaw(scenario, lines, outcome) {
  const root = scenario.ca_file === undefined ? undefined : readFileSync(scenario.ca_file);
  const channelCredentials = root === undefined ? credentials.createInsecure() : credentials.createSsl(root);
  const client = new v1.SidecarServiceClient(scenario.addresses[0], channelCredentials, {
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
      await new Promise((written) => call.write(request, written));
    }
    call.end();
  };
  // If the call ends before the input, the rest of the input does not matter.
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

function lineOf(result) {
  const { position, status, ok, error, warnings, filterReason, delivery, tag } = result;
  return {
    position,
    status,
    ok,
    requests: result.requests.map((request) => ({
      method: request.method,
      url: request.url,
      endpoint_path: request.endpointPath,
      headers: request.headers,
      body: Buffer.from(request.body).toString(),
      positions: request.positions,
    })),
    error: error && {
      code: error.code,
      type: error.type,
      message: error.message,
      retryable: error.retryable,
      retry_after_ms: error.retryAfterMs,
      blocked_by: error.blockedBy,
    },
    warnings: warnings.length > 0 ? warnings : undefined,
    tag: tag.length > 0 ? Buffer.from(tag).toString() : undefined,
    filter_reason: filterReason,
    delivery: delivery && {
      attempts: delivery.attempts,
      http_status: delivery.httpStatus,
      reason: delivery.reason,
      field: delivery.field,
      latency_ms: Math.round(delivery.latencyMs),
      failed_items: delivery.failedItems,
    },
  };
}

/** Return the name of the gRPC status for a failure, or REFUSED if the client did not make the call. */
function endOf(failure) {
  if (failure instanceof Unavailable) return { end: "UNAVAILABLE", message: failure.message };
  if (failure instanceof CallFailed) return { end: failure.code, message: failure.details };
  if (failure instanceof Aborted || failure instanceof Closed) return { end: "CANCELLED", message: failure.message };
  if (failure instanceof SidecarError) return { end: "INTERNAL", message: failure.message };
  if (failure instanceof TypeError || failure instanceof RangeError) return { end: "REFUSED", message: failure.message };
  return undefined;
}

function connectionOf({ ca_file, key_file, certificate_file, token, connect_timeout_ms: connectTimeoutMs }) {
  const files = { rootCertificates: ca_file, privateKey: key_file, certificateChain: certificate_file };
  const given = Object.fromEntries(Object.entries(files).filter(([, path]) => path !== undefined));
  return { tls: ca_file === undefined ? undefined : tlsFromFiles(given), token, connectTimeoutMs };
}

async function play(lines, scenario, entries, outcome) {
  if (scenario.call === "raw") return playRaw(scenario, lines, outcome);
  const client = new Client(scenario.addresses, connectionOf(scenario));
  try {
    if (scenario.call === "stream") await playStream(client, scenario, entries, outcome);
    else if (scenario.call === "deliver") await playDeliver(client, scenario, entries);
    else if (scenario.call === "capabilities") await client.capabilities(timeoutOf(scenario));
    else if (scenario.call === "check") await client.check(entries.destinations[0], timeoutOf(scenario));
    else await playTransform(client, scenario, entries);
  } finally {
    client.close();
  }
}

async function main() {
  const lines = inputLines();
  const scenario = JSON.parse((await lines.next()).value);
  const outcome = { end: "OK", message: "", reconnects: 0, events_read: 0, refused: [] };
  const entries = new Entries(lines, scenario);
  try {
    await play(lines, scenario, entries, outcome);
  } catch (failure) {
    const end = endOf(failure);
    if (end === undefined) throw failure;
    Object.assign(outcome, end);
  }
  await writeLine({ ...outcome, events_read: outcome.events_read + entries.read });
  output.end();
  await once(output, "finish");
  // Unread input would keep the program running.
  process.exit(0);
}

await main();
