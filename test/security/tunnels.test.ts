import { readdir, readFile } from "node:fs/promises";
import type { AddressInfo } from "node:net";
import { createServer, type Server } from "node:net";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { callUnary } from "#common/grpc/client.ts";
import { EndReason, type Execution } from "#proto/execution.ts";
import { type EchoServer, startEchoServer } from "../harness/echo-server.ts";
import { startServices, type TestServices } from "../harness/services.ts";

let echo: EchoServer;
/** Takes requests and never answers. */
let silent: Server;
let services: TestServices;
let silentConnections = 0;

beforeAll(async () => {
  echo = await startEchoServer();
  silent = createServer((socket) => {
    silentConnections++;
    socket.resume().on("error", () => undefined);
    socket.on("close", () => silentConnections--);
  });
  await new Promise<void>((resolve) => silent.listen(0, "127.0.0.1", resolve));
  const ports = [echo.port, (silent.address() as AddressInfo).port];
  const list = JSON.stringify(ports.map((port) => `127.0.0.1:${port}`));
  services = await startServices({
    open: `network_allowlist: ${list}\nallow_private: [127.0.0.1]\nreplicas: 1\n`,
  });
});
afterAll(async () => {
  await services.close();
  await echo.close();
  await new Promise((resolve) => silent.close(resolve));
});

const HELPERS = `
import base64, os, socket
def ask(proxy, port):
    credentials, _, address = proxy.removeprefix("http://").rpartition("@")
    host, _, own = os.environ["HTTP_PROXY"].rpartition("@")[2].partition(":")
    connection = socket.create_connection((host, int(own)), timeout=10)
    authorization = base64.b64encode(credentials.encode()).decode()
    connection.sendall(f"GET http://127.0.0.1:{port}/ HTTP/1.1\\r\\nHost: x\\r\\nProxy-Authorization: Basic {authorization}\\r\\n\\r\\n".encode())
    return connection
`;

async function until(id: string, isThere: (execution: Execution) => boolean): Promise<Execution> {
  for (;;) {
    const execution = await services.get(id, 10_000);
    if (isThere(execution)) return execution;
  }
}

const run = (code: string) =>
  services.submit({ project: "open", code: `${HELPERS}\n${code}`, timeoutMs: 30_000 });
const ended = (id: string) => until(id, ({ endReason }) => endReason !== EndReason.UNSPECIFIED);

describe("the connections of a run", () => {
  it("the connections of a run are refused with the credentials of another run that goes on", async () => {
    const status = `int(ask(PROXY, ${echo.port}).recv(100).split()[1])`;
    const own = status.replace("PROXY", 'os.environ["HTTP_PROXY"]');
    const first = await run(`llm.complete(os.environ["HTTP_PROXY"])\nset_result(${own})`);
    const { llmRequest } = await until(first, (execution) => execution.llmRequest !== undefined);
    const stolen = status.replace("PROXY", JSON.stringify(llmRequest?.prompt));
    const second = await ended(await run(`set_result([${stolen}, ${own}])`));
    expect(JSON.parse(second.resultJson)).toEqual([407, 200]);
    const answer = { executionId: first, response: "go on", llmRequestId: llmRequest?.id };
    await callUnary(services.router, services.router.respond, answer, "router", { timeoutMs: 5_000 });
    expect((await ended(first)).resultJson).toBe("200");
  });

  it("the connections of a run end with its worker, the servers' side too", async () => {
    const { port } = silent.address() as AddressInfo;
    const id = await run(`ask(os.environ["HTTP_PROXY"], ${port}).recv(1)`);
    await expect.poll(() => silentConnections, { timeout: 10_000 }).toBe(1);
    for (const pid of await workers()) process.kill(pid, "SIGKILL");
    expect(await ended(id)).toMatchObject({ endReason: EndReason.WORKER_LOST });
    await expect.poll(() => silentConnections).toBe(0);
  });
});

/** The supervisors that these services started. */
async function workers(): Promise<number[]> {
  const found = await Promise.all(
    (await readdir("/proc"))
      .filter((name) => /^\d+$/.test(name))
      .map(async (pid) => {
        const command = await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "");
        return command.includes(services.directory) && command.includes("--listen") ? [Number(pid)] : [];
      }),
  );
  return found.flat();
}
