package dev.ciosidecar;

import com.google.protobuf.ByteString;
import com.google.protobuf.ProtocolMessageEnum;
import dev.ciosidecar.v1.ApiRequestTemplate;
import dev.ciosidecar.v1.EventDetail;
import dev.ciosidecar.v1.FilterReason;
import dev.ciosidecar.v1.ItemRef;
import dev.ciosidecar.v1.Results;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.function.Function;
import java.util.function.IntToLongFunction;
import java.util.stream.IntStream;

/** Converts the contract's {@link Results} to {@link Result}s, each complete in itself. */
public final class ResultReader {
  private ResultReader() {}

  /**
   * Reads a message.
   *
   * @param results a message of the contract
   * @return the results of the message; their positions are those of the batch
   */
  public static List<Result> read(Results results) {
    return read(
        results,
        position -> position,
        item ->
            item.getBatchId() == results.getBatchId()
                ? OptionalLong.of(item.getPosition())
                : OptionalLong.empty());
  }

  /**
   * Reads a message and replaces the positions in it.
   *
   * @param toPosition the position to report for a position of the batch
   * @param find the position to report for an item of any batch; empty if it is not known
   * @return the results in the order of {@link #positions}
   */
  static List<Result> read(
      Results results, IntToLongFunction toPosition, Function<ItemRef, OptionalLong> find) {
    Map<Integer, List<ApiRequest>> requests = requestsByPosition(results, toPosition);
    Map<Integer, EventDetail> details = new HashMap<>();
    results.getDetailsList().forEach(detail -> details.put(detail.getPosition(), detail));
    int[] positions = positions(results);
    List<Result> read = new ArrayList<>(positions.length);
    for (int index = 0; index < positions.length; index++) {
      int position = positions[index];
      read.add(
          result(
              toPosition.applyAsLong(position),
              results.getStatuses(index),
              requests.getOrDefault(position, List.of()),
              details.getOrDefault(position, EventDetail.getDefaultInstance()),
              find));
    }
    return read;
  }

  /** Returns the positions of the batch that a message answers, one for each status. */
  static int[] positions(Results results) {
    if (results.getPositionsCount() > 0) {
      return results.getPositionsList().stream().mapToInt(Integer::intValue).toArray();
    }
    int first = results.getFirstPosition();
    return IntStream.range(first, first + results.getStatusesCount()).toArray();
  }

  private static Map<Integer, List<ApiRequest>> requestsByPosition(
      Results results, IntToLongFunction toPosition) {
    // One copy of the headers for each template: all its requests share it.
    List<Map<String, String>> headers =
        results.getTemplatesList().stream()
            .map(template -> Map.copyOf(template.getHeadersMap()))
            .toList();
    Map<Integer, List<ApiRequest>> requests = new HashMap<>();
    for (dev.ciosidecar.v1.ApiRequest message : results.getRequestsList()) {
      ApiRequestTemplate template = results.getTemplates(message.getTemplate());
      List<Integer> positions = message.getPositionsList();
      ApiRequest request =
          new ApiRequest(
              template.getMethod(),
              template.getBaseUrl() + message.getPath(),
              template.getEndpointPath(),
              headers.get(message.getTemplate()),
              message.getBody(),
              positions.stream().map(toPosition::applyAsLong).toList());
      // A caller that sends requests as results arrive must have the results of all events in a request.
      Integer last = positions.get(positions.size() - 1);
      requests.computeIfAbsent(last, position -> new ArrayList<>(1)).add(request);
    }
    return requests;
  }

  private static Result result(
      long position,
      int status,
      List<ApiRequest> requests,
      EventDetail detail,
      Function<ItemRef, OptionalLong> find) {
    return new Result(
        position,
        status,
        requests,
        detail.hasError() ? Optional.of(error(detail.getError(), find)) : Optional.empty(),
        detail.getWarningsList().stream().map(ResultReader::warning).toList(),
        detail.getFilterReasonValue() == FilterReason.FILTER_REASON_UNSPECIFIED_VALUE
            ? Optional.empty()
            : Optional.of(
                name(detail.getFilterReason(), detail.getFilterReasonValue(), "FILTER_REASON_")),
        detail.hasDelivery() ? Optional.of(report(detail.getDelivery())) : Optional.empty(),
        detail.getTag().isEmpty() ? ByteString.EMPTY : detail.getTag());
  }

  private static EventError error(
      dev.ciosidecar.v1.EventError error, Function<ItemRef, OptionalLong> find) {
    return new EventError(
        name(error.getCode(), error.getCodeValue(), "ERROR_CODE_"),
        name(error.getType(), error.getTypeValue(), "ERROR_TYPE_").toLowerCase(Locale.ROOT),
        error.getMessage(),
        error.getRetryable(),
        error.hasRetryAfter() ? Optional.of(duration(error.getRetryAfter())) : Optional.empty(),
        error.hasBlockedBy() ? find.apply(error.getBlockedBy()) : OptionalLong.empty());
  }

  private static EventWarning warning(dev.ciosidecar.v1.EventWarning warning) {
    return new EventWarning(
        name(warning.getCode(), warning.getCodeValue(), "WARNING_CODE_"), warning.getMessage());
  }

  private static DeliveryReport report(dev.ciosidecar.v1.DeliveryReport report) {
    return new DeliveryReport(
        report.getAttempts(),
        report.getHttpStatus(),
        report.getReason(),
        report.getField(),
        duration(report.getLatency()),
        report.getFailedItemsList().stream()
            .map(item -> new FailedItem(item.getIndex(), item.getReason(), item.getField()))
            .toList());
  }

  private static Duration duration(com.google.protobuf.Duration duration) {
    return Duration.ofSeconds(duration.getSeconds(), duration.getNanos());
  }

  /** Returns the name of a value without its prefix; the number of a value of a newer contract. */
  private static String name(ProtocolMessageEnum value, int number, String prefix) {
    String name = value.toString();
    return name.startsWith(prefix) ? name.substring(prefix.length()) : Integer.toString(number);
  }
}
