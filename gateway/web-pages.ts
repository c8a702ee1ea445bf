import { isIP } from "node:net";
import type { FastifyInstance } from "fastify";
import type { EnvironmentReader } from "../services/common/environment.ts";
import { AirlockError } from "../services/common/errors.ts";
import { PLAIN_HOST } from "./base-url.ts";

const HOST_NAME = /^[a-z0-9]([a-z0-9._-]*[a-z0-9])?$/;

/** The names in AIRLOCK_HOST_NAMES, `name,name`: what this instance may be called besides localhost and its addresses. */
export function readHostNames(read: EnvironmentReader): readonly string[] {
  const names = (read.optionalText("AIRLOCK_HOST_NAMES") ?? "")
    .toLowerCase()
    .split(",")
    .map((name) => name.trim())
    .filter((name) => name !== "");
  const wrong = names.filter((name) => !HOST_NAME.test(name));
  if (wrong.length > 0) {
    read.refuse(
      `AIRLOCK_HOST_NAMES must be host names without ports, with commas between, not "${wrong[0]}"`,
    );
  }
  return names;
}

/**
 * Keeps web pages out that somebody's browser happens to show: nobody logs in here, so a page that could call would have
 * all that the person has. A name whose owner points it to this gateway makes a page look like our own (DNS rebinding);
 * therefore the gateway answers only to names that no stranger can own, whatever address it listens on: a port of
 * 127.0.0.1 may lead to a container, and a browser within a network to any machine of it.
 */
export function refuseForeignPages(
  app: FastifyInstance,
  { host: listensOn, hostNames }: { readonly host: string; readonly hostNames: readonly string[] },
): void {
  const own = new Set(["localhost", listensOn, ...hostNames]);
  const isOwn = (name: string) => own.has(name) || isIP(name) !== 0;
  app.addHook("onRequest", async ({ headers: { host, origin } }) => {
    if (host !== undefined && !isOwn(nameIn(host))) throw hostNotAllowed(hostNames);
    if (origin === undefined) return;
    const page = URL.parse(origin);
    const called = page && URL.parse(`${page.protocol}//${host}`);
    if (!page || (page.host !== called?.host && !hostNames.includes(page.hostname))) throw originNotAllowed();
  });
}

/** The name or address in a Host header; empty when it is none. */
function nameIn(header: string): string {
  const hostname = (PLAIN_HOST.test(header) && URL.parse(`http://${header}`)?.hostname) || "";
  return hostname.replace(/^\[(.*)\]$/, "$1");
}

function hostNotAllowed(hostNames: readonly string[]): AirlockError {
  const names = ["localhost", "127.0.0.1", "[::1]", ...hostNames].join(", ");
  return new AirlockError(
    "host_not_allowed",
    `The Host header names none of ${names}. Use one of these in the URL; the operator adds a name with AIRLOCK_HOST_NAMES.`,
  );
}

function originNotAllowed(): AirlockError {
  return new AirlockError(
    "origin_not_allowed",
    "The Origin header says that a web page of another site sent this. Call from a program instead; the operator adds the host name of a page that may with AIRLOCK_HOST_NAMES.",
  );
}
