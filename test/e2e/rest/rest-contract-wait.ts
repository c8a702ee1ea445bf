import { describe, expect, it } from "vitest";
import {
  type Answer,
  call,
  expectProblem,
  get,
  post,
  settled,
  submit,
  type Target,
} from "./rest-contract-client.ts";

const SCRIPT = "print('hello')\nset_result({'big': 2**63 + 1, 'float': 1.0})";

/** The answer to POST /execute may be the outcome, and no parser need lose its digits. */
export function describeSubmitAndWait(target: () => Target): void {
  const execute = (query: string, code: string, headers: Record<string, string> = {}): Promise<Answer> =>
    call(target(), "POST", `/execute${query}`, {
      headers: { "content-type": "application/json", ...headers },
      body: JSON.stringify({ project: target().project, code }),
    });

  describe("POST /execute?wait=", () => {
    it("POST /execute?wait= answers with the execution as GET shows it, and its poll_url", async () => {
      const answer = await execute("?wait=60", SCRIPT);
      expect(answer.status).toBe(200);
      const { poll_url: pollUrl, ...execution } = answer.json;
      expect(pollUrl).toBe(`/executions/${execution.execution_id}`);
      expect(answer.headers.get("location")).toBe(pollUrl);
      expect(execution.status).toBe("completed");
      expect(answer.text).toBe(
        (await get(target(), pollUrl)).text.replace(/\}$/, `,"poll_url":"${pollUrl}"}`),
      );
    });

    it("POST /execute?wait= answers with the llm request of a script that asks", async () => {
      const { status, json } = await execute("?wait=60", "llm.complete('Say hello')");
      expect({ status, state: json.status, prompt: json.llm_request?.prompt }).toEqual({
        status: 200,
        state: "awaiting_llm",
        prompt: "Say hello",
      });
    });

    it("POST /execute?wait= answers a repetition with the same key in the same way", async () => {
      const headers = { "idempotency-key": `wait-${crypto.randomUUID()}` };
      const first = await execute("?wait=60", SCRIPT, headers);
      const again = await execute("?wait=60", SCRIPT, headers);
      expect(again.status).toBe(200);
      expect(again.text).toBe(first.text);
      expect(again.headers.get("idempotent-replayed")).toBe("true");
      const unwaited = await execute("", SCRIPT, headers);
      expect(unwaited.status).toBe(202);
      expect(unwaited.json).toEqual({
        execution_id: first.json.execution_id,
        status: "completed",
        poll_url: first.json.poll_url,
      });
    });

    it.each(["-1", "61", "soon"])(
      "POST /execute?wait= refuses a wait of %s, and runs nothing",
      async (wait) => {
        expectProblem(await execute(`?wait=${wait}`, SCRIPT), 422, "invalid_request", /"wait"/);
      },
    );
  });

  describe("POST /executions/{id}/respond?wait=", () => {
    const respond = (id: string, query: string): Promise<Answer> =>
      post(target(), `/executions/${id}/respond${query}`, { response: "Hello!" });

    it("POST /executions/{id}/respond?wait= answers with the outcome, in the requested form", async () => {
      const { json } = await execute("?wait=60", `answer = llm.complete('Say hello')\n${SCRIPT}`);
      const outcome = await respond(json.execution_id, "?wait=60&result=text");
      expect(outcome.status).toBe(200);
      expect(outcome.json).toMatchObject({ status: "completed", end_reason: "completed" });
      expect(typeof outcome.json.result).toBe("string");
    });

    it("POST /executions/{id}/respond?wait= answers with the next llm request", async () => {
      const { json } = await execute("?wait=60", "llm.complete('First')\nllm.complete('Second')");
      const { status, llm_request } = (await respond(json.execution_id, "?wait=60")).json;
      expect({ status, prompt: llm_request?.prompt }).toEqual({ status: "awaiting_llm", prompt: "Second" });
    });

    it("POST /executions/{id}/respond?wait= refuses a wait of 61, and does not accept the response", async () => {
      const { json } = await execute("?wait=60", "llm.complete('Say hello')");
      expectProblem(await respond(json.execution_id, "?wait=61"), 422, "invalid_request", /"wait"/);
      expect((await get(target(), json.poll_url)).json.status).toBe("awaiting_llm");
    });
  });

  describe("GET /executions/{id}", () => {
    it.each(["0.9557155332134883", "3.3333333333333335", "1e1", "1e-7", "5E+0", "0.0"])(
      "GET /executions/{id} accepts wait=%s, as programs print numbers",
      async (wait) => {
        const id = await submit(target(), "pass");
        await settled(target(), id);
        expect((await get(target(), `/executions/${id}?wait=${wait}`)).status).toBe(200);
      },
    );

    it("GET /executions/{id} gives the result as text with ?result=text, and POST /execute too", async () => {
      const { json, text } = await execute("?wait=60", SCRIPT);
      const [, result = ""] = /"result":(.*?),"stdout"/.exec(text) ?? [];
      const shown = await get(target(), `/executions/${json.execution_id}?result=text`);
      expect(shown.json.result).toBe(result);
      expect((await get(target(), `/executions/${json.execution_id}?result=json`)).text).toContain(
        `"result":${result}`,
      );
      expect(typeof (await execute("?wait=60&result=text", SCRIPT)).json.result).toBe("string");
      const wrong = await get(target(), `/executions/${json.execution_id}?result=xml`);
      expectProblem(wrong, 422, "invalid_request", /"result" must be one of json, text/);
    });
  });
}
