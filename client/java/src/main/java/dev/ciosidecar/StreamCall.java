package dev.ciosidecar;

import dev.ciosidecar.v1.Finish;
import dev.ciosidecar.v1.OpenStream;
import dev.ciosidecar.v1.Results;
import dev.ciosidecar.v1.SidecarServiceGrpc.SidecarServiceStub;
import dev.ciosidecar.v1.TransformStreamRequest;
import dev.ciosidecar.v1.TransformStreamResponse;
import io.grpc.Status;
import io.grpc.stub.ClientCallStreamObserver;
import io.grpc.stub.ClientResponseObserver;
import java.util.List;

/**
 * One call of a lane, from OpenStream to its end. {@link #run} sends; gRPC's threads pass on the responses.
 */
final class StreamCall<T>
    implements ClientResponseObserver<TransformStreamRequest, TransformStreamResponse> {
  private final StreamState<T> state;
  private final Lane<T> lane;
  private final FirstConnection first;
  private ClientCallStreamObserver<TransformStreamRequest> requests;

  // Under the state's lock.
  private boolean opened;
  private boolean draining;
  private Status ended;

  StreamCall(StreamState<T> state, Lane<T> lane, FirstConnection first) {
    this.state = state;
    this.lane = lane;
    this.first = first;
  }

  /** Makes the call and returns the status it ended with; CANCELLED if the stream needs it no more. */
  Status run(SidecarServiceStub stub) throws InterruptedException {
    stub.transformStream(this);
    try {
      requests.onNext(opening());
      List<TransformStreamRequest> messages;
      while (!(messages = nextMessages()).isEmpty()) {
        send(messages);
      }
      if (!isOver()) {
        requests.onNext(
            TransformStreamRequest.newBuilder().setFinish(Finish.getDefaultInstance()).build());
        requests.onCompleted();
      }
      return awaitEnd();
    } finally {
      requests.cancel("the stream moves on", null);
    }
  }

  /** Sends a batch. If that fails, another call answers the events that were sent before. */
  private void send(List<TransformStreamRequest> messages) {
    try {
      messages.forEach(requests::onNext);
    } catch (RuntimeException | Error fault) {
      state.lock.lock();
      try {
        if (ended == null) {
          lane.outstanding.dropLastBatch();
          state.stopSending(lane, fault);
          ended = Status.CANCELLED;
        }
      } finally {
        state.lock.unlock();
      }
    }
  }

  private TransformStreamRequest opening() {
    OpenStream.Builder open =
        OpenStream.newBuilder()
            .setClientName(state.options.clientName())
            .setClientVersion(state.options.clientVersion())
            .setMaxReceiveBytes(state.options.maxReceiveBytes());
    state.options.delivery().map(DeliveryOptions::message).ifPresent(open::setDelivery);
    return TransformStreamRequest.newBuilder().setOpen(open).build();
  }

  /** Waits for the next batch to send. Returns nothing if this call sends no more. */
  private List<TransformStreamRequest> nextMessages() throws InterruptedException {
    state.lock.lock();
    try {
      while (!sendsNoMore()) {
        if (!opened || !lane.outstanding.hasWaiting() || !requests.isReady()) {
          lane.toSend.await();
          continue;
        }
        long lingerNanos = lane.remainingLingerNanos();
        if (lingerNanos == 0) {
          return takeMessages();
        }
        lane.toSend.awaitNanos(lingerNanos);
      }
      return List.of();
    } finally {
      state.lock.unlock();
    }
  }

  private List<TransformStreamRequest> takeMessages() {
    try {
      return lane.outstanding.takeMessages();
    } catch (RuntimeException | Error fault) {
      state.stopSending(lane, fault);
      return List.of();
    }
  }

  private boolean sendsNoMore() {
    endIfUnneeded();
    return ended != null
        || state.isOver()
        || draining
        || (opened && state.hasSentAll(lane));
  }

  /** Ends a call that still connects once all events are answered: nothing is left for it to do. */
  private void endIfUnneeded() {
    if (ended == null && !opened && state.hasAffinity() && state.isDone()) {
      ended = Status.CANCELLED;
    }
  }

  private boolean isOver() {
    state.lock.lock();
    try {
      return ended != null || state.isOver();
    } finally {
      state.lock.unlock();
    }
  }

  private Status awaitEnd() throws InterruptedException {
    state.lock.lock();
    try {
      endIfUnneeded();
      while (ended == null && !state.isOver()) {
        lane.toSend.await();
        endIfUnneeded();
      }
      if (ended == null) {
        // From here on, the responses of this call are ignored.
        ended = Status.CANCELLED;
      }
      return ended;
    } finally {
      state.lock.unlock();
    }
  }

  @Override
  public void beforeStart(ClientCallStreamObserver<TransformStreamRequest> requests) {
    this.requests = requests;
    requests.setOnReadyHandler(this::wakeSender);
  }

  private void wakeSender() {
    state.lock.lock();
    try {
      lane.toSend.signalAll();
    } finally {
      state.lock.unlock();
    }
  }

  @Override
  public void onNext(TransformStreamResponse response) {
    state.lock.lock();
    try {
      if (ended != null) {
        return;
      }
      switch (response.getMessageCase()) {
        case OPENED -> {
          opened = true;
          first.answered();
          state.opened(lane, response.getOpened().getLimits());
        }
        case RESULTS -> record(response.getResults());
        case DRAIN -> {
          draining = true;
          state.draining(lane);
        }
        case MESSAGE_NOT_SET -> {
          // A message of a newer contract is ignored.
        }
      }
    } finally {
      state.lock.unlock();
    }
  }

  private void record(Results results) {
    try {
      state.recorded(lane, lane.outstanding.record(results));
    } catch (RuntimeException fault) {
      // Another call would get the same answer.
      ended = Status.UNKNOWN.withDescription("the sidecar broke the contract: " + fault);
      lane.toSend.signalAll();
    }
  }

  @Override
  public void onError(Throwable failure) {
    end(Status.fromThrowable(failure));
  }

  @Override
  public void onCompleted() {
    end(Status.OK);
  }

  private void end(Status status) {
    state.lock.lock();
    try {
      if (ended == null) {
        ended = status;
      }
      lane.toSend.signalAll();
    } finally {
      state.lock.unlock();
    }
  }
}
