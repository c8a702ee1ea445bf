import { createHash } from "node:crypto";
import { Ajv } from "ajv";
import { type Document, isMap, LineCounter, parseDocument, type Range } from "yaml";
import { type Injection, injectionOf, networkOf, networkProblems, type ProjectNetwork } from "./network.ts";
import { isRequirement } from "./requirement.ts";
import { PROJECT_SCHEMA, type ProjectDocument } from "./schema.ts";
import { describeSchemaErrors } from "./schema-problems.ts";
import { valueOfYaml } from "./yaml-mistakes.ts";

export type Isolation = "standard" | "strict" | "gvisor";

export type ProjectLimits = {
  readonly timeoutMs: number;
  readonly llmTimeoutMs: number;
  readonly memoryBytes: number;
  readonly maxOutputBytes: number;
  readonly maxResultBytes: number;
  readonly diskBytes: number;
  readonly pids: number;
  readonly cpus: number;
  readonly queue: number;
  /** Bytes that all executions of the project may store together, whether or not they have ended. */
  readonly storedBytes: number;
};

/**
 * A secret as the project file writes it: `reference` is `${env:NAME}`, `${file:path}`,
 * `${vault:mount/path#field}` or plain text.
 */
export type SecretReference = {
  readonly name: string;
  readonly reference: string;
  /**
   * Set for a brokered secret: scripts get a placeholder, and the egress service puts the value into
   * requests.
   */
  readonly inject?: Injection;
};

/** A project whose file has no error. */
export type Project = {
  readonly name: string;
  readonly description: string;
  readonly packages: readonly string[];
  /** Modules that the zygote imports; undefined means all modules that the packages provide. */
  readonly preload: readonly string[] | undefined;
  /**
   * Names of programs of the worker's machine that scripts may run; `coreutils` stands for all of GNU
   * coreutils.
   */
  readonly programs: readonly string[];
  readonly settings: Readonly<Record<string, string>>;
  readonly secrets: readonly SecretReference[];
  readonly limits: ProjectLimits;
  readonly network: ProjectNetwork;
  /** The number of workers that `up` starts. */
  readonly replicas: number;
  /**
   * Bounds within which the number of workers follows the queue; undefined means always `replicas` workers.
   */
  readonly scaling: { readonly min: number; readonly max: number; readonly targetWaitMs: number } | undefined;
  readonly isolation: Isolation;
  /** The OCI runtime that the project's containers need; undefined means any. */
  readonly runtime: string | undefined;
  /** Changes with every setting that a running worker cannot adopt, so that its worker must be replaced. */
  readonly poolRevision: string;
  /**
   * Changes with the limits that bound a worker as a whole. A worker in a container must then be replaced by
   * one of another size.
   */
  readonly sizeRevision: string;
  /** Changes with settings, secrets and run limits, which a running worker can be given anew. */
  readonly provisionRevision: string;
};

/** The reason why a project file cannot be used, for the operator. It names file, line and field. */
export type ProjectProblem = { readonly name: string; readonly problem: string };

/**
 * Programs of the machine that scripts may run when their project lists none; the worker leaves out those
 * that do not exist.
 */
export const DEFAULT_PROGRAMS: readonly string[] = ["sh", "coreutils"];

/**
 * Bytes of the largest project file that is read, because the time to parse and check a file grows faster
 * than its size.
 */
export const MAX_PROJECT_FILE_BYTES = 64 * 1024;

// The number of problems that are reported of one file; the first ones suffice to find the cause.
const MAX_PROBLEMS = 20;

const MIB = 1024 * 1024;
// ajv does not check the schema itself, because that would take a tenth of each start. The schema is a
// constant, and a test checks it.
const validate = new Ajv({
  allErrors: true,
  verbose: true,
  allowUnionTypes: true,
  validateSchema: false,
  code: { optimize: false },
}).compile<ProjectDocument>(PROJECT_SCHEMA);

/**
 * Parses the text of the project file `fileName` (`NAME.yaml`). All problems are reported together, one a
 * line. Values never appear in a problem, because they could be secrets.
 */
export function parseProjectFile(fileName: string, text: string): Project | ProjectProblem {
  const name = fileName.replace(/\.ya?ml$/, "");
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, uniqueKeys: false });
  const refuse = <Found>(
    found: readonly Found[],
    describe: (each: Found) => { line: number; text: string },
  ): ProjectProblem => {
    const told = found.slice(0, MAX_PROBLEMS).map((each) => {
      const { line, text } = describe(each);
      return `${fileName}:${line}: ${text}`;
    });
    const more = found.length - told.length;
    return { name, problem: [...told, ...(more > 0 ? [`and ${more} more`] : [])].join("\n") };
  };
  const read = valueOfYaml(document);
  if (!("value" in read)) {
    return refuse(read, ({ position, text }) => ({
      line: lines.linePos(position).line,
      text: `not valid YAML: ${text}`,
    }));
  }
  const { value } = read;
  if (!validate(value)) {
    return refuse(describeSchemaErrors(validate.errors ?? []), ({ field, message }) => ({
      line: lineOf(document, lines, field.split(".")),
      text: field === "" ? `the file ${message}` : `field "${field}" ${message}`,
    }));
  }
  const rules = brokenRules(value, name);
  if (rules.length > 0) {
    return refuse(rules, ({ field, message }) => ({
      line: lineOf(document, lines, field.split(".")),
      text: `field "${field}" ${message}`,
    }));
  }
  return toProject(value);
}

// Environment variables that steer the worker, its proxy, Python, the loader, shells or common clients; a
// secret of such a name would break them.
const RESERVED_NAME =
  /^(PATH|HOME|TMPDIR|IFS|BASH_ENV|TZ|LANG|LANGUAGE|COLUMNS|NO_COLOR|(LC|LD|GLIBC|MALLOC|MIMALLOC|AIRLOCK)_.*|PYTHON.*|[Hh][Tt][Tt][Pp][Ss]?_(PROXY|proxy)|(ALL|all|NO|no|FTP|ftp)_(PROXY|proxy)|[A-Z]+_NUM_THREADS|(REQUESTS|CURL|AWS)_CA_BUNDLE|HTTPLIB2_CA_CERTS|SSL_CERT_(FILE|DIR)|NODE_EXTRA_CA_CERTS|NODE_OPTIONS)$/;
const REFERENCE = /\$\{(env|file|vault):/;

function lineOf(document: Document, lines: LineCounter, path: readonly string[]): number {
  for (let depth = path.length; depth > 0; depth--) {
    const parent = depth === 1 ? document.contents : document.getIn(path.slice(0, depth - 1), true);
    if (!isMap(parent)) continue;
    const pair = parent.items.find((item) => String(item.key) === path[depth - 1]);
    const range = (pair?.key as { range?: Range } | undefined)?.range;
    if (range) return lines.linePos(range[0]).line;
  }
  return 1;
}

function brokenRules(value: ProjectDocument, fileStem: string): { field: string; message: string }[] {
  const rules: { field: string; message: string }[] = [];
  if (value.name !== fileStem) {
    rules.push({ field: "name", message: `must be "${fileStem}", as the file is called` });
  }
  for (const name of Object.keys(value.secrets ?? {})) {
    const field = `secrets.${name}`;
    if (Object.hasOwn(value.settings ?? {}, name)) {
      rules.push({ field, message: "is also a setting; a name is one or the other" });
    }
    if (RESERVED_NAME.test(name)) {
      const message =
        "has a name by which programs are steered, as PATH, LD_PRELOAD and HTTPS_PROXY are; scripts find secrets in their environment, so choose another name";
      rules.push({ field, message });
    }
  }
  for (const [name, text] of [
    ["", value.description ?? ""],
    ...Object.entries(value.settings ?? {}),
  ] as const) {
    const field = name === "" ? "description" : `settings.${name}`;
    if (!text.isWellFormed())
      rules.push({ field, message: "holds half of a surrogate pair, which is no character" });
    if (name !== "" && REFERENCE.test(text)) {
      const message =
        "refers to a secret, and a setting is taken as it stands; name it under secrets instead";
      rules.push({ field, message });
    }
  }
  for (const [index, requirement] of (value.packages ?? []).entries()) {
    if (isRequirement(requirement)) continue;
    // The requirement is not repeated, because it may be a URL with a password.
    const message =
      'is no package as PEP 508 writes it, such as "pandas>=3,<4" or "name @ https://host/file.whl"';
    rules.push({ field: `packages.${index}`, message });
  }
  rules.push(...networkProblems(value));
  const largestMb = largestExecutionMb(value);
  if ((value.limits?.stored_mb ?? largestMb) < largestMb) {
    rules.push({
      field: "limits.stored_mb",
      message: `must be at least ${largestMb}, what one execution may store: the largest request (${REQUEST_MB}), and max_output_mb and max_result_mb twice each`,
    });
  }
  const { replicas } = value;
  if (typeof replicas === "object" && replicas.min > replicas.max) {
    rules.push({ field: "replicas.min", message: "must not be more than replicas.max" });
  }
  return rules;
}

// Megabytes of the largest request, 16, and one for what Airlock itself stores with an execution.
const REQUEST_MB = 17;

/**
 * Megabytes that one execution may store at most: its request, stdout and stderr (`max_output_mb` each), its
 * result and its memory updates (`max_result_mb` each).
 */
function largestExecutionMb({ limits = {} }: ProjectDocument): number {
  return Math.ceil(REQUEST_MB + 2 * (limits.max_output_mb ?? 10) + 2 * (limits.max_result_mb ?? 10));
}

function toProject(value: ProjectDocument): Project {
  const limits = value.limits ?? {};
  const packages = value.packages ?? [];
  const programs = value.programs ?? DEFAULT_PROGRAMS;
  const settings = value.settings ?? {};
  const secrets = Object.entries(value.secrets ?? {}).map(([name, secret]) => {
    const inject = injectionOf(secret);
    const reference = typeof secret === "string" ? secret : secret.value;
    return { name, reference, ...(inject && { inject }) };
  });
  const network = networkOf(value);
  const parsedLimits: ProjectLimits = {
    timeoutMs: Math.round((limits.timeout ?? 300) * 1_000),
    llmTimeoutMs: Math.round((limits.llm_timeout ?? 900) * 1_000),
    memoryBytes: (limits.memory_mb ?? 512) * MIB,
    maxOutputBytes: Math.round((limits.max_output_mb ?? 10) * MIB),
    maxResultBytes: Math.round((limits.max_result_mb ?? 10) * MIB),
    diskBytes: (limits.disk_mb ?? 256) * MIB,
    pids: limits.pids ?? 64,
    cpus: limits.cpus ?? 1,
    queue: limits.queue ?? 1_000,
    storedBytes: (limits.stored_mb ?? 1_000) * MIB,
  };
  const isolation = value.isolation ?? "standard";
  return Object.freeze({
    name: value.name,
    description: value.description ?? "",
    packages,
    preload: value.preload,
    programs,
    settings,
    secrets,
    limits: parsedLimits,
    network,
    replicas: typeof value.replicas === "object" ? Math.max(1, value.replicas.min) : (value.replicas ?? 1),
    scaling: typeof value.replicas === "object" ? scalingOf(value.replicas) : undefined,
    isolation,
    runtime: value.runtime,
    poolRevision: revision([packages, value.preload, programs, isolation, value.runtime]),
    sizeRevision: revision([
      parsedLimits.cpus,
      parsedLimits.memoryBytes,
      parsedLimits.diskBytes,
      parsedLimits.pids,
    ]),
    provisionRevision: revision([settings, secrets, parsedLimits, network.allowlist.length > 0]),
  });
}

function scalingOf({
  min,
  max,
  target_wait_ms: targetWaitMs = 500,
}: {
  min: number;
  max: number;
  target_wait_ms?: number;
}) {
  return { min, max, targetWaitMs };
}

function revision(parts: unknown): string {
  return createHash("sha256").update(JSON.stringify(parts)).digest("hex").slice(0, 16);
}
