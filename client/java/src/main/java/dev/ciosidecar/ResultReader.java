package dev.ciosidecar;

import com.google.protobuf.ByteString;
import com.google.protobuf.ProtocolMessageEnum;
import dev.ciosidecar.v1.Detail;
import dev.ciosidecar.v1.FilterReason;
import dev.ciosidecar.v1.ItemRef;
import dev.ciosidecar.v1.RequestTemplate;
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

/** Puts the lean results of the wire together into {@link Result}s. */
public final class ResultReader {
  private ResultReader() {}

  /**
   * Reads one message.
   *
   * @param results a message of the contract
   * @return its results; their positions are those of the batch
   */
  public static List<Result> read(Results results) {
    return read(
        results,
        position -> position,
        other ->
            other.getBatchId() == results.getBatchId()
                ? OptionalLong.of(other.getPosition())
                : OptionalLong.empty());
  }

  /**
   * The same with what stands for each position of the batch, in the order of {@link #positions}.
   *
   * @param others what stands for an item of any batch, where that is known
   */
  static List<Result> read(
      Results results, IntToLongFunction numbers, Function<ItemRef, OptionalLong> others) {
    Map<Integer, List<Request>> requests = requestsByPosition(results, numbers);
    Map<Integer, Detail> details = new HashMap<>();
    results.getDetailsList().forEach(detail -> details.put(detail.getPosition(), detail));
    int[] positions = positions(results);
    List<Result> found = new ArrayList<>(positions.length);
    for (int index = 0; index < positions.length; index++) {
      int position = positions[index];
      found.add(
          result(
              numbers.applyAsLong(position),
              results.getStatuses(index),
              requests.getOrDefault(position, List.of()),
              details.getOrDefault(position, Detail.getDefaultInstance()),
              others));
    }
    return found;
  }

  /** The positions of the batch that a message answers, one a status. */
  static int[] positions(Results results) {
    if (results.getPositionsCount() > 0) {
      return results.getPositionsList().stream().mapToInt(Integer::intValue).toArray();
    }
    int first = results.getFirstPosition();
    return IntStream.range(first, first + results.getStatusesCount()).toArray();
  }

  private static Map<Integer, List<Request>> requestsByPosition(
      Results results, IntToLongFunction numbers) {
    // One copy of the headers a message, shared by all requests that have them.
    List<Map<String, String>> headers =
        results.getTemplatesList().stream().map(one -> Map.copyOf(one.getHeadersMap())).toList();
    Map<Integer, List<Request>> found = new HashMap<>();
    for (dev.ciosidecar.v1.Request one : results.getRequestsList()) {
      RequestTemplate template = results.getTemplates(one.getTemplate());
      List<Integer> positions =
          one.getPositionsCount() > 0 ? one.getPositionsList() : List.of(one.getPosition());
      Request request =
          new Request(
              template.getMethod(),
              template.getBaseUrl() + one.getPath(),
              template.getEndpointPath(),
              headers.get(one.getTemplate()),
              one.getBody(),
              positions.stream().map(numbers::applyAsLong).toList());
      // Whoever sends requests as results come must not send one before its last event is answered.
      Integer last = positions.get(positions.size() - 1);
      found.computeIfAbsent(last, any -> new ArrayList<>(1)).add(request);
    }
    return found;
  }

  private static Result result(
      long position,
      int status,
      List<Request> requests,
      Detail detail,
      Function<ItemRef, OptionalLong> others) {
    return new Result(
        position,
        status,
        requests,
        detail.hasError() ? Optional.of(error(detail.getError(), others)) : Optional.empty(),
        detail.getWarningsList().stream()
            .map(one -> new Warning(word(one.getCode(), one.getCodeValue(), "WARNING_CODE_"), one.getText()))
            .toList(),
        detail.getFilterReasonValue() == FilterReason.FILTER_REASON_UNSPECIFIED_VALUE
            ? Optional.empty()
            : Optional.of(
                word(detail.getFilterReason(), detail.getFilterReasonValue(), "FILTER_REASON_")),
        detail.hasDelivery() ? Optional.of(delivery(detail.getDelivery())) : Optional.empty(),
        detail.getTag().isEmpty() ? ByteString.EMPTY : detail.getTag());
  }

  private static EventError error(
      dev.ciosidecar.v1.Error error, Function<ItemRef, OptionalLong> others) {
    return new EventError(
        word(error.getCode(), error.getCodeValue(), "ERROR_CODE_"),
        word(error.getType(), error.getTypeValue(), "ERROR_TYPE_").toLowerCase(Locale.ROOT),
        error.getText(),
        error.getRetryable(),
        error.hasRetryAfter() ? Optional.of(duration(error.getRetryAfter())) : Optional.empty(),
        error.hasBlockedBy() ? others.apply(error.getBlockedBy()) : OptionalLong.empty());
  }

  private static Delivery delivery(dev.ciosidecar.v1.Delivery delivery) {
    return new Delivery(
        delivery.getAttempts(),
        delivery.getHttpStatus(),
        delivery.getReason(),
        delivery.getField(),
        duration(delivery.getLatency()),
        delivery.getFailedItemsList().stream()
            .map(one -> new FailedItem(one.getIndex(), one.getReason(), one.getField()))
            .toList());
  }

  private static Duration duration(com.google.protobuf.Duration duration) {
    return Duration.ofSeconds(duration.getSeconds(), duration.getNanos());
  }

  /** The contract's word without its prefix; a number of a newer contract as it is. */
  private static String word(ProtocolMessageEnum code, int number, String prefix) {
    String name = code.toString();
    return name.startsWith(prefix) ? name.substring(prefix.length()) : Integer.toString(number);
  }
}
