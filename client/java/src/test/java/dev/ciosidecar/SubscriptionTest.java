package dev.ciosidecar;

import static dev.ciosidecar.Played.DESTINATION;
import static dev.ciosidecar.Played.TRACK;
import static dev.ciosidecar.Played.await;
import static dev.ciosidecar.Played.upTo;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.grpc.Status;
import java.util.List;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Flow;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** The signals that a subscriber gets, and the effects of a subscriber on its stream. */
@Timeout(60)
class SubscriptionTest {
  private ScriptedSidecar sidecar;
  private CiosidecarClient client;

  @BeforeEach
  void start() throws Exception {
    sidecar =
        new ScriptedSidecar(
            caller -> {
              caller.open();
              caller.answerEverything();
            });
    client = CiosidecarClient.connect(sidecar.address());
  }

  @AfterEach
  void stop() {
    client.close();
    sidecar.close();
  }

  /** A subscriber that records its signals and requests nothing by itself. */
  private static final class Recording implements Flow.Subscriber<Answer<Integer>> {
    private static final Object COMPLETE = "complete";
    private final BlockingQueue<Object> signals = new LinkedBlockingQueue<>();

    @Override
    public void onSubscribe(Flow.Subscription subscription) {
      signals.add(subscription);
    }

    @Override
    public void onNext(Answer<Integer> answer) {
      signals.add(answer.attachment());
    }

    @Override
    public void onError(Throwable failure) {
      signals.add(failure);
    }

    @Override
    public void onComplete() {
      signals.add(COMPLETE);
    }

    Object next() throws InterruptedException {
      Object next = signals.poll(Played.TIMEOUT_S, TimeUnit.SECONDS);
      assertTrue(next != null, "the subscriber got no signal");
      return next;
    }

    Flow.Subscription subscription() throws InterruptedException {
      return assertInstanceOf(Flow.Subscription.class, next());
    }
  }

  /** A subscriber gets as many answers as it requested. The end needs no request. */
  @Test
  void asManyAnswersAsWereRequested() throws Exception {
    Recording subscriber = new Recording();
    try (EventStream<Integer> stream = client.stream(DESTINATION)) {
      stream.subscribe(subscriber);
      for (int index : upTo(3)) {
        stream.send(TRACK, index);
      }
      stream.finish();
      Flow.Subscription subscription = subscriber.subscription();
      subscription.request(2);
      assertEquals(0, subscriber.next());
      assertEquals(1, subscriber.next());
      assertTrue(subscriber.signals.isEmpty());
      subscription.request(1);
      assertEquals(2, subscriber.next());
      assertEquals(Recording.COMPLETE, subscriber.next());
    }
  }

  /**
   * A subscriber that requests nothing makes senders wait when the limit of outstanding events is reached.
   */
  @Test
  void aSubscriberWithoutDemandMakesSendersWait() throws Exception {
    Recording subscriber = new Recording();
    StreamOptions options = StreamOptions.builder().maxOutstandingEvents(2).build();
    try (EventStream<Integer> stream = client.stream(DESTINATION, options)) {
      stream.subscribe(subscriber);
      CountDownLatch taken = new CountDownLatch(2);
      CompletableFuture<Void> sender =
          CompletableFuture.runAsync(
              () -> {
                for (int index : upTo(3)) {
                  send(stream, index);
                  taken.countDown();
                }
              });
      assertTrue(taken.await(Played.TIMEOUT_S, TimeUnit.SECONDS));
      Flow.Subscription subscription = subscriber.subscription();
      assertThrows(TimeoutException.class, () -> sender.get(200, TimeUnit.MILLISECONDS));
      subscription.request(1);
      assertEquals(0, subscriber.next());
      await(sender);
    }
  }

  private static void send(EventStream<Integer> stream, int index) {
    try {
      stream.send(TRACK, index);
    } catch (InterruptedException interrupt) {
      throw new CompletionException(interrupt);
    }
  }

  /** An interrupted sender stops waiting, and its event is not sent. */
  @Test
  void anInterruptEndsTheWaitToSend() throws Exception {
    Recording subscriber = new Recording();
    StreamOptions options = StreamOptions.builder().maxOutstandingEvents(1).build();
    try (EventStream<Integer> stream = client.stream(DESTINATION, options)) {
      stream.subscribe(subscriber);
      stream.send(TRACK, 0);
      Thread.currentThread().interrupt();
      assertThrows(InterruptedException.class, () -> stream.send(TRACK, 1));
      stream.finish();
      subscriber.subscription().request(5);
      assertEquals(0, subscriber.next());
      assertEquals(Recording.COMPLETE, subscriber.next());
    }
  }

  /** A demand below 1 ends the subscription with an IllegalArgumentException, as Flow specifies. */
  @Test
  void aDemandBelowOneIsAnError() throws Exception {
    Recording subscriber = new Recording();
    try (EventStream<Integer> stream = client.stream(DESTINATION)) {
      stream.subscribe(subscriber);
      subscriber.subscription().request(0);
      assertInstanceOf(IllegalArgumentException.class, subscriber.next());
      assertThrows(SidecarException.class, () -> stream.send(TRACK, 0));
    }
  }

  /** A second subscriber is refused, and the first continues. */
  @Test
  void aSecondSubscriberIsRefused() throws Exception {
    Recording first = new Recording();
    Recording second = new Recording();
    try (EventStream<Integer> stream = client.stream(DESTINATION)) {
      stream.subscribe(first);
      stream.subscribe(second);
      second.subscription().request(1);
      assertInstanceOf(IllegalStateException.class, second.next());
      stream.send(TRACK, 7);
      first.subscription().request(1);
      assertEquals(7, first.next());
    }
  }

  /** A subscriber that cancels closes the stream and gets no more signals. */
  @Test
  void cancellingClosesTheStream() throws Exception {
    Recording subscriber = new Recording();
    try (EventStream<Integer> stream = client.stream(DESTINATION)) {
      stream.subscribe(subscriber);
      subscriber.subscription().cancel();
      SidecarException failure =
          assertThrows(SidecarException.class, () -> stream.send(TRACK, 0));
      assertEquals(Status.Code.CANCELLED, failure.code());
    }
    assertTrue(subscriber.signals.isEmpty());
  }

  /** Closing fails the subscription and a waiting sender. */
  @Test
  void closingFailsTheSubscriptionAndSenders() throws Exception {
    Recording subscriber = new Recording();
    StreamOptions options = StreamOptions.builder().maxOutstandingEvents(1).build();
    EventStream<Integer> stream = client.stream(DESTINATION, options);
    stream.subscribe(subscriber);
    stream.send(TRACK, 0);
    CompletableFuture<Void> sender = CompletableFuture.runAsync(() -> send(stream, 1));
    subscriber.subscription();
    stream.close();
    stream.close();
    assertEquals(
        Status.Code.CANCELLED, ((SidecarException) subscriber.next()).code());
    CompletionException failure =
        assertThrows(
            CompletionException.class,
            () -> sender.orTimeout(Played.TIMEOUT_S, TimeUnit.SECONDS).join());
    assertInstanceOf(SidecarException.class, failure.getCause());
  }

  /** A consumer that throws closes the stream, and the future has its exception. */
  @Test
  void aConsumerThatThrowsEndsTheStream() throws Exception {
    try (EventStream<Integer> stream = client.stream(DESTINATION)) {
      ArithmeticException fault = new ArithmeticException("by zero");
      CompletableFuture<Void> done =
          stream.consume(
              answer -> {
                throw fault;
              });
      stream.send(TRACK, 0);
      CompletionException failure =
          assertThrows(
              CompletionException.class,
              () -> done.orTimeout(Played.TIMEOUT_S, TimeUnit.SECONDS).join());
      assertEquals(fault, failure.getCause());
      assertThrows(SidecarException.class, () -> stream.send(TRACK, 1));
    }
  }

  /**
   * A subscriber may send. At the limit of outstanding events, it gets an exception instead of waiting for
   * itself.
   */
  @Test
  void aSubscriberMaySend() throws Exception {
    StreamOptions options = StreamOptions.builder().maxOutstandingEvents(1).build();
    try (EventStream<Integer> stream = client.stream(DESTINATION, options)) {
      BlockingQueue<Object> seen = new LinkedBlockingQueue<>();
      CompletableFuture<Void> done =
          stream.consume(
              answer -> {
                seen.add(answer.attachment());
                if (answer.attachment() == 0) {
                  send(stream, 1);
                  seen.add(assertThrows(IllegalStateException.class, () -> send(stream, 2)));
                  stream.finish();
                }
              });
      stream.send(TRACK, 0);
      await(done);
      assertEquals(List.of(0, 1), seen.stream().filter(Integer.class::isInstance).toList());
    }
  }

  /** A finished stream refuses events. A finished stream without events ends at once. */
  @Test
  void aFinishedStreamTakesNoMore() throws Exception {
    try (EventStream<Integer> stream = client.stream(DESTINATION)) {
      CompletableFuture<Void> done = stream.consume(answer -> {});
      stream.finish();
      await(done);
      assertThrows(IllegalStateException.class, () -> stream.send(TRACK, 0));
    }
  }
}
