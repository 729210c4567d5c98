package dev.ciosidecar;

import io.grpc.Status;
import java.util.concurrent.Executor;
import java.util.concurrent.Flow;

/**
 * Gives answers to the one subscriber of a stream, in order, as many as it asked for.
 *
 * <p>It runs on a thread of the client's whenever there is something to tell, one run at a time, and never
 * holds the lock while the subscriber's code runs.
 */
final class AnswerSubscription<T> implements Flow.Subscription, Runnable {
  private final StreamState<T> state;
  private final Flow.Subscriber<? super Answer<T>> subscriber;
  private final Executor executor;

  // Under the state's lock.
  private long demand;
  private long wrongDemand;
  private boolean running;
  private boolean greeted;
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

  /** Nobody is left to hear answers, so the stream ends. */
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

  /** Sees to it that a thread looks after what is due. Under the lock. */
  void wake() {
    if (!running && !over) {
      running = true;
      executor.execute(this);
    }
  }

  /** Whether this thread is the subscriber's own. Under the lock. */
  boolean runsHere() {
    return thread == Thread.currentThread();
  }

  @Override
  public void run() {
    try {
      greet();
      Runnable next;
      while ((next = next()) != null) {
        next.run();
      }
    } catch (Throwable fault) {
      cancel();
      throw fault;
    }
  }

  private void greet() {
    boolean first;
    state.lock.lock();
    try {
      thread = Thread.currentThread();
      first = !greeted;
      greeted = true;
    } finally {
      state.lock.unlock();
    }
    if (first) {
      subscriber.onSubscribe(this);
    }
  }

  /** What the subscriber is to be told now; null for nothing. */
  private Runnable next() {
    state.lock.lock();
    try {
      Runnable last = lastWord();
      if (over) {
        thread = null;
        return null;
      }
      if (last != null) {
        over = true;
        return last;
      }
      if (demand > 0 && state.ledger.hasAnswer()) {
        demand--;
        Answer<T> answer = state.ledger.takeAnswer();
        state.room.signalAll();
        return () -> subscriber.onNext(answer);
      }
      running = false;
      thread = null;
      return null;
    } finally {
      state.lock.unlock();
    }
  }

  /** How it ends, if it does now. */
  private Runnable lastWord() {
    if (wrongDemand < 0) {
      state.close();
      return () -> subscriber.onError(new IllegalArgumentException("a demand below 1"));
    }
    if (!state.closed && state.finished && state.ledger.owedEvents() == 0) {
      return subscriber::onComplete;
    }
    // What was answered before a failure is still told; what was answered before the user left is not.
    if (state.failure != null && (state.closed || !state.ledger.hasAnswer())) {
      SidecarException failure = state.failure;
      return () -> subscriber.onError(failure);
    }
    return null;
  }
}
