package dev.ciosidecar;

import static java.nio.charset.StandardCharsets.UTF_8;

import io.grpc.Attributes;
import io.grpc.EquivalentAddressGroup;
import io.grpc.NameResolver;
import io.grpc.NameResolverProvider;
import io.grpc.StatusOr;
import io.grpc.netty.shaded.io.netty.channel.unix.DomainSocketAddress;
import java.net.InetSocketAddress;
import java.net.SocketAddress;
import java.net.URI;
import java.net.URLDecoder;
import java.net.URLEncoder;
import java.util.List;

/**
 * Resolves a list of addresses, for which gRPC has no resolver of its own. gRPC finds this class on the class
 * path; callers do not use it.
 */
public final class AddressListResolverProvider extends NameResolverProvider {
  private static final String SCHEME = "ciosidecar";
  private static final int USUAL_PRIORITY = 5;
  // No address contains a line break.
  private static final String SEPARATOR = "\n";

  /** Makes a provider. Called by gRPC. */
  public AddressListResolverProvider() {}

  /** Returns the target for addresses, each an IP address with a port, or a unix socket. */
  static String target(List<String> addresses) {
    return SCHEME + ":///" + URLEncoder.encode(String.join(SEPARATOR, addresses), UTF_8);
  }

  @Override
  protected boolean isAvailable() {
    return true;
  }

  @Override
  protected int priority() {
    return USUAL_PRIORITY;
  }

  @Override
  public String getDefaultScheme() {
    return SCHEME;
  }

  @Override
  public NameResolver newNameResolver(URI target, NameResolver.Args settings) {
    if (!SCHEME.equals(target.getScheme())) {
      return null;
    }
    String listed = URLDecoder.decode(target.getRawPath().substring(1), UTF_8);
    return new AddressListResolver(List.of(listed.split(SEPARATOR)));
  }

  private static final class AddressListResolver extends NameResolver {
    private final List<String> addresses;

    AddressListResolver(List<String> addresses) {
      this.addresses = addresses;
    }

    @Override
    public String getServiceAuthority() {
      return authority(addresses.get(0));
    }

    @Override
    public void start(Listener2 listener) {
      listener.onResult(
          ResolutionResult.newBuilder()
              .setAddressesOrError(
                  StatusOr.fromValue(addresses.stream().map(AddressListResolver::group).toList()))
              .build());
    }

    @Override
    public void shutdown() {
      // Nothing was started.
    }

    /** Returns a group of one address, so that each has its own turn and its own name in a certificate. */
    private static EquivalentAddressGroup group(String address) {
      return new EquivalentAddressGroup(
          socketAddress(address),
          Attributes.newBuilder()
              .set(EquivalentAddressGroup.ATTR_AUTHORITY_OVERRIDE, authority(address))
              .build());
    }

    private static SocketAddress socketAddress(String address) {
      if (Addresses.isUnix(address)) {
        // A zero byte marks the name of an abstract socket.
        String mark = address.startsWith(Addresses.ABSTRACT) ? "\0" : "";
        return new DomainSocketAddress(mark + Addresses.socketName(address));
      }
      int colon = address.lastIndexOf(':');
      return new InetSocketAddress(
          address.substring(0, colon), Integer.parseInt(address.substring(colon + 1)));
    }

    private static String authority(String address) {
      return Addresses.isUnix(address) ? "localhost" : address;
    }
  }
}
