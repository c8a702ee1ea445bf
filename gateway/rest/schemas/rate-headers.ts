/** The header fields of every answer to a request that was counted, in the OpenAPI document. */
export const RATE_HEADERS = {
  "RateLimit-Policy": {
    type: "string",
    description:
      "The limits that the request was counted in, where the operator demands credentials: q requests in w seconds.",
    examples: ['"change";q=30;w=60'],
  },
  RateLimit: {
    type: "string",
    description:
      "Of each limit the requests that are left (r), and the seconds until all are left again (t).",
    examples: ['"change";r=29;t=60'],
  },
} as const;
