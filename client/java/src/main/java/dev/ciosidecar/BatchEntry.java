package dev.ciosidecar;

/**
 * An event and what its sender puts beside it, for {@link EventStream#sendBatch}.
 *
 * @param <T> what the caller puts beside events
 * @param event the event
 * @param attachment comes back beside the result; may be {@code null}, and never leaves this process
 */
public record BatchEntry<T>(Event event, T attachment) {}
