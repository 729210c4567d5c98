package dev.ciosidecar.polyglot;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.ciosidecar.ApiRequest;
import dev.ciosidecar.Result;
import java.io.BufferedInputStream;
import java.io.BufferedOutputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.util.List;
import java.util.concurrent.atomic.AtomicLong;

/** The lines of standard input, read one at a time, and of standard output, each flushed at once. */
final class Lines {
  private static final ObjectMapper JSON = new ObjectMapper();
  private final BufferedInputStream in = new BufferedInputStream(System.in);
  private final OutputStream out = new BufferedOutputStream(System.out);
  private final AtomicLong eventsRead = new AtomicLong();

  /** Reads the first line. */
  Scenario scenario() throws IOException {
    return new Scenario(JSON.readTree(line()));
  }

  /** Reads the line of the next event, without its end. Returns null at the end of the input. */
  byte[] event() throws IOException {
    byte[] line = line();
    if (line != null) {
      eventsRead.incrementAndGet();
    }
    return line;
  }

  private byte[] line() throws IOException {
    ByteArrayOutputStream line = new ByteArrayOutputStream();
    int next = in.read();
    if (next < 0) {
      return null;
    }
    while (next >= 0 && next != '\n') {
      line.write(next);
      next = in.read();
    }
    return line.toByteArray();
  }

  void write(Result result) {
    ObjectNode line = JSON.createObjectNode();
    line.put("position", result.position())
        .put("status", result.status())
        .put("ok", result.ok());
    ArrayNode requests = line.putArray("requests");
    result.requests().forEach(request -> write(request, requests.addObject()));
    result
        .error()
        .ifPresent(
            error -> {
              ObjectNode member =
                  line.putObject("error")
                      .put("code", error.code())
                      .put("type", error.type())
                      .put("message", error.message())
                      .put("retryable", error.retryable());
              error.retryAfter().ifPresent(after -> member.put("retry_after_ms", after.toMillis()));
              error.blockedBy().ifPresent(position -> member.put("blocked_by", position));
            });
    if (!result.warnings().isEmpty()) {
      ArrayNode warnings = line.putArray("warnings");
      result
          .warnings()
          .forEach(
              warning ->
                  warnings
                      .addObject()
                      .put("code", warning.code())
                      .put("message", warning.message()));
    }
    if (!result.tag().isEmpty()) {
      line.put("tag", result.tag().toStringUtf8());
    }
    result.filterReason().ifPresent(reason -> line.put("filter_reason", reason));
    result
        .delivery()
        .ifPresent(
            delivery -> {
              ObjectNode member =
                  line.putObject("delivery")
                      .put("attempts", delivery.attempts())
                      .put("http_status", delivery.httpStatus())
                      .put("reason", delivery.reason())
                      .put("field", delivery.field())
                      .put("latency_ms", delivery.latency().toMillis());
              ArrayNode failed = member.putArray("failed_items");
              delivery
                  .failedItems()
                  .forEach(
                      item ->
                          failed
                              .addObject()
                              .put("index", item.index())
                              .put("reason", item.reason())
                              .put("field", item.field()));
            });
    write(line);
  }

  private static void write(ApiRequest request, ObjectNode line) {
    line.put("method", request.method())
        .put("url", request.url())
        .put("endpoint_path", request.endpointPath());
    ObjectNode headers = line.putObject("headers");
    request.headers().forEach(headers::put);
    line.put("body", request.body().toStringUtf8());
    ArrayNode positions = line.putArray("positions");
    request.positions().forEach(positions::add);
  }

  void writeResponse(String base64) {
    write(JSON.createObjectNode().put("response", base64));
  }

  void writeEnd(String end, String message, int reconnects) {
    writeEnd(end, message, reconnects, List.of());
  }

  void writeEnd(String end, String message, int reconnects, List<Integer> refused) {
    ObjectNode line =
        JSON.createObjectNode()
            .put("end", end)
            .put("message", message)
            .put("reconnects", reconnects)
            .put("events_read", eventsRead.get());
    ArrayNode indexes = line.putArray("refused");
    refused.forEach(indexes::add);
    write(line);
  }

  /** Returns how many events were read. */
  int read() {
    return (int) eventsRead.get();
  }

  private synchronized void write(ObjectNode line) {
    try {
      out.write(JSON.writeValueAsBytes(line));
      out.write('\n');
      out.flush();
    } catch (IOException failure) {
      throw new UncheckedIOException(failure);
    }
  }
}
