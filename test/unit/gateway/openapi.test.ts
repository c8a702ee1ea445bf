import { Validator } from "@seriousme/openapi-schema-validator";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ERROR_RULES, type ErrorCode } from "../../../services/common/errors.ts";
import { startOver, type TestGateway } from "./fake-backend.ts";

type Response = {
  description: string;
  headers?: object;
  content: Record<string, { schema: { allOf: [object, { properties: { code: { enum: ErrorCode[] } } }] } }>;
};
type Operation = {
  operationId: string;
  summary: string;
  requestBody?: { required: boolean };
  parameters?: object[];
  responses: Record<string, Response>;
};
type Document = {
  openapi: string;
  paths: Record<string, Record<string, Operation>>;
  components: { schemas: object };
};

describe("openapi.json", () => {
  let gateway: TestGateway;
  let document: Document;
  beforeAll(async () => {
    gateway = await startOver({});
    document = (await (await fetch(`${gateway.url}/openapi.json`)).json()) as Document;
  });
  afterAll(() => gateway.drain(0));

  const operations = () => Object.values(document.paths).flatMap((path) => Object.values(path));
  const problems = () =>
    operations().flatMap(({ operationId, responses }) =>
      Object.entries(responses).flatMap(([status, { content }]) => {
        const schema = content["application/problem+json"]?.schema;
        return (schema?.allOf[1].properties.code.enum ?? []).map((code) => ({ operationId, status, code }));
      }),
    );

  it("is valid OpenAPI 3.1", async () => {
    expect(document.openapi).toBe("3.1.0");
    const { valid, errors } = await new Validator().validate(structuredClone(document));
    expect({ valid, errors }).toEqual({ valid: true, errors: undefined });
  });

  it("has every route, each with a name of its own", () => {
    const routes = Object.entries(document.paths).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
    );
    expect(routes.sort()).toEqual([
      "GET /dead-letters",
      "GET /docs",
      "GET /executions",
      "GET /executions/{execution_id}",
      "GET /executions/{execution_id}/redactions",
      "GET /health",
      "GET /metrics",
      "GET /openapi.json",
      "GET /projects",
      "GET /projects/{name}",
      "GET /ready",
      "GET /skill.md",
      "POST /dead-letters/{execution_id}/retry",
      "POST /execute",
      "POST /executions/{execution_id}/cancel",
      "POST /executions/{execution_id}/respond",
      "POST /projects/{name}/down",
      "POST /projects/{name}/up",
    ]);
    const ids = operations().map(({ operationId }) => operationId);
    expect(new Set(ids).size).toBe(ids.length);
    for (const { summary } of operations()) expect(summary).toBeTruthy();
  });

  it("shows every error code that somebody can see, and no other", () => {
    const shown = new Set(problems().map(({ code }) => code));
    const expected = Object.keys(ERROR_RULES).filter((code) => code !== "cancelled");
    expect([...shown].sort()).toEqual(expected.sort());
  });

  it("shows each code under the status that the catalogue gives it", () => {
    for (const { operationId, status, code } of problems()) {
      if (status === "default") continue;
      expect(`${operationId} ${code} ${status}`).toBe(`${operationId} ${code} ${ERROR_RULES[code].http}`);
    }
  });

  it("says which bodies may be left out", () => {
    const required = operations()
      .filter(({ requestBody }) => requestBody)
      .map(({ operationId, requestBody }) => [operationId, requestBody?.required]);
    expect(Object.fromEntries(required)).toEqual({
      execute: true,
      respond: true,
      cancel: false,
      retryDeadLetter: false,
      upProject: false,
      downProject: false,
    });
  });

  it("has the Idempotency-Key of POST /execute, which may be left out", () => {
    expect(document.paths["/execute"]?.post?.parameters).toEqual([
      expect.objectContaining({ in: "header", name: "Idempotency-Key", required: false }),
    ]);
  });

  it("has every schema that it refers to", () => {
    const refs = JSON.stringify(document).match(/"#\/components\/schemas\/[^"]+"/g) ?? [];
    expect(refs.length).toBeGreaterThan(10);
    for (const ref of new Set(refs)) {
      expect(Object.keys(document.components.schemas)).toContain(JSON.parse(ref).split("/").at(-1));
    }
  });
});
