#!/usr/bin/env bash
# Write the stubs of ../../protos into ciosidecarv1/. Do not edit them by hand.
# With --check, write nothing there, and fail if a stub is stale.
#
# Needs Go, and a Python with grpcio-tools (for protoc) and googleapis-common-protos (for the imported
# google/api files): PYTHON, by default the one that `make setup` installs.
set -euo pipefail
cd "$(dirname "$0")"

PROTOC_GEN_GO=v1.36.12
PROTOC_GEN_GO_GRPC=v1.6.2
module=github.com/ciosidecar/ciosidecar/client/go
protos=../../protos
python=${PYTHON:-../../.venv/bin/python}
google=$("$python" -c 'import google.api, pathlib; print(pathlib.Path(next(iter(google.api.__path__))).parents[1])')
tools=$PWD/.tools/$PROTOC_GEN_GO-$PROTOC_GEN_GO_GRPC

if [ ! -x "$tools/protoc-gen-go" ] || [ ! -x "$tools/protoc-gen-go-grpc" ]; then
    GOBIN=$tools go install "google.golang.org/protobuf/cmd/protoc-gen-go@$PROTOC_GEN_GO"
    GOBIN=$tools go install "google.golang.org/grpc/cmd/protoc-gen-go-grpc@$PROTOC_GEN_GO_GRPC"
fi

write_stubs() {
    "$python" -m grpc_tools.protoc "-I$protos" "-I$google" \
        "--plugin=protoc-gen-go=$tools/protoc-gen-go" \
        "--go_out=$1" "--go_opt=module=$module" \
        "--plugin=protoc-gen-go-grpc=$tools/protoc-gen-go-grpc" \
        "--go-grpc_out=$1" "--go-grpc_opt=module=$module" \
        "$protos"/ciosidecar/v1/*.proto
}

case "${1-}" in
"")
    rm -f ciosidecarv1/*.pb.go
    write_stubs .
    ;;
--check)
    fresh=$(mktemp -d)
    trap 'rm -rf "$fresh"' EXIT
    write_stubs "$fresh"
    diff --brief --recursive "$fresh/ciosidecarv1" ciosidecarv1 || {
        echo "stale stubs in client/go/ciosidecarv1; run client/go/generate.sh" >&2
        exit 1
    }
    ;;
*)
    echo "usage: generate.sh [--check]" >&2
    exit 2
    ;;
esac
