import { isIP } from "node:net";
import ipaddr from "ipaddr.js";
import type { ProjectDocument } from "./schema.ts";

/** One entry of an allowlist: exactly `host`, or, with `wildcard`, every host below it. */
export type AllowedHost = {
  readonly host: string;
  readonly wildcard: boolean;
  /** The allowed port; undefined means 443 and 80. */
  readonly port: number | undefined;
};

/** The only place where a brokered secret may be sent: one header in requests to one host. */
export type Injection = {
  readonly host: string;
  readonly port: number;
  readonly header: string;
  /** The text of the header, with {} in place of the secret's value. */
  readonly format: string;
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

type Problem = { readonly field: string; readonly message: string };

const DEFAULT_PORTS = [443, 80];
const HEADER_PATTERN = /^[A-Za-z0-9-]+$/;
// Headers that frame the HTTP message or steer the connection.
const RESERVED_HEADERS =
  /^(host|content-.*|transfer-encoding|connection|keep-alive|upgrade|te|trailer|expect|range|accept-encoding|proxy-.*)$/i;
const HEADER_VALUE_PATTERN = /^[\x20-\x7e]*$/;

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

/**
 * The place where a secret of a project file is injected; undefined for a secret that scripts get themselves.
 */
export function injectionOf(secret: SecretEntry): Injection | undefined {
  if (typeof secret === "string" || !secret.inject) return undefined;
  const { host, header, format = "{}" } = secret.inject;
  const target = parseAllowedHost(host);
  return { host: target?.host ?? host, port: target?.port ?? 443, header: header.toLowerCase(), format };
}

/** The hosts that a project file allows. A brokered secret's host is allowed without an entry of its own. */
export function networkOf(value: ProjectDocument): ProjectNetwork {
  const listed = (value.network_allowlist ?? []).flatMap((text) => parseAllowedHost(text) ?? []);
  const injected = Object.values(value.secrets ?? {})
    .flatMap((secret) => injectionOf(secret) ?? [])
    .filter(({ host, port }) => !allows(listed, host, port))
    .map(({ host, port }) => ({ host, wildcard: false, port }));
  const unique = new Map([...listed, ...injected].map((entry) => [describeAllowedHost(entry), entry]));
  return {
    allowlist: [...unique.values()],
    allowPrivate: value.allow_private ?? [],
    maxBytes: (value.limits?.network_mb ?? 100) * 1024 * 1024,
  };
}

/** Problems in the parts of a project file that concern the network. */
export function networkProblems(value: ProjectDocument): Problem[] {
  const allowlist = (value.network_allowlist ?? []).flatMap((text, index) =>
    parseAllowedHost(text)
      ? []
      : {
          field: `network_allowlist.${index}`,
          message: "is no host, *.suffix or host:port",
        },
  );
  const allowPrivate = (value.allow_private ?? []).flatMap((text, index) =>
    ipaddr.isValid(text) || ipaddr.isValidCIDR(text)
      ? []
      : { field: `allow_private.${index}`, message: "is no IP address and no CIDR range" },
  );
  const injections = Object.entries(value.secrets ?? {}).flatMap(([name, secret]) =>
    injectionProblems(`secrets.${name}.inject`, secret),
  );
  return [...allowlist, ...allowPrivate, ...injections];
}

type SecretEntry = NonNullable<ProjectDocument["secrets"]>[string];

function injectionProblems(field: string, secret: SecretEntry): Problem[] {
  if (typeof secret === "string" || !secret.inject) return [];
  const { host, header, format = "{}" } = secret.inject;
  const problems: Problem[] = [];
  const target = parseAllowedHost(host);
  if (!target || target.wildcard || isIP(target.host) !== 0) {
    problems.push({ field: `${field}.host`, message: "must be one host name, perhaps with a port" });
  }
  if (!HEADER_PATTERN.test(header) || RESERVED_HEADERS.test(header)) {
    problems.push({ field: `${field}.header`, message: "is no header that can carry a secret" });
  }
  if (format.split("{}").length !== 2 || !HEADER_VALUE_PATTERN.test(format)) {
    problems.push({ field: `${field}.format`, message: "must be printable ASCII with {} in it once" });
  }
  return problems;
}

function isPort(port: number): boolean {
  return port >= 1 && port <= 65_535;
}
