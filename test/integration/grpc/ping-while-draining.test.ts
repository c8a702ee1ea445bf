import { setTimeout as sleep } from "node:timers/promises";
import { Client, credentials, Server, ServerCredentials } from "@grpc/grpc-js";
import { expect, it } from "vitest";
import { allowPingsWhileDraining } from "#common/grpc/ping-while-draining.ts";

const PINGS = { "grpc.keepalive_time_ms": 300, "grpc.keepalive_timeout_ms": 5_000 };
const asIs = (value: Buffer) => value;

it("a call outlives the maximum age of its connection and the pings that follow", async () => {
  allowPingsWhileDraining();
  const server = new Server({ ...PINGS, "grpc.max_connection_age_ms": 200 });
  const path = "/test/slow";
  const slow = {
    ...{ path, requestStream: false, responseStream: false },
    ...{ requestSerialize: asIs, requestDeserialize: asIs },
    ...{ responseSerialize: asIs, responseDeserialize: asIs },
  };
  server.addService(
    { slow },
    {
      slow: async (_call: unknown, callback: (error: null, value: Buffer) => void) => {
        // Several pings of both sides after the age is over.
        await sleep(2_000);
        callback(null, Buffer.from("done"));
      },
    },
  );
  const port = await new Promise<number>((resolve, reject) => {
    const bound = (error: Error | null, at: number) => (error ? reject(error) : resolve(at));
    server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), bound);
  });
  const client = new Client(`127.0.0.1:${port}`, credentials.createInsecure(), PINGS);
  const answer = await new Promise((resolve) => {
    client.makeUnaryRequest(path, asIs, asIs, Buffer.alloc(0), (error, value) =>
      resolve(error ? error.message : String(value)),
    );
  });
  expect(answer).toBe("done");
  client.close();
  server.forceShutdown();
});
