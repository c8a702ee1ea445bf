import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { connect } from "node:http2";
import { createConnection } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it, vi } from "vitest";
import { startGrpcServer } from "#common/grpc/server.ts";

it("metadata that a caller sends is not printed to standard error, past the log", async () => {
  const directory = await mkdtemp(join(tmpdir(), "airlock-grpc-log-"));
  const path = join(directory, "s");
  const server = await startGrpcServer(`unix:${path}`, []);
  const printed = vi.spyOn(console, "error").mockImplementation(() => undefined);
  const session = connect("http://localhost", { createConnection: () => createConnection(path) });
  try {
    const stream = session.request({
      ":method": "POST",
      ":path": "/grpc.health.v1.Health/Check",
      "content-type": "application/grpc",
      te: "trailers",
      x: "\u00ff\u009b31m",
    });
    stream.end(Buffer.alloc(5));
    stream.resume();
    const [headers] = await once(stream, "response");
    expect(headers[":status"]).toBe(200);
    await once(stream, "close");
    expect(printed.mock.calls).toEqual([]);
  } finally {
    printed.mockRestore();
    session.destroy();
    await server.drain(0);
    await rm(directory, { recursive: true });
  }
});
