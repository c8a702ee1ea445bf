import { readFileSync } from "node:fs";
import type { AuthMode } from "#common/identity/auth-mode.ts";
import { readRateLimits } from "#common/identity/rate-limits.ts";
import type { Role } from "#common/identity/roles.ts";
import { IP_RANGE_FORM, type IpRange, parseIpRange } from "#common/ip-range.ts";
import { Secret } from "#common/secret.ts";
import type { EnvironmentReader } from "#common/service/environment.ts";
import { systemReason } from "#common/system-reason.ts";

/** How many requests are allowed in which length of time. */
export type Limit = { readonly requests: number; readonly windowMs: number };

export type RatesConfig = {
  /** The changes a minute of each role. */
  readonly byRole: Readonly<Record<Role, number>>;
  /** The executions that one principal may start in one project; undefined: any number. */
  readonly executions: Limit | undefined;
  /** The proxies whose X-Forwarded-For says which address a client has. */
  readonly trustedProxies: readonly IpRange[];
  /** The Redis that has the counters; undefined: the authority has them. */
  readonly redisUrl: Secret | undefined;
};

const UNITS = { second: 1_000, minute: 60_000, hour: 3_600_000, day: 86_400_000 } as const;
const USUAL_EXECUTIONS: Limit = { requests: 10, windowMs: UNITS.minute };

/** Reads what limits the requests of clients. Undefined with `off`, which counts nothing. */
export function readRatesConfig(read: EnvironmentReader, auth: AuthMode): RatesConfig | undefined {
  const config = Object.freeze({
    byRole: readRateLimits(read),
    executions: readExecutions(read),
    trustedProxies: readTrustedProxies(read),
    redisUrl: readRedisUrl(read),
  });
  return auth === "off" ? undefined : config;
}

function readExecutions(read: EnvironmentReader): Limit | undefined {
  const text = read.optionalText("SANDBOX_RATE_LIMIT");
  if (text === undefined) return USUAL_EXECUTIONS;
  if (text === "none") return undefined;
  const [, digits, unit] = /^(\d{1,7})\/(second|minute|hour|day)$/.exec(text) ?? [];
  if (unit !== undefined && Number(digits) >= 1)
    return { requests: Number(digits), windowMs: UNITS[unit as keyof typeof UNITS] };
  read.refuse(`SANDBOX_RATE_LIMIT must be such as 10/minute (or second, hour, day), or none, not "${text}"`);
  return undefined;
}

function readTrustedProxies(read: EnvironmentReader): readonly IpRange[] {
  const parts = (read.optionalText("AIRLOCK_TRUSTED_PROXIES") ?? "").split(",").map((part) => part.trim());
  return parts
    .filter((part) => part !== "")
    .flatMap((part) => {
      const range = parseIpRange(part);
      if (!range)
        read.refuse(`AIRLOCK_TRUSTED_PROXIES must be ${IP_RANGE_FORM}, with commas between, not "${part}"`);
      return range ?? [];
    });
}

/** Reads REDIS_URL or REDIS_URL_FILE. No problem repeats the URL, because it may hold a password. */
function readRedisUrl(read: EnvironmentReader): Secret | undefined {
  const path = read.optionalText("REDIS_URL_FILE");
  const given = path === undefined ? read.optionalText("REDIS_URL") : textIn(read, path);
  if (given === undefined) return undefined;
  const url = URL.parse(given);
  if (url && /^rediss?:$/.test(url.protocol) && url.hostname !== "" && /^\/?\d*$/.test(url.pathname))
    return new Secret("REDIS_URL", given);
  read.refuse("REDIS_URL must be such as redis://user:password@host:6379/0, or rediss:// for TLS");
  return undefined;
}

function textIn(read: EnvironmentReader, path: string): string | undefined {
  try {
    return readFileSync(path, "utf8").trim() || undefined;
  } catch (error) {
    read.refuse(`REDIS_URL_FILE cannot be read (${systemReason(error)})`);
    return undefined;
  }
}
