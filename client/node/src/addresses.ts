// The addresses of sidecars: what is an address, and which target of grpc-js stands for it.

import { isIPv4, isIPv6 } from "node:net";

/** The address at which `ciosidecar serve` listens by default. */
export const DEFAULT_ADDRESS = "127.0.0.1:50550";

const FORMS = "use host:port, [IPv6]:port, unix:PATH, unix-abstract:NAME or dns:///host:port";
const UNIX = "unix:";
const ABSTRACT = "unix-abstract:";
const DNS = "dns:///";
const PADDED =
  `Node.js ${process.versions.node} cannot connect to abstract sockets, because its libuv ${process.versions.uv} ` +
  "is older than 1.48; use unix:PATH, or Node.js 22 or later";
// The size of sun_path on Linux, without the byte that ends a path or begins an abstract name.
const MAX_SOCKET_PATH_BYTES = 107;

/** Check the form of all addresses. Throws a TypeError that says what is wrong. */
export function checkAddresses(addresses: readonly string[]): void {
  if (addresses.length === 0) throw new TypeError(`no address is given: ${FORMS}`);
  for (const address of addresses) {
    const fault = faultOf(address);
    if (fault !== undefined) throw new TypeError(`${JSON.stringify(address)} is no address: ${fault}`);
  }
}

/** Return the target of grpc-js for an address that `checkAddresses` accepts. */
export function targetOf(address: string): string {
  // grpc-js has no scheme for abstract sockets; Node marks them with a zero byte.
  return address.startsWith(ABSTRACT) ? `${UNIX}\0${address.slice(ABSTRACT.length)}` : address;
}

/** Tell whether an address is that of a unix socket, with a path or abstract. */
export function isUnix(address: string): boolean {
  return address.startsWith(UNIX) || address.startsWith(ABSTRACT);
}

/** Tell whether calls to an address do not leave the host: loopback and unix sockets. */
export function isLocal(address: string): boolean {
  if (isUnix(address)) return true;
  const hostAndPort = address.startsWith(DNS) ? address.slice(DNS.length) : address;
  const host = hostAndPort.slice(0, hostAndPort.lastIndexOf(":")).replace(/^\[|\]$/gu, "");
  if (isIPv4(host)) return host.startsWith("127.");
  // Every other way to write ::1 has more zeros or its groups in full.
  if (isIPv6(host)) return /^[0:]*:0*1$/u.test(host);
  return /^localhost\.?$/iu.test(host);
}

function faultOf(address: string): string | undefined {
  if (address.trim() === "") return `it is blank; ${FORMS}`;
  if (/\s/u.test(address)) return "it contains white space";
  if (isUnix(address)) return faultOfSocket(address);
  if (address.startsWith(DNS)) return faultOfHostAndPort(address.slice(DNS.length));
  const scheme = /^[^/]*:\/\//u.exec(address)?.[0];
  if (scheme === "http://" || scheme === "https://") return `leave ${JSON.stringify(scheme)} out`;
  return scheme === undefined ? faultOfHostAndPort(address) : FORMS;
}

function faultOfSocket(address: string): string | undefined {
  const isAbstract = address.startsWith(ABSTRACT);
  const kind = isAbstract ? "name" : "path";
  let name = address.slice((isAbstract ? ABSTRACT : UNIX).length);
  if (/^\/*$/u.test(name)) return `the ${kind} of the socket is missing`;
  if (!isAbstract && name.startsWith("//")) {
    if (!name.startsWith("///")) return "use unix:PATH or unix:///PATH";
    name = name.slice(2);
  }
  if (Buffer.byteLength(name) > MAX_SOCKET_PATH_BYTES) {
    return `the ${kind} of a socket has at most ${MAX_SOCKET_PATH_BYTES} bytes`;
  }
  return isAbstract && padsAbstractNames() ? PADDED : undefined;
}

/** Tell whether this Node.js pads the names of abstract sockets with zero bytes: then they are other names. */
function padsAbstractNames(): boolean {
  const [major = 0, minor = 0] = process.versions.uv.split(".").map(Number);
  return major < 1 || (major === 1 && minor < 48);
}

function faultOfHostAndPort(address: string): string | undefined {
  const isBracketed = address.startsWith("[");
  if (!isBracketed && address.split(":").length > 2) return "put an IPv6 address into brackets, as in [::1]:50550";
  const colon = address.lastIndexOf(":");
  const port = address.slice(colon + 1);
  if (colon < 0 || (isBracketed && address.endsWith("]")) || port === "") {
    return "the port is missing, as in host:50550";
  }
  if (!/^[0-9]+$/u.test(port) || Number(port) < 1 || Number(port) > 65_535) return "the port must be 1 to 65535";
  return isHost(address.slice(0, colon)) ? undefined : FORMS;
}

function isHost(host: string): boolean {
  if (host.startsWith("[") && host.endsWith("]")) return isIPv6(host.slice(1, -1));
  // No host name ends in a number: such a host is an IPv4 address or a mistake.
  return isIPv4(host) || (/^[A-Za-z0-9._-]+$/u.test(host) && !/(?:^|\.)[0-9]+$/u.test(host));
}
