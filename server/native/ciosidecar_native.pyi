# The compiled parts of ciosidecar. `ciosidecar_transform.native` alone imports them.

INTERFACE: int
