/** The clients of the table: without a credential, people with keys of each role, an agent with the role admin, a revoked key. */
export const CLIENTS = ["none", "admin", "operator", "developer", "observer", "agent", "revoked"] as const;
export type Client = (typeof CLIENTS)[number];

/**
 * The status that each route answers to each client, in the order of CLIENTS. The requests are in order, change
 * nothing that another one of the table needs, and name an execution of `admin`, or none.
 */
export const ACCESS: Readonly<Record<string, string>> = {
  //                                       none admin oper. dev. obs. agent revoked
  // A program is sent no page.
  "GET /": "404 404 404 404 404 404 401",
  "GET /health": "200 200 200 200 200 200 401",
  "GET /ready": "200 200 200 200 200 200 401",
  "GET /docs": "200 200 200 200 200 200 401",
  "GET /openapi.json": "200 200 200 200 200 200 401",
  "GET /roles": "401 200 200 200 200 200 401",
  "GET /me": "401 200 200 200 200 200 401",
  "GET /skill.md": "401 200 200 200 200 200 401",
  "GET /metrics": "401 200 200 403 200 200 401",
  "GET /projects": "401 200 200 200 200 200 401",
  "GET /projects/{name}": "401 200 200 200 200 200 401",
  "POST /projects/{name}/up": "401 200 200 403 403 200 401",
  "POST /projects/{name}/down": "401 200 200 403 403 200 401",
  "POST /execute": "401 202 202 202 403 202 401",
  "GET /executions": "401 200 200 200 200 200 401",
  "GET /executions/{execution_id}": "401 200 200 404 200 404 401",
  "GET /executions/{execution_id}/redactions": "401 200 200 403 200 404 401",
  "POST /executions/{execution_id}/respond": "401 409 409 404 403 404 401",
  "POST /executions/{execution_id}/cancel": "401 409 409 404 403 404 401",
  "GET /dead-letters": "401 200 200 403 200 200 401",
  "POST /dead-letters/{execution_id}/retry": "401 409 409 403 403 404 401",
  "GET /keys": "401 200 200 200 403 403 401",
  "POST /keys": "401 201 201 201 403 403 401",
  "DELETE /keys/{key_id}": "401 404 404 404 404 404 401",
  "GET /grants": "401 200 403 403 403 403 401",
  "POST /grants": "401 201 403 403 403 403 401",
  "DELETE /grants/{grant_id}": "401 404 403 403 403 403 401",
  "POST /session": "401 201 201 201 201 201 401",
  // Without a session nothing happens.
  "DELETE /session": "401 204 204 204 204 204 401",
  // The test's Airlock has no OpenID provider, and no client of the table has begun a login.
  "GET /session/login": "404 404 404 404 404 404 401",
  "GET /session/callback": "401 401 401 401 401 401 401",
  "GET /principals": "401 200 403 403 403 403 401",
  "PATCH /principals/{principal}": "401 404 403 403 403 403 401",
};
