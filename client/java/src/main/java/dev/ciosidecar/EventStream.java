package dev.ciosidecar;

import java.time.Duration;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Flow;
import java.util.function.Consumer;

/**
 * Events in, one at a time; answers out, in order unless asked otherwise, each beside its sender's own object.
 *
 * <p>Gathers events into messages, keeps within the credit, and, when the sidecar goes away, opens another
 * call and sends again what has no answer. {@link CiosidecarClient#stream} makes one. Any threads may send.
 *
 * <p>Answers go to one subscriber, on a thread of the client's. An event counts against the credit from
 * {@link #send} until its answer is given to the subscriber: one that asks for no more holds up who sends.
 *
 * @param <T> what the caller puts beside events
 */
public final class EventStream<T> implements Flow.Publisher<Answer<T>>, AutoCloseable {
  private final SidecarChannel channel;
  private final Destination destination;
  private final Consumer<EventStream<?>> onClose;
  private final StreamState<T> state;
  private final Thread thread;

  EventStream(
      SidecarChannel channel,
      Destination destination,
      StreamOptions options,
      Consumer<EventStream<?>> onClose) {
    this.channel = channel;
    this.destination = destination;
    this.onClose = onClose;
    this.state = new StreamState<>(options);
    this.thread = new Thread(new StreamLoop<>(channel.channel(), state), "ciosidecar-stream");
    this.thread.setDaemon(true);
  }

  void start() {
    thread.start();
  }

  /**
   * Takes an event. Waits while there is no credit.
   *
   * @param event the event
   * @param attachment comes back beside the result; may be {@code null}, and never leaves this process
   * @throws InterruptedException if the thread was interrupted while it waited; the event is not taken
   * @throws SidecarException once the stream has failed or was closed
   * @throws IllegalArgumentException if neither the event nor the stream has a destination
   * @throws IllegalStateException after {@link #finish}; or in the subscriber's own code where there is no
   *     credit, because it would wait for itself
   */
  public void send(Event event, T attachment) throws InterruptedException {
    Destination target = target(event);
    state.lock.lockInterruptibly();
    try {
      awaitCredit();
      state.add(event, target, attachment);
    } finally {
      state.lock.unlock();
    }
  }

  /**
   * Takes events that go out at once, in messages that hold no others: only they share requests with each
   * other. All are taken or, if this throws, none. Waits as {@link #send} does, but for any credit at all:
   * they may exceed it.
   *
   * @param entries the events
   * @param timeout how long their delivery may take, on a stream that delivers; above zero
   * @throws InterruptedException as for {@link #send}
   */
  public void sendBatch(List<BatchEntry<T>> entries, Duration timeout) throws InterruptedException {
    sendBatch(entries, new Ledger.Group(Deliver.positive(timeout)));
  }

  /**
   * The same within the time that holds for the stream.
   *
   * @param entries the events
   * @throws InterruptedException as for {@link #send}
   */
  public void sendBatch(List<BatchEntry<T>> entries) throws InterruptedException {
    sendBatch(entries, new Ledger.Group(null));
  }

  private void sendBatch(List<BatchEntry<T>> entries, Ledger.Group group)
      throws InterruptedException {
    List<BatchEntry<T>> all = List.copyOf(entries);
    all.forEach(entry -> target(entry.event()));
    state.lock.lockInterruptibly();
    try {
      awaitCredit();
      all.forEach(
          entry ->
              state.ledger.add(entry.event(), target(entry.event()), entry.attachment(), group));
      state.sendNow();
    } finally {
      state.lock.unlock();
    }
  }

  private Destination target(Event event) {
    Destination target = event.destination().orElse(destination);
    if (target == null && !event.isPrepared()) {
      throw new IllegalArgumentException("name a destination here or where the stream is opened");
    }
    return target;
  }

  /** Returns when an event may be added. Under the lock. */
  private void awaitCredit() throws InterruptedException {
    while (true) {
      if (state.failure != null) {
        throw state.failure.again();
      }
      if (state.fault != null) {
        throw state.fault.again();
      }
      if (state.finished) {
        throw new IllegalStateException("the stream is finished");
      }
      if (state.hasCredit()) {
        return;
      }
      if (state.subscription != null && state.subscription.runsHere()) {
        throw new IllegalStateException("no credit: a subscriber that sends would wait for itself");
      }
      if (!state.ledger.hasSent()) {
        // Only an answer makes room, and nobody has been asked for one yet.
        state.sendNow();
      }
      state.room.await();
    }
  }

  /**
   * The same with nothing beside the event.
   *
   * @param event the event
   * @throws InterruptedException as above
   */
  public void send(Event event) throws InterruptedException {
    send(event, null);
  }

  /** Says that nothing more will be sent: the subscriber is told of the end after the last answer. */
  public void finish() {
    state.lock.lock();
    try {
      state.finished = true;
      state.sendNow();
      state.room.signalAll();
      state.tellSubscriber();
    } finally {
      state.lock.unlock();
    }
  }

  /**
   * Subscribes. {@code onComplete} comes after the last answer of a finished stream; {@code onError} with a
   * {@link SidecarException} when the stream has failed, after the answers that were due before, or was
   * closed. A subscriber that cancels, or throws, closes the stream.
   *
   * @param subscriber the only one: a second is refused with an {@link IllegalStateException}
   */
  @Override
  public void subscribe(Flow.Subscriber<? super Answer<T>> subscriber) {
    Objects.requireNonNull(subscriber, "subscriber");
    state.lock.lock();
    try {
      if (state.subscription == null) {
        state.subscription = new AnswerSubscription<>(state, subscriber, channel.executor());
        state.subscription.wake();
        return;
      }
    } finally {
      state.lock.unlock();
    }
    refuse(subscriber);
  }

  /**
   * Subscribes with a function that takes one answer after another. While it runs, no other answer is given:
   * a slow one holds up who sends.
   *
   * @param consumer is given every answer, in order
   * @return completed after the last answer of a finished stream; or exceptionally, with the
   *     {@link SidecarException} that {@code onError} would get, or with what the consumer threw
   */
  public CompletableFuture<Void> consume(Consumer<? super Answer<T>> consumer) {
    Consuming<T> subscriber = new Consuming<>(consumer);
    subscribe(subscriber);
    return subscriber.done;
  }

  /** {@return how often the stream had to be opened anew} */
  public int reconnects() {
    state.lock.lock();
    try {
      return state.reconnects;
    } finally {
      state.lock.unlock();
    }
  }

  /**
   * Ends the stream at once, without waiting for it to be gone; {@link #close} does. Whoever sends, and the
   * subscriber, get a {@link SidecarException} with {@code CANCELLED}. Any thread may cancel.
   */
  public void cancel() {
    state.lock.lock();
    try {
      state.close();
    } finally {
      state.lock.unlock();
    }
  }

  /**
   * Ends the stream at once; the call is cancelled. Answers that were not given by now are lost:
   * {@link #finish} first and wait for the end. Does nothing the second time.
   */
  @Override
  public void close() {
    cancel();
    boolean interrupted = false;
    while (thread.isAlive()) {
      try {
        // It waits for nothing but the lock once the stream is closed.
        thread.join();
      } catch (InterruptedException signal) {
        interrupted = true;
      }
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
    onClose.accept(this);
  }

  private static <T> void refuse(Flow.Subscriber<? super Answer<T>> subscriber) {
    subscriber.onSubscribe(
        new Flow.Subscription() {
          @Override
          public void request(long answers) {}

          @Override
          public void cancel() {}
        });
    subscriber.onError(new IllegalStateException("the stream has a subscriber"));
  }

  private static final class Consuming<T> implements Flow.Subscriber<Answer<T>> {
    final CompletableFuture<Void> done = new CompletableFuture<>();
    private final Consumer<? super Answer<T>> consumer;
    private Flow.Subscription subscription;

    Consuming(Consumer<? super Answer<T>> consumer) {
      this.consumer = Objects.requireNonNull(consumer, "consumer");
    }

    @Override
    public void onSubscribe(Flow.Subscription subscription) {
      this.subscription = subscription;
      subscription.request(Long.MAX_VALUE);
    }

    @Override
    public void onNext(Answer<T> answer) {
      try {
        consumer.accept(answer);
      } catch (Throwable fault) {
        subscription.cancel();
        done.completeExceptionally(fault);
      }
    }

    @Override
    public void onError(Throwable failure) {
      done.completeExceptionally(failure);
    }

    @Override
    public void onComplete() {
      done.complete(null);
    }
  }
}
