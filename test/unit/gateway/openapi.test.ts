import { Validator } from "@seriousme/openapi-schema-validator";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ERROR_RULES, type ErrorCode, RUN_CODES } from "#common/errors.ts";
import { startOver, type TestGateway } from "./fake-backends.ts";

type Response = {
  description: string;
  headers?: object;
  content?: Record<string, { schema: { $ref?: string }; examples?: Record<string, object> }>;
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
  security: object[];
};

/** The choices that name no type, anywhere below `value`. */
function untypedEnums(value: unknown): object[] {
  if (typeof value !== "object" || value === null) return [];
  const own = "enum" in value && !("type" in value) ? [value] : [];
  return [...own, ...Object.values(value).flatMap(untypedEnums)];
}

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
        const codes = Object.keys(content?.["application/problem+json"]?.examples ?? {}) as ErrorCode[];
        return codes.map((code) => ({ operationId, status, code }));
      }),
    );

  const problemSchemas = () =>
    operations().flatMap(({ responses }) =>
      Object.values(responses).flatMap(({ content }) => content?.["application/problem+json"]?.schema ?? []),
    );

  it("openapi.json is valid OpenAPI 3.1", async () => {
    expect(document.openapi).toBe("3.1.0");
    const { valid, errors } = await new Validator().validate(structuredClone(document));
    expect({ valid, errors }).toEqual({ valid: true, errors: undefined });
  });

  it("openapi.json has every route, each with a name of its own", () => {
    const routes = Object.entries(document.paths).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
    );
    expect(routes.sort()).toEqual([
      "DELETE /grants/{grant_id}",
      "DELETE /keys/{key_id}",
      "DELETE /session",
      "GET /",
      "GET /dead-letters",
      "GET /docs",
      "GET /executions",
      "GET /executions/{execution_id}",
      "GET /executions/{execution_id}/redactions",
      "GET /grants",
      "GET /health",
      "GET /keys",
      "GET /me",
      "GET /metrics",
      "GET /openapi.json",
      "GET /principals",
      "GET /projects",
      "GET /projects/{name}",
      "GET /ready",
      "GET /roles",
      "GET /session/callback",
      "GET /session/login",
      "GET /skill.md",
      "PATCH /principals/{principal}",
      "POST /dead-letters/{execution_id}/retry",
      "POST /execute",
      "POST /executions/{execution_id}/cancel",
      "POST /executions/{execution_id}/respond",
      "POST /grants",
      "POST /keys",
      "POST /projects/{name}/down",
      "POST /projects/{name}/up",
      "POST /session",
    ]);
    const ids = operations().map(({ operationId }) => operationId);
    expect(new Set(ids).size).toBe(ids.length);
    for (const { summary } of operations()) expect(summary).toBeTruthy();
  });

  it("openapi.json shows every error code that a client can see, and no other", () => {
    const shown = new Set(problems().map(({ code }) => code));
    const unseen: readonly string[] = ["cancelled", ...RUN_CODES];
    const expected = Object.keys(ERROR_RULES).filter((code) => !unseen.includes(code));
    expect([...shown].sort()).toEqual(expected.sort());
  });

  it("openapi.json shows each code under the status that the catalogue gives it", () => {
    for (const { operationId, status, code } of problems()) {
      if (status === "default") continue;
      expect(`${operationId} ${code} ${status}`).toBe(`${operationId} ${code} ${ERROR_RULES[code].http}`);
    }
  });

  it("openapi.json says which bodies may be left out", () => {
    const required = operations()
      .filter(({ requestBody }) => requestBody)
      .map(({ operationId, requestBody }) => [operationId, requestBody?.required]);
    expect(Object.fromEntries(required)).toEqual({
      execute: true,
      respond: true,
      createGrant: true,
      cancel: false,
      retryDeadLetter: false,
      upProject: false,
      downProject: false,
      createKey: true,
      updatePrincipal: true,
    });
  });

  it("openapi.json has the Idempotency-Key of POST /execute, which may be left out", () => {
    const parameters = document.paths["/execute"]?.post?.parameters ?? [];
    const key = parameters.find((parameter) => "name" in parameter && parameter.name === "Idempotency-Key");
    expect(key).toMatchObject({ in: "header", required: false });
    // A user of the page would send an example key with every request.
    expect(JSON.stringify(key)).not.toContain("example");
  });

  it("openapi.json has every schema that it refers to", () => {
    const refs = JSON.stringify(document).match(/"#\/components\/schemas\/[^"]+"/g) ?? [];
    expect(refs.length).toBeGreaterThan(10);
    for (const ref of new Set(refs)) {
      expect(Object.keys(document.components.schemas)).toContain(JSON.parse(ref).split("/").at(-1));
    }
  });

  it("openapi.json has one schema for each thing, so that a generated client has one type for it", () => {
    expect(Object.keys(document.components.schemas)).toEqual(
      expect.arrayContaining([
        ...["ExecuteRequest", "Accepted", "Execution", "ExecutionSummary", "ExecutionStatus", "EndReason"],
        ...["Problem", "ProblemCode"],
      ]),
    );
    const refs = problemSchemas().map(({ $ref }) => $ref);
    expect(new Set(refs)).toEqual(new Set(["#/components/schemas/Problem"]));
    // Whatever is chosen from is of a type; what is without one generates as unknown.
    expect(untypedEnums(document)).toEqual([]);
  });

  it("openapi.json lets memory hold any values", () => {
    const { ExecuteRequest, Execution } = document.components.schemas as Record<
      string,
      { properties: Record<string, { additionalProperties: object }> }
    >;
    const values = { type: "object", additionalProperties: true };
    expect(ExecuteRequest?.properties.memory?.additionalProperties).toEqual(values);
    expect(Execution?.properties.memory_updates?.additionalProperties).toEqual(values);
  });

  it("openapi.json says that an API key may be needed, and what each operation may refuse", () => {
    expect(document.security).toEqual([{ key: [] }, {}]);
    for (const { operationId, responses } of operations())
      expect(
        Object.keys(responses).filter((status) => status.startsWith("4")),
        operationId,
      ).not.toEqual([]);
  });
});
