import { describe, expect, it } from "vitest";
import { AirlockError } from "#common/errors.ts";
import { toSubmission } from "#common/submission/submission.ts";
import { Project } from "#proto/pool_manager.ts";
import { SubmitRequest } from "#proto/router.ts";

const project = Project.create({
  name: "demo",
  limits: {
    timeoutMs: 300_000,
    llmTimeoutMs: 1,
    maxOutputBytes: 1,
    maxResultBytes: 1,
    memoryBytes: 1,
    queue: 1,
  },
});

function submit(request: Partial<SubmitRequest>, of = project) {
  return toSubmission(SubmitRequest.fromPartial({ project: "demo", code: "1", ...request }), of, "id", 1);
}

async function refusal(request: Partial<SubmitRequest>, of = project): Promise<string> {
  try {
    await submit(request, of);
    return "accepted";
  } catch (error) {
    if (error instanceof AirlockError) return `${error.code}: ${error.message}`;
    throw error;
  }
}

describe("a submission", () => {
  it("a submission has a timeout of 60 seconds unless the project allows less", async () => {
    const strict = Project.create({ ...project, limits: { ...project.limits, timeoutMs: 5_000 } as never });
    expect((await submit({})).timeoutMs).toBe(60_000);
    expect((await submit({}, strict)).timeoutMs).toBe(5_000);
  });

  it("a submission keeps the text of its memory unchanged", async () => {
    const memoryJson = '{"a": {"n": 9007199254740993,  "x": 1.0}}';
    expect((await submit({ memoryJson })).memoryJson).toBe(memoryJson);
    expect((await submit({})).memoryJson).toBe("{}");
  });

  it.each([
    [{ timeoutMs: 300_001 }, "at most 300 seconds, the limit of project"],
    [{ timeoutMs: 0 }, "timeout must be more than 0"],
    [{ timeoutMs: -5 }, "timeout must be more than 0"],
    [{ code: "a\0b" }, "code contains a NUL"],
    [{ code: " \n" }, "code is empty"],
    [{ settings: { A: "x\0" } }, "settings.A contains a NUL"],
    [{ settings: { "A=B": "x" } }, 'contains "="'],
    [{ memoryJson: "[]" }, "memory must be an object"],
    [{ memoryJson: '{"a": 1}' }, "memory must be an object"],
    [{ memoryJson: '{"a": null}' }, "memory must be an object"],
    [{ memoryJson: "{nope" }, "memory is not valid JSON"],
    [{ memoryJson: '{"a": {"k": 1, "k": 2}}' }, "the same key twice"],
    [{ memoryJson: '{"a": {"k": {"x": [{"y": 1, "\\u0079": 2}]}}}' }, "the same key twice"],
    [{ memoryJson: '{"a": {"k": "\\ud800"}}' }, "half of a surrogate pair"],
    [{ memoryJson: '{"a": {"\\udc00\\ud800": 1}}' }, "half of a surrogate pair"],
    [{ memoryJson: '{"a": {"k": [-1e400]}}' }, "a number that a float cannot hold"],
    [{ memoryJson: `{"a": {"k": ${"[".repeat(20_000)}${"]".repeat(20_000)}}}` }, "nested deeper than 200"],
  ])("a submission is refused with %j", async (request, expected) => {
    expect(await refusal(request)).toContain("invalid_request");
    expect(await refusal(request)).toContain(expected);
  });

  it.each([
    '{"a": {"k": "\\ud83d\\ude00"}}',
    `{"a": {"k": ${"9".repeat(5_000)}}}`,
    `{"a": {"k": "${"x".repeat(5_000_000)}"}}`,
    '{"a": {"k": {"x": 1}}, "b": {"k": {"x": 1}}}',
    '{"a": {"k": 5e-324, "__proto__": 1, "n": -0.0}}',
  ])("a submission may have memory that every JSON reader understands the same way", async (memoryJson) => {
    expect((await submit({ memoryJson })).memoryJson).toBe(memoryJson);
  });

  it("a submission is refused by a project whose file is broken", async () => {
    const broken = Project.create({ name: "demo", problem: "demo.yaml:2: field x" });
    expect(await refusal({}, broken)).toMatch(/^project_invalid: .*demo\.yaml:2/);
  });
});
