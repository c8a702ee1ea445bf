import { mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { runAirlock, startAirlock, type TestAirlock } from "../../harness/airlock.ts";
import { DEMANDING } from "../../harness/demanding.ts";

let airlock: TestAirlock;
let admin: Record<string, string>;

beforeAll(async () => {
  airlock = await startAirlock({ env: DEMANDING });
  admin = keyed(await readFile(join(airlock.dataDirectory, "admin-key"), "utf8"));
}, 90_000);
afterAll(() => airlock.remove());

/** The environment of a command that shows this key. */
function keyed(key: string): Record<string, string> {
  return { AIRLOCK_URL: airlock.url, AIRLOCK_KEY: key.trim() };
}

describe("./airlock keys", () => {
  it("./airlock keys create prints the key alone, and whoami says who it is", async () => {
    const made = await runAirlock(
      [...["keys", "create", "bot", "--project", "demo"], ...["--expires-in", "30d", "--rate", "60"]],
      {
        env: admin,
      },
    );
    expect(made.stdout).toMatch(/^alk_[a-z0-9]{16}_[A-Za-z0-9]{43}\n$/);
    expect(made.stderr).toMatch(/^The key [a-z0-9]{16} of key:bot ends 20\d\d-.+ It is shown only now\.\n$/);
    const bot = keyed(made.stdout);
    const who = await runAirlock(["whoami"], { env: bot });
    expect(who.stdout).toContain("key:bot (agent, developer) in the tenant default\n");
    expect(who.stdout).toContain("projects: demo\n");
    expect(who.stdout).toContain("changes left this minute: 60 of 60, all again in 60 s\n");
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
    expect(await row()).toMatch(
      /short +key:short +observer \(agent\) +all +in force until 20\d\d-\S+ +never$/,
    );
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

describe("./airlock login", () => {
  let home: string;
  beforeAll(async () => {
    home = await mkdtemp(join(tmpdir(), "airlock-login-"));
  });
  afterAll(() => rm(home, { recursive: true }));
  const here = () => ({ AIRLOCK_URL: airlock.url, AIRLOCK_KEY: "", XDG_CONFIG_HOME: home });
  const file = () => join(home, "airlock", "keys.json");

  it("./airlock login keeps a key for this Airlock alone, in a file for its owner alone, and logout forgets it", async () => {
    const key = admin.AIRLOCK_KEY as string;
    const said = await runAirlock(["login"], { env: here(), input: `${key}\n` });
    expect(said).toMatchObject({ status: 0, stderr: "" });
    expect(said.stdout).toBe(`You are key:admin (admin). The key is kept in ${file()}.\n`);
    expect((await stat(file())).mode & 0o777).toBe(0o600);
    expect((await stat(join(home, "airlock"))).mode & 0o777).toBe(0o700);
    expect((await runAirlock(["whoami"], { env: here() })).stdout).toContain("key:admin (human, admin)");
    const elsewhere = await runAirlock(["whoami"], {
      env: { ...here(), AIRLOCK_URL: airlock.url.replace("127.0.0.1", "localhost") },
    });
    expect(elsewhere).toMatchObject({ status: 1, stderr: expect.stringContaining("needs a credential") });
    expect((await runAirlock(["logout"], { env: here() })).stdout).toContain("forgotten");
    expect((await runAirlock(["whoami"], { env: here() })).status).toBe(1);
    expect(await readFile(file(), "utf8")).not.toContain("alk_");
    expect((await runAirlock(["logout"], { env: here() })).stdout).toBe(
      "No key was kept for this Airlock.\n",
    );
  });

  it.each([
    ["a text that is no key", "hunter2", 2, "That is no API key"],
    [
      "a key that Airlock does not know",
      `alk_${"a".repeat(16)}_${"b".repeat(43)}`,
      1,
      "is none of this deployment",
    ],
    ["nothing", "", 2, "That is no API key"],
  ])("./airlock login keeps nothing of %s", async (_what, input, status, says) => {
    const refused = await runAirlock(["login"], { env: here(), input });
    expect(refused).toMatchObject({ status, stdout: "", stderr: expect.stringContaining(says) });
    if (input) expect(refused.stderr).not.toContain(input);
    expect(await readFile(file(), "utf8").catch(() => "")).not.toContain("alk_");
  });

  it("./airlock commands say what to do with a file of keys that login did not write, and do not repeat it", async () => {
    await writeFile(file(), '{"http://x": "hunter2"}');
    const refused = await runAirlock(["whoami"], { env: here() });
    expect(refused).toMatchObject({
      status: 2,
      stderr: expect.stringContaining("remove it and log in again"),
    });
    expect(refused.stderr).not.toContain("hunter2");
    await rm(file());
  });
});
