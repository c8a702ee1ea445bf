import { describe, expect, it } from "vitest";
import { AirlockError, ERROR_RULES, type ErrorCode } from "#common/errors.ts";
import { createLog } from "#common/service/log.ts";
import { InvalidFields, problemHeaders, toProblem } from "../../../gateway/rest/problems.ts";
import { startOver } from "./fake-backends.ts";

describe("toProblem", () => {
  it.each(Object.keys(ERROR_RULES) as ErrorCode[])("toProblem makes a problem document of %s", (code) => {
    const problem = toProblem(
      new AirlockError(code, "What to do.", { logDetail: "for the log", cause: "secret" }),
    );
    const { http: status, title } = ERROR_RULES[code];
    expect(problem).toEqual({
      type: `urn:airlock:problem:${code}`,
      title,
      status,
      detail: "What to do.",
      code,
    });
  });

  it("toProblem names a bounded number of fields, and cuts long names", () => {
    const fields = Array.from({ length: 50 }, (_, n) => ({
      field: `f${n}`.repeat(500),
      message: "is wrong",
    }));
    const problem = toProblem(new InvalidFields(fields));
    expect(problem.errors).toHaveLength(20);
    expect(problem.detail).toMatch(/; and 30 more\.$/);
    expect(problem.detail.length).toBeLessThan(3_000);
  });

  it("toProblem says how long to wait where waiting helps", () => {
    for (const code of [
      "queue_full",
      "overloaded",
      "storage_full",
      "unavailable",
      "deadline_exceeded",
    ] as const) {
      expect(problemHeaders({ code })).toMatchObject({ "retry-after": expect.stringMatching(/^\d+$/) });
    }
    for (const code of ["invalid_request", "start_failed", "internal"] as const) {
      expect(problemHeaders({ code })).not.toHaveProperty("retry-after");
    }
  });
});

describe("an unforeseen failure", () => {
  it("an unforeseen failure is a 500 that tells the caller nothing, and the log everything", async () => {
    const lines: string[] = [];
    const log = createLog("gateway", "info", { write: (line) => lines.push(line) });
    const listProjects = async () => {
      throw new Error("password hunter2 in /etc/shadow");
    };
    const gateway = await startOver({ poolManager: { listProjects } }, log);
    const response = await fetch(`${gateway.url}/projects`);
    const text = await response.text();
    await gateway.drain(0);
    expect(response.status).toBe(500);
    expect(JSON.parse(text)).toMatchObject({ code: "internal", title: "Airlock failed" });
    expect(text).not.toMatch(/hunter2|shadow/);
    expect(lines.join("")).toContain("hunter2");
  });
});

describe("the request log", () => {
  it("the request log holds method, route, status and time at debug level, never a path, a query or a body", async () => {
    const lines: string[] = [];
    const log = createLog("gateway", "debug", { write: (line) => lines.push(line) });
    const gateway = await startOver({}, log);
    await fetch(`${gateway.url}/executions/private-name?x=private-query`);
    await fetch(`${gateway.url}/execute`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ project: "mock-project", code: "private-code" }),
    });
    await fetch(`${gateway.url}/private-path`);
    await gateway.drain(0);
    const requests = lines.map((line) => JSON.parse(line)).filter(({ msg }) => msg === "request");
    expect(requests.map(({ method, route, status }) => `${method} ${route} ${status}`)).toEqual([
      "GET /executions/:execution_id 422",
      "POST /execute 202",
      "GET unmatched 404",
    ]);
    expect(lines.join("")).not.toContain("private");
  });
});
