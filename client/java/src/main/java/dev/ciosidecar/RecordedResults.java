package dev.ciosidecar;

import java.util.List;

/**
 * The events that a message of results changed.
 *
 * @param answered the events that have their results now
 * @param returned the events that a draining sidecar did not send, which another one can
 */
record RecordedResults<T>(List<OutstandingEvent<T>> answered, List<OutstandingEvent<T>> returned) {}
