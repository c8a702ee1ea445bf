import { randomUUID } from "node:crypto";
import { describe, expect, it } from "vitest";
import { type Answer, call, expectProblem, get, settled, type Target } from "./rest-contract-client.ts";

/** A request that is sent again with its Idempotency-Key runs once. */
export function describeIdempotency(target: () => Target): void {
  const execute = (key: string, more: object = {}): Promise<Answer> =>
    call(target(), "POST", "/execute", {
      headers: { "content-type": "application/json", "idempotency-key": key },
      body: JSON.stringify({ project: target().project, code: "set_result(1)", ...more }),
    });
  const listed = async () => (await get(target(), "/executions?limit=200")).json.executions.length;

  describe("with an Idempotency-Key", () => {
    it("a request that is sent again with its Idempotency-Key names the first execution in its current state", async () => {
      const key = randomUUID();
      const first = await execute(key);
      expect(first.status).toBe(202);
      expect(first.json.status).toBe("pending");
      expect(first.headers.get("idempotent-replayed")).toBeNull();
      await settled(target(), first.json.execution_id);
      const again = await execute(key);
      expect(again.status).toBe(202);
      expect(again.json).toEqual({ ...first.json, status: "completed" });
      expect(again.headers.get("location")).toBe(first.headers.get("location"));
      expect(again.headers.get("idempotent-replayed")).toBe("true");
    });

    it("a request with a used Idempotency-Key and another body is refused, whatever differs", async () => {
      const body = { code: "pass", timeout: 10, settings: { A: "1" }, memory: { a: { b: 1 } } };
      const key = randomUUID();
      const first = await execute(key, body);
      expect(first.status).toBe(202);
      const changes = [
        { code: "pass " },
        { timeout: 11 },
        { timeout: undefined },
        { settings: { A: "2" } },
        { settings: {} },
        { memory: { a: { b: 2 } } },
        { memory: undefined },
        { project: "no-such-project" },
      ];
      for (const change of changes) {
        const answer = await execute(key, { ...body, ...change });
        expectProblem(answer, 422, "idempotency_key_reused", /was used for another request.+new key/);
      }
      const again = await execute(key, { ...body, settings: { A: "1" } });
      expect(again.json.execution_id).toBe(first.json.execution_id);
    });

    it("null for an optional field is the same request under an Idempotency-Key, as generated clients send it", async () => {
      const key = randomUUID();
      const nulls = await execute(key, { timeout: null, settings: null, memory: null });
      expect(nulls.status).toBe(202);
      const { json: ended } = await settled(target(), nulls.json.execution_id);
      expect(ended.status).toBe("completed");
      expect((await execute(key)).json.execution_id).toBe(nulls.json.execution_id);
      expectProblem(
        await execute(randomUUID(), { code: null }),
        422,
        "invalid_request",
        /"code" must be a string/,
      );
    });

    it("100 racing requests with one Idempotency-Key start one execution", async () => {
      const before = await listed();
      const key = randomUUID();
      const answers = await Promise.all(Array.from({ length: 100 }, () => execute(key)));
      expect(answers.map(({ status }) => status)).toEqual(Array(100).fill(202));
      expect(new Set(answers.map(({ json }) => json.execution_id)).size).toBe(1);
      const first = answers.filter(({ headers }) => !headers.has("idempotent-replayed"));
      expect(first).toHaveLength(1);
      expect(await listed()).toBe(before + 1);
    });

    it("a request that was refused leaves its Idempotency-Key free", async () => {
      const key = randomUUID();
      expectProblem(await execute(key, { project: "no-such-project" }), 404, "project_not_found");
      expectProblem(await execute(key, { timeout: 1e9 }), 422, "invalid_request");
      expect((await execute(key)).status).toBe(202);
    });

    it("quotes around an Idempotency-Key, as the IETF's draft has them, do not belong to it", async () => {
      const key = randomUUID();
      const first = await execute(`"${key}"`);
      expect((await execute(key)).json.execution_id).toBe(first.json.execution_id);
    });

    it("an Idempotency-Key may have every visible character of ASCII, and 255 of them", async () => {
      const visible = Array.from({ length: 94 }, (_, n) => String.fromCharCode(0x21 + n)).join("");
      const key = `${randomUUID()}${visible}`;
      const first = await execute(key);
      expect(first.status).toBe(202);
      expect((await execute(key.toUpperCase())).json.execution_id).not.toBe(first.json.execution_id);
      expect((await execute(randomUUID().padEnd(255, "x"))).status).toBe(202);
    });

    it.each(["", "x".repeat(256), "two words", "é", '""', "tab\tbed"])(
      "the Idempotency-Key %j is refused",
      async (key) => {
        const answer = await execute(key);
        expectProblem(answer, 422, "invalid_request", /"Idempotency-Key" must be 1 to 255 visible ASCII/);
        expect(answer.json.errors).toEqual([{ field: "Idempotency-Key", message: expect.any(String) }]);
      },
    );
  });
}
