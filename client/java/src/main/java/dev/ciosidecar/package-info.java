/**
 * The Java client of ciosidecar, which turns RudderStack events into Customer.io requests and delivers them.
 *
 * <p>{@link dev.ciosidecar.CiosidecarClient} makes calls and opens streams. Results are immutable records.
 * The generated messages and stubs are in {@code dev.ciosidecar.v1}.
 *
 * <p>Only the caller's own attachments may be {@code null}.
 */
package dev.ciosidecar;
