"""Builds the protobuf message classes from the descriptor image that the TypeScript services are generated from, so
that both always match.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

DEFAULT_DESCRIPTORS = Path(__file__).resolve().parents[3] / "proto" / "airlock.binpb"
SERVICE = "airlock.v1.WorkerService"


class Messages:
    """`messages.RunResponse` is the class of airlock.v1.RunResponse; `messages.enum` maps names to numbers."""

    def __init__(self, descriptors: Path) -> None:
        image = descriptor_pb2.FileDescriptorSet.FromString(descriptors.read_bytes())
        self._pool = descriptor_pool.DescriptorPool()
        for file in image.file:
            self._pool.Add(file)

    def __getattr__(self, name: str) -> Any:
        found = message_factory.GetMessageClass(self._pool.FindMessageTypeByName(f"airlock.v1.{name}"))
        setattr(self, name, found)
        return found

    def enum(self, name: str) -> dict[str, int]:
        found = self._pool.FindEnumTypeByName(f"airlock.v1.{name}")
        return {value.name: value.number for value in found.values}

    def methods(self) -> list[tuple[str, Any, Any, bool, bool]]:
        """For each RPC: name, request class, response class, whether requests are a stream, whether responses are."""
        service = self._pool.FindServiceByName(SERVICE)
        return [
            (
                method.name,
                message_factory.GetMessageClass(method.input_type),
                message_factory.GetMessageClass(method.output_type),
                method.client_streaming,
                method.server_streaming,
            )
            for method in service.methods
        ]
