import { AirlockError } from "../common/errors.ts";
import type { RunNetwork } from "../common/gen/airlock/v1/worker.ts";
import { isUsable, type ProjectCatalogue } from "../common/project-catalogue.ts";
import type { Project } from "../common/project-file.ts";
import type { Attempts } from "./attempts.ts";
import type { Authority } from "./authority.ts";
import { newPlaceholder } from "./placeholders.ts";
import { responseNeedles } from "./response-filter.ts";
import type { Routes } from "./routes.ts";
import type { BrokeredSecrets } from "./secrets-client.ts";

/** A route as its holder sees it. */
export type OpenRoute = { readonly network: RunNetwork; close(): void };

/** Opens the route of one run. Rejects with an AirlockError when a part of it cannot be had: then the run has none. */
export type OpenRouteFor = (project: string, executionId: string, signal: AbortSignal) => Promise<OpenRoute>;

export function createRouteOpener(parts: {
  readonly catalogue: ProjectCatalogue;
  readonly brokered: (project: string, signal: AbortSignal) => Promise<BrokeredSecrets>;
  readonly authority: () => Promise<Authority>;
  readonly routes: Routes;
  readonly attempts: Attempts;
  /** How workers reach the proxy. */
  readonly proxyAddress: () => string;
}): OpenRouteFor {
  return async (name, executionId, signal) => {
    await parts.catalogue.refresh();
    const { network, secrets } = usable(parts.catalogue, name);
    const needsValues = secrets.some(({ inject }) => inject !== undefined);
    const values = needsValues ? await parts.brokered(name, signal) : { current: [], retired: [] };
    const placeholders = values.current.map(({ secret, ...injection }) => newPlaceholder(secret, injection));
    const needles = responseNeedles(placeholders, values.retired);
    const authorityPem = placeholders.length > 0 ? (await parts.authority()).certificatePem : "";
    const { route, password, close } = parts.routes.open({
      ...{ project: name, executionId, network, placeholders, needles },
    });
    parts.attempts.open(route);
    return {
      network: {
        proxyAddress: parts.proxyAddress(),
        username: route.id,
        password,
        placeholders: placeholders.map(({ secret, text, host, port, header }) => ({
          name: secret.name,
          value: text,
          host: port === 443 ? host : `${host}:${port}`,
          header,
        })),
        authorityPem,
      },
      close() {
        close();
        parts.attempts.close(route);
      },
    };
  };
}

function usable(catalogue: ProjectCatalogue, name: string): Project {
  const entry = catalogue.get(name);
  if (!entry) throw new AirlockError("project_not_found", "There is no project of this name.");
  if (isUsable(entry)) return entry;
  throw new AirlockError("project_invalid", `The project file has an error. ${entry.problem}`);
}
