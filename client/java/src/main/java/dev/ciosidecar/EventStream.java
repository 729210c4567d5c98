package dev.ciosidecar;

import java.time.Duration;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Flow;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;

/**
 * A stream that takes events one at a time and passes on an answer for each, with the caller's attachment.
 * Answers come in the order of the events unless {@link StreamOptions#unordered} is set.
 *
 * <p>The stream gathers events into batches and applies flow control. If the sidecar drains or dies, the
 * stream opens another call and resends the events that have no answer. {@link CiosidecarClient#stream} opens
 * a stream. Any threads may send.
 *
 * <p>Answers are passed to one subscriber, on a thread of the client. An event is outstanding from {@link
 * #send} until the subscriber has its answer. A subscriber that requests no more answers makes senders wait.
 *
 * @param <T> the type of the attachments
 */
public final class EventStream<T> implements Flow.Publisher<Answer<T>>, AutoCloseable {
  /** How long closing a stream with affinity waits for the sidecars to end their calls. */
  private static final Duration ORDERLY_END = Duration.ofSeconds(2);

  private final SidecarChannel channel;
  private final Destination destination;
  private final Consumer<EventStream<?>> onClose;
  private final StreamState<T> state;
  private final List<Thread> threads;

  EventStream(
      SidecarChannel channel,
      Destination destination,
      StreamOptions options,
      Consumer<EventStream<?>> onClose) {
    this.channel = channel;
    this.destination = destination;
    this.onClose = onClose;
    this.state = new StreamState<>(channel, options);
    this.threads = state.lanes.stream().map(this::thread).toList();
  }

  private Thread thread(Lane<T> lane) {
    Thread thread = new Thread(new StreamLoop<>(channel, state, lane), "ciosidecar-stream");
    thread.setDaemon(true);
    return thread;
  }

  void start() {
    threads.forEach(Thread::start);
  }

  /**
   * Sends an event. Waits while too many events or bytes are outstanding.
   *
   * @param event the event
   * @param attachment the caller's own object, returned with the result; may be {@code null}, and never
   *     leaves this process
   * @throws InterruptedException if the thread was interrupted while it waited; the event is not sent
   * @throws SidecarException if the stream has failed or was closed
   * @throws IllegalArgumentException if neither the event nor the stream has a destination
   * @throws IllegalStateException after {@link #finish}; or if the subscriber's own code would have to wait,
   *     because it would wait for itself
   */
  public void send(Event event, T attachment) throws InterruptedException {
    Destination eventDestination = event.destinationOr(destination);
    int slot = slot(event);
    state.lock.lockInterruptibly();
    try {
      awaitCapacity();
      state.add(state.answers.add(event, eventDestination, attachment, null, slot));
    } finally {
      state.lock.unlock();
    }
  }

  /**
   * Sends events at once, in batches that contain no others, so that they share requests with each other
   * only. Either all events are sent or, if this method throws, none. Waits until flow control admits one
   * event; the events may then exceed the limits.
   *
   * @param entries the events and their attachments
   * @param timeout the time limit for the delivery of the events, on a stream with delivery; above zero
   * @throws InterruptedException as for {@link #send}
   */
  public void sendBatch(List<BatchEntry<T>> entries, Duration timeout) throws InterruptedException {
    sendBatch(entries, new BatchGroup(DeliveryOptions.positive(timeout)));
  }

  /**
   * Sends events at once, as {@link #sendBatch(List, Duration)} does, with the time limit of the stream.
   *
   * @param entries the events and their attachments
   * @throws InterruptedException as for {@link #send}
   */
  public void sendBatch(List<BatchEntry<T>> entries) throws InterruptedException {
    sendBatch(entries, new BatchGroup(null));
  }

  private void sendBatch(List<BatchEntry<T>> entries, BatchGroup group)
      throws InterruptedException {
    List<BatchEntry<T>> batch = List.copyOf(entries);
    batch.forEach(entry -> entry.event().destinationOr(destination));
    int[] slots = batch.stream().mapToInt(entry -> slot(entry.event())).toArray();
    state.lock.lockInterruptibly();
    try {
      awaitCapacity();
      for (int index = 0; index < slots.length; index++) {
        BatchEntry<T> entry = batch.get(index);
        Event event = entry.event();
        state.add(
            state.answers.add(
                event, event.destinationOr(destination), entry.attachment(), group, slots[index]));
      }
      state.sendNow();
    } finally {
      state.lock.unlock();
    }
  }

  /** Returns the slot of the event's person on a stream with affinity; otherwise 0. */
  private int slot(Event event) {
    return state.hasAffinity() ? PersonSlots.slot(PersonKey.of(event.item())) : 0;
  }

  /** Waits until flow control admits an event. Under the lock. */
  private void awaitCapacity() throws InterruptedException {
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
      if (state.hasCapacity()) {
        return;
      }
      if (state.subscription != null && state.subscription.runsHere()) {
        throw new IllegalStateException(
            "too many outstanding events: a subscriber that sends would wait for itself");
      }
      if (!state.hasSent()) {
        // Only an answer admits another event, and no event was sent yet.
        state.sendNow();
      }
      state.capacity.await();
    }
  }

  /**
   * Sends an event without an attachment.
   *
   * @param event the event
   * @throws InterruptedException as for {@link #send(Event, Object)}
   */
  public void send(Event event) throws InterruptedException {
    send(event, null);
  }

  /** Declares that no more events will be sent. The subscription completes after the last answer. */
  public void finish() {
    state.lock.lock();
    try {
      state.finished = true;
      state.sendNow();
      state.capacity.signalAll();
      state.wakeSubscriber();
    } finally {
      state.lock.unlock();
    }
  }

  /**
   * Subscribes to the answers. {@code onComplete} is called after the last answer of a finished stream. If
   * the stream has failed, {@code onError} is called with a {@link SidecarException}, after the answers that
   * precede the failure; if the stream was closed, {@code onError} is called at once. A subscriber that
   * cancels, or throws, closes the stream.
   *
   * @param subscriber the only subscriber: a second gets an {@link IllegalStateException}
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
    reject(subscriber);
  }

  /**
   * Subscribes with a function that is called with one answer after another. A slow function makes senders
   * wait, because the next answer waits until the function returns.
   *
   * @param consumer called with every answer, in order
   * @return a future that completes after the last answer of a finished stream. The future completes
   *     exceptionally with the {@link SidecarException} that {@code onError} would get, or with the
   *     consumer's own exception
   */
  public CompletableFuture<Void> consume(Consumer<? super Answer<T>> consumer) {
    ConsumerSubscriber<T> subscriber = new ConsumerSubscriber<>(consumer);
    subscribe(subscriber);
    return subscriber.done;
  }

  /** {@return how many times the stream had to open another call; with affinity, at all addresses together} */
  public int reconnects() {
    state.lock.lock();
    try {
      return state.reconnects;
    } finally {
      state.lock.unlock();
    }
  }

  /**
   * Ends the stream at once, without waiting for the stream's thread to end. Senders and the subscriber get a
   * {@link SidecarException} with {@code CANCELLED}. Any thread may cancel.
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
   * Ends the stream at once and waits for the stream's thread to end. The call is cancelled, and answers that
   * the subscriber does not have yet are lost: call {@link #finish} and wait for the end first. Does nothing
   * the second time.
   */
  @Override
  public void close() {
    boolean interrupted = !awaitOrderlyEnd();
    cancel();
    for (Thread thread : threads) {
      while (thread.isAlive()) {
        try {
          // Once the stream is closed, the thread waits for the lock only.
          thread.join();
        } catch (InterruptedException signal) {
          interrupted = true;
        }
      }
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
    onClose.accept(this);
  }

  /** Waits for the sidecars of a complete stream to end their calls. Returns false if interrupted. */
  private boolean awaitOrderlyEnd() {
    if (!state.hasAffinity() || !isComplete()) {
      return true;
    }
    // The sidecars get Finish only now: any of them could have had to take another's events.
    long endsNanos = System.nanoTime() + ORDERLY_END.toNanos();
    try {
      for (Thread thread : threads) {
        long leftMs = TimeUnit.NANOSECONDS.toMillis(endsNanos - System.nanoTime());
        if (leftMs > 0) {
          thread.join(leftMs);
        }
      }
      return true;
    } catch (InterruptedException signal) {
      return false;
    }
  }

  private boolean isComplete() {
    state.lock.lock();
    try {
      return state.isDone() && !state.isOver();
    } finally {
      state.lock.unlock();
    }
  }

  private static <T> void reject(Flow.Subscriber<? super Answer<T>> subscriber) {
    subscriber.onSubscribe(
        new Flow.Subscription() {
          @Override
          public void request(long answers) {}

          @Override
          public void cancel() {}
        });
    subscriber.onError(new IllegalStateException("the stream already has a subscriber"));
  }

  private static final class ConsumerSubscriber<T> implements Flow.Subscriber<Answer<T>> {
    final CompletableFuture<Void> done = new CompletableFuture<>();
    private final Consumer<? super Answer<T>> consumer;
    private Flow.Subscription subscription;

    ConsumerSubscriber(Consumer<? super Answer<T>> consumer) {
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
