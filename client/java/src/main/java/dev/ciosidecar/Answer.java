package dev.ciosidecar;

/**
 * The result of an event that was sent on a stream, with the caller's attachment.
 *
 * @param <T> the type of the attachments
 * @param attachment the caller's own object; {@code null} if the event was sent without one
 * @param result the result of the event; its positions, also those of its requests, count the events of the
 *     stream from 0
 */
public record Answer<T>(T attachment, Result result) {}
