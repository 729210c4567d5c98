package dev.ciosidecar;

import static java.nio.charset.StandardCharsets.UTF_8;

import io.grpc.netty.shaded.io.netty.util.NetUtil;
import java.net.InetAddress;
import java.net.UnknownHostException;
import java.util.List;
import java.util.regex.Pattern;

/** The addresses of sidecars: what is an address, and what is wrong with one that is none. */
final class Addresses {
  static final String UNIX = "unix:";
  static final String ABSTRACT = "unix-abstract:";

  private static final String DNS = "dns:///";
  private static final String FORMS =
      "use host:port, [IPv6]:port, unix:PATH, unix-abstract:NAME or dns:///host:port";
  private static final Pattern SCHEME = Pattern.compile("[^/]*://");
  private static final Pattern HOST = Pattern.compile("[A-Za-z0-9._-]+");
  private static final Pattern PORT = Pattern.compile("[0-9]{1,5}");
  private static final Pattern ENDS_IN_NUMBER = Pattern.compile("(.*\\.)?[0-9]+");
  private static final Pattern WHITE_SPACE = Pattern.compile("\\s");
  // The size of sun_path on Linux, without the byte that ends a path or begins an abstract name.
  private static final int MAX_SOCKET_PATH_BYTES = 107;

  private Addresses() {}

  /** Throws IllegalArgumentException, which says what is wrong, if an address is malformed. */
  static void check(List<String> addresses) {
    if (addresses.isEmpty()) {
      throw new IllegalArgumentException("no address is given: " + FORMS);
    }
    for (String address : addresses) {
      String fault = fault(address);
      if (fault != null) {
        throw new IllegalArgumentException("\"" + address + "\" is no address: " + fault);
      }
    }
  }

  static boolean isUnix(String address) {
    return address.startsWith(UNIX) || address.startsWith(ABSTRACT);
  }

  /** Returns whether the host is an IP address, for which gRPC needs no name server. */
  static boolean isIpAndPort(String address) {
    String host = address.substring(0, Math.max(0, address.lastIndexOf(':')));
    return isBracketedIp(host) || NetUtil.isValidIpV4Address(host);
  }

  /** Returns whether calls to the address do not leave the host: loopback and unix sockets. */
  static boolean isLocal(String address) {
    if (isUnix(address)) {
      return true;
    }
    String hostAndPort = address.startsWith(DNS) ? address.substring(DNS.length()) : address;
    String host = hostAndPort.substring(0, hostAndPort.lastIndexOf(':'));
    if (!isIpAndPort(hostAndPort)) {
      return host.equalsIgnoreCase("localhost") || host.equalsIgnoreCase("localhost.");
    }
    try {
      return InetAddress.getByName(host).isLoopbackAddress();
    } catch (UnknownHostException impossible) {
      return false;
    }
  }

  private static String fault(String address) {
    if (address.isBlank()) {
      return "it is blank; " + FORMS;
    }
    if (WHITE_SPACE.matcher(address).find()) {
      return "it contains white space";
    }
    if (isUnix(address)) {
      return socketFault(address);
    }
    if (address.startsWith(DNS)) {
      return hostAndPortFault(address.substring(DNS.length()));
    }
    if (address.startsWith("http://") || address.startsWith("https://")) {
      return "leave \"" + address.substring(0, address.indexOf("//") + 2) + "\" out";
    }
    return SCHEME.matcher(address).lookingAt() ? FORMS : hostAndPortFault(address);
  }

  private static String socketFault(String address) {
    boolean isAbstract = address.startsWith(ABSTRACT);
    String kind = isAbstract ? "name" : "path";
    String name = address.substring(isAbstract ? ABSTRACT.length() : UNIX.length());
    if (name.chars().allMatch(character -> character == '/')) {
      return "the " + kind + " of the socket is missing";
    }
    if (!isAbstract && name.startsWith("//") && !name.startsWith("///")) {
      return "use unix:PATH or unix:///PATH";
    }
    if (socketName(address).getBytes(UTF_8).length > MAX_SOCKET_PATH_BYTES) {
      return "the " + kind + " of a socket has at most " + MAX_SOCKET_PATH_BYTES + " bytes";
    }
    return null;
  }

  /** Returns the path or the abstract name of a unix socket. */
  static String socketName(String address) {
    if (address.startsWith(ABSTRACT)) {
      return address.substring(ABSTRACT.length());
    }
    String path = address.substring(UNIX.length());
    return path.startsWith("///") ? path.substring(2) : path;
  }

  private static String hostAndPortFault(String address) {
    boolean isBracketed = address.startsWith("[");
    int colon = address.lastIndexOf(':');
    if (!isBracketed && address.indexOf(':') != colon) {
      return "put an IPv6 address into brackets, as in [::1]:50550";
    }
    if (colon < 0 || (isBracketed && address.endsWith("]")) || colon == address.length() - 1) {
      return "the port is missing, as in host:50550";
    }
    String port = address.substring(colon + 1);
    if (!PORT.matcher(port).matches()
        || Integer.parseInt(port) < 1
        || Integer.parseInt(port) > 65_535) {
      return "the port must be 1 to 65535";
    }
    return isHost(address.substring(0, colon)) ? null : FORMS;
  }

  private static boolean isHost(String host) {
    if (isBracketedIp(host) || NetUtil.isValidIpV4Address(host)) {
      return true;
    }
    // No host name ends in a number: such a host is an IPv4 address or a mistake.
    return HOST.matcher(host).matches() && !ENDS_IN_NUMBER.matcher(host).matches();
  }

  private static boolean isBracketedIp(String host) {
    return host.startsWith("[")
        && host.endsWith("]")
        && NetUtil.isValidIpV6Address(host.substring(1, host.length() - 1));
  }
}
