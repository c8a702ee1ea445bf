import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openEdges } from "#common/grpc/edges.ts";
import { makeApiKey } from "#common/identity/api-key.ts";
import { readEnvironment } from "#common/service/environment.ts";
import { createLog } from "#common/service/log.ts";
import { connectBackends } from "../../gateway/backends/grpc/backends.ts";
import { createMockBackends } from "../../gateway/backends/mock/backends.ts";
import { readRatesConfig } from "../../gateway/rates/config.ts";
import { type RunningGateway, serve } from "../../gateway/serve.ts";
import { type ServiceProcess, startServiceProcess } from "./service-process.ts";

/** Gateways that demand credentials before a real authority; scripts run in the mock, which never fails. */
export type RatedGateways = {
  readonly adminKey: string;
  authority(): ServiceProcess;
  /** Starts the authority anew after its end. */
  startAuthority(): Promise<void>;
  /** Starts one more gateway with these variables; resolves to its URL. */
  addGateway(env?: Readonly<Record<string, string>>): Promise<string>;
  /** The logs of all gateways so far. */
  logs(): string;
  close(): Promise<void>;
};

export async function startRatedGateways(): Promise<RatedGateways> {
  const directory = await mkdtemp(join(tmpdir(), "airlock-rates-"));
  const key = makeApiKey();
  await writeFile(join(directory, "admin-key"), key.text, { mode: 0o600 });
  const authorityAddress = `unix:${join(directory, "authority.sock")}`;
  const start = () =>
    startServiceProcess("authority", {
      AIRLOCK_LISTEN: authorityAddress,
      AIRLOCK_DATABASE: join(directory, "authority.db"),
      AIRLOCK_AUTH: "required",
      AIRLOCK_ADMIN_KEY_FILE: join(directory, "admin-key"),
    });
  let authority = await start();
  let logs = "";
  const collect = {
    write(line: string) {
      logs += line;
    },
  };
  const gateways: RunningGateway[] = [];
  return {
    adminKey: key.text,
    authority: () => authority,
    async startAuthority() {
      authority = await start();
    },
    async addGateway(env = {}) {
      const log = createLog("gateway", "debug", collect);
      const edges = await openEdges("gateway", {}, log);
      const away = "unix:/nonexistent";
      const real = connectBackends(
        { routerAddress: away, poolManagerAddress: away, authorityAddress },
        edges,
      );
      const mock = createMockBackends();
      const backends = {
        ...mock,
        authority: real.authority,
        close() {
          mock.close();
          real.close();
        },
      };
      const read = readEnvironment(env);
      const rates = readRatesConfig(read, "required");
      read.check();
      const gateway = await serve({ host: "127.0.0.1", port: 0, auth: "required", rates }, backends, log);
      gateways.push(gateway);
      return `http://127.0.0.1:${gateway.port}`;
    },
    logs: () => logs,
    async close() {
      await Promise.all(gateways.map((gateway) => gateway.drain(0)));
      authority.signal("SIGCONT");
      await authority.kill();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

const NO_EXECUTION = "/executions/00000000-0000-4000-8000-000000000000";
/** A request that changes something, and finds nothing to change. */
export const CANCEL = `${NO_EXECUTION}/cancel`;

export type Asked = {
  readonly key?: string | undefined;
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
};

/** Sends one request; the body is sent as JSON. */
export function ask(method: string, url: string, { key, body, headers }: Asked = {}): Promise<Response> {
  return fetch(url, {
    method,
    headers: {
      ...(key !== undefined && { authorization: `Bearer ${key}` }),
      ...(body !== undefined && { "content-type": "application/json" }),
      ...headers,
    },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
}

let names = 0;

/** Makes a key of a new principal with this role. */
export async function newKey(
  url: string,
  adminKey: string,
  role: string,
  more: object = {},
): Promise<string> {
  const body = { name: `test-${++names}`, kind: "human", role, ...more };
  const made = await ask("POST", `${url}/keys`, { key: adminKey, body });
  if (made.status !== 201) throw new Error(`POST /keys was answered ${made.status}: ${await made.text()}`);
  return String(((await made.json()) as { key: string }).key);
}

/** Sends requests that change something, one after the other, each to the next of the gateways. */
export async function changes(urls: readonly string[], count: number, asked: Asked): Promise<number[]> {
  const statuses: number[] = [];
  for (let n = 0; n < count; n++)
    statuses.push((await ask("POST", `${urls[n % urls.length]}${CANCEL}`, asked)).status);
  return statuses;
}

/** The number of the first of these changes that is refused as one too many. */
export async function firstRefused(urls: readonly string[], atMost: number, asked: Asked): Promise<number> {
  return (await changes(urls, atMost, asked)).indexOf(429) + 1;
}
