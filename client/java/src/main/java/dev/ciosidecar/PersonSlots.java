package dev.ciosidecar;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.stream.IntStream;
import java.util.zip.CRC32;

/**
 * The slots of persons, and the addresses of a slot. All clients share the definition:
 * docs/scaling/affinity.md has it, tests/vectors/affinity.json checks it.
 */
final class PersonSlots {
  /** The number of slots. Persons of one slot always share their address. */
  private static final int COUNT = 16_384;

  private PersonSlots() {}

  /** Returns the slot of a key: its CRC-32, modulo the number of slots. */
  static int slot(byte[] key) {
    CRC32 checksum = new CRC32();
    checksum.update(key);
    return (int) (checksum.getValue() % COUNT);
  }

  /**
   * Returns the indexes of the addresses, that of the slot's own address first. The order is that of
   * rendezvous hashing: by the SHA-256 of the address, a line feed and the slot in decimal digits; the
   * greatest comes first.
   */
  static int[] addressOrder(int slot, List<String> addresses) {
    MessageDigest sha256 = sha256();
    List<byte[]> digests =
        addresses.stream().map(address -> sha256.digest((address + "\n" + slot).getBytes(UTF_8))).toList();
    Comparator<Integer> ascending =
        (left, right) -> Arrays.compareUnsigned(digests.get(left), digests.get(right));
    return IntStream.range(0, addresses.size())
        .boxed()
        .sorted(ascending.reversed())
        .mapToInt(Integer::intValue)
        .toArray();
  }

  private static MessageDigest sha256() {
    try {
      return MessageDigest.getInstance("SHA-256");
    } catch (NoSuchAlgorithmException impossible) {
      // Every Java platform has SHA-256.
      throw new IllegalStateException(impossible);
    }
  }
}
