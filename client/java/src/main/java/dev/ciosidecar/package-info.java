/**
 * The Java client of ciosidecar: RudderStack events in, Customer.io requests out.
 *
 * <p>{@link dev.ciosidecar.CiosidecarClient} makes calls and opens streams. What comes back is records
 * that nobody can change. The generated messages and stubs are in {@code dev.ciosidecar.v1}.
 *
 * <p>Nothing here takes or returns {@code null}, but for the caller's own attachments.
 */
package dev.ciosidecar;
