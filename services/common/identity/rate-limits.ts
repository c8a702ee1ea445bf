import type { EnvironmentReader } from "../service/environment.ts";
import { ROLES, type Role } from "./roles.ts";

/** The requests that change something and that a principal with each role may send in a minute. */
export const RATE_LIMITS: Readonly<Record<Role, number>> = Object.freeze({
  admin: 100,
  operator: 50,
  developer: 30,
  observer: 20,
  anonymous: 5,
});

/** Requests that only read are so many times as many. */
export const READS_PER_CHANGE = 10;

/** The length of time in which requests are counted, in milliseconds. */
export const RATE_WINDOW_MS = 60_000;

/** The largest number of changes a minute that a role or a key can be given. */
export const MAX_RATE = 1_000_000;

/** Reads AIRLOCK_RATE_LIMITS (`role=number,...`), which replaces the numbers of the roles that it names. */
export function readRateLimits(read: EnvironmentReader): Readonly<Record<Role, number>> {
  const limits = { ...RATE_LIMITS };
  const given = (read.optionalText("AIRLOCK_RATE_LIMITS") ?? "").split(",").map((part) => part.trim());
  for (const part of given.filter((each) => each !== "")) {
    const [, name, digits] = /^([a-z]+) *= *(\d{1,7})$/.exec(part) ?? [];
    const role = ROLES.find((each) => each === name);
    const limit = Number(digits);
    if (role && limit >= 1 && limit <= MAX_RATE) limits[role] = limit;
    else {
      read.refuse(
        `AIRLOCK_RATE_LIMITS must be such as developer=30,observer=20, with the roles ${ROLES.join(", ")} and numbers from 1 to ${MAX_RATE}; "${part}" is not`,
      );
    }
  }
  return Object.freeze(limits);
}
