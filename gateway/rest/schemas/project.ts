import type { FromSchema } from "json-schema-to-ts";
import { type Given, optional } from "./optional.ts";

const status = { type: "string", enum: ["up", "down"] } as const;
const count = { type: "integer", minimum: 0 } as const;
const names = { type: "array", items: { type: "string" } } as const;

const SUMMARY_FIELDS = {
  name: { type: "string" },
  description: { type: "string" },
  status,
  replicas: {
    ...count,
    description: "Workers that there should be; idle_workers and running say how many there are.",
  },
  idle_workers: count,
  packages: {
    ...names,
    description: "Python packages that a script can import, as the project asks for them.",
  },
  queue_depth: { ...count, description: "Executions that wait for a worker." },
  running: { ...count, description: "Executions that hold a worker." },
  paused: { ...count, description: "Executions that wait for a response and hold no worker." },
  isolation: {
    type: ["string", "null"],
    description: "What the project demands: standard, strict or gvisor; null where its file cannot be used.",
  },
  held: {
    type: ["boolean", "null"],
    description:
      "true: POST /execute is refused until POST /projects/{name}/up. null: it cannot be told at the moment.",
  },
  problem: {
    type: ["string", "null"],
    description: "Why the project file cannot be used; such a project accepts no execution.",
  },
  detail: {
    type: ["string", "null"],
    description: "What the pool is busy with, or why it last failed; null when all is well.",
  },
} as const;

const SUMMARY_NAMES = [
  "name",
  "description",
  "status",
  "replicas",
  "idle_workers",
  "packages",
  "queue_depth",
  "running",
  "paused",
  "isolation",
  "held",
  "problem",
  "detail",
] as const;

export const PROJECT_SUMMARY = {
  $id: "ProjectSummary",
  type: "object",
  required: SUMMARY_NAMES,
  properties: SUMMARY_FIELDS,
} as const;

export const PROJECT_LIST = {
  $id: "ProjectList",
  type: "object",
  required: ["projects"],
  properties: {
    projects: {
      type: "array",
      items: PROJECT_SUMMARY,
    },
  },
} as const;

export const PROJECT = {
  $id: "Project",
  type: "object",
  required: [
    ...SUMMARY_NAMES,
    "limits",
    "installed_packages",
    "programs",
    "network_allowlist",
    "allow_private",
    "injected_secrets",
    "settings",
    "secrets",
    "isolation_layers",
    "isolation_facts",
  ],
  properties: {
    ...SUMMARY_FIELDS,
    limits: {
      type: ["object", "null"],
      description: "Seconds, and MiB where the name says mb; null where the project's file cannot be used.",
      required: [
        "timeout",
        "llm_timeout",
        "memory_mb",
        "disk_mb",
        "pids",
        "cpus",
        "max_output_mb",
        "max_result_mb",
        "network_mb",
        "queue",
        "stored_mb",
      ],
      properties: {
        timeout: { type: "number" },
        llm_timeout: { type: "number" },
        memory_mb: { type: "number", description: "Of one run." },
        disk_mb: { type: "number", description: "Files of one run." },
        pids: { type: "integer", description: "Processes and threads of one run." },
        cpus: { type: "number", description: "CPUs' worth of time for one run." },
        max_output_mb: { type: "number" },
        max_result_mb: { type: "number" },
        network_mb: { type: "number", description: "In each direction, for one run." },
        queue: { type: "integer" },
        stored_mb: { type: "number", description: "Of all executions together, ended or not." },
      },
    },
    installed_packages: {
      type: "array",
      description:
        "What scripts can import beside the standard library, dependencies included, by name; empty until the first worker is ready.",
      items: {
        type: "object",
        required: ["name", "version"],
        properties: { name: { type: "string" }, version: { type: "string" } },
      },
    },
    programs: {
      ...names,
      description:
        "Programs of the machine that a script can start, by name; coreutils stands for those of GNU.",
    },
    network_allowlist: {
      ...names,
      description:
        "What a script may reach, hosts of injected_secrets included: host or *.suffix, at ports 443 and 80 unless one is named. Empty: no network.",
    },
    allow_private: { ...names, description: "Addresses that are not public and yet permitted." },
    injected_secrets: {
      type: "array",
      description: "Secrets of which a script holds a placeholder, and where the secret takes its place.",
      items: {
        type: "object",
        required: ["name", "host", "header"],
        properties: { name: { type: "string" }, host: { type: "string" }, header: { type: "string" } },
      },
    },
    settings: { ...names, description: "Names that settings.get() knows, secrets included." },
    secrets: {
      ...names,
      description: "Those of settings that are secrets: a setting of a request with such a name is not used.",
    },
    isolation_layers: {
      type: "array",
      description: "What the workers measured; empty until the first one is ready.",
      items: {
        type: "object",
        required: ["name", "in_force", "detail"],
        properties: {
          name: { type: "string" },
          in_force: { type: "boolean" },
          detail: { type: ["string", "null"], description: "Why it is not in force." },
        },
      },
    },
    isolation_facts: {
      type: "object",
      description:
        "What a run found about itself when the worker started: the version of Python, namespaces, processes, descriptors, writable paths, capabilities, limits (its own small ones, not the project's), reachable addresses; and modules of its packages that cannot be imported beforehand, with the reason.",
      additionalProperties: names,
    },
  },
} as const;
export type ProjectSummary = FromSchema<typeof PROJECT_LIST>["projects"][number];
export type ProjectDetails = FromSchema<typeof PROJECT>;

export const PROJECT_PARAMS = {
  type: "object",
  required: ["name"],
  properties: { name: { type: "string", examples: ["demo"] } },
} as const;
export type ProjectParams = FromSchema<typeof PROJECT_PARAMS>;

export const UP_BODY = {
  type: "object",
  additionalProperties: false,
  properties: {
    replicas: {
      ...optional("integer"),
      minimum: 1,
      maximum: 100,
      description:
        "Workers to run. Absent: as many as the project's file says. At most its range's max, or what the machine's memory and AIRLOCK_MAX_WORKERS allow.",
    },
  },
} as const;
export type UpBody = Given<FromSchema<typeof UP_BODY>>;

export const DOWN_BODY = {
  type: "object",
  additionalProperties: false,
  properties: {
    hold: {
      ...optional("boolean"),
      default: false,
      description:
        "true: the project stays down, and POST /execute is refused with 409 project_held until POST /projects/{name}/up. Otherwise the next execution starts the workers again.",
    },
  },
} as const;
export type DownBody = Given<FromSchema<typeof DOWN_BODY>>;

export const PROJECT_STATE = {
  $id: "ProjectState",
  type: "object",
  required: ["name", "status", "replicas"],
  properties: { name: { type: "string" }, status, replicas: count },
} as const;
export type ProjectState = FromSchema<typeof PROJECT_STATE>;
