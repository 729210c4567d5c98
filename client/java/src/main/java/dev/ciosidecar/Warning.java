package dev.ciosidecar;

/**
 * Something that was repaired or left out. The requests are good all the same.
 *
 * @param code the contract's word, as {@code TEXT_CUT}; a number this client does not know is that number
 * @param message for people: the field and what became of it; holds no personal data and no secrets
 */
public record Warning(String code, String message) {}
