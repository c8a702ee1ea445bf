import type { FastifyInstance } from "fastify";
import { kindToProto, roleToProto } from "#common/grpc/principal.ts";
import { PrincipalKind } from "#proto/principal.ts";
import type { AuthorityBackend } from "../../backends/authority.ts";
import { grantView } from "../identity-view.ts";
import { backendCall } from "../request/backend-call.ts";
import { NO_QUERY } from "../schemas/execution.ts";
import {
  GRANT,
  GRANT_BODY,
  GRANT_LIST,
  GRANT_PARAMS,
  type GrantBody,
  type GrantParams,
} from "../schemas/grant.ts";
import { BODY_CODES, problemResponses, SERVICE_CODES } from "../schemas/problem.ts";

const tags = ["identity"];
const config = { permission: "grant.manage" } as const;
const answer = (description: string, schema: object) => ({
  description,
  content: { "application/json": { schema } },
});

/** Routes that manage what holders of tokens and client certificates may do. */
export function grantRoutes(app: FastifyInstance, authority: AuthorityBackend): void {
  app.post<{ Body: GrantBody }>(
    "/grants",
    {
      config,
      schema: {
        operationId: "createGrant",
        tags,
        summary: "Grant a role to tokens or a certificate",
        description: "In your tenant. Every gateway obeys within a second.",
        querystring: NO_QUERY,
        body: GRANT_BODY,
        response: { 201: answer("The grant.", GRANT), ...problemResponses(...BODY_CODES, ...SERVICE_CODES) },
      },
    },
    async ({ body }, reply) => {
      const { cert = "", issuer = "", sub = "", claim = "", equals = "", role, kind } = body;
      const grant = await authority.createGrant(
        {
          ...{ cert, issuer, sub, claim, equals },
          role: roleToProto(role),
          kind: kind ? kindToProto(kind) : PrincipalKind.UNSPECIFIED,
        },
        backendCall(reply),
      );
      reply.code(201);
      return grantView(grant);
    },
  );

  app.get(
    "/grants",
    {
      config,
      schema: {
        operationId: "listGrants",
        tags,
        summary: "List grants",
        description: "Of your tenant: those of the authority's file, then the others, newest first.",
        querystring: NO_QUERY,
        response: {
          200: answer("Every grant.", GRANT_LIST),
          ...problemResponses("invalid_request", ...SERVICE_CODES),
        },
      },
    },
    async (_request, reply) => ({ grants: (await authority.listGrants(backendCall(reply))).map(grantView) }),
  );

  app.delete<{ Params: GrantParams }>(
    "/grants/:grant_id",
    {
      config,
      schema: {
        operationId: "deleteGrant",
        tags,
        summary: "Take a grant away",
        description: "Every gateway obeys within a second.",
        params: GRANT_PARAMS,
        querystring: NO_QUERY,
        response: {
          204: { type: "null", description: "The grant is gone." },
          ...problemResponses("invalid_request", "grant_not_found", ...SERVICE_CODES),
        },
      },
    },
    async ({ params }, reply) => {
      await authority.deleteGrant(params.grant_id, backendCall(reply));
      reply.code(204);
    },
  );
}
