package dev.ciosidecar;

/**
 * An item of a prepared request's body that Customer.io refused.
 *
 * @param index the index of the item in the body, from 0
 * @param reason Customer.io's own reason, at most 1,024 bytes
 * @param field the field that Customer.io named; empty if Customer.io named none
 */
public record FailedItem(int index, String reason, String field) {}
