import { describe, expect, it } from "vitest";
import { call, expectProblem, get, post, type Target } from "./rest-contract-client.ts";

const UNKNOWN_ID = "00000000-0000-4000-8000-000000000000";
const MIB = 1024 * 1024;

/** Every row of the contract has its refusal, and the service is unharmed after each. */
export function describeRefusals(target: () => Target): void {
  const execute = (more: object) =>
    post(target(), "/execute", { project: target().project, code: "pass", ...more });
  const executeText = (text: string | Uint8Array) => post(target(), "/execute", text);

  describe("refusals", () => {
    it("REST refuses an unknown project, and names the known ones", async () => {
      const { project } = target();
      const unknown = await execute({ project: "no-such-project" });
      expectProblem(unknown, 404, "project_not_found", project);
      expectProblem(await get(target(), "/projects/no-such-project"), 404, "project_not_found", project);
      expectProblem(await post(target(), "/projects/no-such-project/up"), 404, "project_not_found", project);
      expectProblem(
        await post(target(), "/projects/no-such-project/down"),
        404,
        "project_not_found",
        project,
      );
    });

    it("REST refuses an unknown field, and names it and the known ones", async () => {
      const callback = await execute({ callback_url: "http://x" });
      expectProblem(
        callback,
        422,
        "invalid_request",
        /"callback_url".+project, code, timeout, settings, memory/,
      );
      expect(callback.json.errors).toEqual([
        { field: "callback_url", message: expect.stringContaining("not a known field") },
      ]);
      const respond = await post(target(), `/executions/${UNKNOWN_ID}/respond`, { response: "", answer: "" });
      expectProblem(respond, 422, "invalid_request", /"answer".+response, llm_request_id/);
      const cancel = await post(target(), `/executions/${UNKNOWN_ID}/cancel`, { reason: "" });
      expectProblem(cancel, 422, "invalid_request", /"reason"/);
      const up = await post(target(), `/projects/${target().project}/up`, { workers: 1 });
      expectProblem(up, 422, "invalid_request", /"workers".+replicas/);
      const down = await post(target(), `/projects/${target().project}/down`, { force: true });
      expectProblem(down, 422, "invalid_request", /"force"/);
      expectProblem(await get(target(), "/executions?page=2"), 422, "invalid_request", /"page".+cursor/);
      expectProblem(
        await get(target(), `/executions/${UNKNOWN_ID}?timeout=2`),
        422,
        "invalid_request",
        /"timeout"/,
      );
    });

    it("REST refuses missing fields and wrong types, all of them at once", async () => {
      const answer = await post(target(), "/execute", {
        code: 3,
        timeout: "60",
        settings: { A: 1 },
        memory: { a: 1 },
      });
      expectProblem(answer, 422, "invalid_request");
      expect(answer.json.errors).toEqual(
        expect.arrayContaining([
          { field: "project", message: "is missing" },
          { field: "code", message: "must be a string" },
          { field: "timeout", message: "must be a number" },
          { field: "settings.A", message: "must be a string" },
          { field: "memory.a", message: "must be an object" },
        ]),
      );
      for (const memory of [[], "x", 1])
        expectProblem(await execute({ memory }), 422, "invalid_request", /memory/);
      for (const settings of [[], "x"]) expectProblem(await execute({ settings }), 422, "invalid_request");
    });

    it.each([0, -1, "60", true, 1e9, 1e308])("REST refuses a timeout of %j", async (timeout) => {
      const answer = await execute({ timeout });
      expectProblem(answer, 422, "invalid_request", /timeout/);
      expect(answer.json.errors).toMatchObject([{ field: "timeout" }]);
    });

    it.each(["", "   ", "\n\t"])("REST refuses the script %j", async (code) => {
      const answer = await execute({ code });
      expectProblem(answer, 422, "invalid_request", /code is empty/);
      expect(answer.json.errors).toMatchObject([{ field: "code" }]);
    });

    it("REST refuses a setting without a name", async () => {
      const answer = await execute({ settings: { "": "1" } });
      expectProblem(
        answer,
        422,
        "invalid_request",
        /"settings" has a name that cannot be used: "" is not an allowed name/,
      );
      expect(answer.json.errors).toMatchObject([{ field: "settings" }]);
    });

    it("REST refuses an answer without a response", async () => {
      const path = `/executions/${UNKNOWN_ID}/respond`;
      expectProblem(await post(target(), path, {}), 422, "invalid_request", /"response" is missing/);
      expectProblem(
        await post(target(), path, { response: 1 }),
        422,
        "invalid_request",
        /"response" must be a string/,
      );
      expectProblem(await post(target(), path), 400, "invalid_json", /empty/);
    });

    it.each([0, 101, 1.5, "2"])("REST refuses %j replicas", async (replicas) => {
      const answer = await post(target(), `/projects/${target().project}/up`, { replicas });
      expectProblem(answer, 422, "invalid_request", /"replicas"/);
    });

    it.each(["-1", "61", "abc", "", "1e2", "1e", "0x10", "NaN", "1&wait=2"])(
      "REST refuses a wait of %s",
      async (wait) => {
        expectProblem(
          await get(target(), `/executions/${UNKNOWN_ID}?wait=${wait}`),
          422,
          "invalid_request",
          /"wait"/,
        );
      },
    );

    it("REST refuses a query parameter that is given twice, or that a path without parameters gets", async () => {
      const twice = await get(target(), "/executions?status=completed&status=error");
      expectProblem(twice, 422, "invalid_request", 'query parameter "status" is given more than once.');
      const none = await get(target(), `/projects/${target().project}?x=1`);
      expectProblem(none, 422, "invalid_request", /"x" is not a known field; there are none here/);
    });

    it.each(["/execute", "/projects/x/up", "/projects/x/down", `/executions/${UNKNOWN_ID}/cancel`])(
      "REST refuses an unknown query parameter of POST %s",
      async (path) => {
        const answer = await post(
          target(),
          `${path}?sync=1`,
          path === "/execute" ? { project: "x", code: "1" } : undefined,
        );
        expectProblem(answer, 422, "invalid_request", /query parameter "sync"/);
      },
    );

    it.each([
      "limit=0",
      "limit=201",
      "limit=2.5",
      "limit=x",
      "status=done",
      "status=",
      "cursor=%00nonsense",
      "project=",
    ])("REST refuses a list with %s", async (query) => {
      const [field = ""] = query.split("=");
      expectProblem(await get(target(), `/executions?${query}`), 422, "invalid_request", field);
    });

    it.each([
      "{",
      '{"project": }',
      "{'project': 1}",
      "nul",
      '{"project": "a"} x',
      "\u0000",
      '{"a": 01}',
      "{}{}",
    ])("REST refuses malformed JSON: %j", async (text) => {
      expectProblem(await executeText(text), 400, "invalid_json", /line 1, column \d+/);
    });

    it("REST refuses an empty body", async () => {
      expectProblem(await executeText(""), 400, "invalid_json", /empty/);
      expectProblem(await executeText(" \n"), 400, "invalid_json", /empty/);
      expectProblem(await post(target(), "/execute"), 400, "invalid_json", /empty/);
    });

    it.each(["[]", '"text"', "1", "null", "true"])("REST refuses %s instead of an object", async (text) => {
      expectProblem(await executeText(text), 422, "invalid_request", /JSON object/);
    });

    it("REST refuses bytes that are not UTF-8", async () => {
      const bytes = Buffer.concat([
        Buffer.from('{"project":"a","code":"'),
        Buffer.from([0xff, 0xfe]),
        Buffer.from('"}'),
      ]);
      expectProblem(await executeText(bytes), 400, "invalid_json", /UTF-8/);
    });

    it("REST refuses NUL characters, and says where they are", async () => {
      expectProblem(await execute({ code: "a\0b" }), 422, "invalid_request", /"code" contains a NUL/);
      expectProblem(await execute({ project: "a\0b" }), 422, "invalid_request", /"project" contains a NUL/);
      expectProblem(
        await execute({ settings: { A: "\0" } }),
        422,
        "invalid_request",
        /"settings.A" contains a NUL/,
      );
      expectProblem(await execute({ settings: { "A\0": "" } }), 422, "invalid_request", /NUL/);
    });

    it("REST refuses half a surrogate pair", async () => {
      const text = `{"project":"${target().project}","code":"\\ud800"}`;
      expectProblem(await executeText(text), 422, "invalid_request", /"code".+surrogate/);
    });

    it("REST refuses a field that is given twice", async () => {
      const text = `{"project":"${target().project}","code":"pass","co\\u0064e":"other"}`;
      expectProblem(await executeText(text), 422, "invalid_request", /"code" is given more than once/);
      const setting = `{"project":"${target().project}","code":"pass","settings":{"A":"1","\\u0041":"1"}}`;
      expectProblem(
        await executeText(setting),
        422,
        "invalid_request",
        /"settings.A" is given more than once/,
      );
      const memory = `{"project":"${target().project}","code":"pass","memory":{"a":{},"a":{}}}`;
      expectProblem(await executeText(memory), 422, "invalid_request", /"memory.a" is given more than once/);
    });

    it("REST refuses 20,000 nested brackets, wherever they stand", async () => {
      const deep = "[".repeat(20_000) + "]".repeat(20_000);
      const memory = `{"project":"${target().project}","code":"pass","memory":{"a":{"b":${deep}}}}`;
      expectProblem(await executeText(memory), 422, "invalid_request", /deeper than 200/);
      expectProblem(await executeText(deep), 422, "invalid_request", /deeper than 200/);
      expectProblem(await executeText("[".repeat(2_000_000)), 422, "invalid_request", /deeper than 200/);
      expectProblem(await executeText('{"a":'.repeat(20_000)), 422, "invalid_request", /deeper than 200/);
    });

    it("REST refuses a body of 400,000 unknown fields, settings or memory values", async () => {
      const wide = Array.from({ length: 400_000 }, (_, n) => `"k${n}":${n}`).join(",");
      expectProblem(await executeText(`{${wide}}`), 422, "invalid_request");
      expectProblem(
        await executeText(`{"project":"a","code":"","settings":{${wide}}}`),
        422,
        "invalid_request",
      );
      expectProblem(
        await executeText(`{"project":"a","code":"","memory":{${wide}}}`),
        422,
        "invalid_request",
      );
    });

    it("REST refuses a body over 16 MiB", async () => {
      const body = { project: target().project, code: "#".repeat(16 * MIB) };
      expectProblem(await post(target(), "/execute", body), 413, "payload_too_large", /16 MiB/);
    });

    it("REST refuses a body that is not JSON", async () => {
      const body = JSON.stringify({ project: target().project, code: "pass" });
      for (const type of ["application/x-www-form-urlencoded", "text/plain", "application/xml", "nonsense"]) {
        const answer = await call(target(), "POST", "/execute", { headers: { "content-type": type }, body });
        expectProblem(answer, 415, "unsupported_media_type", /Content-Type: application\/json/);
      }
      const headers = { "content-type": "application/json", "content-encoding": "gzip" };
      const compressed = await call(target(), "POST", "/execute", { headers, body });
      expectProblem(compressed, 415, "unsupported_media_type", /Content-Encoding/);
      const charset = { "content-type": "application/json; charset=utf-8" };
      expect((await call(target(), "POST", "/execute", { headers: charset, body })).status).toBe(202);
    });

    it("REST refuses paths that do not exist, and methods that a path does not accept", async () => {
      expectProblem(await get(target(), "/"), 404, "route_not_found", /POST \/execute/);
      expectProblem(await get(target(), "/execute/"), 404, "route_not_found");
      expectProblem(await get(target(), "/executions/%ff"), 404, "route_not_found");
      expectProblem(await post(target(), "/no/such/path", "not JSON"), 404, "route_not_found");
      for (const [method, path, allow] of [
        ["GET", "/execute", "POST"],
        ["DELETE", `/executions/${UNKNOWN_ID}`, "GET, HEAD"],
        ["PUT", "/projects/x/up", "POST"],
        ["PATCH", "/health", "GET, HEAD"],
      ] as const) {
        const answer = await call(target(), method, path);
        expectProblem(answer, 405, "method_not_allowed", allow);
        expect(answer.headers.get("allow")).toBe(allow);
      }
    });

    it("REST goes on serving after all refusals", async () => {
      expect((await get(target(), "/health")).status).toBe(200);
      expect((await execute({})).status).toBe(202);
    });
  });
}
