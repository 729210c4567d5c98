"""Both codecs: the one that uses the protobuf library alone, which is the reference, and the compiled one."""

import pytest
from ciosidecar_server.rpc.codec import ProtobufCodec
from ciosidecar_server.rpc.compiled_codec import CompiledCodec

native = pytest.importorskip("ciosidecar_native", reason="ciosidecar-native is not installed")

REFERENCE = ProtobufCodec()
COMPILED = CompiledCodec(native)
