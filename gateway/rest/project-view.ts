import { type Project, type ProjectLimits, ProjectStatus } from "#proto/pool_manager.ts";
import type { ProjectView } from "../use-cases/projects.ts";
import type { ProjectDetails, ProjectState, ProjectSummary } from "./schemas/project.ts";

const MIB = 1024 * 1024;

/** The summary of a project in GET /projects. */
export function projectSummary(project: ProjectView): ProjectSummary {
  return {
    name: project.name,
    description: project.description,
    status: statusOf(project),
    replicas: project.replicas,
    idle_workers: project.idleWorkers,
    packages: project.packages,
    queue_depth: project.queueDepth,
    running: project.running,
    paused: project.paused,
    isolation: project.isolation || null,
    held: project.held,
    problem: project.problem || null,
    detail: project.detail || null,
  };
}

export function projectState(project: Project): ProjectState {
  return { name: project.name, status: statusOf(project), replicas: project.replicas };
}

function statusOf({ status }: Project): "up" | "down" {
  return status === ProjectStatus.UP ? "up" : "down";
}

export function projectDetails(project: ProjectView): ProjectDetails {
  const { limits, network } = project;
  return {
    ...projectSummary(project),
    limits: limits ? shownLimits(limits) : null,
    installed_packages: project.installedPackages.map(({ name, version }) => ({ name, version })),
    programs: project.programs,
    network_allowlist: network?.allowlist ?? [],
    allow_private: network?.allowPrivate ?? [],
    injected_secrets: (network?.injectedSecrets ?? []).map(({ name, host, header }) => ({
      name,
      host,
      header,
    })),
    settings: project.settingKeys,
    secrets: project.secretNames,
    isolation_layers: project.isolationLayers.map(({ name, inForce, detail }) => ({
      name,
      in_force: inForce,
      detail: detail || null,
    })),
    isolation_facts: Object.fromEntries(project.isolationFacts.map(({ name, values }) => [name, values])),
  };
}

function shownLimits(limits: ProjectLimits): NonNullable<ProjectDetails["limits"]> {
  return {
    timeout: limits.timeoutMs / 1_000,
    llm_timeout: limits.llmTimeoutMs / 1_000,
    memory_mb: limits.memoryBytes / MIB,
    disk_mb: limits.diskBytes / MIB,
    pids: limits.pids,
    cpus: limits.cpus,
    max_output_mb: limits.maxOutputBytes / MIB,
    max_result_mb: limits.maxResultBytes / MIB,
    network_mb: limits.networkBytes / MIB,
    queue: limits.queue,
    stored_mb: limits.storedBytes / MIB,
  };
}
