import type { FastifyInstance, FastifyRequest } from "fastify";
import { AirlockError } from "#common/errors.ts";
import { kindToProto, roleToProto } from "#common/grpc/principal.ts";
import { PrincipalKind, Role } from "#proto/principal.ts";
import type { AuthorityBackend } from "../../backends/authority.ts";
import { instant, keyView, meView, principalView, rolesView } from "../identity-view.ts";
import { InvalidFields } from "../problems.ts";
import type { RequestRates } from "../rate-limit.ts";
import { backendCall } from "../request/backend-call.ts";
import { NO_QUERY } from "../schemas/execution.ts";
import {
  KEY_BODY,
  KEY_LIST,
  KEY_PARAMS,
  type KeyBody,
  type KeyParams,
  ME,
  NEW_KEY,
  PRINCIPAL,
  PRINCIPAL_BODY,
  PRINCIPAL_LIST,
  PRINCIPAL_PARAMS,
  type PrincipalBody,
  type PrincipalParams,
  ROLE_LIST,
} from "../schemas/identity.ts";
import { BODY_CODES, problemResponses, SERVICE_CODES } from "../schemas/problem.ts";

const tags = ["identity"];
const answer = (description: string, schema: object) => ({
  description,
  content: { "application/json": { schema } },
});

/** Routes that say who the client is, and that manage keys and principals. */
export function identityRoutes(
  app: FastifyInstance,
  authority: AuthorityBackend,
  rates: RequestRates | undefined,
): void {
  app.get(
    "/me",
    {
      config: { permission: "execution.read" },
      schema: {
        operationId: "getMe",
        tags,
        summary: "Who you are to Airlock",
        description: "And what you may do.",
        querystring: NO_QUERY,
        response: { 200: answer("You.", ME), ...problemResponses("invalid_request") },
      },
    },
    async ({ access }) => meView(access, await rates?.left(access)),
  );

  app.get(
    "/roles",
    {
      config: { permission: "project.read" },
      schema: {
        operationId: "listRoles",
        tags,
        summary: "List the roles",
        description: "With the permissions of each. Agents never have those that end in _all or manage keys.",
        querystring: NO_QUERY,
        response: { 200: answer("Every role.", ROLE_LIST), ...problemResponses("invalid_request") },
      },
    },
    async () => rolesView(),
  );

  app.post<{ Body: KeyBody }>(
    "/keys",
    {
      config: { permission: "key.manage" },
      schema: {
        operationId: "createKey",
        tags,
        summary: "Make an API key",
        description:
          "For an agent of yours; an admin may also make keys of humans and services. The key is shown in this answer only.",
        querystring: NO_QUERY,
        body: KEY_BODY,
        response: {
          201: answer("The new key.", NEW_KEY),
          ...problemResponses(...BODY_CODES, "principal_exists", "principal_not_found", ...SERVICE_CODES),
        },
      },
    },
    async (request, reply) => {
      const { body } = request;
      const { key, text } = await authority.createKey(
        {
          name: body.name,
          kind: body.kind ? kindToProto(body.kind) : PrincipalKind.UNSPECIFIED,
          role: body.role ? roleToProto(body.role) : Role.UNSPECIFIED,
          projects: projectsIn(request),
          expiresInSeconds: body.expires_in,
          rate: body.rate,
          principal: body.principal ?? "",
        },
        backendCall(reply),
      );
      if (!key) throw new AirlockError("internal", "The authority answered without a key.");
      reply.code(201).header("cache-control", "no-store");
      return {
        key_id: key.keyId,
        key: text,
        principal: key.principal,
        expires_at: instant(key.expiresAtMs),
      };
    },
  );

  app.get(
    "/keys",
    {
      config: { permission: "key.manage" },
      schema: {
        operationId: "listKeys",
        tags,
        summary: "List API keys",
        description: "Those that you made, newest first; an admin sees all. Never the keys themselves.",
        querystring: NO_QUERY,
        response: {
          200: answer("Up to 1,000 keys.", KEY_LIST),
          ...problemResponses("invalid_request", ...SERVICE_CODES),
        },
      },
    },
    async (_request, reply) => ({ keys: (await authority.listKeys(backendCall(reply))).map(keyView) }),
  );

  app.delete<{ Params: KeyParams }>(
    "/keys/:key_id",
    {
      // A key that was lost may be revoked with the key itself, whatever its role is.
      config: { permission: "execution.read" },
      schema: {
        operationId: "revokeKey",
        tags,
        summary: "Revoke an API key",
        description: "Every gateway refuses it within a second. A key may revoke itself.",
        params: KEY_PARAMS,
        querystring: NO_QUERY,
        response: {
          204: { type: "null", description: "The key is refused from now on." },
          ...problemResponses("invalid_request", "key_not_found", "last_admin", ...SERVICE_CODES),
        },
      },
    },
    async ({ params }, reply) => {
      await authority.revokeKey(params.key_id, backendCall(reply));
      reply.code(204);
    },
  );

  app.get(
    "/principals",
    {
      config: { permission: "principal.manage" },
      schema: {
        operationId: "listPrincipals",
        tags,
        summary: "List principals",
        description: "Humans, agents and services that have a key.",
        querystring: NO_QUERY,
        response: {
          200: answer("Up to 1,000 principals.", PRINCIPAL_LIST),
          ...problemResponses("invalid_request", ...SERVICE_CODES),
        },
      },
    },
    async (_request, reply) => ({
      principals: (await authority.listPrincipals(backendCall(reply))).map(principalView),
    }),
  );

  app.patch<{ Params: PrincipalParams; Body: PrincipalBody }>(
    "/principals/:principal",
    {
      config: { permission: "principal.manage" },
      schema: {
        operationId: "updatePrincipal",
        tags,
        summary: "Disable a principal, or enable it again",
        description: "All keys of a disabled principal, and of the agents that it made, are refused.",
        params: PRINCIPAL_PARAMS,
        querystring: NO_QUERY,
        body: PRINCIPAL_BODY,
        response: {
          200: answer("The principal as it is now.", PRINCIPAL),
          ...problemResponses(...BODY_CODES, "principal_not_found", "last_admin", ...SERVICE_CODES),
        },
      },
    },
    async ({ params, body }, reply) =>
      principalView(await authority.updatePrincipal(params.principal, body.disabled, backendCall(reply))),
  );
}

/** The names in the body's `projects`; its text is read, because a parsed body has no members of arrays. */
function projectsIn(request: FastifyRequest): string[] {
  const names: unknown = JSON.parse(request.bodyText("projects") ?? "[]");
  const { minLength, maxItems } = { ...KEY_BODY.properties.projects, ...KEY_BODY.properties.projects.items };
  const isName = (name: unknown) => typeof name === "string" && name.length >= minLength;
  if (Array.isArray(names) && names.length <= maxItems && names.every(isName)) return names;
  throw new InvalidFields([{ field: "projects", message: `must be an array of at most ${maxItems} names` }]);
}
