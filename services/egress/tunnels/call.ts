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

/** A tunnel: one gRPC call to a worker, which transports the bytes of one connection of a run. */
export type TunnelCall = ClientDuplexStream<TunnelRequest, TunnelResponse>;

// The Protobuf writer is reused for all messages, with its memory. With a new writer for each message, a
// download spends half of its time in garbage collection.
const writer = new BinaryWriter();

/**
 * Opens a tunnel for a run. The worker keeps the tunnel until a process of the run connects to the run's
 * proxy. From then on the tunnel transports the bytes of that connection.
 */
export function openTunnel(worker: WorkerServiceClient, open: TunnelOpen): TunnelCall {
  const { path, responseDeserialize } = WorkerServiceService.tunnel;
  // A gRPC stream reads 16 messages ahead, the default of Node's streams. With 64 KiB in each, a run could
  // fill this process's memory. grpc-js has no option for this number, so the default is changed for the
  // moment of the call.
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
