import { isIP } from "node:net";

/** One entry of an allowlist: exactly `host`, or, with `wildcard`, every host below it. */
export type AllowedHost = {
  readonly host: string;
  readonly wildcard: boolean;
  /** The allowed port; undefined means 443 and 80. */
  readonly port: number | undefined;
};

/** The hosts that the scripts of a project may reach. */
export type ProjectNetwork = {
  /** The project's entries and the hosts of its brokered secrets; empty means no network at all. */
  readonly allowlist: readonly AllowedHost[];
  /** Addresses and CIDR ranges that are allowed although they are not public. */
  readonly allowPrivate: readonly string[];
  /** The most bytes that one run may send, and the most that it may receive. */
  readonly maxBytes: number;
};

const DEFAULT_PORTS = [443, 80];

/**
 * The form of a host name in which all services compare it: lower case, IDNA, without a final dot. An IP
 * address gets its usual form by the rules of WHATWG URLs (0x7f.1 becomes 127.0.0.1). Undefined when the text
 * is no host.
 */
export function normalHost(text: string): string | undefined {
  if (/[/?#@\\\s]/.test(text) || /:\d*$/.test(text.replace(/\[.*\]/, ""))) return undefined;
  const url = URL.parse(`http://${text}/`);
  const host = url?.hostname.replace(/\.$/, "").replace(/^\[(.*)\]$/, "$1");
  return host === "" ? undefined : host;
}

/** Parses `host` or `*.suffix`, with or without `:port`. Undefined for any other text. */
export function parseAllowedHost(text: string): AllowedHost | undefined {
  const match = /^(\*\.)?([^*:]+)(?::(\d{1,5}))?$/.exec(text);
  const host = match && normalHost(match[2] as string);
  const port = match?.[3] === undefined ? undefined : Number(match[3]);
  const wildcard = match?.[1] !== undefined;
  if (!host || (port !== undefined && !isPort(port)) || (wildcard && isIP(host) !== 0)) return undefined;
  return { host, wildcard, port };
}

/** Writes an entry of the allowlist as a project file spells it. */
export function describeAllowedHost({ host, wildcard, port }: AllowedHost): string {
  return `${wildcard ? "*." : ""}${host}${port === undefined ? "" : `:${port}`}`;
}

/** Whether the allowlist has an entry for `host`, which is in its normal form, and `port`. */
export function allows(allowlist: readonly AllowedHost[], host: string, port: number): boolean {
  return allowlist.some((entry) => {
    const portFits = entry.port === undefined ? DEFAULT_PORTS.includes(port) : entry.port === port;
    if (!portFits) return false;
    return entry.wildcard ? isIP(host) === 0 && host.endsWith(`.${entry.host}`) : host === entry.host;
  });
}

function isPort(port: number): boolean {
  return port >= 1 && port <= 65_535;
}
