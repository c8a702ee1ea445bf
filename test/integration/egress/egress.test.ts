import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { type IncomingMessage, request as openRequest } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { status } from "@grpc/grpc-js";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { callUnary, connectTo } from "#common/grpc/client.ts";
import { EgressServiceClient } from "#proto/egress.ts";
import { SecretsServiceClient } from "#proto/secrets.ts";
import type { RunNetwork } from "#proto/worker.ts";
import { type EchoServer, startEchoServer } from "../../harness/echo-server.ts";
import {
  authorizationOf,
  type HeldRoute,
  holdRoute,
  startTestEgress,
  type TestEgress,
} from "../../harness/egress.ts";
import type { TunnelWorker } from "../../harness/tunnel-worker.ts";

const LIMITS = { timeoutMs: 5_000 };

let directory: string;
let echo: EchoServer;
let worker: TunnelWorker;
let egress: TestEgress;
let secrets: SecretsServiceClient;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "airlock-egress-"));
  echo = await startEchoServer();
  await writeFile(
    join(directory, "open.yaml"),
    `name: open\nnetwork_allowlist: ["echo.example:${echo.port}"]\nallow_private: [127.0.0.1]\n`,
  );
  await writeFile(join(directory, "token"), "first-brokered-value");
  await writeFile(
    join(directory, "broker.yaml"),
    'name: broker\nsecrets: {PLAIN: a-plain-value, ERP: {value: "${file:token}", inject: {host: erp.example, header: X-Key}}}\n',
  );
  await writeFile(
    join(directory, "broken.yaml"),
    'name: broken\nsecrets: {ERP: {value: "${file:missing}", inject: {host: erp.example, header: X-Key}}}\n',
  );
  egress = await startTestEgress(directory);
  worker = egress.worker;
  secrets = connectTo(SecretsServiceClient, egress.secrets.address);
});
afterAll(async () => {
  secrets.close();
  await egress.close();
  await echo.close();
  await rm(directory, { recursive: true });
});

let routes = 0;

const hold = (project: string, workerAddress = worker.address, executionId = `execution-${routes++}`) =>
  egress.holdRoute(project, executionId, { workerAddress });

/** The status that a run gets with these credentials. */
async function ask({ executionId }: HeldRoute, credentials: RunNetwork, url: string): Promise<number> {
  const connection = await worker.connect(executionId);
  const request = openRequest({
    createConnection: () => connection,
    path: url,
    headers: { host: "x", "proxy-authorization": authorizationOf(credentials) },
  }).end();
  const [response] = (await once(request, "response")) as [IncomingMessage];
  response.resume();
  return response.statusCode ?? 0;
}

describe("a network route", () => {
  const url = () => `http://echo.example:${echo.port}/`;

  it("a network route stays for the router that takes the run over, with its connections, until the run is over", async () => {
    const route = await hold("open");
    expect(await ask(route, route.network, url())).toBe(200);
    const idle = await worker.connect(route.executionId);
    idle.write(
      `GET ${url()} HTTP/1.1\r\nHost: x\r\nProxy-Authorization: ${authorizationOf(route.network)}\r\n\r\n`,
    );
    await once(idle, "data");
    const closed = once(idle, "close");
    route.stream.cancel();
    const again = await hold("open", worker.address, route.executionId);
    expect(again.network).toEqual(route.network);
    expect(await ask(again, route.network, url())).toBe(200);
    expect(idle.destroyed).toBe(false);
    worker.end(route.executionId);
    again.stream.cancel();
    await closed;
    await expect.poll(() => worker.waiting(route.executionId)).toBe(0);
  });

  it("a network route is the same at another egress service with this data directory", async () => {
    const { executionId, network, stream } = await hold("broker");
    expect(network.placeholders).toHaveLength(1);
    const other = await hold("broker");
    expect(other.network.password).not.toBe(network.password);
    expect(other.network.placeholders[0]?.value).not.toBe(network.placeholders[0]?.value);
    const second = await egress.startAnother("egress-2");
    const client = connectTo(EgressServiceClient, second.address);
    const again = await holdRoute(client, {
      ...{ project: "broker", executionId, secretsVersion: "" },
      ...{ workerId: "w", workerAddress: worker.address },
    });
    expect(again.network).toEqual(network);
    for (const each of [stream, other.stream, again.stream]) each.cancel();
    client.close();
    await second.drain(100);
  });

  it("a network route belongs to one run: another run's credentials are refused in its tunnels", async () => {
    const [first, second] = [await hold("open"), await hold("open")];
    const { password } = second.network;
    expect(password).not.toBe(first.network.password);
    for (const credentials of [{ ...first.network, password }, second.network]) {
      expect(await ask(first, credentials, url())).toBe(407);
    }
    expect(await ask(second, second.network, url())).toBe(200);
    first.stream.cancel();
    expect(await ask(second, first.network, url())).toBe(407);
    expect(await ask(second, second.network, url())).toBe(200);
    second.stream.cancel();
  });

  it("a network route is not opened to a worker that cannot be reached", async () => {
    await expect(hold("open", `unix:${join(directory, "nobody.sock")}`)).rejects.toMatchObject({
      details: expect.stringContaining("worker cannot be reached"),
    });
    await expect(hold("open", "")).rejects.toMatchObject({
      details: expect.stringContaining("worker_address"),
    });
    await expect(hold("open", "worker.example:443")).rejects.toMatchObject({ code: status.INTERNAL });
  });

  it("a network route is not opened without the values of its project's brokered secrets", async () => {
    await expect(hold("broken")).rejects.toMatchObject({ details: expect.stringContaining("ERP") });
    await expect(hold("nobody")).rejects.toMatchObject({ details: expect.stringContaining("no project") });
  });

  it.each([
    ["although bytes follow that are no HTTP request", "} ", ""],
    ["although it has an unknown expectation", "", "Expect: more\r\nConnection: close\r\n"],
  ])("a request that is passed on gets the server's answer, %s", async (_, rest, headers) => {
    const route = await hold("open");
    const connection = await worker.connect(route.executionId);
    const credentials = `Proxy-Authorization: ${authorizationOf(route.network)}\r\n`;
    const before = echo.seen.length;
    connection.write(`GET ${url()} HTTP/1.1\r\nHost: x\r\n${credentials}${headers}\r\n${rest}`);
    const received = await text(connection);
    expect(received.match(/HTTP\/1\.1 \d+/g), received).toEqual(["HTTP/1.1 200"]);
    expect(echo.seen.length).toBe(before + 1);
    route.stream.cancel();
  });

  it("a request that is passed on is not answered with the status of a tunnel that follows", async () => {
    const route = await hold("open");
    const connection = await worker.connect(route.executionId);
    const head = `HTTP/1.1\r\nHost: x\r\nProxy-Authorization: ${authorizationOf(route.network)}\r\n\r\n`;
    connection.write(`GET ${url()} ${head}CONNECT echo.example:${echo.port} ${head}`);
    expect(await text(connection)).toBe("");
    route.stream.cancel();
  });

  it("network routes are counted in the metrics", async () => {
    const route = await hold("open");
    await ask(route, route.network, url());
    await ask(route, route.network, "http://evil.example/");
    route.stream.cancel();
    await expect
      .poll(async () => await egress.service.registry?.metrics())
      .toMatch(/airlock_egress_bytes_total\{project="open",direction="in"\} [1-9]/);
    const text = await egress.service.registry?.metrics();
    expect(text).toMatch(/airlock_egress_attempts_total\{project="open",verdict="allowed"\} [1-9]/);
    expect(text).toMatch(/airlock_egress_attempts_total\{project="open",verdict="not_listed"\} 1/);
  });
});

describe("a request that two readers could understand differently", () => {
  const answerTo = async (lines: readonly string[]) => {
    const route = await hold("open");
    const connection = await worker.connect(route.executionId);
    connection.write(
      `${[...lines, `Proxy-Authorization: ${authorizationOf(route.network)}`].join("\r\n")}\r\n\r\n`,
    );
    const [answer] = (await once(connection, "data")) as [Buffer];
    connection.destroy();
    route.stream.cancel();
    return answer.toString().split("\r\n", 1)[0];
  };
  const get = () => `GET http://echo.example:${echo.port}/`;
  const connectTo = () => `CONNECT echo.example:${echo.port}`;

  it.each<[string, () => string, string[], string]>([
    ["two Host headers", get, ["HTTP/1.1", "Host: echo.example", "host: evil.example"], "more than one"],
    [
      "two equal Host headers",
      get,
      ["HTTP/1.1", "Host: echo.example", "Host: echo.example"],
      "more than one",
    ],
    [
      "two Host headers of CONNECT",
      connectTo,
      ["HTTP/1.1", "Host: a.example", "HOST: b.example"],
      "more than",
    ],
    [
      "two Host headers of HTTP/1.0",
      get,
      ["HTTP/1.0", "Host: a.example", "Host: b.example"],
      "more than one",
    ],
    ["no Host header", get, ["HTTP/1.1"], "no Host header"],
    ["no Host header of CONNECT", connectTo, ["HTTP/1.1"], "no Host header"],
    ["HTTP/2.0", get, ["HTTP/2.0", "Host: echo.example"], "not HTTP/1.1"],
    ["HTTP/2.0 of CONNECT", connectTo, ["HTTP/2.0", "Host: echo.example"], "not HTTP/1.1"],
    ["HTTP/0.9", get, ["HTTP/0.9", "Host: echo.example"], ""],
  ])(
    "a request that two readers could understand differently is refused with 400: %s",
    async (_, begin, [version, ...headers], reason) => {
      const seen = echo.seen.length;
      const answer = await answerTo([`${begin()} ${version}`, ...headers]);
      expect(answer).toMatch(/^HTTP\/1\.1 400 /);
      expect(answer).toContain(reason);
      expect(echo.seen).toHaveLength(seen);
    },
  );

  it("a request with a second Host header behind many others is refused with 400", async () => {
    const lines = (count: number) => Array.from({ length: count }, (_, at) => `X${at}: 1`);
    const behind = (count: number) =>
      answerTo([`${get()} HTTP/1.1`, "Host: a.example", ...lines(count), "Host: b.example"]);
    expect(await behind(200)).toMatch(/^HTTP\/1\.1 400 .*more than one Host/);
    expect(await behind(3_000)).toMatch(/^HTTP\/1\.1 431 .*more than 256 header lines/);
  });

  it("a request whose Host header is not its target is sent with the target as Host header", async () => {
    expect(await answerTo([`${get()} HTTP/1.1`, "Host: evil.example"])).toBe("HTTP/1.1 200 OK");
    expect(echo.seen.at(-1)?.headers.host).toBe(`echo.example:${echo.port}`);
    expect(await answerTo([`${get()} HTTP/1.0`])).toBe("HTTP/1.1 200 OK");
  });
});

describe("a brokered secret", () => {
  const resolve = async () => {
    const request = { project: "broker" };
    const [forWorkers, forSanitizer, forEgress] = await Promise.all([
      callUnary(secrets, secrets.resolveSecrets, request, "secrets", LIMITS),
      callUnary(secrets, secrets.resolveNeedles, { ...request, version: "" }, "secrets", LIMITS),
      callUnary(secrets, secrets.resolveBrokered, { ...request, version: "" }, "secrets", LIMITS),
    ]);
    return { forWorkers, forSanitizer, forEgress };
  };

  it("a brokered secret is given to the egress service, never to workers or the sanitizer, also when it is rotated", async () => {
    const { forWorkers, forSanitizer, forEgress } = await resolve();
    expect(forWorkers.secrets).toEqual([{ name: "PLAIN", value: "a-plain-value" }]);
    expect(forSanitizer).toEqual(forWorkers);
    expect(forEgress.secrets).toEqual([
      {
        name: "ERP",
        value: "first-brokered-value",
        host: "erp.example",
        port: 443,
        header: "x-key",
        format: "{}",
      },
    ]);
    await writeFile(join(directory, "token"), "second-brokered-value");
    const rotated = await resolve();
    expect(rotated.forWorkers.secrets).toEqual(forWorkers.secrets);
    expect(rotated.forWorkers.version).not.toBe(forWorkers.version);
    expect(rotated.forSanitizer).toEqual(rotated.forWorkers);
    expect(rotated.forEgress.secrets.map(({ value }) => value)).toEqual(["second-brokered-value"]);
    // A run that began before the rotation keeps its value, also when its route is opened again.
    const earlier = { project: "broker", version: forWorkers.version };
    const kept = await callUnary(secrets, secrets.resolveBrokered, earlier, "secrets", LIMITS);
    expect(kept).toEqual(forEgress);
    await expect(
      egress.holdRoute("broker", "kept", { secretsVersion: forWorkers.version }),
    ).resolves.toBeDefined();
  });

  it("a network route for values that are not known any more is refused, because other values would leave unredacted", async () => {
    await expect(
      egress.holdRoute("broker", "unknown", { secretsVersion: "no-such-version" }),
    ).rejects.toMatchObject({
      details: expect.stringContaining("are not known any more"),
    });
  });

  it("a brokered secret has a new placeholder in every route, and the same authority", async () => {
    const [first, second] = [await hold("broker"), await hold("broker")];
    const text = ({ network }: HeldRoute) => network.placeholders[0]?.value ?? "";
    expect(text(first)).toMatch(/^airlock-placeholder-/);
    expect(text(second)).not.toBe(text(first));
    expect(first.network.authorityPem).toMatch(/^-----BEGIN CERTIFICATE-----\n/);
    expect(second.network.authorityPem).toBe(first.network.authorityPem);
    expect(JSON.stringify([first.network, second.network])).not.toContain("brokered-value");
    for (const { stream } of [first, second]) stream.cancel();
  });
});

describe("the egress service as a process of its own", () => {
  const start = (env: Record<string, string>) =>
    spawn(process.execPath, ["--disable-warning=ExperimentalWarning", "services/egress/main.ts"], {
      cwd: join(import.meta.dirname, "..", "..", ".."),
      env: { PATH: process.env.PATH ?? "", ...env },
      stdio: ["ignore", "pipe", "pipe"],
    });

  it("the egress service as its own process names every setting that is missing", async () => {
    const child = start({});
    let told = "";
    child.stderr.on("data", (data) => {
      told += data;
    });
    expect(await once(child, "close")).toEqual([2, null]);
    for (const name of ["LISTEN", "SECRETS_ADDRESS", "PROJECTS_DIR", "DATA_DIR"]) {
      expect(told).toContain(`AIRLOCK_${name} is not set`);
    }
  });

  it("the egress service as its own process serves by its environment and drains on SIGTERM", async () => {
    const listen = `unix:${join(directory, "alone.sock")}`;
    const child = start({
      AIRLOCK_LISTEN: listen,
      AIRLOCK_SECRETS_ADDRESS: egress.secrets.address,
      AIRLOCK_PROJECTS_DIR: directory,
      AIRLOCK_DATA_DIR: directory,
    });
    const exited = once(child, "exit");
    const client = connectTo(EgressServiceClient, listen);
    await new Promise<void>((resolve, reject) => {
      client.waitForReady(Date.now() + 10_000, (error) => (error ? reject(error) : resolve()));
    });
    const { stream } = await holdRoute(client, {
      ...{ project: "open", executionId: "execution", secretsVersion: "" },
      ...{ workerId: "w", workerAddress: worker.address },
    });
    await expect.poll(() => worker.waiting("execution")).toBeGreaterThan(0);
    stream.cancel();
    client.close();
    child.kill("SIGTERM");
    expect(await exited).toEqual([0, null]);
  });
});
