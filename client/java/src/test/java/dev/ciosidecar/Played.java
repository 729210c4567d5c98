package dev.ciosidecar;

import static org.junit.jupiter.api.Assertions.assertThrows;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.stream.IntStream;

/**
 * The answers of a stream that was used until its end, and its reconnects.
 *
 * @param answers the answers in the order of arrival
 * @param reconnects how many times the stream had to open another call
 */
record Played(List<Answer<Integer>> answers, int reconnects) {
  static final long TIMEOUT_S = 60;
  static final Destination DESTINATION =
      Destination.json("{\"siteID\": \"site\", \"apiKey\": \"key\"}");
  static final Event TRACK = track("u1");

  static Event track(String user) {
    return Event.json(
        "{\"type\":\"track\",\"userId\":\"" + user + "\",\"event\":\"Order\"}");
  }

  static List<Event> tracks(int count) {
    return IntStream.range(0, count).mapToObj(index -> track("u" + index)).toList();
  }

  /** Sends all events, each with its index as the attachment, and waits for all answers. */
  static Played play(String address, List<Event> events, StreamOptions options) throws Exception {
    try (CiosidecarClient client = CiosidecarClient.connect(address)) {
      return play(client, events, options);
    }
  }

  static Played play(CiosidecarClient client, List<Event> events, StreamOptions options)
      throws Exception {
    try (EventStream<Integer> stream = client.stream(DESTINATION, options)) {
      List<Answer<Integer>> answers = new ArrayList<>();
      CompletableFuture<Void> done = stream.consume(answers::add);
      for (int index = 0; index < events.size(); index++) {
        stream.send(events.get(index), index);
      }
      stream.finish();
      await(done);
      return new Played(answers, stream.reconnects());
    }
  }

  /** Returns the failure of a stream, whether sending or the subscription reports it first. */
  static SidecarException failure(String address, List<Event> events, StreamOptions options) {
    return assertThrows(
        SidecarException.class,
        () -> {
          try {
            play(address, events, options);
          } catch (ExecutionException failure) {
            throw failure.getCause();
          }
        });
  }

  static <T> T await(CompletableFuture<T> future) throws Exception {
    return future.get(TIMEOUT_S, TimeUnit.SECONDS);
  }

  List<Integer> attachments() {
    return answers.stream().map(Answer::attachment).toList();
  }

  List<Integer> statuses() {
    return answers.stream().map(answer -> answer.result().status()).toList();
  }

  List<ApiRequest> requests() {
    return answers.stream().flatMap(answer -> answer.result().requests().stream()).toList();
  }

  static List<Integer> upTo(int end) {
    return IntStream.range(0, end).boxed().toList();
  }
}
