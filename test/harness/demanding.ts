import { ROLES } from "#common/identity/roles.ts";

/** The environment of rates that no test reaches: requests are counted, and none is refused for their number. */
export const UNREACHED_RATES = {
  AIRLOCK_RATE_LIMITS: ROLES.map((role) => `${role}=1000000`).join(","),
  SANDBOX_RATE_LIMIT: "none",
} as const;

/** The environment of an Airlock that demands a credential of every client, with rates that no test reaches. */
export const DEMANDING = { AIRLOCK_AUTH: "required", ...UNREACHED_RATES } as const;
