package dev.ciosidecar;

/**
 * An item of a prepared request's body that Customer.io refused.
 *
 * @param index which one, from 0
 * @param reason Customer.io's own reason, 1,024 bytes at most
 * @param field the field Customer.io named; empty if it named none
 */
public record FailedItem(int index, String reason, String field) {}
