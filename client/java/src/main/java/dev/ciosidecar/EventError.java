package dev.ciosidecar;

import java.time.Duration;
import java.util.Optional;
import java.util.OptionalLong;

/**
 * Why an event became no request, or was not delivered.
 *
 * @param code the contract's word, as {@code MISSING_IDENTITY}; a number this client does not know is that
 *     number
 * @param type whose matter it is: {@code instrumentation}, {@code configuration}, {@code delivery} or
 *     {@code internal}
 * @param message for people: the field and the rule; holds no personal data and no secrets
 * @param retryable whether the same event may succeed later
 * @param retryAfter when it is worth another try, where that is known
 * @param blockedBy with code {@code BLOCKED}: the position of the earlier event that failed and that this one
 *     waits for, as in {@link Result#position()}; empty where that was another stream's, or is no longer
 *     remembered
 */
public record EventError(
    String code,
    String type,
    String message,
    boolean retryable,
    Optional<Duration> retryAfter,
    OptionalLong blockedBy) {}
