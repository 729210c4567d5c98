package dev.ciosidecar;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.google.protobuf.ByteString;
import dev.ciosidecar.v1.RudderEvent;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Base64;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.stream.IntStream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** The key of a person, its slot, and the addresses of the slot. */
class PersonKeyTest {
  private static JsonNode vectors;

  @BeforeAll
  static void read() throws Exception {
    vectors = new ObjectMapper().readTree(Path.of("../../tests/vectors/affinity.json").toFile());
  }

  private static byte[] key(Event event) {
    return PersonKey.of(event.item());
  }

  private static int slot(Event event) {
    return PersonSlots.slot(key(event));
  }

  /** The keys and slots are those of the vectors that all clients share. */
  @Test
  void theVectorsOfEvents() {
    assertTrue(vectors.get("events").size() > 20);
    for (JsonNode vector : vectors.get("events")) {
      String json = vector.get("event").asText();
      Event event =
          Event.json(json.getBytes(UTF_8)).withOrderingKey(vector.path("ordering_key").asText());
      String expected = vector.hasNonNull("key") ? vector.get("key").asText() : json;
      String about = vector.get("about").asText();
      assertEquals(expected, new String(key(event), UTF_8), about);
      assertEquals(vector.get("slot").asInt(), slot(event), about);
    }
    for (JsonNode vector : vectors.get("unreadable_base64")) {
      byte[] json = Base64.getDecoder().decode(vector.get("event").asText());
      assertEquals(vector.get("slot").asInt(), slot(Event.json(json)));
    }
    for (JsonNode vector : vectors.get("slots")) {
      String key = vector.get("key").asText();
      assertEquals(vector.get("slot").asInt(), PersonSlots.slot(key.getBytes(UTF_8)), key);
    }
  }

  /** The order of the addresses is that of the vectors, however the addresses are listed. */
  @Test
  void theVectorsOfOrders() {
    assertTrue(vectors.get("orders").size() > 2);
    for (JsonNode vector : vectors.get("orders")) {
      List<String> addresses = texts(vector.get("addresses"));
      for (int listing = 0; listing < 2; listing++) {
        List<String> listed = List.copyOf(addresses);
        assertEquals(
            texts(vector.get("order")),
            Arrays.stream(PersonSlots.addressOrder(vector.get("slot").asInt(), listed))
                .mapToObj(listed::get)
                .toList());
        Collections.reverse(addresses);
      }
    }
  }

  private static List<String> texts(JsonNode array) {
    List<String> texts = new ArrayList<>();
    array.forEach(text -> texts.add(text.asText()));
    return texts;
  }

  /** If one of four addresses goes away, about a quarter of the slots move, and no other slot does. */
  @Test
  void onlyTheSlotsOfALostAddressMove() {
    List<String> four = List.of("10.0.0.1:1", "10.0.0.2:1", "10.0.0.3:1", "10.0.0.4:1");
    List<String> three = four.subList(0, 3);
    long moved = 0;
    for (int slot = 0; slot < 16_384; slot++) {
      String before = four.get(PersonSlots.addressOrder(slot, four)[0]);
      String after = three.get(PersonSlots.addressOrder(slot, three)[0]);
      if (before.equals(four.get(3))) {
        moved++;
      } else {
        assertEquals(before, after);
      }
    }
    assertTrue(moved > 16_384 / 5 && moved < 16_384 / 3, "moved: " + moved);
  }

  /** A typed event has its ids, and a prepared request its body, unless there is an ordering key. */
  @Test
  void theKeysOfTypedEventsAndRequests() {
    RudderEvent nobody = RudderEvent.newBuilder().setMessageId("m1").build();
    RudderEvent visitor = nobody.toBuilder().setAnonymousId("a1").build();
    ApiRequest request =
        new ApiRequest("PUT", "https://x/", "", Map.of(), ByteString.copyFromUtf8("{}"), List.of());
    Map<String, Event> events =
        Map.of(
            "u1", Event.typed(visitor.toBuilder().setUserId("u1").build()),
            "a1", Event.typed(visitor),
            "m1", Event.typed(nobody),
            "{}", Event.prepared(request),
            "k1", Event.prepared(request).withOrderingKey("k1"));
    events.forEach((key, event) -> assertEquals(key, new String(key(event), UTF_8)));
  }

  /** An unpaired surrogate is U+FFFD in a key, in JSON text, in an escape and in an ordering key. */
  @Test
  void unpairedSurrogatesAreReplaced() {
    byte[] expected = "a\uFFFDb".getBytes(UTF_8);
    assertArrayEquals(expected, key(Event.json("{\"userId\":\"a\ud800b\"}")));
    assertArrayEquals(expected, key(Event.json("{\"userId\":\"a\\ud800b\"}")));
    assertArrayEquals(expected, key(Event.json("{}").withOrderingKey("a\udc00b")));
    assertArrayEquals(
        "\ud83d\ude00".getBytes(UTF_8), key(Event.json("{\"userId\":\"\\ud83d\\ude00\"}")));
  }

  /** However a text is cut or changed, the scanner ends; and if it is JSON, it finds the id. */
  @Test
  void noTextBreaksTheScanner() {
    byte[] text =
        ("{\"a\":[{\"b\":\"}\\\\\"}], \"user\\u0049d\":\"\\ud83d\\ude00\\n\u00e9\", \"c\":{}, \"n\":-1.5e+3,"
                + "\"anonymousId\":-1.5E3, \"t\":true, \"f\":false, \"x\":null}")
            .getBytes(UTF_8);
    Random random = new Random(1);
    ObjectMapper mapper =
        new ObjectMapper().enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS);
    int readable = 0;
    for (int round = 0; round < 20_000; round++) {
      byte[] changed = Arrays.copyOf(text, random.nextInt(4) == 0 ? random.nextInt(text.length) : text.length);
      for (int change = random.nextInt(3); change > 0 && changed.length > 0; change--) {
        changed[random.nextInt(changed.length)] = text[random.nextInt(text.length)];
      }
      byte[] key = key(Event.json(changed));
      String expected = expectedId(mapper, changed);
      if (expected != null) {
        readable++;
        assertEquals(expected, new String(key, UTF_8), new String(changed, UTF_8));
      }
    }
    assertTrue(readable > 1000, "readable: " + readable);
  }

  /** Returns the id that a parser of all JSON finds; null if it finds none, or no string. */
  private static String expectedId(ObjectMapper mapper, byte[] json) {
    if (!ByteString.copyFrom(json).isValidUtf8()) {
      return null;
    }
    try {
      JsonNode id = mapper.readTree(json).path("userId");
      boolean hasSurrogate =
          id.asText().codePoints().anyMatch(point -> point >= 0xD800 && point <= 0xDFFF);
      return id.isTextual() && !id.asText().isEmpty() && !hasSurrogate ? id.asText() : null;
    } catch (IOException unreadable) {
      return null;
    }
  }

  /** A text that is no object has no person: all of it is the key. */
  @Test
  void aTextThatIsNoObjectIsItsOwnKey() {
    List<String> texts =
        List.of("", " ", "[]", "null", "{", "{\"userId\":\"u1\"", "{\"userId\":\"u1\"}}", "{\"userId\":\"u1\",}",
            "{\"userId\":\"\\x\"}", "{\"userId\":01}", "{\"userId\":-}", "{\"userId\" \"u1\"}", "{'userId':1}");
    texts.forEach(text -> assertEquals(text, new String(key(Event.json(text)), UTF_8)));
    byte[] deep = "[".repeat(500_000).getBytes(UTF_8);
    assertArrayEquals(deep, key(Event.json(deep)));
    IntStream.of(0, 16_383)
        .forEach(slot -> assertEquals(0, PersonSlots.addressOrder(slot, List.of("a:1"))[0]));
  }
}
