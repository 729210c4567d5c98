/** The driver with which the contract suite of all clients plays its scenarios. */
package dev.ciosidecar.polyglot;
