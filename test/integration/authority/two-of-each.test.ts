import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { makeApiKey } from "#common/identity/api-key.ts";
import { DEMANDING } from "../../harness/demanding.ts";
import { postgresMissing, startPostgres, type TestPostgres } from "../../harness/postgres.ts";
import { restClient } from "../../harness/rest.ts";
import { type ServiceProcess, startServiceProcess } from "../../harness/service-process.ts";
import { makeCertificates } from "../../harness/tls-services.ts";
import { freePort } from "../../support/free-port.ts";

const OBEYED_WITHIN_MS = 1_000;
const CLIENTS_EACH = 4;

let directory: string;
let postgres: TestPostgres;
const authorities: ServiceProcess[] = [];
const gateways: ServiceProcess[] = [];
const urls: string[] = [];
const admin = makeApiKey().text;

async function makeKey(name: string): Promise<{ key: string; key_id: string }> {
  const made = await restClient(urls[0] as string, admin).post("/keys", { name, kind: "service" });
  expect(made.status).toBe(201);
  return (await made.json()) as { key: string; key_id: string };
}

async function statusOf(url: string, key: string): Promise<number> {
  const response = await fetch(`${url}/me`, { headers: { authorization: `Bearer ${key}` } });
  await response.arrayBuffer();
  return response.status;
}

const missing = postgresMissing();
describe.skipIf(missing)(`two gateways and two authorities over one database (${missing})`, () => {
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), "airlock-two-"));
    await makeCertificates(join(directory, "certificates"));
    await writeFile(join(directory, "admin-key"), admin, { mode: 0o600 });
    postgres = await startPostgres();
    const { url } = await postgres.newDatabase();
    const ports = [await freePort(), await freePort()];
    for (const port of ports) {
      authorities.push(
        await startServiceProcess("authority", {
          AIRLOCK_LISTEN: `127.0.0.1:${port}`,
          AIRLOCK_TLS_DIR: join(directory, "certificates", "authority"),
          AIRLOCK_DATABASE_URL: url,
          AIRLOCK_AUTH: "required",
          AIRLOCK_ADMIN_KEY_FILE: join(directory, "admin-key"),
        }),
      );
    }
    for (let n = 0; n < 2; n++) {
      const port = await freePort();
      urls.push(`http://127.0.0.1:${port}`);
      gateways.push(
        await startServiceProcess("gateway", {
          AIRLOCK_PORT: String(port),
          AIRLOCK_TLS_DIR: join(directory, "certificates", "gateway"),
          AIRLOCK_AUTHORITY_ADDRESS: `ipv4:${ports.map((each) => `127.0.0.1:${each}`).join(",")}`,
          AIRLOCK_ROUTER_ADDRESS: `127.0.0.1:${await freePort()}`,
          AIRLOCK_POOL_MANAGER_ADDRESS: `127.0.0.1:${await freePort()}`,
          ...DEMANDING,
        }),
      );
    }
  }, 120_000);
  afterAll(async () => {
    for (const each of authorities) each.signal("SIGCONT");
    await Promise.all([...gateways, ...authorities].map((each) => each.kill()));
    await postgres.remove();
    await rm(directory, { recursive: true, force: true });
  });

  it("a revoked key is refused by both gateways within a second, under load", async () => {
    const { key, key_id } = await makeKey("revoked-under-load");
    /** When each client last sent a request that was let in. */
    const letInAtMs: number[] = [];
    let stopped = false;
    const client = async (url: string, place: number) => {
      while (!stopped) {
        const sentMs = performance.now();
        const status = await statusOf(url, key);
        expect([200, 401]).toContain(status);
        if (status === 200) letInAtMs[place] = sentMs;
      }
    };
    const clients = urls.flatMap((url, n) =>
      Array.from({ length: CLIENTS_EACH }, (_, each) => client(url, n * CLIENTS_EACH + each)),
    );
    await sleep(500);
    const revoked = await fetch(`${urls[0]}/keys/${key_id}`, {
      method: "DELETE",
      headers: { authorization: `Bearer ${admin}` },
    });
    const revokedMs = performance.now();
    expect(revoked.status).toBe(204);
    await sleep(2 * OBEYED_WITHIN_MS);
    stopped = true;
    await Promise.all(clients);
    expect(letInAtMs).toHaveLength(urls.length * CLIENTS_EACH);
    const latestMs = Math.max(...letInAtMs) - revokedMs;
    process.stdout.write(`the revoked key was let in for ${Math.round(latestMs)} ms\n`);
    expect(latestMs).toBeLessThan(OBEYED_WITHIN_MS);
    for (const url of urls) expect(await statusOf(url, key)).toBe(401);
  }, 60_000);

  it("keys go on while one of two authorities is killed, and new ones are made", async () => {
    const { key } = await makeKey("before-the-kill");
    for (const url of urls) expect(await statusOf(url, key)).toBe(200);
    await authorities[0]?.kill();
    for (let n = 0; n < 20; n++) {
      for (const url of urls) expect(await statusOf(url, key)).toBe(200);
      await sleep(50);
    }
    const { key: later } = await makeKey("after-the-kill");
    for (const url of urls) expect(await statusOf(url, later)).toBe(200);
  }, 60_000);

  it("keys that a gateway knows go on while no authority answers, and nobody else is let in", async () => {
    const { key } = await makeKey("known");
    const { key: unknown } = await makeKey("not-shown-yet");
    for (const url of urls) expect(await statusOf(url, key)).toBe(200);
    authorities[1]?.signal("SIGSTOP");
    for (const url of urls) {
      expect(await statusOf(url, key)).toBe(200);
      expect(await statusOf(url, unknown)).toBe(503);
      expect(await statusOf(url, `${key.slice(0, -1)}${key.endsWith("x") ? "y" : "x"}`)).toBe(503);
    }
    authorities[1]?.signal("SIGCONT");
    for (const url of urls) await expect.poll(() => statusOf(url, unknown), { timeout: 15_000 }).toBe(200);
  }, 90_000);
});
