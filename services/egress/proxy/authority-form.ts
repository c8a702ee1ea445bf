import { normalHost } from "#common/projects/network.ts";
import { malformed } from "../policy/refusal.ts";
import type { Target } from "./destination.ts";

/**
 * Parses the target of a request: `host:port`, or `host` alone if there is a default port. Throws a Refusal
 * for other text.
 */
export function parseTarget(text: string, defaultPort?: number): Target {
  const match = /^(\[[0-9a-fA-F:.]+\]|[^\s:[\]/?#@\\]+)(?::(\d{1,5}))?$/.exec(text);
  const host = match && normalHost(match[1] as string);
  const port = match?.[2] === undefined ? defaultPort : Number(match[2]);
  if (!host || port === undefined || port < 1 || port > 65_535)
    throw malformed("its target is not host:port");
  return { host, port };
}
