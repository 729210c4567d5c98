package dev.ciosidecar;

import static dev.ciosidecar.Played.DESTINATION;
import static dev.ciosidecar.Played.TRACK;
import static dev.ciosidecar.Played.play;
import static dev.ciosidecar.Played.tracks;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.grpc.ChannelCredentials;
import io.grpc.Status;
import io.grpc.TlsChannelCredentials;
import io.netty.pkitesting.CertificateBuilder;
import io.netty.pkitesting.X509Bundle;
import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Collections;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Addresses of sidecars: sockets, several addresses, TLS. */
@Timeout(120)
class AddressTest {
  private static final StreamOptions SHORT_RECONNECT =
      StreamOptions.builder().reconnectFor(Duration.ofMillis(200)).build();

  @TempDir Path directory;

  /** A unix socket is an address for calls and for streams. */
  @Test
  void aUnixSocketIsAnAddress() throws Exception {
    try (SidecarProcess sidecar = SidecarProcess.listening("unix:" + directory.resolve("s.sock"));
        CiosidecarClient client = CiosidecarClient.connect(sidecar.address())) {
      assertTrue(sidecar.address().startsWith("unix:"));
      assertEquals(200, client.transform(List.of(TRACK), DESTINATION).get(0).status());
      assertEquals(
          Collections.nCopies(10, 200),
          play(client, tracks(10), StreamOptions.defaults()).statuses());
    }
  }

  /** Calls take turns among several addresses. If a sidecar drains, the others get all calls. */
  @ParameterizedTest
  @ValueSource(strings = {"tcp", "unix"})
  void callsTakeTurns(String kind) throws Exception {
    try (SidecarProcess first = listening(kind, "a", "--max-batch-events", "1");
        SidecarProcess second = listening(kind, "b", "--max-batch-events", "2");
        CiosidecarClient client =
            CiosidecarClient.builder().addresses(first.address(), second.address()).build()) {
      Set<Integer> seen = new HashSet<>();
      while (seen.size() < 2) { // until both are connected; the test's time limit bounds it
        seen.add(answeringSidecar(client));
      }
      List<Integer> turns = Stream.generate(() -> answeringSidecar(client)).limit(10).sorted().toList();
      assertEquals(List.of(1, 1, 1, 1, 1, 2, 2, 2, 2, 2), turns);
      first.drain();
      first.awaitExit();
      assertEquals(
          Collections.nCopies(10, 2), Stream.generate(() -> answeringSidecar(client)).limit(10).toList());
    }
  }

  /**
   * The end of a call ends no health check that the thread of the call has started for the channel. Threads
   * decide by chance who starts it, hence the number of clients.
   */
  @Test
  void healthChecksOutliveTheCallThatStartedThem() throws Exception {
    try (SidecarProcess first = listening("unix", "a", "--max-batch-events", "1");
        SidecarProcess second = listening("unix", "b", "--max-batch-events", "2")) {
      for (int clients = 0; clients < 100; clients++) {
        try (CiosidecarClient client =
            CiosidecarClient.builder().addresses(first.address(), second.address()).build()) {
          Set<Integer> seen = new HashSet<>();
          while (seen.size() < 2) { // until both are connected; the test's time limit bounds it
            seen.add(answeringSidecar(client));
          }
          assertEquals(3, answeringSidecar(client) + answeringSidecar(client));
        }
      }
    }
  }

  /** A sidecar whose health is not SERVING gets no calls, although it would answer. */
  @Test
  void anUnhealthySidecarGetsNoCalls() throws Exception {
    ScriptedSidecar.Script answers =
        caller -> {
          caller.open();
          caller.answerEverything();
        };
    try (ScriptedSidecar ill = new ScriptedSidecar(answers);
        ScriptedSidecar well = new ScriptedSidecar(answers);
        CiosidecarClient client =
            CiosidecarClient.builder().addresses(ill.address(), well.address()).build()) {
      ill.fallIll();
      for (int stream = 0; stream < 6; stream++) {
        play(client, tracks(1), StreamOptions.defaults());
      }
      assertEquals(0, ill.callers.size());
      assertEquals(6, well.callers.size());
    }
  }

  /** Failed connections are retried with the stream's own backoff, not with gRPC's, which is much slower. */
  @Test
  void aDeadAddressIsRetriedWithTheStreamsOwnBackoff() throws Exception {
    AtomicInteger attempts = new AtomicInteger();
    CompletableFuture<Void> refusing;
    try (ServerSocket dead = new ServerSocket(0, 50, InetAddress.getLoopbackAddress())) {
      refusing =
          CompletableFuture.runAsync(
              () -> {
                while (true) {
                  try {
                    dead.accept().close();
                    attempts.incrementAndGet();
                  } catch (IOException closed) {
                    return;
                  }
                }
              });
      StreamOptions options =
          StreamOptions.builder().reconnectFor(Duration.ofMillis(2500)).build();
      Played.failure("127.0.0.1:" + dead.getLocalPort(), List.of(TRACK), options);
    }
    Played.await(refusing);
    // Five delays take at most 1.5 s; four of gRPC's take at least 5 s.
    assertTrue(attempts.get() >= 5, "attempts: " + attempts);
  }

  private SidecarProcess listening(String kind, String name, String... options) throws Exception {
    return kind.equals("tcp")
        ? SidecarProcess.start(options)
        : SidecarProcess.listening("unix:" + directory.resolve(name), options);
  }

  private static int answeringSidecar(CiosidecarClient client) {
    return client.capabilities().getLimits().getMaxBatchEvents();
  }

  /** Addresses that cannot be one target are refused. The error says which addresses are allowed. */
  @ParameterizedTest
  @MethodSource("unfit")
  void addressesOfDifferentKindsAreRefused(List<String> addresses) {
    IllegalArgumentException refusal =
        assertThrows(
            IllegalArgumentException.class,
            () -> CiosidecarClient.builder().addresses(addresses.toArray(String[]::new)).build());
    assertTrue(refusal.getMessage().contains("dns:///"));
  }

  static List<List<String>> unfit() {
    return List.of(
        List.of(), List.of("127.0.0.1:1", "unix:/a"), List.of("localhost:1", "localhost:2"));
  }

  /** A name with a port is an address, with dns:/// and without. */
  @Test
  void aNameIsAnAddress() throws Exception {
    try (SidecarProcess sidecar = SidecarProcess.start()) {
      String port = sidecar.address().substring(sidecar.address().lastIndexOf(':'));
      for (String address : List.of("localhost" + port, "dns:///localhost" + port)) {
        try (CiosidecarClient client = CiosidecarClient.connect(address)) {
          assertEquals("ciosidecar.v1", client.capabilities().getProtocolVersion());
        }
      }
    }
  }

  /** The client trusts the configured authority only, with one address and with several. */
  @Test
  void tlsWithAPrivateAuthority() throws Exception {
    X509Bundle authority = authority();
    Path trusted = write("ca.pem", authority.getCertificatePEM());
    ChannelCredentials trusting =
        TlsChannelCredentials.newBuilder().trustManager(trusted.toFile()).build();
    try (SidecarProcess first = tlsSidecar(authority);
        SidecarProcess second = tlsSidecar(authority)) {
      for (List<String> addresses :
          List.of(List.of(first.address()), List.of(first.address(), second.address()))) {
        try (CiosidecarClient client = client(trusting, addresses).build()) {
          assertEquals(
              List.of(200), play(client, List.of(TRACK), StreamOptions.defaults()).statuses());
        }
      }
      assertEquals(
          Status.Code.UNAVAILABLE,
          Played.failure(first.address(), List.of(TRACK), SHORT_RECONNECT).code());
      try (CiosidecarClient stranger =
          client(TlsChannelCredentials.create(), List.of(first.address())).build()) {
        assertEquals(
            Status.Code.UNAVAILABLE,
            assertThrows(SidecarException.class, stranger::capabilities).code());
      }
    }
  }

  /**
   * A sidecar that requires client certificates refuses clients without one. Its name may differ from its
   * address.
   */
  @Test
  void tlsWithAClientCertificate() throws Exception {
    X509Bundle authority = authority();
    Path trusted = write("ca.pem", authority.getCertificatePEM());
    X509Bundle clientCertificate =
        new CertificateBuilder().ecp256().subject("CN=client").buildIssuedBy(authority);
    ChannelCredentials trusting =
        TlsChannelCredentials.newBuilder()
            .trustManager(trusted.toFile())
            .keyManager(
                write("client.pem", clientCertificate.getCertificatePathPEM()).toFile(),
                write("client-key.pem", clientCertificate.getPrivateKeyPEM()).toFile())
            .build();
    ChannelCredentials withoutCertificate =
        TlsChannelCredentials.newBuilder().trustManager(trusted.toFile()).build();
    try (SidecarProcess sidecar = tlsSidecar(authority, "--tls-client-ca", trusted.toString())) {
      try (CiosidecarClient client =
          client(trusting, List.of(sidecar.address())).serverName("sidecar.test").build()) {
        assertEquals(200, client.transform(List.of(TRACK), DESTINATION).get(0).status());
      }
      try (CiosidecarClient client = client(withoutCertificate, List.of(sidecar.address())).build()) {
        assertEquals(
            Status.Code.UNAVAILABLE,
            assertThrows(SidecarException.class, client::capabilities).code());
      }
    }
  }

  private static CiosidecarClient.Builder client(
      ChannelCredentials credentials, List<String> addresses) {
    return CiosidecarClient.builder()
        .addresses(addresses.toArray(String[]::new))
        .credentials(credentials);
  }

  private static X509Bundle authority() throws Exception {
    return new CertificateBuilder()
        .ecp256()
        .subject("CN=authority")
        .setIsCertificateAuthority(true)
        .buildSelfSigned();
  }

  private SidecarProcess tlsSidecar(X509Bundle authority, String... options) throws Exception {
    X509Bundle server =
        new CertificateBuilder()
            .ecp256()
            .subject("CN=sidecar.test")
            .addSanDnsName("sidecar.test")
            .addSanIpAddress("127.0.0.1")
            .buildIssuedBy(authority);
    List<String> all =
        Stream.concat(
                Stream.of(
                    "--tls-cert", write("cert.pem", server.getCertificatePathPEM()).toString(),
                    "--tls-key", write("key.pem", server.getPrivateKeyPEM()).toString()),
                Stream.of(options))
            .toList();
    return SidecarProcess.start(all.toArray(String[]::new));
  }

  private Path write(String name, String text) throws Exception {
    return Files.writeString(directory.resolve(name), text);
  }
}
