import { join } from "node:path";
import { Duplex } from "node:stream";
import type { ServerDuplexStream } from "@grpc/grpc-js";
import { startGrpcServer } from "#common/grpc/server.ts";
import { type TunnelRequest, type TunnelResponse, WorkerServiceService } from "#proto/worker.ts";

type Tunnel = ServerDuplexStream<TunnelRequest, TunnelResponse>;

/** A worker's end of tunnels, with a test in place of the programs that connect inside a run. */
export type TunnelWorker = {
  readonly address: string;
  /** The number of tunnels of this run that wait for a connection. */
  waiting(executionId: string): number;
  /**
   * Opens a connection through the next tunnel of this run; `queued` is the number of connections that wait for a
   * tunnel.
   */
  connect(executionId: string, queued?: number): Promise<Duplex>;
  /** Ends the waiting tunnels of this run. */
  end(executionId: string): void;
  close(): Promise<void>;
};

export async function startTunnelWorker(directory: string): Promise<TunnelWorker> {
  const tunnels = new Map<Tunnel, string>();
  let arrived = Promise.withResolvers<void>();
  const tunnel = (call: Tunnel) => {
    call.on("error", () => undefined);
    call.on("cancelled", () => tunnels.delete(call));
    call.once("data", ({ message }: TunnelRequest) => {
      call.pause();
      if (call.cancelled) return;
      if (message?.$case !== "open") return void call.end();
      tunnels.set(call, message.value.executionId);
      arrived.resolve();
      arrived = Promise.withResolvers();
    });
  };
  const of = (executionId: string) =>
    [...tunnels].flatMap(([call, other]) => (other === executionId ? [call] : []));
  const address = `unix:${join(directory, "tunnel-worker.sock")}`;
  const server = await startGrpcServer(address, [[WorkerServiceService, { tunnel }]]);
  return {
    address,
    waiting: (executionId) => of(executionId).length,
    async connect(executionId, queued = 0) {
      for (;;) {
        const [call] = of(executionId);
        if (call) {
          tunnels.delete(call);
          call.write({ message: { $case: "opened", value: { queued } } });
          return connectionOf(call);
        }
        await arrived.promise;
      }
    },
    end(executionId) {
      for (const call of of(executionId)) {
        tunnels.delete(call);
        call.end();
      }
    },
    close: () => server.drain(0),
  };
}

function connectionOf(call: Tunnel): Duplex {
  const connection = new Duplex({
    read: () => void call.resume(),
    write: (value: Buffer, _encoding, done) => call.write({ message: { $case: "data", value } }, done),
    final: (done) => void call.write({ message: { $case: "end", value: {} } }, done),
    destroy(_error, done) {
      call.end();
      done(null);
    },
  });
  call.on("data", ({ message }: TunnelRequest) => {
    if (message?.$case !== "data") connection.push(null);
    else if (!connection.push(message.value)) call.pause();
  });
  // The egress service has ended the tunnel.
  call.on("end", () => {
    connection.push(null);
    connection.end();
  });
  call.on("cancelled", () => connection.destroy());
  return connection;
}
