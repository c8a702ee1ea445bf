import { getDefaultHighWaterMark, setDefaultHighWaterMark } from "node:stream";
import { BinaryWriter } from "@bufbuild/protobuf/wire";
import type { ClientDuplexStream } from "@grpc/grpc-js";
import {
  type TunnelOpen,
  TunnelRequest,
  type TunnelResponse,
  type WorkerServiceClient,
  WorkerServiceService,
} from "#proto/worker.ts";

/** One tunnel, from its first message on. */
export type TunnelCall = ClientDuplexStream<TunnelRequest, TunnelResponse>;

// It keeps its memory. With a new one for each message a download spends half its time in garbage collection.
const writer = new BinaryWriter();

/** Opens a tunnel for a run; it waits at the worker until the run connects to its proxy. */
export function openTunnel(worker: WorkerServiceClient, open: TunnelOpen): TunnelCall {
  const { path, responseDeserialize } = WorkerServiceService.tunnel;
  // A stream reads 16 messages ahead: with 64 KiB in each a run could fill this process. It takes no other number.
  const usual = getDefaultHighWaterMark(true);
  setDefaultHighWaterMark(true, 1);
  try {
    const call = worker.makeBidiStreamRequest(path, serialize, responseDeserialize);
    call.write({ message: { $case: "open", value: open } });
    return call;
  } finally {
    setDefaultHighWaterMark(true, usual);
  }
}

function serialize(message: TunnelRequest): Buffer {
  const { buffer, byteOffset, byteLength } = TunnelRequest.encode(message, writer).finish();
  return Buffer.from(buffer, byteOffset, byteLength);
}
