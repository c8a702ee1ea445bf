"""Calls Airlock's router by gRPC, as an internal system does: submit, watch, answer, cancel.

It has no .proto file and no generated code: the router says itself what it offers (gRPC reflection). `connect` and
`Router` are what you take along; `main` shows each call once. docs/grpc.md says how to start it, and who may call what.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

import grpc
from google.protobuf.descriptor_database import DescriptorDatabase
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass
from grpc_reflection.v1alpha.reflection_pb2 import ServerReflectionRequest
from grpc_reflection.v1alpha.reflection_pb2_grpc import ServerReflectionStub

SERVICE = "airlock.v1.RouterService"
OPTIONS = [
    # A result and its output may be larger than the 4 MiB that gRPC takes by default.
    ("grpc.max_receive_message_length", 128 * 1024 * 1024),
    # Spreads the calls over all routers behind one name.
    ("grpc.service_config", '{"loadBalancingConfig": [{"round_robin": {}}]}'),
]

ASKS = """
amounts = [0.1, 0.2]
summary = llm.complete(f"One sentence for the board: we sold for {sum(amounts)}.")
set_result({"total": sum(amounts), "items": 2**63 + 1, "summary": summary})
"""
TAKES_LONG = "import time; time.sleep(50)"


def connect(address: str, cacert: Path | None, cert: Path | None, key: Path | None) -> grpc.Channel:
    """Opens a channel to `host:port` with mutual TLS, or to `unix:/path`. The files are read now, so a process that
    outlives its certificate opens a new channel when it has got another."""
    if address.startswith("unix:"):
        return grpc.insecure_channel(address, OPTIONS)
    read = [file.read_bytes() if file else None for file in (cacert, key, cert)]
    # Every service's certificate is good for `localhost`; only the router's is good for `router`.
    options = [*OPTIONS, ("grpc.ssl_target_name_override", "router")]
    return grpc.secure_channel(address, grpc.ssl_channel_credentials(*read), options)


class Router:
    """The router behind a channel, with the calls that it says it has."""

    def __init__(self, channel: grpc.Channel, timeout: float = 10) -> None:
        self._channel = channel
        files = DescriptorDatabase()
        question = ServerReflectionRequest(file_containing_symbol=SERVICE)
        for answer in ServerReflectionStub(channel).ServerReflectionInfo(iter([question]), timeout=timeout):
            for file in answer.file_descriptor_response.file_descriptor_proto:
                files.Add(FileDescriptorProto.FromString(file))
        self._methods = DescriptorPool(files).FindServiceByName(SERVICE).methods_by_name

    def call(self, rpc: str, timeout: float = 10, **fields: Any) -> Any:
        """Makes one call, such as `call("GetExecution", execution_id=...)`, and returns its response. `timeout` is in
        seconds. Raises grpc.RpcError."""
        method = self._methods[rpc]
        request = GetMessageClass(method.input_type)(**fields)
        send = self._channel.unary_unary(
            f"/{SERVICE}/{rpc}",
            request_serializer=type(request).SerializeToString,
            response_deserializer=GetMessageClass(method.output_type).FromString,
        )
        return send(request, timeout=timeout)

    def watch(self, execution_id: str) -> Any:
        """The execution once it needs somebody: it has ended, or it has a question. The router holds each call until
        then, or for `wait_ms`; a call's own time-out has to be longer."""
        while True:
            response = self.call("GetExecution", execution_id=execution_id, wait_ms=20_000, timeout=30)
            if name_of(response.execution, "status") not in ("PENDING", "RUNNING"):
                return response.execution


def name_of(message: Any, field: str) -> str:
    """The name of an enum field's value without its prefix: `COMPLETED` for EXECUTION_STATUS_COMPLETED."""
    enum = message.DESCRIPTOR.fields_by_name[field].enum_type
    prefix = enum.values_by_number[0].name.removesuffix("UNSPECIFIED")
    return str(enum.values_by_number[getattr(message, field)].name.removeprefix(prefix))


def my_model(prompt: str) -> str:
    """Here your system asks its own language model; Airlock has none."""
    print("the script asks:", prompt)
    return "Sales held up well."


def show(execution: Any) -> None:
    # The result is JSON text. Parse it with care: many parsers make 9223372036854775809 a float.
    print(name_of(execution, "status"), name_of(execution, "end_reason"), execution.result_json)


def show_error(error: grpc.RpcError) -> None:
    """A status, Airlock's own code (the `code` of the REST API too; none when gRPC itself failed), and what to do."""
    codes = [each.value for each in error.trailing_metadata() or () if each.key == "airlock-code"]
    print(error.code().name, *codes, error.details())


def demonstrate(router: Router) -> None:
    execution = router.call("Submit", project="demo", code=ASKS, timeout_ms=30_000).execution
    execution = router.watch(execution.execution_id)
    while name_of(execution, "status") == "AWAITING_LLM":
        question = execution.llm_request
        # With its id, so that the answer cannot reach another question.
        answer = {"llm_request_id": question.id, "response": my_model(question.prompt)}
        router.call("Respond", execution_id=execution.execution_id, **answer)
        execution = router.watch(execution.execution_id)
    show(execution)

    execution = router.call("Submit", project="demo", code=TAKES_LONG).execution
    router.call("Cancel", execution_id=execution.execution_id)
    show(router.watch(execution.execution_id))
    try:
        router.call("Cancel", execution_id=execution.execution_id)
    except grpc.RpcError as error:
        show_error(error)


def main() -> int:
    parser = argparse.ArgumentParser(description="Calls Airlock's router: submit, watch, answer, cancel.")
    parser.add_argument("address", help="host:port, or unix:/path, which needs no certificates")
    for file in ("cacert", "cert", "key"):
        parser.add_argument(f"--{file}", type=Path, help="PEM file that ./airlock certs made")
    arguments = parser.parse_args()
    with connect(arguments.address, arguments.cacert, arguments.cert, arguments.key) as channel:
        try:
            demonstrate(Router(channel))
        except grpc.RpcError as error:
            show_error(error)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
