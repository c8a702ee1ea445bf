import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { call, expectProblem, get, post, settled, submit, type Target } from "./rest-contract-client.ts";
import { describeIdempotency } from "./rest-contract-idempotency.ts";
import { describeRefusals } from "./rest-contract-refusals.ts";
import { describeTransport } from "./rest-contract-transport.ts";
import { describeSubmitAndWait } from "./rest-contract-wait.ts";

const START_TIMEOUT_MS = 180_000;
const UNKNOWN_ID = "00000000-0000-4000-8000-000000000000";
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const EXECUTION_FIELDS = [
  "execution_id",
  "project",
  "status",
  "result",
  "stdout",
  "stderr",
  "error",
  "llm_request",
  "waiting_on",
  "memory_updates",
  "execution_time_ms",
  "created_at",
  "started_at",
  "ended_at",
  "end_reason",
  "truncated",
];

const INSTANT = expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/);

/** Everything that REST promises, held against whatever `start` starts. */
export function describeRestContract(name: string, start: () => Promise<Target>): void {
  describe(`the REST contract on ${name}`, () => {
    let target: Target;
    beforeAll(async () => {
      target = await start();
    }, START_TIMEOUT_MS);
    afterAll(() => target?.stop());

    it("GET /health answers with ok", async () => {
      const { status, json } = await get(target, "/health");
      expect({ status, json }).toEqual({ status: 200, json: { status: "ok" } });
    });

    it("POST /execute answers 202 and says where to poll", async () => {
      const { status, headers, json } = await post(target, "/execute", {
        project: target.project,
        code: "print(1)",
      });
      expect(status).toBe(202);
      expect(json.execution_id).toMatch(UUID);
      const pollUrl = `/executions/${json.execution_id}`;
      expect(json).toEqual({ execution_id: json.execution_id, status: "pending", poll_url: pollUrl });
      expect(headers.get("location")).toBe(pollUrl);
    });

    it("GET /executions/{id} shows the completed result to every client", async () => {
      const id = await submit(target, "print('hello')\nset_result({'answer': 42})");
      const { json } = await settled(target, id);
      expect(Object.keys(json)).toEqual(EXECUTION_FIELDS);
      expect(json).toMatchObject({
        execution_id: id,
        project: target.project,
        status: "completed",
        end_reason: "completed",
        error: null,
        llm_request: null,
        waiting_on: null,
        created_at: INSTANT,
        started_at: INSTANT,
        ended_at: INSTANT,
        memory_updates: {},
        truncated: { stdout: 0, stderr: 0 },
      });
      expect(json.result).not.toBeNull();
      expect(json.stdout).toContain("hello");
      expect(json.execution_time_ms).toBeGreaterThanOrEqual(0);
    });

    it("GET /executions/{id} answers 404 for an execution that does not exist", async () => {
      for (const id of [UNKNOWN_ID, "no-uuid", "%F0%9F%92%A9", "a".repeat(5_000)]) {
        const answer = await get(target, `/executions/${id}`);
        expect(answer.status).toBe(404);
      }
      expectProblem(await get(target, `/executions/${UNKNOWN_ID}`), 404, "execution_not_found", /execution/);
      expectProblem(await get(target, "/executions/no-uuid"), 404, "execution_not_found", /UUID/);
      const respond = await post(target, `/executions/${UNKNOWN_ID}/respond`, { response: "x" });
      expectProblem(respond, 404, "execution_not_found");
      expectProblem(await post(target, `/executions/${UNKNOWN_ID}/cancel`), 404, "execution_not_found");
    });

    it("REST shows operators the redactions of an execution: none for a script without secrets", async () => {
      const id = await submit(target, "print('hello')");
      await settled(target, id);
      const { status, json } = await get(target, `/executions/${id}/redactions`);
      expect({ status, json }).toEqual({ status: 200, json: { execution_id: id, redactions: [] } });
      for (const unknown of [UNKNOWN_ID, "no-uuid"]) {
        expectProblem(await get(target, `/executions/${unknown}/redactions`), 404, "execution_not_found");
      }
    });

    it("REST serves a path with a slash at its end like the path without", async () => {
      const { status, json } = await get(target, "/executions/?limit=1");
      expect({ status, listed: json.executions.length }).toEqual({ status: 200, listed: 1 });
      expect((await get(target, "/docs/")).status).toBe(200);
    });

    it("GET /executions/{id} finds an execution whatever the case of its id", async () => {
      const id = await submit(target, "pass");
      expect((await get(target, `/executions/${id.toUpperCase()}`)).json.execution_id).toBe(id);
    });

    it("REST refuses an answer to a finished execution with 409", async () => {
      const id = await submit(target, "pass");
      await settled(target, id);
      expectProblem(
        await post(target, `/executions/${id}/respond`, { response: "late" }),
        409,
        "not_awaiting_llm",
      );
    });

    it("REST accepts null for every optional field of a body", async () => {
      const id = await submit(target, "set_result(llm.complete('Say hello'))");
      await settled(target, id);
      const answer = { response: "hello", llm_request_id: null };
      expect((await post(target, `/executions/${id}/respond`, answer)).status).toBe(200);
      expect((await settled(target, id)).json.status).toBe("completed");
      const path = `/projects/${target.project}`;
      expect((await post(target, `${path}/up`, { replicas: null })).status).toBe(200);
      expect((await post(target, `${path}/up`, { hold: null })).status).toBe(422);
    });

    it("a script pauses for llm.complete, gets the answer to the open llm request only, and goes on", async () => {
      const id = await submit(target, "set_result(llm.complete('Say hello'))");
      const { json: paused } = await settled(target, id);
      expect(paused).toMatchObject({ status: "awaiting_llm", end_reason: null, result: null });
      expect(paused.llm_request).toEqual({ id: expect.any(String), prompt: "Say hello", model: "default" });
      const other = await post(target, `/executions/${id}/respond`, {
        response: "x",
        llm_request_id: "another",
      });
      expectProblem(other, 409, "llm_request_mismatch");
      const answers = await Promise.all(
        Array.from({ length: 8 }, () =>
          post(target, `/executions/${id}/respond`, {
            response: "hello",
            llm_request_id: paused.llm_request.id,
          }),
        ),
      );
      expect(answers.map(({ status }) => status).sort()).toEqual([200, ...Array(7).fill(409)]);
      const won = answers.find(({ status }) => status === 200);
      expect(Object.keys(won?.json)).toEqual(EXECUTION_FIELDS);
      expect((await settled(target, id)).json).toMatchObject({ status: "completed", llm_request: null });
    });

    it("POST cancel ends an execution that has not ended, once", async () => {
      const id = await submit(target, "llm.complete('wait')");
      await settled(target, id);
      const first = await post(target, `/executions/${id}/cancel`);
      expect(first.status).toBe(200);
      expect((await settled(target, id)).json).toMatchObject({ status: "error", end_reason: "cancelled" });
      expectProblem(await post(target, `/executions/${id}/cancel`, {}), 409, "already_ended");
    });

    it("GET /executions lists executions newest first, filtered, page by page", async () => {
      const ids: string[] = [];
      for (let n = 0; n < 3; n++) ids.unshift(await submit(target, `print(${n})`));
      for (const id of ids) await settled(target, id);
      const path = `/executions?project=${target.project}&status=completed`;
      const first = await get(target, `${path}&limit=2`);
      expect(Object.keys(first.json)).toEqual(["executions", "next_cursor"]);
      const second = await get(
        target,
        `${path}&limit=1&cursor=${encodeURIComponent(first.json.next_cursor)}`,
      );
      const listed = [...first.json.executions, ...second.json.executions];
      expect(listed.map(({ execution_id }) => execution_id)).toEqual(ids);
      expect(listed[0]).toEqual({
        execution_id: ids[0],
        project: target.project,
        status: "completed",
        end_reason: "completed",
        execution_time_ms: expect.any(Number),
        created_at: INSTANT,
        ended_at: INSTANT,
      });
      // Its executions may outlive a project, so an unknown name is no error here.
      const none = await get(target, "/executions?project=no-such-project");
      expect(none.json).toEqual({ executions: [], next_cursor: null });
    });

    it("GET /dead-letters shows operators none here, and no other execution can be retried", async () => {
      const { status, json } = await get(target, "/dead-letters?limit=1");
      expect({ status, json }).toEqual({ status: 200, json: { dead_letters: [], next_cursor: null } });
      for (const query of ["status=error", "limit=0", "page=2"]) {
        expectProblem(await get(target, `/dead-letters?${query}`), 422, "invalid_request");
      }
      const id = await submit(target, "pass");
      await settled(target, id);
      expectProblem(
        await post(target, `/dead-letters/${id}/retry`),
        409,
        "not_a_dead_letter",
        /new execution/,
      );
      const unknown = await post(target, `/dead-letters/${UNKNOWN_ID}/retry`, { again: true });
      expectProblem(unknown, 404, "execution_not_found");
      expectProblem(await post(target, "/dead-letters/no-uuid/retry"), 404, "execution_not_found");
      const wrong = await post(target, `/dead-letters/${id}/retry`, { force: true });
      expectProblem(wrong, 422, "invalid_request", /"force".+again/);
    });

    it("GET /projects lists projects, and shows one of them whole", async () => {
      const { status, json } = await get(target, "/projects");
      expect(status).toBe(200);
      const found = json.projects.find((project: { name: string }) => project.name === target.project);
      expect(found).toMatchObject({
        description: expect.any(String),
        status: expect.stringMatching(/^(up|down)$/),
        replicas: expect.any(Number),
        idle_workers: expect.any(Number),
        packages: expect.any(Array),
        held: false,
      });
      const one = await get(target, `/projects/${target.project}`);
      expect(one.json).toMatchObject({
        name: target.project,
        limits: { timeout: 300, network_mb: 100, memory_mb: 512, disk_mb: 256, pids: 64, cpus: 1 },
        installed_packages: expect.any(Array),
        network_allowlist: [],
        allow_private: [],
        injected_secrets: [],
        settings: expect.any(Array),
        secrets: expect.any(Array),
        isolation_layers: expect.any(Array),
        isolation_facts: expect.any(Object),
      });
    });

    it("Airlock is ready, and describes itself to agents, programs and monitoring", async () => {
      expect((await get(target, "/ready")).json.status).toBe("ready");
      const skill = await get(target, "/skill.md");
      expect(skill.headers.get("content-type")).toMatch(/^text\/markdown/);
      for (const said of [
        target.url,
        target.project,
        "llm.complete",
        "set_result",
        "Idempotency-Key",
        "no network",
        "HTTPS_PROXY",
      ])
        expect(skill.text).toContain(said);
      expect((await get(target, "/openapi.json")).json.openapi).toBe("3.1.0");
      expect((await get(target, "/docs")).headers.get("content-type")).toMatch(/^text\/html/);
      expect((await get(target, "/metrics")).text).toContain("airlock_http_requests_total{");
    });

    it("REST shows a person with a browser where to go", async () => {
      const page = await call(target, "GET", "/", { headers: { accept: "text/html,*/*;q=0.8" } });
      expect(page.status).toBe(200);
      for (const path of ["docs", "skill.md", "openapi.json"]) {
        expect(page.text).toContain(`href="${path}"`);
        expect((await get(target, `/${path}`)).status).toBe(200);
      }
      expect((await get(target, "/docs")).text).toContain("<title>Airlock");
    });

    describeSubmitAndWait(() => target);
    describeIdempotency(() => target);
    describeRefusals(() => target);
    describeTransport(() => target);

    it("POST up starts a project's workers", async () => {
      const { status, json } = await post(target, `/projects/${target.project}/up`, { replicas: 1 });
      expect(status).toBe(200);
      expect(json).toEqual({ name: target.project, status: "up", replicas: 1 });
      expect((await post(target, `/projects/${target.project}/up`)).status).toBe(200);
    });

    it("POST down stops a project's workers: 0 replicas, until the next execution starts them again", async () => {
      const { status, json } = await post(target, `/projects/${target.project}/down`);
      expect(status).toBe(200);
      expect(json).toEqual({ name: target.project, status: "down", replicas: 0 });
      expect((await settled(target, await submit(target, "pass"))).json.status).toBe("completed");
    });

    it("POST down with hold keeps a project down until it is brought up", async () => {
      const path = `/projects/${target.project}`;
      const held = await post(target, `${path}/down`, { hold: true });
      expect(held.json).toEqual({ name: target.project, status: "down", replicas: 0 });
      const refused = await post(target, "/execute", { project: target.project, code: "pass" });
      expectProblem(refused, 409, "project_held", target.project);
      expect((await get(target, path)).json.held).toBe(true);
      expect((await get(target, "/skill.md")).text).not.toContain(`**${target.project}**`);
      // Once more down, without a word about holding, changes nothing.
      await post(target, `${path}/down`);
      expectProblem(
        await post(target, "/execute", { project: target.project, code: "pass" }),
        409,
        "project_held",
      );
      expect((await post(target, `${path}/up`)).json.status).toBe("up");
      expect((await get(target, path)).json.held).toBe(false);
      expect((await settled(target, await submit(target, "pass"))).json.status).toBe("completed");
    });
  });
}
