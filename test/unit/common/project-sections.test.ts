import { expect, it } from "vitest";
import { parseProjectFile, parserOf } from "#common/projects/file.ts";
import { SECTIONS } from "#common/projects/sections/all.ts";
import { type DocumentOf, section } from "#common/projects/sections/section.ts";

const properties = {
  queues: {
    type: "object",
    additionalProperties: { type: "integer", minimum: 1 },
  },
} as const;

// A section that a service could add.
const queuesSection = section({
  properties,
  problems: ({ queues = {} }: DocumentOf<typeof properties>) =>
    Object.keys(queues)
      .filter((name) => name === "default")
      .map((name) => ({ field: `queues.${name}`, message: "is a name that Airlock uses itself" })),
  read: ({ queues = {} }: DocumentOf<typeof properties>) => ({ queueNames: Object.keys(queues) }),
  revisions: ({ queueNames }) => ({ pool: queueNames }),
});

const parse = parserOf([...SECTIONS, queuesSection]);

it("a section that is added to the list is read, and leaves every other value as it was", () => {
  const text = "name: demo\npackages: [requests]\nlimits: {cpus: 2}\n";
  const project = parse("demo.yaml", text);
  expect(project).toEqual({ ...parseProjectFile("demo.yaml", text), queueNames: [] });
  expect(parse("demo.yaml", `${text}queues: {mail: 1}\n`)).toMatchObject({ queueNames: ["mail"] });
});

it("a section that is added to the list reports its problems beside those of the others, with file, line and field", () => {
  expect(parse("demo.yaml", "name: demo\nqueues:\n  mail: 0\nlimits: {pids: 0}")).toMatchObject({
    problem: expect.stringMatching(
      /^demo\.yaml:\d: field ".*"[^\n]*\ndemo\.yaml:\d: field ".*" must be at least 1$/,
    ),
  });
  expect(parse("demo.yaml", "name: other\nqueues:\n  default: 1")).toMatchObject({
    problem:
      'demo.yaml:1: field "name" must be "demo", the name of the file without .yaml\n' +
      'demo.yaml:3: field "queues.default" is a name that Airlock uses itself',
  });
  expect(parse("demo.yaml", "name: demo\nqueue: 1")).toMatchObject({
    problem: expect.stringContaining("runtime, queues"),
  });
});

it("a section that is added to the list changes the revision that it names, and no other", () => {
  const [before, after] = ["", "queues: {mail: 1}\n"].map((more) =>
    parse("demo.yaml", `name: demo\n${more}`),
  );
  if (!before || !after || "problem" in before || "problem" in after) throw new Error("not read");
  expect(after.poolRevision).not.toBe(before.poolRevision);
  expect(after).toMatchObject({
    sizeRevision: before.sizeRevision,
    provisionRevision: before.provisionRevision,
  });
});

it("each field of the project file belongs to one section", () => {
  const fields = SECTIONS.flatMap((each) => Object.keys(each.properties));
  expect(fields).toHaveLength(new Set(fields).size);
});
