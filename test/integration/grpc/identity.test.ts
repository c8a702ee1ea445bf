import { once } from "node:events";
import { readFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Client, credentials, status } from "@grpc/grpc-js";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { callUnary, clientDuplex, connectTo } from "#common/grpc/client.ts";
import { metadataFor } from "#common/grpc/principal.ts";
import { mayCall, mayCallForItself, RULES } from "#common/identity/authorization.ts";
import type { Identity, ServiceIdentity } from "#common/identity/identity.ts";
import { openTlsIdentity } from "#common/identity/tls-identity.ts";
import { createLog } from "#common/service/log.ts";
import { EgressServiceClient, type HoldRouteResponse } from "#proto/egress.ts";
import {
  ProvisionRequest,
  RunStart,
  type WatchStatusResponse,
  WorkerServiceClient,
  WorkerState,
} from "#proto/worker.ts";
import { renewCertificates } from "../../../cli/certificates/certs-directory.ts";
import { startGateway } from "../../../gateway/main.ts";
import { startEchoServer } from "../../harness/echo-server.ts";
import { principal } from "../../harness/principals.ts";
import { restClient } from "../../harness/rest.ts";
import { RPCS, type Rpc } from "../../harness/rpcs.ts";
import {
  makeCertificates,
  startTlsServices,
  type TlsServices,
  WORKER_ID,
} from "../../harness/tls-services.ts";

const CALL_TIMEOUT_MS = 5_000;
const HEALTH_CHECK = "/grpc.health.v1.Health/Check";
const service = (name: ServiceIdentity): Identity => ({ kind: "service", name });
const CLIENT: Identity = { kind: "client", name: "billing" };
const IDENTITIES = {
  gateway: service("gateway"),
  router: service("router"),
  "pool-manager": service("pool-manager"),
  secrets: service("secrets"),
  sanitizer: service("sanitizer"),
  egress: service("egress"),
  authority: service("authority"),
  worker: service("worker"),
  "client-billing": CLIENT,
} as const satisfies Record<string, Identity>;
type Caller = keyof typeof IDENTITIES;

let services: TlsServices;
let foreign: string;

beforeAll(async () => {
  services = await startTlsServices();
  foreign = join(services.directory, "foreign");
  await makeCertificates(foreign);
}, 60_000);
afterAll(() => services.stop());

const file = (directory: string, name: string) => readFileSync(join(directory, name));

/** The status that a call with an empty message gets; undefined when data came back first. */
function call(
  address: string,
  rpc: Rpc,
  creds: ReturnType<typeof credentials.createSsl>,
  pass?: string,
): Promise<number> {
  // A new connection, because an open one would prove nothing about certificates.
  const client = new Client(address, creds, { "grpc.use_local_subchannel_pool": 1 });
  return new Promise<number>((resolve) => {
    const path = rpc.path;
    const plain = (value: Buffer) => value;
    const deadline = Date.now() + CALL_TIMEOUT_MS;
    const metadata = metadataFor(undefined, pass);
    const stream = client.makeBidiStreamRequest(path, plain, plain, metadata, { deadline });
    stream.on("data", () => {
      resolve(status.OK);
      stream.cancel();
    });
    stream.on("error", ({ code }: { code?: number }) => resolve(code ?? -1));
    stream.on("end", () => resolve(status.OK));
    stream.write(Buffer.alloc(0));
    stream.end();
  }).finally(() => client.close());
}

const credentialsOf = (caller: Caller, issuedIn = services.certificates) =>
  credentials.createSsl(
    file(join(services.certificates, "router"), "ca.pem"),
    file(join(issuedIn, caller), "key.pem"),
    file(join(issuedIn, caller), "cert.pem"),
    { checkServerIdentity: () => undefined },
  );

const addressOf = (rpc: Rpc) => {
  // RPCs that every service has are guarded by each of them in the same way.
  const answers = RULES[rpc.path]?.service;
  const owner = answers === "every" ? "router" : answers;
  if (!owner || owner === "gateway") throw new Error(`nobody answers ${rpc.path}`);
  return services.addresses[owner];
};

/** An admin's pass for the caller to present, when the table says that it calls for principals. */
const passOf = async (caller: Caller, { path }: Rpc) => {
  const { kind, name } = IDENTITIES[caller];
  const rule = RULES[path];
  if (kind !== "service" || !rule || !mayCall(service(name), path) || mayCallForItself(name, path))
    return undefined;
  return await services.passFor(principal("key:admin", "admin"), rule.service as ServiceIdentity, name);
};

describe("every RPC", () => {
  it("every RPC is in the table of callers, and the table has no other", () => {
    expect(Object.keys(RULES).sort()).toEqual(RPCS.map(({ path }) => path).sort());
  });

  describe.each(RPCS)("$path", (rpc) => {
    it.each(Object.entries(IDENTITIES) as [Caller, Identity][])(
      `${rpc.path} is judged for the caller %s by the table`,
      async (caller, identity) => {
        const code = await call(addressOf(rpc), rpc, credentialsOf(caller), await passOf(caller, rpc));
        if (mayCall(identity, rpc.path))
          expect([status.PERMISSION_DENIED, status.UNAVAILABLE]).not.toContain(code);
        else expect(code).toBe(status.PERMISSION_DENIED);
      },
    );

    it(`${rpc.path} is refused without a certificate, with one of another authority, and in plain text`, async () => {
      const ca = file(join(services.certificates, "router"), "ca.pem");
      const anyHost = { checkServerIdentity: () => undefined };
      expect(await call(addressOf(rpc), rpc, credentials.createSsl(ca, null, null, anyHost))).toBe(
        status.UNAVAILABLE,
      );
      for (const caller of ["router", "pool-manager", "gateway"] as const) {
        expect(await call(addressOf(rpc), rpc, credentialsOf(caller, foreign))).toBe(status.UNAVAILABLE);
      }
      expect(await call(addressOf(rpc), rpc, credentials.createInsecure())).toBe(status.UNAVAILABLE);
    });
  });
});

describe("the table of callers", () => {
  it("the table of callers opens nothing to a worker, and to each other caller the RPCs that design §3 names", () => {
    const openTo = (caller: Identity) =>
      [
        ...new Set(
          Object.entries(RULES).flatMap(([path, { service }]) =>
            service !== "every" && mayCall(caller, path) ? [service] : [],
          ),
        ),
      ].sort();
    expect(openTo(service("worker"))).toEqual([]);
    expect(openTo(service("secrets"))).toEqual([]);
    expect(openTo(service("egress"))).toEqual(["secrets", "worker"]);
    expect(openTo(service("gateway"))).toEqual(["authority", "pool-manager", "router"]);
    expect(openTo(service("authority"))).toEqual([]);
    expect(openTo(CLIENT)).toEqual(["pool-manager", "router"]);
    expect(openTo(service("pool-manager"))).toEqual(["authority", "secrets", "worker"]);
    expect(openTo(service("sanitizer"))).toEqual(["secrets"]);
    expect(openTo(service("router"))).toEqual(["authority", "egress", "pool-manager", "sanitizer", "worker"]);
  });

  it("the table of callers gives secret values, workers and network routes to one caller each", () => {
    const callersOf = (path: string) => RULES[`/airlock.v1.${path}`]?.callers;
    expect(callersOf("SecretsService/ResolveSecrets")).toEqual(["pool-manager"]);
    expect(callersOf("SecretsService/ResolveNeedles")).toEqual(["sanitizer"]);
    expect(callersOf("SecretsService/ResolveBrokered")).toEqual(["egress"]);
    expect(callersOf("SecretsService/CheckSecrets")).toEqual(["pool-manager"]);
    expect(callersOf("PoolManagerService/Lease")).toEqual(["router"]);
    expect(callersOf("WorkerService/Provision")).toEqual(["pool-manager"]);
    expect(callersOf("WorkerService/Run")).toEqual(["router"]);
    expect(callersOf("EgressService/HoldRoute")).toEqual(["router"]);
  });

  it("the table of callers refuses RPCs that it does not know", () => {
    expect(mayCall(service("router"), "/airlock.v1.RouterService/constructor")).toBe(false);
    expect(mayCall(service("router"), "constructor")).toBe(false);
    expect(mayCall(service("router"), "/airlock.v1.NewService/Call")).toBe(false);
  });
});

describe("the health service", () => {
  const owners = ["router", "pool-manager", "secrets", "sanitizer", "egress", "authority"] as const;
  const rpc = { path: HEALTH_CHECK };

  it.each(owners)(
    "the health service of %s is open to every identity, and to no certificate of another authority",
    async (owner: Exclude<ServiceIdentity, "gateway">) => {
      for (const caller of Object.keys(IDENTITIES) as Caller[]) {
        expect(await call(services.addresses[owner], rpc, credentialsOf(caller))).toBe(status.OK);
      }
      expect(await call(services.addresses[owner], rpc, credentialsOf("router", foreign))).toBe(
        status.UNAVAILABLE,
      );
    },
  );
});

describe("all services over TLS", () => {
  it("all services over TLS run a script together", async () => {
    const gateway = await startGateway(
      {
        host: "127.0.0.1",
        port: 0,
        routerAddress: services.addresses.router,
        poolManagerAddress: services.addresses["pool-manager"],
        authorityAddress: services.addresses.authority,
        tlsDirectory: join(services.certificates, "gateway"),
      },
      createLog("gateway", "silent"),
    );
    try {
      const rest = restClient(`http://127.0.0.1:${gateway.port}`);
      const execution = await rest.run({ code: "print(settings.get('TOKEN')); set_result(1.0)" });
      expect(execution).toMatchObject({ status: "completed", stdout: "[REDACTED...test]\n" });
      expect((await fetch(`${rest.url}/ready`)).status).toBe(200);
    } finally {
      await gateway.drain(0);
    }
  });

  it("all services over TLS carry a run's connection, for which the egress service calls the worker", async () => {
    const echo = await startEchoServer();
    await writeFile(
      join(services.directory, "projects", "open.yaml"),
      `name: open\nnetwork_allowlist: ["127.0.0.1:${echo.port}"]\nallow_private: [127.0.0.1]\n`,
    );
    const log = createLog("test", "silent");
    const as = (identity: ServiceIdentity) =>
      openTlsIdentity(join(services.certificates, identity), service(identity), log);
    const [poolManager, router] = [await as("pool-manager"), await as("router")];
    const provisioner = connectTo(WorkerServiceClient, services.addresses.worker, poolManager);
    const runner = connectTo(WorkerServiceClient, services.addresses.worker, router);
    const egress = connectTo(EgressServiceClient, services.addresses.egress, router);
    try {
      const limits = {
        maxOutputBytes: 1e6,
        maxResultBytes: 1e6,
        memoryBytes: 512e6,
        diskBytes: 64e6,
        pids: 64,
        cpus: 1,
      };
      const provision = ProvisionRequest.fromPartial({
        workerId: WORKER_ID,
        project: "open",
        limits,
        network: true,
      });
      await callUnary(provisioner, provisioner.provision, provision, "worker", { timeoutMs: 10_000 });
      await ready(provisioner);
      const executionId = "execution";
      const stream = egress.holdRoute({
        project: "open",
        executionId,
        workerId: WORKER_ID,
        workerAddress: services.addresses.worker,
        secretsVersion: "",
      });
      stream.on("error", () => undefined);
      const [{ network }] = (await once(stream, "data")) as [HoldRouteResponse];
      const code = `import urllib.request\nprint(urllib.request.urlopen("http://127.0.0.1:${echo.port}/over/tls").status)`;
      const run = clientDuplex(runner.run(), "worker");
      const start = RunStart.fromPartial({
        workerId: WORKER_ID,
        executionId,
        code,
        timeoutMs: 20_000,
        network,
      });
      await run.send({ message: { $case: "start", value: start } });
      let output = "";
      for (let event = (await run.next())?.event; event; event = (await run.next())?.event) {
        if (event.$case === "output") output += String(event.value.data);
        if (event.$case !== "finished") continue;
        await run.send({ message: { $case: "recorded", value: {} } });
        run.close();
      }
      expect(output).toBe("200\n");
      expect(echo.seen.map(({ path }) => path)).toEqual(["/over/tls"]);
      stream.cancel();
    } finally {
      for (const client of [provisioner, runner, egress]) client.close();
      for (const identity of [poolManager, router]) identity.close();
      await echo.close();
    }
  });
});

// The last one, since it changes the authority that all of the above trust.
describe("a worker", () => {
  it("a worker starts using new certificates, and rejects an authority that is dropped, without a restart", async () => {
    const rpc = { path: "/airlock.v1.WorkerService/WatchStatus" };
    const renewal = { clients: [], days: 1, newAuthority: false, dropOldAuthorities: false, now: new Date() };
    const old = credentialsOf("pool-manager");
    // The answer to a permitted caller, which is refused only because the call names no worker.
    const heard = status.ABORTED;
    expect(await call(services.addresses.worker, rpc, old)).toBe(heard);
    await renewCertificates(services.certificates, { ...renewal, newAuthority: true });
    expect(await call(services.addresses.worker, rpc, credentialsOf("pool-manager"))).toBe(heard);
    await renewCertificates(services.certificates, renewal);
    expect(await call(services.addresses.worker, rpc, credentialsOf("pool-manager"))).toBe(heard);
    await renewCertificates(services.certificates, { ...renewal, dropOldAuthorities: true });
    expect(await call(services.addresses.worker, rpc, credentialsOf("pool-manager"))).toBe(heard);
    expect(await call(services.addresses.worker, rpc, old)).toBe(status.UNAVAILABLE);
  });
});

async function ready(worker: WorkerServiceClient): Promise<void> {
  for await (const { state } of worker.watchStatus({
    workerId: WORKER_ID,
  }) as AsyncIterable<WatchStatusResponse>) {
    if (state === WorkerState.READY) return;
  }
  throw new Error("the worker ended before it was ready");
}
