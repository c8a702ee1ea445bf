import { describe, expect, it } from "vitest";
import { type Execution, exitStatusOf, resultText } from "../../../cli/execution.ts";

describe("the result of an execution", () => {
  it.each(["1.0", "9223372036854775809", "5e-324", "-0.0", '{"result": [1.0, "}"]}', '"text"', "false"])(
    "is shown as it was sent: %s",
    (result) => {
      expect(
        resultText(`{"execution_id":"x","stdout":"\\"result\\":1","result":${result},"error":null}`),
      ).toBe(result);
    },
  );

  it("is not shown when there is none", () => {
    expect(resultText('{"result":null,"stdout":""}')).toBeUndefined();
  });
});

describe("the exit status", () => {
  it.each([
    ["completed", 0],
    ["error", 1],
    ["timeout", 124],
  ] as const)("of %s is %i", (status, exitStatus) => {
    expect(exitStatusOf({ status } as Execution)).toBe(exitStatus);
  });
});
