"""What an operator sees of the sidecar."""
