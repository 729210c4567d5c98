package dev.ciosidecar;

/**
 * An event and the caller's attachment, for {@link EventStream#sendBatch}.
 *
 * @param <T> the type of the attachments
 * @param event the event
 * @param attachment the caller's own object, returned with the result; may be {@code null}, and never leaves
 *     this process
 */
public record BatchEntry<T>(Event event, T attachment) {}
