import { randomBytes } from "node:crypto";
import { stat, unlink } from "node:fs/promises";
import { join } from "node:path";
import { credentials } from "@grpc/grpc-js";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { SanitizeChannel } from "#proto/sanitizer.ts";
import { document, type Harness, startHarness } from "../sanitizer/sanitizer-harness.ts";

let harness: Harness;

beforeAll(async () => {
  harness = await startHarness();
});
afterAll(() => harness.stop());
beforeEach(() => harness.write("token", "first-token\n"));

const random = (characters: number) => randomBytes(characters).toString("base64url").slice(0, characters);
const lines = (count: number, line: (n: number) => string) =>
  Array.from({ length: count }, (_, n) => line(n)).join("");
const configOf = (users: number) =>
  `users:\n${lines(users, (n) => `- name: u${n}\n  user:\n    token: ${random(40)}\n    password: ${random(16)}\n`)}`;
const envOf = (names: number) => lines(names, (n) => `SERVICE_${n}_PASSWORD=${random(40)}\n`);

async function values(project: string) {
  const { version, secrets } = await harness.resolve(project);
  return { version, secrets: Object.fromEntries(secrets.map(({ name, value }) => [name, value])) };
}

describe("the secrets service", () => {
  it("the secrets service resolves a project, and again when its file or a secret's file changes", async () => {
    await harness.project("demo", { TOKEN: "${file:token}" });
    const first = await values("demo");
    expect(first).toMatchObject({ secrets: { TOKEN: "first-token" } });
    expect(await values("demo")).toEqual(first);
    await harness.write("token", "second-token");
    const second = await values("demo");
    expect(second).toMatchObject({ secrets: { TOKEN: "second-token" } });
    expect(second.version).not.toBe(first.version);
    await harness.project("demo", { TOKEN: "${file:token}", MORE: "one-more-secret" });
    expect((await values("demo")).secrets).toEqual({ TOKEN: "second-token", MORE: "one-more-secret" });
  });

  it("the secrets service tells the sanitizer the values of exactly one version, also when they cannot be resolved now", async () => {
    await harness.project("gone", { TOKEN: "${file:token}", SAME: "the-same-value" });
    const { version } = await values("gone");
    await harness.write("token", "second-token");
    const second = await values("gone");
    await unlink(join(harness.directory, "token"));
    await expect(harness.resolve("gone")).rejects.toMatchObject({
      code: "start_failed",
      message: expect.stringContaining(
        'TOKEN (a ${file:} reference) cannot be used: the file "token" does not exist',
      ),
    });
    const same = { name: "SAME", value: "the-same-value" };
    expect(await harness.needles("gone", version)).toEqual({
      version,
      secrets: [{ name: "TOKEN", value: "first-token" }, same],
    });
    expect((await harness.needles("gone", second.version)).secrets).toEqual([
      { name: "TOKEN", value: "second-token" },
      same,
    ]);
    await harness.write("token", "third-token");
    expect((await harness.needles("gone", "")).secrets).toEqual([
      { name: "TOKEN", value: "third-token" },
      same,
    ]);
    await expect(harness.needles("gone", "never")).rejects.toMatchObject({
      code: "output_withheld",
      message: expect.stringContaining("not known any more"),
    });
  });

  it("the secrets service gives 50 callers at once the same answer", async () => {
    await harness.project("busy", { TOKEN: "${file:token}" });
    const answers = await Promise.all(Array.from({ length: 50 }, () => values("busy")));
    expect(new Set(answers.map(({ version }) => version)).size).toBe(1);
  });

  it("the secrets service names the known projects when the requested project does not exist", async () => {
    await harness.project("demo", {});
    await expect(harness.resolve("demi")).rejects.toMatchObject({
      code: "project_not_found",
      message: expect.stringMatching(/^There is no project of this name\. Use one of: .*\bdemo\b/),
    });
    await expect(harness.resolve("")).rejects.toMatchObject({ code: "invalid_request" });
  });

  it("the secrets service says what is wrong with a broken project file, while other projects work", async () => {
    await harness.write("broken.yaml", "name: broken\nsecrets:\n  KEY: [hidden-value]\n");
    await harness.project("demo", { KEY: "a-plain-value" });
    const error = await harness.resolve("broken").catch((thrown) => thrown);
    expect(error).toMatchObject({ code: "project_invalid" });
    expect(error.message).toContain("broken.yaml:3");
    expect(error.message).not.toContain("hidden-value");
    expect((await values("demo")).secrets).toEqual({ KEY: "a-plain-value" });
  });

  it.each([
    ["a configuration of many users", configOf(2_500), configOf(480)],
    ["an environment", envOf(3_500), envOf(1_000)],
    ["keys in Base64", randomBytes(600_000).toString("base64"), randomBytes(40_000).toString("base64")],
  ])(
    "the secrets service gives no script a secret too large to search for, and says so beforehand: %s",
    async (_, large, small) => {
      const files = (text: string) => text.match(/[\s\S]{1,60000}/g) ?? [];
      for (const [name, text] of Object.entries({ large, small })) {
        const parts = files(text);
        const named = parts.map((_part, index) => [`PART_${index}`, `\${file:${name}-${index}}`]);
        await Promise.all(parts.map((part, index) => harness.write(`${name}-${index}`, part)));
        await harness.project(name, Object.fromEntries(named));
      }
      const refused = { code: "start_failed", message: expect.stringContaining("together too large") };
      await expect(harness.resolve("large")).rejects.toMatchObject(refused);
      await expect(harness.resolve("large")).rejects.toMatchObject(refused);
      // The first check of a project this large may take longer than callers wait, and counts from its end on.
      await expect
        .poll(async () => (await harness.problems()).get("large"), { timeout: 30_000 })
        .toContain("together too large to be searched for in output");
      expect((await harness.problems()).has("small")).toBe(false);
      const stream = await harness.open("small");
      expect((await document(stream, SanitizeChannel.STDOUT, ["a text"])).text).toBe("a text");
      stream.cancel();
    },
    60_000,
  );

  it("the secrets service listens on a socket of its owner only, reports that it is healthy, and logs no value", async () => {
    const socket = join(harness.directory, "secrets.sock");
    expect((await stat(socket)).mode & 0o777).toBe(0o600);
    const { makeGenericClientConstructor } = await import("@grpc/grpc-js");
    const { service } = await import("grpc-health-check");
    const Health = makeGenericClientConstructor(service, "Health");
    const client = new Health(`unix:${socket}`, credentials.createInsecure());
    const answer = await new Promise<{ status: string }>((resolve, reject) =>
      client.check?.({ service: "" }, (error: Error | null, value: { status: string }) =>
        error ? reject(error) : resolve(value),
      ),
    );
    expect(answer.status).toBe("SERVING");
    client.close();
    expect(harness.logged.join("")).not.toMatch(/-token|plain-value/);
  });
});
