"""Both codecs: the one that uses the protobuf library alone, which is the reference, and the compiled one."""

from ciosidecar_server.rpc.codec import ProtobufCodec
from ciosidecar_server.rpc.compiled_codec import CompiledCodec
from ciosidecar_transform.native import module

from tests.native.implementations import require_compiled

require_compiled()
assert module is not None

NATIVE = module
REFERENCE = ProtobufCodec()
COMPILED = CompiledCodec(NATIVE)
