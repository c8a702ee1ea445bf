import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { memberText } from "#sdk/exact-text.ts";
import { parseExecution } from "#sdk/execution.ts";
import { propertyRuns } from "../../support/property-runs.ts";

describe("the text of a member", () => {
  it.each([
    ["a large integer", '{"a": 1, "result":9223372036854775809,"b":2}', "9223372036854775809"],
    ["a float with a zero", '{"result":1.0}', "1.0"],
    ["a number at the end, with spaces", ' { "result" : -1.50e+10 } ', "-1.50e+10"],
    ["null", '{"result":null}', "null"],
    [
      "a string with quotes, backslashes and brackets",
      String.raw`{"result":"a\\\"]}\\","x":1}`,
      String.raw`"a\\\"]}\\"`,
    ],
    [
      "an object after strings that look like members",
      '{"stdout":"\\"result\\":1,","result":{"b":[1.0,{}]}}',
      '{"b":[1.0,{}]}',
    ],
    [
      "a member after an object with a member of this name",
      '{"x":{"result":1},"result":[[],"]"]}',
      '[[],"]"]',
    ],
    ["a member whose name is escaped", String.raw`{"r\u0065sult":true}`, "true"],
  ])("the text of a member is exactly what stands in the body: %s", (_what, json, expected) => {
    expect(memberText(json, "result")).toBe(expected);
  });

  it.each(["5e-324", "-0.0", '{"result": [1.0, "}"]}', '"text"', "false"])(
    "the text of a member is exactly what stands in the body: %s",
    (value) => {
      const json = `{"execution_id":"x","stdout":"\\"result\\":1","result":${value},"error":null}`;
      expect(memberText(json, "result")).toBe(value);
    },
  );

  it("the text of a member is undefined when the object has none of this name", () => {
    expect(memberText('{"x":{"result":1}}', "result")).toBeUndefined();
    expect(memberText("{}", "result")).toBeUndefined();
  });

  it("the text of every member of any object is what JSON.stringify wrote for it", () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue()), fc.constantFrom(0, 1, 3), (members, indent) => {
        const json = JSON.stringify(members, undefined, indent);
        for (const [name, value] of Object.entries(members)) {
          const text = memberText(json, name);
          expect(JSON.parse(text ?? "")).toEqual(JSON.parse(JSON.stringify(value)));
          if (indent === 0) expect(text).toBe(JSON.stringify(value));
        }
      }),
      propertyRuns(500),
    );
  });
});

it("an execution has the exact text of its result and memory beside their values, and prints as the gateway wrote it", () => {
  const json = '{"status":"completed","result":{"big":9223372036854775809},"memory_updates":{"a":{"b":1.0}}}';
  const execution = parseExecution(json);
  expect(execution.resultJson).toBe('{"big":9223372036854775809}');
  expect(execution.memoryUpdatesJson).toBe('{"a":{"b":1.0}}');
  expect(execution.json).toBe(json);
  expect(Object.keys(execution)).toEqual(["status", "result", "memory_updates"]);
});
