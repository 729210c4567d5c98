package dev.ciosidecar;

import io.grpc.Status;
import java.util.concurrent.Executor;
import java.util.concurrent.Flow;

/**
 * Passes answers to the subscriber of a stream, in order, as many as the subscriber requested.
 *
 * <p>Runs on a thread of the client whenever there is a signal to pass on, one run at a time. The lock is not
 * held while the subscriber's code runs.
 */
final class AnswerSubscription<T> implements Flow.Subscription, Runnable {
  private final StreamState<T> state;
  private final Flow.Subscriber<? super Answer<T>> subscriber;
  private final Executor executor;

  // Under the state's lock.
  private long demand;
  private long wrongDemand;
  private boolean running;
  private boolean subscribed;
  private boolean over;
  private Thread thread;

  AnswerSubscription(
      StreamState<T> state, Flow.Subscriber<? super Answer<T>> subscriber, Executor executor) {
    this.state = state;
    this.subscriber = subscriber;
    this.executor = executor;
  }

  @Override
  public void request(long answers) {
    state.lock.lock();
    try {
      if (answers <= 0) {
        wrongDemand = Math.min(wrongDemand, answers - 1);
      } else {
        demand = demand + answers < 0 ? Long.MAX_VALUE : demand + answers;
      }
      wake();
    } finally {
      state.lock.unlock();
    }
  }

  /** Closes the stream: its answers have no receiver any more. */
  @Override
  public void cancel() {
    state.lock.lock();
    try {
      over = true;
      state.close();
    } finally {
      state.lock.unlock();
    }
  }

  /** Starts a run unless one is active. Under the lock. */
  void wake() {
    if (!running && !over) {
      running = true;
      executor.execute(this);
    }
  }

  /** Returns whether the current thread runs the subscriber's code. Under the lock. */
  boolean runsHere() {
    return thread == Thread.currentThread();
  }

  @Override
  public void run() {
    try {
      subscribeOnce();
      Runnable next;
      while ((next = next()) != null) {
        next.run();
      }
    } catch (Throwable fault) {
      cancel();
      throw fault;
    }
  }

  private void subscribeOnce() {
    boolean first;
    state.lock.lock();
    try {
      thread = Thread.currentThread();
      first = !subscribed;
      subscribed = true;
    } finally {
      state.lock.unlock();
    }
    if (first) {
      subscriber.onSubscribe(this);
    }
  }

  /** Returns the next signal to the subscriber; null if there is none now. */
  private Runnable next() {
    state.lock.lock();
    try {
      Runnable last = lastSignal();
      if (over) {
        thread = null;
        return null;
      }
      if (last != null) {
        over = true;
        return last;
      }
      if (demand > 0 && state.answers.hasAnswer()) {
        demand--;
        Answer<T> answer = state.answers.takeAnswer();
        state.capacity.signalAll();
        return () -> subscriber.onNext(answer);
      }
      running = false;
      thread = null;
      return null;
    } finally {
      state.lock.unlock();
    }
  }

  /** Returns the signal that ends the subscription; null if the subscription does not end now. */
  private Runnable lastSignal() {
    if (wrongDemand < 0) {
      state.close();
      return () -> subscriber.onError(new IllegalArgumentException("a demand below 1"));
    }
    if (!state.closed && state.finished && state.answers.count() == 0) {
      return subscriber::onComplete;
    }
    // Answers that precede a failure are still passed on. After the caller closed the stream, none is.
    if (state.failure != null && (state.closed || !state.answers.hasAnswer())) {
      SidecarException failure = state.failure;
      return () -> subscriber.onError(failure);
    }
    return null;
  }
}
