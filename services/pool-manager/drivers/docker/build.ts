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
  /** The directory with the Dockerfile and all files that it copies. */
  readonly context: string;
  readonly tag: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly args: Readonly<Record<string, string>>;
  /** The Docker network of the build's steps; undefined for the engine's default network. */
  readonly network: string | undefined;
  readonly secrets: BuildSecrets;
  /** Removes credentials from the build's output, so that agents and logs may show it. */
  readonly show: ShowOutput;
};

const TIMEOUT_MS = 30 * 60_000;
const KEPT_ERROR_CHARACTERS = 2_000;
const TRACE = "moby.buildkit.trace";
// Matches the names of the Dockerfile's RUN steps, which take long. The first group is the stage of the step.
const STEP = /^\[(worker|project) +\d+\/\d+\] RUN/;
const STAGES: Readonly<Record<string, string>> = {
  worker: "building the image: the worker's packages",
  project: "building the image: installing packages",
};

/**
 * Builds an image. `onProgress` reports the stage. Rejects with `start_failed` and the end of the failing
 * step's output, also when `signal` aborts or the build takes longer than half an hour.
 */
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
  // The query of the build request is given as a whole, because dockerode's own option `version: "2"` would
  // open another session, which has no secrets.
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

/**
 * Reads one line of the build's response. Throws `start_failed` when the line reports that the build failed.
 */
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

/** Reads the build's response to its end. Rejects with `start_failed` unless the build succeeded. */
async function followed(output: NodeJS.ReadableStream, signal: AbortSignal, read: ReadLine): Promise<void> {
  try {
    for await (const line of createInterface({ input: output, signal })) if (line.trim() !== "") read(line);
  } catch (error) {
    throw engineError(error);
  } finally {
    // Closing the response makes the engine end a build that still runs.
    (output as Readable).destroy();
  }
  if (signal.aborted) throw buildFailed("it was given up, or took longer than half an hour.");
}

function buildFailed(reason: string): AirlockError {
  // A full disk is named here in Airlock's own words, because each build step reports it in a different
  // message.
  const cause = saysDiskIsFull(reason) ? `${DISK_IS_FULL} ${reason}` : reason;
  return new AirlockError(
    "start_failed",
    `The image of the project's workers could not be built: ${withAuthorityRemedy(cause)}`,
  );
}
