package dev.ciosidecar;

import static dev.ciosidecar.Played.DESTINATION;
import static dev.ciosidecar.Played.TRACK;
import static dev.ciosidecar.Played.play;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.ciosidecar.v1.Batch;
import io.grpc.Metadata;
import io.grpc.ServerCall;
import io.grpc.ServerCallHandler;
import io.grpc.ServerInterceptor;
import io.grpc.Status;
import io.grpc.TlsChannelCredentials;
import java.io.Closeable;
import java.io.IOException;
import java.net.DatagramSocket;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.Supplier;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** The forms of an address, bearer tokens, and a first connection that never comes. */
@Timeout(120)
class ConnectingTest {
  private static final String LONG = "p".repeat(106);

  @TempDir Path directory;

  /** A sidecar's guard, which requires one of the tokens and remembers what it has seen. */
  private static final class Guard implements ServerInterceptor {
    private static final Metadata.Key<String> AUTHORIZATION =
        Metadata.Key.of("authorization", Metadata.ASCII_STRING_MARSHALLER);

    final List<String> seen = new CopyOnWriteArrayList<>();

    @Override
    public <Q, R> ServerCall.Listener<Q> interceptCall(
        ServerCall<Q, R> call, Metadata headers, ServerCallHandler<Q, R> next) {
      String authorization = String.valueOf(headers.get(AUTHORIZATION));
      seen.add(authorization);
      if (List.of("Bearer first", "Bearer second").contains(authorization)) {
        return next.startCall(call, headers);
      }
      call.close(Status.UNAUTHENTICATED.withDescription("no valid token"), new Metadata());
      return new ServerCall.Listener<>() {};
    }
  }

  private final Guard guard = new Guard();

  private ScriptedSidecar guarded() throws Exception {
    return new ScriptedSidecar(List.of(guard), ScriptedSidecar.ANSWERING);
  }

  private static CiosidecarClient.Builder client(String... addresses) {
    return CiosidecarClient.builder().addresses(addresses);
  }

  private static SidecarException streamFailure(CiosidecarClient client) {
    return streamFailure(client, StreamOptions.defaults());
  }

  private static SidecarException streamFailure(CiosidecarClient client, StreamOptions options) {
    ExecutionException failure =
        assertThrows(ExecutionException.class, () -> play(client, List.of(TRACK), options));
    return assertInstanceOf(SidecarException.class, failure.getCause());
  }

  /** A malformed address is quoted in an error that says what is wrong, alone and in a list. */
  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      ignoreLeadingAndTrailingWhitespace = false,
      emptyValue = "",
      value = {
        "''|it is blank",
        "  |it is blank",
        "http://127.0.0.1:50550|leave \"http://\" out",
        "https://sidecar:50550|leave \"https://\" out",
        "unix:|the path of the socket is missing",
        "unix:///|the path of the socket is missing",
        "unix-abstract:|the name of the socket is missing",
        "unix://run/sidecar.sock|use unix:PATH or unix:///PATH",
        "localhost|the port is missing, as in host:50550",
        "localhost:|the port is missing, as in host:50550",
        "[::1]|the port is missing, as in host:50550",
        "dns:///sidecar|the port is missing, as in host:50550",
        "localhost:0|the port must be 1 to 65535",
        "localhost:65536|the port must be 1 to 65535",
        "localhost:grpc|the port must be 1 to 65535",
        "::1:50550|put an IPv6 address into brackets, as in [::1]:50550",
        "[::1:50550|use host:port",
        "[1.2.3.4]:50550|use host:port",
        "[:::1]:50550|use host:port",
        "1.2.3.400:50550|use host:port",
        ":50550|use host:port",
        "tcp://sidecar:50550|use host:port",
        "dns://sidecar:50550|use host:port",
        "side/car:50550|use host:port",
        "side car:50550|it contains white space",
      })
  void aMalformedAddressSaysWhatIsWrong(String address, String fault) {
    for (CiosidecarClient.Builder builder : List.of(client(address), client("127.0.0.1:1", address))) {
      String message = assertThrows(IllegalArgumentException.class, builder::build).getMessage();
      assertTrue(message.contains("\"" + address + "\" is no address: "), message);
      assertTrue(message.contains(fault), message);
    }
  }

  /** An empty list, and a path of 108 bytes, are refused. */
  @Test
  void noAddressAndALongPathAreRefused() {
    for (CiosidecarClient.Builder builder : List.of(client(), client("unix:/p" + LONG))) {
      String message = assertThrows(IllegalArgumentException.class, builder::build).getMessage();
      assertTrue(message.contains("no address is given") || message.contains("at most 107 bytes"));
    }
  }

  /** Every right form of an address is accepted. */
  @ParameterizedTest
  @ValueSource(
      strings = {
        "localhost:50550",
        "127.0.0.1:50550",
        "[::1]:50550",
        "dns:///sidecar.internal:50550",
        "unix:sidecar.sock",
        "unix:/run/sidecar.sock",
        "unix:///run/sidecar.sock",
        "unix-abstract:sidecar",
        "side-car-1.internal:1",
      })
  void aRightAddressIsAccepted(String address) {
    client(address).build().close();
    client("unix:/" + LONG).build().close();
  }

  /** Both forms of a unix socket's path connect. */
  @Test
  void everyFormOfAUnixSocketConnects() throws Exception {
    Path socket = directory.resolve("s");
    try (SidecarProcess sidecar = SidecarProcess.listening("unix:" + socket)) {
      for (String address : List.of(sidecar.address(), "unix://" + socket)) {
        try (CiosidecarClient client = client(address).build()) {
          assertEquals(200, client.transform(List.of(TRACK), DESTINATION).get(0).status());
        }
      }
    }
  }

  /** Every call has the token of the moment. */
  @ParameterizedTest
  @ValueSource(strings = {"file", "function"})
  void everyCallHasTheTokenOfTheMoment(String source) throws Exception {
    Path file = directory.resolve("token");
    AtomicReference<String> current = new AtomicReference<>();
    try (ScriptedSidecar sidecar = guarded()) {
      CiosidecarClient.Builder builder = client(sidecar.address());
      if (source.equals("file")) {
        builder.tokenFile(file);
      } else {
        builder.token(current::get);
      }
      try (CiosidecarClient client = builder.build()) {
        for (String token : List.of("first", "second")) {
          current.set(token);
          Files.writeString(file, "# rotated monthly\n\n" + token + "\nolder\n");
          assertEquals(
              List.of(200), play(client, List.of(TRACK), StreamOptions.defaults()).statuses());
          SidecarException failure = assertThrows(SidecarException.class, client::capabilities);
          assertEquals(Status.Code.UNIMPLEMENTED, failure.code());
        }
      }
      assertEquals(
          List.of("Bearer first", "Bearer first", "Bearer second", "Bearer second"), guard.seen);
    }
  }

  /** Without a valid token, calls and streams end at once, and the error says what to do. */
  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void aWrongTokenEndsTheStreamAtOnce(boolean given) throws Exception {
    try (ScriptedSidecar sidecar = guarded()) {
      CiosidecarClient.Builder builder = client(sidecar.address());
      if (given) {
        builder.token("old");
      }
      try (CiosidecarClient client = builder.build()) {
        SidecarException call = assertThrows(SidecarException.class, client::capabilities);
        for (SidecarException failure : List.of(streamFailure(client), call)) {
          assertEquals(Status.Code.UNAUTHENTICATED, failure.code());
          assertTrue(failure.details().contains("no valid token"), failure.details());
          assertTrue(failure.details().contains("--auth-token-file"), failure.details());
        }
      }
      assertEquals(2, guard.seen.size());
    }
  }

  /** A token that cannot be read now may be readable later: the stream tries again until its limit. */
  @Test
  void aStreamWaitsForATokenThatCannotBeRead() throws Exception {
    Path missing = directory.resolve("missing");
    AtomicInteger attempts = new AtomicInteger();
    Supplier<String> late =
        () -> {
          if (attempts.incrementAndGet() < 3) {
            throw new IllegalStateException("first is the token");
          }
          return "first";
        };
    Duration timeout = Duration.ofMillis(300);
    try (ScriptedSidecar sidecar = guarded();
        CiosidecarClient failing =
            client(sidecar.address()).tokenFile(missing).connectTimeout(timeout).build();
        CiosidecarClient client = client(sidecar.address()).token(late).build()) {
      SidecarException failure = streamFailure(failing);
      assertEquals(Status.Code.UNAVAILABLE, failure.code());
      assertTrue(failure.details().contains("cannot read the token"), failure.details());
      assertTrue(failure.details().contains(missing.toString()), failure.details());
      assertEquals(
          List.of(200), play(client, List.of(TRACK), StreamOptions.defaults()).statuses());
    }
  }

  /** The error of a caller's function, which may quote the token, is not repeated. */
  @Test
  void theErrorOfAFunctionDoesNotTellTheToken() throws Exception {
    Supplier<String> fails =
        () -> {
          throw new IllegalStateException("first is the token");
        };
    try (ScriptedSidecar sidecar = guarded();
        CiosidecarClient client = client(sidecar.address()).token(fails).build()) {
      SidecarException failure = assertThrows(SidecarException.class, client::capabilities);
      assertFalse(failure.getMessage().contains("first"), failure.getMessage());
    }
  }

  /** Without TLS, a token is sent over loopback and unix sockets only, unless the network is safe. */
  @Test
  void noTokenLeavesTheHostWithoutTls() {
    for (String address : List.of("sidecar:50550", "192.0.2.1:50550", "dns:///sidecar:50550")) {
      String message =
          assertThrows(IllegalArgumentException.class, client(address).token("t")::build)
              .getMessage();
      assertTrue(message.contains("token would be sent to " + address + " in plain text"), message);
      client(address).token("t").insecure(true).build().close();
      client(address).token("t").credentials(TlsChannelCredentials.create()).build().close();
    }
    for (String address :
        List.of("127.0.0.2:1", "[::1]:1", "localhost:1", "dns:///localhost:1", "unix:/a")) {
      client(address).token("t").build().close();
    }
  }

  /** A token that no header can have, a second token and a time limit of zero are refused. */
  @Test
  void optionsThatCannotBeAreRefused() {
    for (Executable wrong :
        List.<Executable>of(
            () -> client().token(""),
            () -> client().token("two words"),
            () -> client().token("line\n"),
            () -> client().token("a").tokenFile(directory),
            () -> client().connectTimeout(Duration.ZERO),
            () -> Tls.fromFiles(null, directory, null))) {
      assertThrows(IllegalArgumentException.class, wrong);
    }
  }

  /** A stream and a call fail in time if nobody listens. */
  @Test
  void nobodyListens() throws Exception {
    // The port is taken, for another purpose.
    try (DatagramSocket taken = new DatagramSocket(0, InetAddress.getByName("127.0.0.1"))) {
      failsInTime("127.0.0.1:" + taken.getLocalPort(), "refused");
    }
  }

  /** A stream and a call fail in time if the listener never answers. */
  @Test
  void aListenerNeverAnswers() throws Exception {
    try (ServerSocket silent = new ServerSocket(0, 50, InetAddress.getByName("127.0.0.1"))) {
      failsInTime("127.0.0.1:" + silent.getLocalPort(), "got no answer");
    }
  }

  /** A stream and a call fail in time if the name is not found. */
  @Test
  void aNameIsNotFound() {
    failsInTime("sidecar.invalid:50550", "Unable to resolve host sidecar.invalid");
  }

  private static void failsInTime(String address, String reason) {
    try (CiosidecarClient client =
        client(address).connectTimeout(Duration.ofSeconds(2)).build()) {
      for (Supplier<SidecarException> use :
          List.<Supplier<SidecarException>>of(
              () -> streamFailure(client),
              () -> assertThrows(SidecarException.class, client::capabilities))) {
        long beganNanos = System.nanoTime();
        SidecarException failure = use.get();
        assertEquals(Status.Code.UNAVAILABLE, failure.code());
        assertTrue(failure.details().contains(" from " + address + ": "), failure.details());
        assertTrue(failure.details().contains(reason), failure.details());
        assertTrue(System.nanoTime() - beganNanos < 12_000_000_000L);
      }
    }
  }

  /** A call that is under way when its connection gets a GOAWAY is not cancelled, though no other connection follows. */
  @Test
  void aCallWhoseConnectionGetsAGoAwayIsNotCancelled() throws Exception {
    Duration timeout = Duration.ofSeconds(1);
    AtomicReference<ScriptedSidecar> server = new AtomicReference<>();
    ScriptedSidecar.Script script =
        caller -> {
          caller.open();
          Batch batch = caller.batch().orElseThrow();
          server.get().goAway();
          Thread.sleep(2 * timeout.toMillis());
          caller.answer(batch);
          caller.answerEverything();
        };
    try (ScriptedSidecar sidecar = new ScriptedSidecar(script);
        OneConnection front = new OneConnection(sidecar.address());
        CiosidecarClient client = client(front.address()).connectTimeout(timeout).build()) {
      server.set(sidecar);
      Played played = play(client, List.of(TRACK), StreamOptions.defaults());
      assertEquals(List.of(200), played.statuses());
      assertEquals(0, played.reconnects());
    }
  }

  /** A load balancer that passes its first connection on, and never answers on any other. */
  private static final class OneConnection implements AutoCloseable {
    private final ServerSocket listener =
        new ServerSocket(0, 50, InetAddress.getByName("127.0.0.1"));
    private final List<Closeable> open = new CopyOnWriteArrayList<>(List.of(listener));
    private final ExecutorService threads = Executors.newCachedThreadPool();

    OneConnection(String address) throws IOException {
      int port = Integer.parseInt(address.substring(address.indexOf(':') + 1));
      threads.submit(
          () -> {
            Socket caller = listener.accept();
            Socket sidecar = new Socket("127.0.0.1", port);
            open.addAll(List.of(caller, sidecar));
            threads.submit(() -> caller.getInputStream().transferTo(sidecar.getOutputStream()));
            return sidecar.getInputStream().transferTo(caller.getOutputStream());
          });
    }

    String address() {
      return "127.0.0.1:" + listener.getLocalPort();
    }

    @Override
    public void close() throws IOException {
      for (Closeable each : open) {
        each.close();
      }
      threads.shutdownNow();
    }
  }

  /** Once a sidecar has answered, the stream's own time limit holds. */
  @Test
  void aLostConnectionHasTheStreamsOwnTimeLimit() throws Exception {
    StreamOptions options = StreamOptions.builder().reconnectFor(Duration.ofSeconds(2)).build();
    try (ScriptedSidecar sidecar = new ScriptedSidecar(ScriptedSidecar.Caller::open);
        CiosidecarClient client =
            client(sidecar.address()).connectTimeout(Duration.ofSeconds(1)).build()) {
      long beganNanos = System.nanoTime();
      SidecarException failure = streamFailure(client, options);
      assertTrue(failure.details().contains("no answer for 2000 ms"), failure.details());
      assertTrue(System.nanoTime() - beganNanos > 2_000_000_000L);
    }
  }
}
