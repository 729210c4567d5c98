package dev.ciosidecar;

import static dev.ciosidecar.Played.DESTINATION;
import static dev.ciosidecar.Played.TRACK;
import static dev.ciosidecar.Played.play;
import static dev.ciosidecar.Played.tracks;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Path;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** A closed client has no threads. */
@Timeout(120)
class ThreadsTest {
  private static final long TIMEOUT_MS = 20_000;

  /** No thread is left of streams that ended, were left open or failed, on TCP and on unix sockets. */
  @Test
  void noThreadIsLeftBehind(@TempDir Path directory) throws Exception {
    try (SidecarProcess tcp = SidecarProcess.start();
        SidecarProcess unix = SidecarProcess.listening("unix:" + directory.resolve("s.sock"))) {
      Set<Thread> before = Thread.getAllStackTraces().keySet();
      Set<Thread> during = new HashSet<>();
      for (String address : List.of(tcp.address(), unix.address(), "127.0.0.1:1")) {
        CiosidecarClient client = CiosidecarClient.connect(address);
        EventStream<Integer> left = client.stream(DESTINATION);
        left.send(TRACK, 0);
        if (!address.endsWith(":1")) {
          play(client, tracks(100), StreamOptions.defaults());
          client.transform(List.of(TRACK), DESTINATION);
        }
        during.addAll(Thread.getAllStackTraces().keySet());
        client.close();
      }
      during.removeAll(before);
      assertTrue(during.stream().anyMatch(thread -> thread.getName().startsWith("ciosidecar")));
      for (Thread thread : during) {
        thread.join(TIMEOUT_MS);
        assertFalse(thread.isAlive(), "still running: " + thread.getName());
      }
    }
  }

  /** Closing the client from the subscriber's own code does not hang and leaves no thread. */
  @Test
  void theClientMayBeClosedByItsSubscriber() throws Exception {
    try (SidecarProcess sidecar = SidecarProcess.start()) {
      CiosidecarClient client = CiosidecarClient.connect(sidecar.address());
      EventStream<Integer> stream = client.stream(DESTINATION);
      CountDownLatch closed = new CountDownLatch(1);
      Thread[] subscriber = new Thread[1];
      stream.consume(
          answer -> {
            subscriber[0] = Thread.currentThread();
            client.close();
            closed.countDown();
          });
      stream.send(TRACK, 0);
      assertTrue(closed.await(TIMEOUT_MS, TimeUnit.MILLISECONDS));
      subscriber[0].join(TIMEOUT_MS);
      assertFalse(subscriber[0].isAlive());
    }
  }
}
