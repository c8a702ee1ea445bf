import { describe, expect, it } from "vitest";
import { parseRunArguments } from "../../../cli/client/run-arguments.ts";

describe("the arguments of ./airlock run", () => {
  it("the arguments of ./airlock run are a file, a project and the request's other fields", () => {
    const args =
      "job.py --project demo --timeout 2.5 --setting A=1 --setting B=x=y --memory m.json --json".split(" ");
    expect(parseRunArguments(args)).toEqual({
      file: "job.py",
      project: "demo",
      timeoutSeconds: 2.5,
      settings: { A: "1", B: "x=y" },
      memoryFile: "m.json",
      saveMemory: undefined,
      json: true,
    });
  });

  it("the arguments of ./airlock run take - as standard input, and settings without a value", () => {
    expect(parseRunArguments(["--project=demo", "-", "--setting", "EMPTY="])).toMatchObject({
      file: "-",
      settings: { EMPTY: "" },
      json: false,
    });
  });

  it.each([
    [[], "takes one file"],
    [["a.py", "b.py", "--project", "demo"], "takes one file"],
    [["a.py"], "--project NAME"],
    [["a.py", "--project", "demo", "--timeout", "soon"], 'not "soon"'],
    [["a.py", "--project", "demo", "--timeout", "0"], "above 0"],
    [["a.py", "--project", "demo", "--timeout=-1"], "above 0"],
    [["a.py", "--project", "demo", "--setting", "novalue"], "KEY=VALUE"],
    [["a.py", "--project", "demo", "--setting", "=x"], "KEY=VALUE"],
    [["a.py", "--project", "demo", "--setting", "K=1", "--setting", "K=1"], "--setting K is given more than"],
    [["a.py", "--project", "demo", "--nonsense"], "--nonsense"],
  ])("arguments of ./airlock run such as %j are refused in one line that names the help", (args, hint) => {
    let message = "";
    try {
      parseRunArguments(args);
    } catch (error) {
      message = (error as Error).message;
    }
    expect(message).toContain(hint);
    expect(message).toContain("./airlock help run");
    expect(message).not.toContain("\n");
  });
});
