export const HEALTH = {
  type: "object",
  required: ["status"],
  properties: { status: { const: "ok" } },
} as const;

export const READINESS = {
  type: "object",
  required: ["status", "services"],
  properties: {
    status: { const: "ready" },
    services: {
      type: "object",
      additionalProperties: { const: "ready" },
      examples: [{ router: "ready", database: "ready", "pool-manager": "ready", secrets: "ready" }],
    },
  },
} as const;
