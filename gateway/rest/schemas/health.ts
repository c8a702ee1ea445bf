export const HEALTH = {
  type: "object",
  required: ["status"],
  properties: { status: { type: "string", const: "ok" } },
} as const;

export const READINESS = {
  type: "object",
  description: "Clients without a credential see the status only, where one is needed.",
  required: ["status"],
  properties: {
    status: { type: "string", const: "ready" },
    services: {
      type: "object",
      additionalProperties: { type: "string", const: "ready" },
      examples: [{ router: "ready", database: "ready", "pool-manager": "ready", secrets: "ready" }],
    },
    broken_grants: {
      type: "string",
      description:
        "A mistake in the authority's file of grants, until the operator corrects it; the grants stay as they were before.",
    },
    broken_projects: {
      type: "array",
      items: { type: "string" },
      description:
        "Projects that cannot be used until the operator corrects their file or its secrets; GET /projects says why. The others work.",
    },
  },
} as const;
