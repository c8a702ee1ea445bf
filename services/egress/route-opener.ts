import { isUsable, type ProjectCatalogue } from "#common/projects/catalogue.ts";
import type { Project } from "#common/projects/file.ts";
import { usableProject } from "#common/projects/usable-project.ts";
import type { HoldRouteRequest } from "#proto/egress.ts";
import type { RunNetwork } from "#proto/worker.ts";
import { CompiledValues } from "./brokered/compiled-values.ts";
import { newPlaceholder } from "./brokered/placeholders.ts";
import { responseFilters } from "./brokered/response-filter.ts";
import type { CertificateAuthority } from "./interception-ca.ts";
import type { Attempts } from "./proxy/attempts.ts";
import { createRoute } from "./routes/routes.ts";
import { marksOf } from "./routes/run-marks.ts";
import type { Brokered } from "./secrets-client.ts";
import type { OpenTunnels } from "./tunnels/worker-tunnels.ts";

/** The open network route of a run, as the router's stream that holds the route uses it. */
export type OpenRoute = {
  /** The proxy credentials, placeholders and certificates that the router passes on to the run. */
  readonly network: RunNetwork;
  /** Resolves when the worker has said that the run is over. */
  readonly over: Promise<void>;
  /**
   * Gives the route up. Its tunnels are closed at once, or, for a route of held-routes.ts, when no other
   * router takes the route over.
   */
  close(): void;
};

/**
 * Opens the network route of one run. Rejects with an AirlockError when the route cannot be opened. The run then
 * has no network until a later attempt of the router succeeds, and the router starts no script without its route.
 */
export type OpenRouteFor = (request: HoldRouteRequest, signal: AbortSignal) => Promise<OpenRoute>;

/**
 * Makes the function that opens routes. For each route it reads the project file, fetches the brokered
 * secrets, makes their placeholders, and opens tunnels to the run's worker.
 */
export function createRouteOpener(parts: {
  readonly catalogue: ProjectCatalogue;
  /** Resolves to the brokered secrets that the project had at this version. */
  readonly brokered: (project: string, version: string, signal: AbortSignal) => Promise<readonly Brokered[]>;
  readonly authority: () => Promise<CertificateAuthority>;
  /**
   * Certificates, in PEM, of further authorities that may certify servers, besides the public ones; empty
   * when there are none.
   */
  readonly extraAuthorities: string;
  /** Resolves to the key from which proxy credentials and placeholders are derived. */
  readonly key: () => Promise<Buffer>;
  readonly openTunnels: OpenTunnels;
  readonly attempts: Attempts;
}): OpenRouteFor {
  const compiled = new CompiledValues();
  const projectOf = goingOn(parts.catalogue);
  return async ({ project: name, executionId, workerId, workerAddress, secretsVersion }, signal) => {
    await parts.catalogue.refresh(name);
    const { network, secrets } = projectOf(name);
    const needsValues = secrets.some(({ inject }) => inject !== undefined);
    const values = needsValues ? await parts.brokered(name, secretsVersion, signal) : [];
    const marks = marksOf(await parts.key(), { project: name, executionId, workerId });
    const placeholders = values.map(({ secret, ...injection }) =>
      newPlaceholder(secret, injection, marks.ofSecret(secret.name)),
    );
    // Responses are searched only for the values that the run was given, because it cannot send values from
    // before or after a rotation. A route that is opened again, by another egress service, has the same values.
    const filters = responseFilters(placeholders, compiled);
    const own = placeholders.length > 0 ? (await parts.authority()).certificatePem : "";
    const authorityPem = own + parts.extraAuthorities;
    const { route, close } = createRoute(
      { project: name, executionId, network, placeholders, filters },
      marks,
    );
    const tunnels = await parts.openTunnels(route, { workerId, workerAddress });
    parts.attempts.open(route);
    return {
      network: {
        username: marks.username,
        password: marks.password,
        placeholders: placeholders.map(({ secret, text, host, port, header }) => ({
          name: secret.name,
          value: text,
          host: port === 443 ? host : `${host}:${port}`,
          header,
        })),
        authorityPem,
      },
      over: tunnels.over,
      close() {
        tunnels.close();
        close();
        parts.attempts.close(route);
      },
    };
  };
}

/**
 * Finds a project for the route of a run. While its file has a mistake, the project is as it was before: the
 * router accepts nothing new, and executions that it accepted earlier go on, as they do at the pool-manager.
 * Throws `project_not_found`, or `project_invalid` when the file had a mistake from the beginning.
 */
function goingOn(catalogue: ProjectCatalogue): (name: string) => Project {
  const before = new Map(catalogue.list().map((entry) => [entry.name, entry] as const));
  return (name) => {
    const now = catalogue.get(name);
    const known = before.get(name);
    if (now && !isUsable(now) && known && isUsable(known)) return known;
    const usable = usableProject(catalogue, name);
    before.set(name, usable);
    return usable;
  };
}
