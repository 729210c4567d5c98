package dev.ciosidecar;

/** The choice of the sidecar, of several, that an event goes to. */
public enum Affinity {
  /** The stream chooses: all its events go to one sidecar, until that sidecar goes away. */
  NONE,
  /** The event's person chooses: all events of a person go to one sidecar, from all streams. */
  PERSON
}
