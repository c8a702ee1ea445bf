import { isUsable } from "#common/projects/catalogue.ts";
import { describeAllowedHost } from "#common/projects/network.ts";
import type { SecretReference } from "#common/projects/sections/secrets.ts";
import { shownRequirement } from "#common/projects/url-credentials.ts";
import { Project as ProjectMessage, ProjectStatus } from "#proto/pool_manager.ts";
import type { ProjectState } from "./pool/view.ts";

/** A project and its pool as a message of the proto. */
export function toProjectMessage({ entry, pool }: ProjectState): ProjectMessage {
  const state = {
    name: entry.name,
    status: pool?.up ? ProjectStatus.UP : ProjectStatus.DOWN,
    replicas: pool?.replicas ?? 0,
    idleWorkers: pool?.idleWorkers ?? 0,
    queueDepth: pool?.queueDepth ?? 0,
    running: pool?.running ?? 0,
    paused: pool?.paused ?? 0,
    detail: pool?.detail ?? "",
    isolationLayers: [...(pool?.posture.layers ?? [])],
    isolationFacts: [...(pool?.posture.facts ?? [])],
    installedPackages: [...(pool?.posture.packages ?? [])],
  };
  if (!isUsable(entry)) return ProjectMessage.create({ ...state, problem: entry.problem });
  const { limits, network } = entry;
  return ProjectMessage.create({
    ...state,
    description: entry.description,
    packages: entry.packages.map(shownRequirement),
    programs: [...entry.programs],
    isolation: entry.isolation,
    settingKeys: [...Object.keys(entry.settings), ...entry.secrets.map((secret) => secret.name)].sort(),
    secretNames: entry.secrets.map((secret) => secret.name).sort(),
    limits: {
      timeoutMs: limits.timeoutMs,
      llmTimeoutMs: limits.llmTimeoutMs,
      maxOutputBytes: limits.maxOutputBytes,
      maxResultBytes: limits.maxResultBytes,
      memoryBytes: limits.memoryBytes,
      queue: limits.queue,
      networkBytes: network.maxBytes,
      storedBytes: limits.storedBytes,
      diskBytes: limits.diskBytes,
      pids: limits.pids,
      cpus: limits.cpus,
    },
    network: {
      allowlist: network.allowlist.map(describeAllowedHost),
      allowPrivate: [...network.allowPrivate],
      injectedSecrets: entry.secrets.flatMap(injectedSecret),
    },
  });
}

function injectedSecret({ name, inject }: SecretReference) {
  if (!inject) return [];
  const port = inject.port === 443 ? undefined : inject.port;
  return [{ name, host: describeAllowedHost({ ...inject, wildcard: false, port }), header: inject.header }];
}
