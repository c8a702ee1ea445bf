import { mkdtemp, open, rm, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, expect, it } from "vitest";
import { type Project, parseProjectFile } from "#common/projects/file.ts";
import { systemClock } from "#common/resilience/clock.ts";
import { localSecrets, resolveSecrets } from "../../../services/secrets/resolver.ts";
import { envSource } from "../../../services/secrets/sources/env.ts";
import { fileSource } from "../../../services/secrets/sources/file.ts";
import { plainSource } from "../../../services/secrets/sources/plain.ts";
import { vaultSource } from "../../../services/secrets/sources/vault.ts";

const VALUES = ["first-value-of-40-characters-aaaaaaaaaaa", "other-value-of-40-characters-bbbbbbbbbbb"];

let directory: string;
let path: string;
const project = parseProjectFile(
  "demo.yaml",
  JSON.stringify({ name: "demo", secrets: { TOKEN: "${file:token}" } }),
) as Project;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "airlock-rewritten-"));
  path = join(directory, "token");
});
afterEach(() => rm(directory, { recursive: true }));

function sources() {
  return {
    env: envSource({}),
    file: fileSource(directory, systemClock),
    vault: vaultSource(undefined, systemClock),
    plain: plainSource,
  };
}

async function value(): Promise<string | undefined> {
  return (await resolveSecrets(project, sources()))[0]?.reveal();
}

/** Writes as editors, `echo >` and `kubectl cp` do: the file is empty first, then in parts. */
async function rewrite(text: string, pauseMs: number): Promise<void> {
  const file = await open(path, "w");
  await sleep(pauseMs);
  await file.write(text.slice(0, 20));
  await sleep(pauseMs);
  await file.write(text.slice(20));
  await file.close();
}

it("a secret's file that is rewritten in place gives its old or its new value, whenever it is read", async () => {
  await writeFile(path, VALUES[0] as string);
  let isOver = false;
  const writing = (async () => {
    for (let round = 0; !isOver; round++) {
      await rewrite(VALUES[round % 2] as string, 4);
      await sleep(60);
    }
  })();
  const seen = new Set<string | undefined>();
  for (let reading = 0; reading < 25; reading++) {
    seen.add(await value());
    expect((await localSecrets(project, sources())).problems).toEqual([]);
    await sleep(reading % 7);
  }
  isOver = true;
  await writing;
  expect([...seen].sort()).toEqual(VALUES);
});

it("a secret's file that is removed and made anew is waited for", async () => {
  await writeFile(path, "the-value-before");
  await rm(path);
  const reading = value();
  await sleep(60);
  await writeFile(path, "the-value-after");
  expect(await reading).toBe("the-value-after");
});

it("a secret's file that stays empty is refused, and one that is emptied again and again is waited for", async () => {
  await writeFile(path, "");
  await expect(value()).rejects.toMatchObject({
    code: "start_failed",
    message: expect.stringContaining("empty"),
  });
  let isOver = false;
  const emptied = path;
  const writing = (async () => {
    while (!isOver) {
      await writeFile(emptied, "");
      await sleep(5);
    }
  })();
  await expect(value()).rejects.toMatchObject({
    code: "unavailable",
    message: expect.stringContaining("is being written"),
  });
  expect((await localSecrets(project, sources())).problems).toEqual([]);
  isOver = true;
  await writing;
});

it("a secret's file that is old is read at once", async () => {
  await writeFile(path, "a-value-of-old");
  await utimes(path, new Date("2026-01-01"), new Date("2026-01-01"));
  await sleep(150);
  const fromMs = performance.now();
  for (let reading = 0; reading < 20; reading++) expect(await value()).toBe("a-value-of-old");
  expect(performance.now() - fromMs).toBeLessThan(20 * 20);
});

it("an empty file of a secret whose time of writing lies in the future is read as empty", async () => {
  await writeFile(path, "");
  const tomorrow = new Date(Date.now() + 86_400_000);
  await utimes(path, tomorrow, tomorrow);
  await expect(value()).rejects.not.toThrow("written again and again");
  await writeFile(path, VALUES[0] as string);
  await utimes(path, tomorrow, tomorrow);
  expect(await value()).toBe(VALUES[0]);
});
