import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inspect } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Project, parseProjectFile } from "#common/projects/file.ts";
import { systemClock } from "#common/resilience/clock.ts";
import { resolveSecrets } from "../../../services/secrets/resolver.ts";
import { envSource } from "../../../services/secrets/sources/env.ts";
import { fileSource } from "../../../services/secrets/sources/file.ts";
import { plainSource } from "../../../services/secrets/sources/plain.ts";
import { vaultSource } from "../../../services/secrets/sources/vault.ts";

let directory: string;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "airlock-secrets-"));
});
afterAll(() => rm(directory, { recursive: true }));

function projectWith(secrets: Record<string, string | object>): Project {
  return parseProjectFile("demo.yaml", JSON.stringify({ name: "demo", secrets })) as Project;
}

async function resolved(secrets: Record<string, string | object>, env: Record<string, string> = {}) {
  const sources = {
    env: envSource(env),
    file: fileSource(directory, systemClock),
    vault: vaultSource(undefined, systemClock),
    plain: plainSource,
  };
  const values = await resolveSecrets(projectWith(secrets), sources);
  return Object.fromEntries(values.map((secret) => [secret.name, secret.reveal()]));
}

describe("references to secrets", () => {
  it("references to secrets in variables, files and plain text give their values", async () => {
    await writeFile(join(directory, "token"), "from the file\n");
    expect(
      await resolved(
        { A: "${env:SOME_KEY}", B: "${file:token}", C: "plain text $X" },
        { SOME_KEY: "from the environment" },
      ),
    ).toEqual({ A: "from the environment", B: "from the file", C: "plain text $X" });
  });

  it.each([
    ["a-value\n\n", "a-value\n"],
    ["a-value\r\n", "a-value"],
    ["two\nlines", "two\nlines"],
    [" a-value ", " a-value "],
  ])("references to secrets in a file with %j strip one newline at most", async (content, value) => {
    await writeFile(join(directory, "token"), content);
    expect(await resolved({ A: "${file:token}" })).toEqual({ A: value });
  });

  it.each([
    ["${env:MISSING}", "start_failed", "is not set"],
    ["${env:toString}", "start_failed", "is not set"],
    ["${env:__proto__}", "start_failed", "is not set"],
    ["${file:missing}", "start_failed", "does not exist"],
    ["${file:.}", "start_failed", "not a regular file"],
    ["${file:/dev/zero}", "start_failed", "not a regular file"],
    ["${file:large}", "start_failed", "larger than 64 KiB"],
    ["${file:nul}", "start_failed", "NUL byte"],
    ["${file:binary}", "start_failed", "not UTF-8"],
    ["${file:short}", "start_failed", "shorter than 6 bytes"],
    ["${file:blank}", "start_failed", "nothing but blanks"],
    ["${file:empty}", "start_failed", "empty"],
    ["${env:SHORT}", "start_failed", "shorter than 6 bytes"],
    ["short", "project_invalid", "shorter than 6 bytes"],
    ["${exec:whoami}", "project_invalid", "neither"],
    ["${env:}", "project_invalid", "neither"],
    ["${ENV}", "project_invalid", "neither"],
    ["a prefix-${env:SHORT}", "project_invalid", "nothing may stand before or behind a reference"],
    ["${env:SHORT} ", "project_invalid", "neither"],
    ["https://user:${file:token}@host", "project_invalid", "neither"],
    ["${vault:kv/app#token}", "start_failed", "no vault is configured"],
    ["${vault:kv#token}", "project_invalid", "neither"],
    ["${vault:kv/app}", "project_invalid", "neither"],
    ["${vault:kv/../sys#token}", "project_invalid", "neither"],
    ["${vault:kv//app#token}", "project_invalid", "neither"],
  ])("references to secrets such as %s are refused with a reason", async (reference, code, reason) => {
    await writeFile(join(directory, "large"), "x".repeat(64 * 1024 + 1));
    await writeFile(join(directory, "nul"), "secret\0value");
    await writeFile(join(directory, "binary"), Buffer.from([0xff, 0xfe, 1, 2, 3, 4, 5]));
    await writeFile(join(directory, "short"), "abcde\n");
    await writeFile(join(directory, "blank"), "        \n");
    await writeFile(join(directory, "empty"), "\n");
    const error = await resolved({ TOKEN: reference }, { SHORT: "12345" }).catch((thrown) => thrown);
    expect(error).toMatchObject({ code });
    expect(error.message).toContain(reason);
    expect(error.message).toContain('"demo"');
    expect(error.message).toContain("TOKEN");
    expect(inspect(error)).not.toMatch(/abcde|12345|xxxx|secret.value/);
    expect(error.message).not.toContain(directory);
  });

  it("references to secrets that fail are reported together", async () => {
    const error = await resolved({ ONE: "${env:A}", TWO: "${file:missing}" }).catch((thrown) => thrown);
    expect(error.message).toContain("ONE (a ${env:} reference)");
    expect(error.message).toContain("TWO (a ${file:} reference)");
  });

  it("references to secrets accept a file of exactly 64 KiB", async () => {
    await writeFile(join(directory, "full"), "x".repeat(64 * 1024));
    expect((await resolved({ A: "${file:full}" })).A).toHaveLength(64 * 1024);
  });
});

describe("a brokered secret", () => {
  const brokered = (value: string) => ({ KEY: { value, inject: { host: "erp.example", header: "X-Key" } } });

  it.each([
    ["fifteen-letters", "project_invalid"],
    ["${env:SHORT}", "start_failed"],
  ])(
    "a brokered secret of fewer than 16 characters is refused with the reason: %s",
    async (reference, code) => {
      const error = await resolved(brokered(reference), { SHORT: "0123456789" }).catch((thrown) => thrown);
      expect(error).toMatchObject({ code });
      expect(error.message).toMatch(
        /KEY .*shorter than 16 characters, so that a script could find it by trying/,
      );
      expect(inspect(error)).not.toMatch(/fifteen|0123456789/);
    },
  );

  it.each([
    ["a user and a password in Base64", Buffer.from("admin:qzkvwt").toString("base64")],
    ["the same behind a long user", Buffer.from("billing-service:482915").toString("base64")],
    ["a short text in hexadecimal digits", Buffer.from("pass-word").toString("hex")],
    ["a word before a short token", "Authorization abc123"],
    ["a user before a short password", "billing-service:abc123"],
  ])(
    "a brokered secret is refused where a script knows all but a few of its characters: %s",
    async (_what, value) => {
      await expect(resolved(brokered(value))).rejects.toThrow(/shorter than 16 characters/);
    },
  );

  it("a brokered secret of 16 characters is accepted, and so is a shorter secret that scripts are given", async () => {
    expect(await resolved(brokered("sixteen--letters"))).toEqual({ KEY: "sixteen--letters" });
    const long = Buffer.from("admin:sixteen--letters").toString("base64");
    expect(await resolved(brokered(long))).toEqual({ KEY: long });
    expect(await resolved({ KEY: "fifteen-letters" })).toEqual({ KEY: "fifteen-letters" });
  });
});
