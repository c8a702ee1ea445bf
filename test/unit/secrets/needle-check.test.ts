import { randomBytes } from "node:crypto";
import { expect, it } from "vitest";
import { Secret } from "#common/secret.ts";
import { createNeedleCheck } from "../../../services/secrets/needle-check.ts";

const TIMEOUT_MS = 60_000;

/** An environment of this many bytes, about half a second of work in its needles at 40 KB. */
function environment(bytes = 20_000): Secret[] {
  const lines = Array.from(
    { length: bytes / 40 },
    (_, n) => `KEY_${n}=${randomBytes(24).toString("base64url")}`,
  );
  return [new Secret("ENV", lines.join("\n"))];
}

it("the check of a run's secrets goes before those of project files, and all are made one after the other", {
  timeout: TIMEOUT_MS,
}, async () => {
  const check = createNeedleCheck();
  const ended: string[] = [];
  const when = (name: string, work: Promise<unknown>) => work.then(() => ended.push(name));
  await Promise.all([
    when("file a", check.ofFile("a", environment())),
    when("file b", check.ofFile("b", environment())),
    when("file c", check.ofFile("c", environment())),
    when("run d", check.beforeRun("d", environment())),
    when("run e", check.beforeRun("e", environment())),
  ]);
  expect(ended).toEqual(["file a", "run d", "run e", "file b", "file c"]);
});

it("a run that has the values of its project file has the file's check, which then goes first", {
  timeout: TIMEOUT_MS,
}, async () => {
  const check = createNeedleCheck();
  const ended: string[] = [];
  const when = (name: string, work: Promise<unknown>) => work.then(() => ended.push(name));
  const secrets = environment();
  await Promise.all([
    when("file a", check.ofFile("a", environment())),
    when("file b", check.ofFile("b", environment())),
    when("file c", check.ofFile("c", secrets)),
    when("run c", check.beforeRun("c", secrets)),
  ]);
  expect(ended).toEqual(["file a", "file c", "run c", "file b"]);
});

it("the checks go on after secrets that are too large, and remember why", {
  timeout: TIMEOUT_MS,
}, async () => {
  const check = createNeedleCheck();
  const large = [new Secret("KEY", randomBytes(400_000).toString("base64"))];
  const [first, other] = await Promise.all([
    check.beforeRun("large", large),
    check.beforeRun("other", environment()),
  ]);
  expect(first).toContain("together too large to be searched for in output");
  expect(other).toBeUndefined();
  expect(await check.ofFile("large", large)).toBe(first);
});
