import { describe, expect, it } from "vitest";
import { jsonErrorPlace } from "#common/json/json-error-place.ts";

describe("the place of a mistake in JSON", () => {
  it.each([
    ['{"a": 1}', undefined],
    ['{"a": }', "line 1, column 7"],
    ['{"a": {"x": NaN}}', "line 1, column 13 (JSON has no NaN and no Infinity: send null, or text)"],
    ['{"a": -Infinity}', "line 1, column 7 (JSON has no NaN and no Infinity: send null, or text)"],
    ['{"a": 1,\n}', "line 2, column 1 (remove the comma before the closing bracket)"],
    ["[1, 2, ]", "line 1, column 8 (remove the comma before the closing bracket)"],
    [
      '{"code": "x = 1\nprint(x)"}',
      "line 1, column 10 (a string must end on its line: write a line end within it as \\n)",
    ],
    ['{"code": "x', "line 1, column 10"],
  ])("the mistake in the JSON text %j is found at %s", (text, place) => {
    expect(jsonErrorPlace(text)).toBe(place);
  });
});
