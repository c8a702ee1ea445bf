import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startAirlock, type TestAirlock } from "../../harness/airlock.ts";
import { DEMANDING } from "../../harness/demanding.ts";
import { type RestClient, restClient } from "../../harness/rest.ts";
import { ACCESS, CLIENTS, type Client } from "./access-table.ts";

const ROUTES = Object.keys(ACCESS);

let airlock: TestAirlock;
let admin: string;
let rest: RestClient;
let executionId: string;
const keys: Partial<Record<Client, string>> = {};

const asking = (key: string | undefined) => (key === undefined ? {} : { authorization: `Bearer ${key}` });

async function makeKey(request: Record<string, unknown>): Promise<{ key: string; key_id: string }> {
  const made = await rest.post("/keys", request);
  expect(made.status).toBe(201);
  return (await made.json()) as { key: string; key_id: string };
}

beforeAll(async () => {
  airlock = await startAirlock({
    env: DEMANDING,
  });
  admin = (await readFile(join(airlock.dataDirectory, "admin-key"), "utf8")).trim();
  rest = restClient(airlock.url, admin);
  keys.admin = admin;
  for (const role of ["operator", "developer", "observer"] as const)
    keys[role] = (await makeKey({ name: role, kind: "human", role })).key;
  keys.agent = (await makeKey({ name: "agent", kind: "agent", role: "admin" })).key;
  const revoked = await makeKey({ name: "revoked", kind: "human", role: "admin" });
  keys.revoked = revoked.key;
  const ended = await fetch(`${airlock.url}/keys/${revoked.key_id}`, {
    method: "DELETE",
    headers: asking(admin),
  });
  expect(ended.status).toBe(204);
  executionId = await rest.submit({ code: "set_result(1)" });
  await rest.settled(executionId);
}, 90_000);
afterAll(() => airlock.remove());

/** A request of the route that is in order whoever sends it. */
function requestOf(route: string, client: Client): { method: string; path: string; body?: unknown } {
  const [method = "", template = ""] = route.split(" ");
  const path = template
    .replace("{execution_id}", executionId)
    .replace("{name}", "demo")
    .replace("{key_id}", "a".repeat(16))
    .replace("{grant_id}", "none")
    .replace("{principal}", "key:nobody");
  const bodies: Record<string, unknown> = {
    "POST /execute": { project: "demo", code: "pass" },
    "POST /executions/{execution_id}/respond": { response: "yes" },
    "POST /grants": { cert: "billing", role: "observer" },
    "POST /keys": { name: `of-${client}` },
    "PATCH /principals/{principal}": { disabled: true },
    "POST /projects/{name}/up": {},
  };
  return { method, path, ...(route in bodies && { body: bodies[route] }) };
}

async function ask(
  route: string,
  client: Client,
): Promise<{ status: number; headers: Headers; text: string }> {
  const { method, path, body } = requestOf(route, client);
  const response = await fetch(airlock.url + path, {
    method,
    redirect: "manual",
    headers: { ...asking(keys[client]), ...(body !== undefined && { "content-type": "application/json" }) },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  return { status: response.status, headers: response.headers, text: await response.text() };
}

describe("the table of routes and clients", () => {
  it("the table of routes and clients has every route of the OpenAPI document, and no other", async () => {
    const document = (await (await fetch(`${airlock.url}/openapi.json`)).json()) as {
      paths: Record<string, Record<string, unknown>>;
    };
    const routes = Object.entries(document.paths).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
    );
    expect(routes.sort()).toEqual([...ROUTES].sort());
  });

  it.each(ROUTES)("the table of routes and clients is what %s answers", async (route) => {
    const statuses: number[] = [];
    for (const client of CLIENTS) {
      const { status, headers, text } = await ask(route, client);
      statuses.push(status);
      if (status === 401)
        expect([client, headers.get("www-authenticate")]).toEqual([client, expect.stringMatching(/^Bearer/)]);
      if (status === 403)
        expect(JSON.parse(text)).toMatchObject({
          code: "permission_denied",
          detail: expect.stringMatching(/^You are key:\w+ with the role \w+/),
        });
      expect(text).not.toContain(admin);
    }
    expect(statuses.join(" ")).toBe(ACCESS[route]);
  });
});
