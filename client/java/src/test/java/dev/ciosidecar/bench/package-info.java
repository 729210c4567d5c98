/** A benchmark of the client against a running sidecar. */
package dev.ciosidecar.bench;
