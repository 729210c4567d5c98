package dev.ciosidecar;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import com.google.protobuf.ByteString;
import dev.ciosidecar.v1.Detail;
import dev.ciosidecar.v1.ItemRef;
import dev.ciosidecar.v1.RequestTemplate;
import dev.ciosidecar.v1.Results;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.OptionalLong;
import org.junit.jupiter.api.Test;

/** What the lean results of the wire say. */
class ResultReaderTest {
  private static dev.ciosidecar.v1.Request.Builder request(String path) {
    return dev.ciosidecar.v1.Request.newBuilder().setPath(path);
  }

  /** Positions are a run from the first unless they are named. */
  @Test
  void positionsAreARunOrNamed() {
    Results run = Results.newBuilder().setFirstPosition(4).addStatuses(200).addStatuses(298).build();
    assertEquals(List.of(4L, 5L), ResultReader.read(run).stream().map(Result::position).toList());
    Results named =
        Results.newBuilder().addPositions(9).addPositions(2).addStatuses(200).addStatuses(400).build();
    assertEquals(List.of(9L, 2L), ResultReader.read(named).stream().map(Result::position).toList());
    assertEquals(List.of(200, 400), ResultReader.read(named).stream().map(Result::status).toList());
  }

  /** A request is whole, and is with the last event it covers; several stay in their order. */
  @Test
  void requestsAreWhole() {
    Results results =
        Results.newBuilder()
            .addAllStatuses(List.of(200, 200))
            .addTemplates(
                RequestTemplate.newBuilder()
                    .setMethod("POST")
                    .setBaseUrl("https://track.customer.io")
                    .setEndpointPath("v2/batch")
                    .putHeaders("Authorization", "Basic x"))
            .addRequests(request("/a").setPosition(1).setBody(ByteString.copyFromUtf8("{}")))
            .addRequests(request("/b").addPositions(0).addPositions(1))
            .build();
    List<Result> found = ResultReader.read(results, position -> 100 + position, other -> OptionalLong.empty());
    assertEquals(List.of(), found.get(0).requests());
    List<Request> requests = found.get(1).requests();
    assertEquals(
        List.of("https://track.customer.io/a", "https://track.customer.io/b"),
        requests.stream().map(Request::url).toList());
    assertEquals(List.of(101L), requests.get(0).positions());
    assertEquals(List.of(100L, 101L), requests.get(1).positions());
    assertEquals("{}", requests.get(0).body().toStringUtf8());
    assertEquals("Basic x", requests.get(0).headers().get("Authorization"));
    assertThrows(
        UnsupportedOperationException.class, () -> requests.get(0).headers().put("a", "b"));
  }

  /** Codes are the contract's words without their prefix; one of a newer contract is its number. */
  @Test
  void codesAreTheContractsWords() {
    Detail.Builder detail =
        Detail.newBuilder()
            .setError(
                dev.ciosidecar.v1.Error.newBuilder()
                    .setCodeValue(9999)
                    .setTypeValue(1)
                    .setText("no")
                    .setRetryable(true)
                    .setBlockedBy(ItemRef.newBuilder().setBatchId(8).setPosition(3))
                    .setRetryAfter(com.google.protobuf.Duration.newBuilder().setNanos(500_000_000)))
            .addWarnings(dev.ciosidecar.v1.Warning.newBuilder().setCodeValue(9).setText("cut"))
            .addWarnings(dev.ciosidecar.v1.Warning.newBuilder().setCodeValue(777))
            .setFilterReasonValue(2)
            .setTag(ByteString.copyFromUtf8("t"));
    Result result =
        ResultReader.read(Results.newBuilder().setBatchId(8).addStatuses(503).addDetails(detail).build()).get(0);
    assertEquals(
        Optional.of(
            new EventError("9999", "instrumentation", "no", true, Optional.of(Duration.ofMillis(500)), OptionalLong.of(3))),
        result.error());
    assertEquals(
        List.of(new Warning("TEXT_CUT", "cut"), new Warning("777", "")), result.warnings());
    assertEquals(Optional.of("CONSENT"), result.filterReason());
    assertEquals("t", result.tag().toStringUtf8());
  }
}
