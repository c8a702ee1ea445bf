import { describe, expect, it } from "vitest";
import { ConfigError } from "#common/service/environment.ts";
import { readOptions } from "../../../bench/options.ts";
import { ROW_NAMES } from "../../../bench/row-names.ts";

describe("./airlock bench", () => {
  it("./airlock bench measures everything unless told otherwise", () => {
    expect(readOptions([])).toMatchObject({ plan: { name: "full" }, rows: ROW_NAMES, json: false });
    expect(readOptions(["--quick", "--only", "burst,latency", "--json"])).toMatchObject({
      plan: { name: "quick" },
      rows: ["latency", "burst"],
      json: true,
    });
    expect(readOptions(["--guard"])).toMatchObject({ plan: { name: "guard" }, guard: true });
  });

  it.each([
    [["--only", "speed"], /--only takes latency, cpu, identity, burst.*not "speed"/],
    [["--bounds", "x.json"], /--bounds belongs to --guard/],
    [["--write-readme", "--only", "cpu"], /--write-readme writes every row/],
    [["latency"], /latency is no flag/],
    [["--fast"], /Unknown option '--fast'/],
  ])("./airlock bench refuses %j", (args, sentence) => {
    expect(() => readOptions(args)).toThrow(ConfigError);
    expect(() => readOptions(args)).toThrow(sentence);
  });
});
