package dev.ciosidecar;

/**
 * Something that was repaired or left out. The requests are valid all the same.
 *
 * @param code the contract's name without its prefix, such as {@code TEXT_CUT}; a code that this client does
 *     not know is its number
 * @param message the field and what became of it, for people; contains no personal data and no secrets
 */
public record EventWarning(String code, String message) {}
