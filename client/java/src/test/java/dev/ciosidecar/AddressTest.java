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

/** The ways to a sidecar: sockets, several addresses, TLS. */
@Timeout(120)
class AddressTest {
  private static final StreamOptions IMPATIENT =
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

  /** Calls take turns among several addresses, and go to what is left when one drains. */
  @ParameterizedTest
  @ValueSource(strings = {"tcp", "unix"})
  void callsTakeTurns(String kind) throws Exception {
    try (SidecarProcess first = listening(kind, "a", "--max-batch-events", "1");
        SidecarProcess second = listening(kind, "b", "--max-batch-events", "2");
        CiosidecarClient client =
            CiosidecarClient.builder().addresses(first.address(), second.address()).build()) {
      Set<Integer> seen = new HashSet<>();
      while (seen.size() < 2) { // until both are connected; the test's own time bounds it
        seen.add(whoAnswers(client));
      }
      List<Integer> turns = Stream.generate(() -> whoAnswers(client)).limit(10).sorted().toList();
      assertEquals(List.of(1, 1, 1, 1, 1, 2, 2, 2, 2, 2), turns);
      first.drain();
      first.awaitExit();
      assertEquals(
          Collections.nCopies(10, 2), Stream.generate(() -> whoAnswers(client)).limit(10).toList());
    }
  }

  /** A sidecar whose health is not SERVING gets no calls, although it would answer. */
  @Test
  void whoIsNotHealthyGetsNoCalls() throws Exception {
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

  /** Where connecting fails, it is tried again at the stream's own pace, not at gRPC's much slower one. */
  @Test
  void aDeadAddressIsTriedAtTheStreamsOwnPace() throws Exception {
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
    // Five pauses take 1.5 s at most, four of gRPC's 5 s at least.
    assertTrue(attempts.get() >= 5, "attempts: " + attempts);
  }

  private SidecarProcess listening(String kind, String name, String... options) throws Exception {
    return kind.equals("tcp")
        ? SidecarProcess.start(options)
        : SidecarProcess.listening("unix:" + directory.resolve(name), options);
  }

  private static int whoAnswers(CiosidecarClient client) {
    return client.capabilities().getLimits().getMaxBatchEvents();
  }

  /** Addresses that cannot be one target are refused, and the error says what would do. */
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

  /** A name is an address, and so is an IPv4 with its port alone. */
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

  /** The client believes the authority it is given, and no other, on one address and on several. */
  @Test
  void tlsWithAPrivateAuthority() throws Exception {
    X509Bundle authority = authority();
    Path trusted = write("ca.pem", authority.getCertificatePEM());
    ChannelCredentials known =
        TlsChannelCredentials.newBuilder().trustManager(trusted.toFile()).build();
    try (SidecarProcess first = tlsSidecar(authority);
        SidecarProcess second = tlsSidecar(authority)) {
      for (List<String> addresses :
          List.of(List.of(first.address()), List.of(first.address(), second.address()))) {
        try (CiosidecarClient client = client(known, addresses).build()) {
          assertEquals(
              List.of(200), play(client, List.of(TRACK), StreamOptions.defaults()).statuses());
        }
      }
      assertEquals(
          Status.Code.UNAVAILABLE,
          Played.failure(first.address(), List.of(TRACK), IMPATIENT).code());
      try (CiosidecarClient stranger =
          client(TlsChannelCredentials.create(), List.of(first.address())).build()) {
        assertEquals(
            Status.Code.UNAVAILABLE,
            assertThrows(SidecarException.class, stranger::capabilities).code());
      }
    }
  }

  /** A sidecar that asks for a certificate serves nobody without one; its name need not be its address. */
  @Test
  void tlsWithAClientCertificate() throws Exception {
    X509Bundle authority = authority();
    Path trusted = write("ca.pem", authority.getCertificatePEM());
    X509Bundle mine =
        new CertificateBuilder().ecp256().subject("CN=client").buildIssuedBy(authority);
    ChannelCredentials known =
        TlsChannelCredentials.newBuilder()
            .trustManager(trusted.toFile())
            .keyManager(
                write("mine.pem", mine.getCertificatePathPEM()).toFile(),
                write("mine-key.pem", mine.getPrivateKeyPEM()).toFile())
            .build();
    ChannelCredentials nobody =
        TlsChannelCredentials.newBuilder().trustManager(trusted.toFile()).build();
    try (SidecarProcess sidecar = tlsSidecar(authority, "--tls-client-ca", trusted.toString())) {
      try (CiosidecarClient client =
          client(known, List.of(sidecar.address())).serverName("sidecar.test").build()) {
        assertEquals(200, client.transform(List.of(TRACK), DESTINATION).get(0).status());
      }
      try (CiosidecarClient client = client(nobody, List.of(sidecar.address())).build()) {
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
