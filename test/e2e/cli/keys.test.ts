import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { runAirlock, startAirlock, type TestAirlock } from "../../harness/airlock.ts";

let airlock: TestAirlock;
let admin: Record<string, string>;

beforeAll(async () => {
  airlock = await startAirlock({ env: { AIRLOCK_AUTH: "required" } });
  admin = keyed(await readFile(join(airlock.dataDirectory, "admin-key"), "utf8"));
}, 90_000);
afterAll(() => airlock.remove());

/** The environment of a command that shows this key. */
function keyed(key: string): Record<string, string> {
  return { AIRLOCK_URL: airlock.url, AIRLOCK_KEY: key.trim() };
}

describe("./airlock keys", () => {
  it("./airlock keys create prints the key alone, and whoami says who it is", async () => {
    const made = await runAirlock(["keys", "create", "bot", "--project", "demo", "--expires-in", "30d"], {
      env: admin,
    });
    expect(made.stdout).toMatch(/^alk_[a-z0-9]{16}_[A-Za-z0-9]{43}\n$/);
    expect(made.stderr).toMatch(/^The key [a-z0-9]{16} of key:bot ends 20\d\d-.+ It is shown only now\.\n$/);
    const bot = keyed(made.stdout);
    const who = await runAirlock(["whoami"], { env: bot });
    expect(who.stdout).toContain("key:bot (agent, developer) in the tenant default\n");
    expect(who.stdout).toContain("projects: demo\n");
    const seen = JSON.parse((await runAirlock(["whoami", "--json"], { env: bot })).stdout);
    expect(seen).toMatchObject({
      principal: "key:bot",
      permissions: expect.arrayContaining(["execution.submit"]),
    });
    expect((await runAirlock(["projects"], { env: bot })).status).toBe(0);
  });

  it("./airlock keys list shows keys and never their text, and keys revoke ends one", async () => {
    const { stdout } = await runAirlock(["keys", "create", "short", "--role", "observer"], { env: admin });
    const id = stdout.split("_")[1] ?? "";
    const row = async () =>
      (await runAirlock(["keys", "list"], { env: admin })).stdout
        .split("\n")
        .find((line) => line.startsWith(id));
    expect(await row()).toMatch(/key:short +observer \(agent\) +all +in force until 20\d\d-\S+ +never$/);
    expect((await runAirlock(["keys", "list"], { env: admin })).stdout).not.toContain("alk_");
    expect((await runAirlock(["keys", "revoke", id], { env: admin })).status).toBe(0);
    expect(await row()).toContain("revoked 20");
    const refused = await runAirlock(["whoami"], { env: keyed(stdout) });
    expect(refused).toMatchObject({ status: 1, stderr: expect.stringContaining("has been revoked") });
  });

  it("./airlock commands without a key say that one is needed, and never repeat a wrong one", async () => {
    const without = await runAirlock(["projects"], { env: { AIRLOCK_URL: airlock.url } });
    expect(without).toMatchObject({ status: 1, stderr: expect.stringContaining("needs a credential") });
    const wrong = await runAirlock(["projects"], {
      env: { AIRLOCK_URL: airlock.url, AIRLOCK_KEY: "hunter2" },
    });
    expect(wrong.stderr).toContain("AIRLOCK_KEY must be an API key");
    expect(wrong.stderr).not.toContain("hunter2");
  });
});
