import { describe, expect, it } from "vitest";
import { AirlockError } from "#common/errors.ts";
import { Secret } from "#common/secret.ts";
import { createLog } from "#common/service/log.ts";

/** The one line that `write` logs, as text and read. */
function logged(write: (log: ReturnType<typeof createLog>) => void) {
  const lines: string[] = [];
  write(createLog("test", "info", { write: (line) => void lines.push(line) }));
  expect(lines).toHaveLength(1);
  const [text = ""] = lines;
  return { text, line: JSON.parse(text) };
}

const VALUE = "the-value-of-a-secret";
const SCRIPT = "import os\nprint(os.environ)";

describe("a line of the log", () => {
  it.each([
    ["an error of Airlock's", new AirlockError("unavailable", "It is away."), "unavailable"],
    [
      "an error of the network",
      Object.assign(new Error("connect ECONNREFUSED"), { code: "ECONNREFUSED" }),
      "ECONNREFUSED",
    ],
    ["an error of PostgreSQL's", Object.assign(new Error("no such user"), { code: "28P01" }), "28P01"],
    ["an error of gRPC's", Object.assign(new Error("14 UNAVAILABLE"), { code: 14 }), 14],
  ])("a line of the log has the code of %s, its type, message and stack", (_, err, code) => {
    for (const write of [
      (log: ReturnType<typeof createLog>) => log.error({ err }, "failed"),
      (log: ReturnType<typeof createLog>) => log.error(err),
    ]) {
      const { line } = logged(write);
      expect(line.err).toMatchObject({ code, message: err.message, stack: err.stack });
      expect(line.err.type).toBe(err.constructor.name);
    }
    expect(logged((log) => log.info({ code }, "refused")).line.code).toBe(code);
  });

  it.each([
    ["at the top", { value: VALUE, stdout: VALUE, stderr: VALUE, secrets: [VALUE], code: SCRIPT }],
    ["one level down", { request: { secrets: [{ name: "KEY", value: VALUE }] } }],
    ["deep down", { provision: { request: { secrets: [{ name: "KEY", value: VALUE }], code: SCRIPT } } }],
    ["in lists", { runs: [[{ start: { code: SCRIPT } }], [{ message: { $case: "start", value: VALUE } }]] }],
    [
      "in an error",
      { err: Object.assign(new Error("bad"), { request: { start: { code: SCRIPT, password: VALUE } } }) },
    ],
    [
      "in an error that is not called err",
      { reason: { cause: Object.assign(new Error("bad"), { answer: { stdout: VALUE } }) } },
    ],
    ["as bytes", { chunk: { data: Buffer.from(VALUE), channel: 1 } }],
    ["as a secret", { held: [new Secret("KEY", VALUE)] }],
  ])("a line of the log holds no value, script or output that was handed to it %s", (_, fields) => {
    const { text } = logged((log) => log.info(fields, "careless"));
    expect(text).not.toContain(VALUE);
    expect(text).not.toContain("import os");
    expect(text).not.toContain(Buffer.from(VALUE).toJSON().data.slice(0, 4).join());
    expect(text).toMatch(/\[withheld\]|\[21 bytes\]|\[secret KEY\]/);
  });

  it("a line of the log has all other fields unchanged, in any depth, and the caller's objects are not changed", () => {
    const fields = {
      project: "demo",
      at: new Date(0),
      list: [1, null, { deep: { secrets: 3, name: "KEY" } }],
      none: null,
    };
    const { line } = logged((log) => log.info(fields, "said"));
    expect(line).toMatchObject({
      service: "test",
      msg: "said",
      project: "demo",
      at: "1970-01-01T00:00:00.000Z",
      list: [1, null, { deep: { secrets: "[withheld]", name: "KEY" } }],
      none: null,
    });
    expect(fields.list[2]).toEqual({ deep: { secrets: 3, name: "KEY" } });
  });

  it("a line of the log is written where fields refer to themselves", () => {
    const fields: Record<string, unknown> = { name: "loop", err: new Error("bad") };
    fields.again = { fields };
    expect(logged((log) => log.info(fields, "said")).line).toMatchObject({ name: "loop", again: {} });
  });
});
