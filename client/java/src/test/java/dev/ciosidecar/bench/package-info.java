/** What the client's streams carry, measured against a running sidecar. */
package dev.ciosidecar.bench;
