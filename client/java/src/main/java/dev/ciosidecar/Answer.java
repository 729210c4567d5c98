package dev.ciosidecar;

/**
 * One event's result, and what its sender put beside it.
 *
 * @param <T> what the caller puts beside events
 * @param attachment the caller's own object, {@code null} if there was none
 * @param result what became of the event; positions in it, the requests' too, count the events of the
 *     stream from 0
 */
public record Answer<T>(T attachment, Result result) {}
