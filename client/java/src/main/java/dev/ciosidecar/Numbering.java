package dev.ciosidecar;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.ObjIntConsumer;

/** Numbers for what is declared once and then named: from 1, as many as the sidecar keeps. 0 is none. */
final class Numbering<K> {
  /** Instead of a number: this batch needs all there are. */
  static final int NONE_LEFT = -1;

  private int most;
  // Oldest first: when the sidecar keeps no more, its number goes to the next.
  private final Map<K, Integer> numbers = new LinkedHashMap<>();
  private final List<K> undeclared = new ArrayList<>();
  private final Set<Integer> named = new HashSet<>();

  Numbering(int most) {
    this.most = most;
  }

  /** A new sidecar knows nothing yet. */
  void beginAnew(int most) {
    this.most = most;
    numbers.clear();
    undeclared.clear();
    named.clear();
  }

  /** The next batch begins: it may take the numbers of what only others have named. */
  void beginBatch() {
    named.clear();
  }

  /** The number of a key, new if it has none, 0 for null; or NONE_LEFT. */
  int number(K key) {
    if (key == null) {
      return 0;
    }
    Integer number = numbers.get(key);
    if (number == null) {
      number = numbers.size() < most ? numbers.size() + 1 : oldest();
      if (number == NONE_LEFT) {
        return NONE_LEFT;
      }
      numbers.put(key, number);
      undeclared.add(key);
    }
    named.add(number);
    return number;
  }

  private int oldest() {
    Iterator<Integer> oldestFirst = numbers.values().iterator();
    int oldest = oldestFirst.next();
    if (named.contains(oldest)) {
      return NONE_LEFT;
    }
    oldestFirst.remove();
    return oldest;
  }

  /** What is to be declared before the batch goes, each once. */
  void takeUndeclared(ObjIntConsumer<K> declare) {
    undeclared.forEach(key -> declare.accept(key, numbers.get(key)));
    undeclared.clear();
  }
}
