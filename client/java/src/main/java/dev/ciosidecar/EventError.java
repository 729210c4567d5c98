package dev.ciosidecar;

import java.time.Duration;
import java.util.Optional;
import java.util.OptionalLong;

/**
 * Why an event became no request, or was not delivered.
 *
 * @param code the contract's name without its prefix, such as {@code MISSING_IDENTITY}; a code that this
 *     client does not know is its number
 * @param type the party that can correct the error: {@code instrumentation}, {@code configuration},
 *     {@code delivery} or {@code internal}
 * @param message the field and the rule, for people; contains no personal data and no secrets
 * @param retryable true: a retryable failure, the same event may succeed later. False: a permanent failure
 * @param retryAfter the time to wait before the event is sent again, if it is known
 * @param blockedBy with code {@code BLOCKED}: the position of the earlier event that failed, as in
 *     {@link Result#position()}; empty if that event was sent on another stream or is no longer remembered
 */
public record EventError(
    String code,
    String type,
    String message,
    boolean retryable,
    Optional<Duration> retryAfter,
    OptionalLong blockedBy) {}
