package dev.ciosidecar;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import com.google.protobuf.ByteString;
import dev.ciosidecar.v1.ApiRequestTemplate;
import dev.ciosidecar.v1.EventDetail;
import dev.ciosidecar.v1.ItemRef;
import dev.ciosidecar.v1.Results;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.OptionalLong;
import org.junit.jupiter.api.Test;

/** The conversion of the contract's Results. */
class ResultReaderTest {
  private static dev.ciosidecar.v1.ApiRequest.Builder request(String path) {
    return dev.ciosidecar.v1.ApiRequest.newBuilder().setPath(path);
  }

  /** Positions are consecutive from the first, unless they are listed. */
  @Test
  void positionsAreConsecutiveOrListed() {
    Results consecutive = Results.newBuilder().setFirstPosition(4).addStatuses(200).addStatuses(298).build();
    assertEquals(List.of(4L, 5L), ResultReader.read(consecutive).stream().map(Result::position).toList());
    Results listed =
        Results.newBuilder().addPositions(9).addPositions(2).addStatuses(200).addStatuses(400).build();
    assertEquals(List.of(9L, 2L), ResultReader.read(listed).stream().map(Result::position).toList());
    assertEquals(List.of(200, 400), ResultReader.read(listed).stream().map(Result::status).toList());
  }

  /** A request is complete and in the result of the last event that it covers. Requests keep their order. */
  @Test
  void requestsAreComplete() {
    Results results =
        Results.newBuilder()
            .addAllStatuses(List.of(200, 200))
            .addTemplates(
                ApiRequestTemplate.newBuilder()
                    .setMethod("POST")
                    .setBaseUrl("https://track.customer.io")
                    .setEndpointPath("v2/batch")
                    .putHeaders("Authorization", "Basic x"))
            .addRequests(request("/a").addPositions(1).setBody(ByteString.copyFromUtf8("{}")))
            .addRequests(request("/b").addPositions(0).addPositions(1))
            .build();
    List<Result> read =
        ResultReader.read(results, position -> 100 + position, item -> OptionalLong.empty());
    assertEquals(List.of(), read.get(0).requests());
    List<ApiRequest> requests = read.get(1).requests();
    assertEquals(
        List.of("https://track.customer.io/a", "https://track.customer.io/b"),
        requests.stream().map(ApiRequest::url).toList());
    assertEquals(List.of(101L), requests.get(0).positions());
    assertEquals(List.of(100L, 101L), requests.get(1).positions());
    assertEquals("{}", requests.get(0).body().toStringUtf8());
    assertEquals("Basic x", requests.get(0).headers().get("Authorization"));
    assertThrows(
        UnsupportedOperationException.class, () -> requests.get(0).headers().put("a", "b"));
  }

  /** Codes are the contract's names without their prefix. A code of a newer contract is its number. */
  @Test
  void codesAreTheContractsNames() {
    EventDetail.Builder detail =
        EventDetail.newBuilder()
            .setError(
                dev.ciosidecar.v1.EventError.newBuilder()
                    .setCodeValue(9999)
                    .setTypeValue(1)
                    .setMessage("no")
                    .setRetryable(true)
                    .setBlockedBy(ItemRef.newBuilder().setBatchId(8).setPosition(3))
                    .setRetryAfter(com.google.protobuf.Duration.newBuilder().setNanos(500_000_000)))
            .addWarnings(dev.ciosidecar.v1.EventWarning.newBuilder().setCodeValue(9).setMessage("cut"))
            .addWarnings(dev.ciosidecar.v1.EventWarning.newBuilder().setCodeValue(777))
            .setFilterReasonValue(2)
            .setTag(ByteString.copyFromUtf8("t"));
    Result result =
        ResultReader.read(Results.newBuilder().setBatchId(8).addStatuses(503).addDetails(detail).build()).get(0);
    assertEquals(
        Optional.of(
            new EventError("9999", "instrumentation", "no", true, Optional.of(Duration.ofMillis(500)), OptionalLong.of(3))),
        result.error());
    assertEquals(
        List.of(new EventWarning("TEXT_CUT", "cut"), new EventWarning("777", "")), result.warnings());
    assertEquals(Optional.of("CONSENT"), result.filterReason());
    assertEquals("t", result.tag().toStringUtf8());
  }
}
