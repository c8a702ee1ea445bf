import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, it } from "vitest";
import { startAirlock, type TestAirlock } from "../harness/airlock.ts";
import { DEMANDING } from "../harness/demanding.ts";
import { restClient } from "../harness/rest.ts";

// A kernel that allows no network namespace, as hardened machines have it.
const WITHOUT_NETWORK_NAMESPACES = [
  ...["unshare", "--user", "--map-root-user", "sh", "-c"],
  'echo 0 > /proc/sys/user/max_net_namespaces; exec "$@"',
  "sh",
];
const PROJECTS = { open: "network_allowlist: [api.example]\n", closed: "" };

async function within<T>(env: Record<string, string>, use: (airlock: TestAirlock) => Promise<T>): Promise<T> {
  const airlock = await startAirlock({ projects: PROJECTS, env, wrapper: WITHOUT_NETWORK_NAMESPACES });
  try {
    return await use(airlock);
  } finally {
    await airlock.remove();
  }
}

it("a project with a network does not start where its scripts could reach a REST API without a credential", async () => {
  await within({}, async ({ url }) => {
    const rest = restClient(url);
    const refused = await rest.run({ project: "open", code: "print(1)" });
    expect(refused).toMatchObject({
      end_reason: "start_failed",
      stdout: "",
      error: expect.stringContaining("this machine gives its runs no network namespace"),
    });
    expect(refused.error).toContain("The operator sets AIRLOCK_AUTH=required");
    expect(await rest.run({ project: "closed", code: "print(1)" })).toMatchObject({ stdout: "1\n" });
  });
}, 90_000);

it("a project with a network starts without network namespaces where the REST API demands a credential", async () => {
  await within(DEMANDING, async ({ url, dataDirectory }) => {
    const key = (await readFile(join(dataDirectory, "admin-key"), "utf8")).trim();
    const rest = restClient(url, key);
    expect(await rest.run({ project: "open", code: "print(1)" })).toMatchObject({ stdout: "1\n" });
  });
}, 90_000);
