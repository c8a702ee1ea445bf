import { expect, it } from "vitest";
import type { Project } from "#common/projects/file.ts";
import { createProblemChecks } from "../../../services/secrets/problem-checks.ts";
import { createFakeClock, settle } from "../../support/fake-clock.ts";

it("the check of one project's secrets that takes long delays the others by less than a second, and counts when it ends", async () => {
  const clock = createFakeClock();
  const slow = { name: "slow" } as Project;
  const broken = { name: "broken" } as Project;
  const reading = Promise.withResolvers<string>();
  let readings = 0;
  const check = createProblemChecks(async (project) => {
    if (project === broken) return "no KEY";
    readings++;
    return await reading.promise;
  }, clock);
  const checkBoth = async () => {
    const both = Promise.all([check(slow), check(broken)]);
    await settle();
    await clock.advance(700);
    return await both;
  };
  expect(await checkBoth()).toEqual(["", "no KEY"]);
  expect(await checkBoth()).toEqual(["", "no KEY"]);
  expect(readings).toBe(1);
  reading.resolve("the file is empty");
  await settle();
  expect(await checkBoth()).toEqual(["the file is empty", "no KEY"]);
  expect(readings).toBe(2);
});

it("the check of a project's secrets keeps its last result for this project file while a new check takes long, and for no other", async () => {
  const clock = createFakeClock();
  const project = { name: "demo" } as Project;
  let answer: Promise<string> = Promise.resolve("no KEY");
  const check = createProblemChecks(() => answer, clock);
  expect(await check(project)).toBe("no KEY");
  answer = new Promise(() => undefined);
  const late = check(project);
  await settle();
  await clock.advance(700);
  expect(await late).toBe("no KEY");
  const mended = check({ ...project });
  await settle();
  await clock.advance(700);
  expect(await mended).toBe("");
});
