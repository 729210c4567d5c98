package dev.ciosidecar;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.ObjIntConsumer;

/**
 * The reference ids under which destinations, or connections, are declared to a sidecar. Ids begin at 1, and
 * there are as many as the sidecar keeps. 0 refers to nothing.
 */
final class ReferenceTable<K> {
  /** Returned instead of an id if the current batch uses all ids already. */
  static final int NONE_LEFT = -1;

  private int maxIds;
  // Oldest first: if the sidecar keeps no more keys, a new key gets the id of the oldest.
  private final Map<K, Integer> ids = new LinkedHashMap<>();
  private final List<K> undeclared = new ArrayList<>();
  private final Set<Integer> usedInBatch = new HashSet<>();

  ReferenceTable(int maxIds) {
    this.maxIds = maxIds;
  }

  /** Forgets all ids: a new call starts with nothing declared. */
  void reset(int maxIds) {
    this.maxIds = maxIds;
    ids.clear();
    undeclared.clear();
    usedInBatch.clear();
  }

  /** Begins the next batch, which may take over the ids that only earlier batches used. */
  void beginBatch() {
    usedInBatch.clear();
  }

  /** Returns the id of a key, a new id if the key has none, 0 for null, or {@link #NONE_LEFT}. */
  int referenceId(K key) {
    if (key == null) {
      return 0;
    }
    Integer id = ids.get(key);
    if (id == null) {
      id = ids.size() < maxIds ? ids.size() + 1 : takeOldestId();
      if (id == NONE_LEFT) {
        return NONE_LEFT;
      }
      ids.put(key, id);
      undeclared.add(key);
    }
    usedInBatch.add(id);
    return id;
  }

  private int takeOldestId() {
    Iterator<Integer> oldestFirst = ids.values().iterator();
    int oldestId = oldestFirst.next();
    if (usedInBatch.contains(oldestId)) {
      return NONE_LEFT;
    }
    oldestFirst.remove();
    return oldestId;
  }

  /** Passes each key that must be declared before the batch is sent, with its id, once. */
  void takeUndeclared(ObjIntConsumer<K> declare) {
    undeclared.forEach(key -> declare.accept(key, ids.get(key)));
    undeclared.clear();
  }
}
