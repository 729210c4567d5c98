/** The driver by which the contract suite of all clients plays its scenarios with this one. */
package dev.ciosidecar.polyglot;
