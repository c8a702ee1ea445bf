import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import type Docker from "dockerode";
import { AirlockError } from "#common/errors.ts";
import { endOfText } from "#common/projects/url-credentials.ts";
import type { Log } from "#common/service/log.ts";
import type { ShowOutput } from "../../packages/package-sources.ts";
import { withAuthorityRemedy } from "../../packages/unknown-authority.ts";
import { openBuildSession } from "./build-session.ts";
import type { BuildSecrets } from "./build-settings.ts";
import { decodeTrace } from "./build-trace.ts";
import { DISK_IS_FULL, engineError, saysDiskIsFull } from "./engine.ts";

export type Build = {
  /** A directory that holds the Dockerfile and all it copies. */
  readonly context: string;
  readonly tag: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly args: Readonly<Record<string, string>>;
  /** The network of the build's steps; undefined: the engine's default. */
  readonly network: string | undefined;
  readonly secrets: BuildSecrets;
  /** Of what the build prints, what others may read. */
  readonly show: ShowOutput;
};

const TIMEOUT_MS = 30 * 60_000;
const KEPT_ERROR_CHARACTERS = 2_000;
const TRACE = "moby.buildkit.trace";
// The stages of the Dockerfile that take long.
const STEP = /^\[(worker|project) +\d+\/\d+\] RUN/;
const STAGES: Readonly<Record<string, string>> = {
  worker: "building the image: the worker's packages",
  project: "building the image: installing packages",
};

/** Builds an image. Rejects with `start_failed` and the end of what the failing step printed. */
export async function buildImage(
  docker: Docker,
  build: Build,
  onProgress: (step: string) => void,
  signal: AbortSignal,
  log: Log,
): Promise<void> {
  const limit = AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)]);
  const session = await openBuildSession(docker, build.secrets);
  try {
    const output = await startBuild(docker, build, session.id, limit);
    await followed(output, limit, createReporter(onProgress, build.show, log));
  } finally {
    session.close();
  }
}

async function startBuild(
  docker: Docker,
  { context, tag, labels, args, network }: Build,
  session: string,
  abortSignal: AbortSignal,
): Promise<NodeJS.ReadableStream> {
  // As a query of its own: dockerode's `version: "2"` would open another session, one without secrets.
  const _query = {
    version: "2",
    session,
    t: tag,
    labels: JSON.stringify(labels),
    buildargs: JSON.stringify(args),
    ...(network !== undefined && { networkmode: network }),
  };
  const options = { _query, abortSignal } as unknown as Docker.ImageBuildOptions;
  try {
    return await docker.buildImage({ context, src: ["."] }, options);
  } catch (error) {
    throw engineError(error, abortSignal.aborted);
  }
}

/** Reads one line of a build's answer; throws `start_failed` when it tells of the build's failure. */
type ReadLine = (line: string) => void;

function createReporter(onProgress: (step: string) => void, show: ShowOutput, log: Log): ReadLine {
  const printed = new Map<string, string>();
  let failed = "";
  return (line) => {
    const { id, aux, error } = JSON.parse(line) as { id?: string; aux?: unknown; error?: string };
    if (error !== undefined) {
      throw buildFailed(show((printed.get(failed) ?? "").trim() || error));
    }
    if (id !== TRACE || typeof aux !== "string") return;
    const { steps, output } = decodeTrace(aux);
    for (const step of steps) {
      const stage = STEP.exec(step.name)?.[1];
      if (stage !== undefined) onProgress(STAGES[stage] as string);
      if (step.error !== "") failed = step.id;
      log.debug({ step: show(step.name) }, "image build");
    }
    for (const { step, text } of output) {
      printed.set(step, endOfText((printed.get(step) ?? "") + text, KEPT_ERROR_CHARACTERS));
      log.debug({ output: show(text) }, "image build");
    }
  };
}

/** Resolves when the build has ended well. */
async function followed(output: NodeJS.ReadableStream, signal: AbortSignal, read: ReadLine): Promise<void> {
  try {
    for await (const line of createInterface({ input: output, signal })) if (line.trim() !== "") read(line);
  } catch (error) {
    throw engineError(error);
  } finally {
    // The engine ends a build that nobody listens to.
    (output as Readable).destroy();
  }
  if (signal.aborted) throw buildFailed("it was given up, or took longer than half an hour.");
}

function buildFailed(reason: string): AirlockError {
  // Whichever step met it first, in words of its own.
  const cause = saysDiskIsFull(reason) ? `${DISK_IS_FULL} ${reason}` : reason;
  return new AirlockError(
    "start_failed",
    `The image of the project's workers could not be built: ${withAuthorityRemedy(cause)}`,
  );
}
