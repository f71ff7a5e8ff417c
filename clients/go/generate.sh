#!/bin/sh
# The stubs, by the plug-ins that go.mod pins. Needs protoc (3.21 or newer) on PATH, or named by PROTOC.
set -eu
go build -o build/ google.golang.org/protobuf/cmd/protoc-gen-go google.golang.org/grpc/cmd/protoc-gen-go-grpc
cd ../../protos
exec "${PROTOC:-protoc}" -I. --plugin=../clients/go/build/protoc-gen-go --plugin=../clients/go/build/protoc-gen-go-grpc \
  --go_out=../clients/go --go_opt=module=argosy.dev --go-grpc_out=../clients/go --go-grpc_opt=module=argosy.dev \
  argosy/v1/*.proto inference/*.proto
