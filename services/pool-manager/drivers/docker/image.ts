import { createHash } from "node:crypto";
import { copyFile, cp, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type Docker from "dockerode";
import { AirlockError } from "#common/errors.ts";
import type { Project } from "#common/projects/file.ts";
import type { Log } from "#common/service/log.ts";
import { createInstalls } from "../../packages/installs.ts";
import type { LockedProject } from "../../packages/locked-catalogue.ts";
import { outputWithoutCredentials } from "../../packages/package-sources.ts";
import { buildImage } from "./build.ts";
import { readBuildSecrets } from "./build-settings.ts";
import { ask, engineError, unlessGone } from "./engine.ts";
import { type DeploymentNames, LABEL } from "./names.ts";

export type ImageOptions = {
  /** The directory with the worker package and its Dockerfile. */
  readonly workerDirectory: string;
  /**
   * The path of the protobuf descriptor file (airlock.binpb), from which a worker makes its message classes.
   */
  readonly descriptorsPath: string;
  readonly pythonImage: string;
  readonly buildNetwork: string | undefined;
};

/**
 * The Docker images of workers: one per project, built again only when one of its inputs has changed, such as
 * the packages or the worker's own code.
 */
export type Images = {
  /** Builds the image unless the engine has it. Resolves to the image's name. Rejects with `start_failed`. */
  ensure(project: LockedProject, onProgress: (step: string) => void, signal: AbortSignal): Promise<string>;
  /**
   * The name that the project's image would have if it were built now; undefined when that cannot be
   * determined, for example because the base image is missing.
   */
  nameOf(project: LockedProject): Promise<string | undefined>;
  /** Removes the temporary build directories that an earlier process of this deployment left. */
  sweep(): Promise<void>;
};

// Images that are kept for each project: the one in use, and the one before it, so that an operator who
// reverts a change needs no new build.
const KEPT_IMAGES = 2;
const PULL_TIMEOUT_MS = 15 * 60_000;

export function createImages(
  docker: Docker,
  names: DeploymentNames,
  options: ImageOptions,
  log: Log,
): Images {
  const installs = createInstalls();
  const underWay = new Map<string, Promise<void>>();
  const contexts = `airlock-build-${names.deployment}-`;
  const newContext = () => mkdtemp(join(tmpdir(), contexts));

  const build = async (
    project: Project,
    tag: string,
    context: string,
    onProgress: (step: string) => void,
    signal: AbortSignal,
  ) => {
    onProgress("building the image");
    log.info({ project: project.name, image: tag }, "building an image");
    const parts = {
      context,
      tag,
      labels: names.labels(project.name),
      args: { PYTHON_IMAGE: options.pythonImage },
      network: options.buildNetwork,
      secrets: await readBuildSecrets(process.env),
      show: outputWithoutCredentials(project.packages, process.env),
    };
    const projectLog = log.child({ project: project.name });
    await buildImage(docker, parts, onProgress, signal, projectLog);
    log.info({ project: project.name, image: tag }, "image built");
    await removeOld(docker, names, project.name, tag, log);
  };

  return {
    async ensure(project, onProgress, signal) {
      const base = await baseImage(docker, options.pythonImage, onProgress);
      const context = await newContext();
      try {
        const tag = names.image(project.name, await layOut(context, project, base, options));
        if (await unlessGone(ask(() => docker.getImage(tag).inspect()))) return tag;
        let building = underWay.get(tag);
        if (!building) {
          const install = () => build(project, tag, context, onProgress, signal);
          building = installs(onProgress, signal, install).finally(() => underWay.delete(tag));
          underWay.set(tag, building);
        }
        await building;
        return tag;
      } finally {
        await rm(context, { recursive: true, force: true });
      }
    },
    async nameOf(project) {
      const base = await unlessGone(ask(() => docker.getImage(options.pythonImage).inspect()));
      if (!base) return undefined;
      const context = await newContext();
      try {
        return names.image(project.name, await layOut(context, project, base.Id, options));
      } catch {
        return undefined;
      } finally {
        await rm(context, { recursive: true, force: true });
      }
    },
    async sweep() {
      const isContext = (name: string) =>
        name.startsWith(contexts) && /^\w{6}$/.test(name.slice(contexts.length));
      for (const name of (await readdir(tmpdir())).filter(isContext)) {
        // A failure is ignored, because the directory may belong to another user, whose Airlock happens to
        // have the same deployment name.
        await rm(join(tmpdir(), name), { recursive: true, force: true }).catch(() => undefined);
      }
    },
  };
}

/**
 * Copies all files of an image build into the directory `context`. Resolves to a hash of everything that goes
 * into the image, including `base`, the id of the base image. The hash becomes the image's tag.
 */
async function layOut(
  context: string,
  project: LockedProject,
  base: string,
  { workerDirectory, descriptorsPath }: ImageOptions,
): Promise<string> {
  const sources = join(workerDirectory, "airlock_worker");
  await cp(sources, join(context, "airlock_worker"), {
    recursive: true,
    filter: (path) => !path.includes("__pycache__"),
  });
  for (const name of ["Dockerfile", "with-settings"]) {
    await copyFile(join(workerDirectory, name), join(context, name));
  }
  await copyFile(join(workerDirectory, "requirements.lock"), join(context, "worker.lock"));
  await copyFile(descriptorsPath, join(context, "airlock.binpb"));
  await writeFile(join(context, "project.in"), project.packages.map((each) => `${each}\n`).join(""));
  await writeFile(join(context, "project.lock"), project.lock ?? "");
  const hash = createHash("sha256").update(base);
  const files = await readdir(context, { recursive: true, withFileTypes: true });
  const paths = files.filter((file) => file.isFile()).map((file) => join(file.parentPath, file.name));
  for (const path of paths.sort()) {
    const content = await readFile(path);
    hash.update(`\0${path.slice(context.length)}\0${content.length}\0`).update(content);
  }
  return hash.digest("hex").slice(0, 16);
}

/** The id of the base image, which is pulled when the engine does not have it. */
async function baseImage(docker: Docker, name: string, onProgress: (step: string) => void): Promise<string> {
  const inspect = () => unlessGone(ask(() => docker.getImage(name).inspect()));
  const known = await inspect();
  if (known) return known.Id;
  onProgress(`pulling ${name}`);
  await pull(docker, name);
  const pulled = await inspect();
  if (!pulled) throw new AirlockError("start_failed", `The image ${name} is missing after it was pulled.`);
  return pulled.Id;
}

async function pull(docker: Docker, name: string): Promise<void> {
  const abortSignal = AbortSignal.timeout(PULL_TIMEOUT_MS);
  try {
    const stream = await docker.pull(name, { abortSignal });
    await new Promise<void>((resolve, reject) => {
      docker.modem.followProgress(stream, (error) => (error ? reject(error) : resolve()));
    });
  } catch (cause) {
    const known = engineError(cause, abortSignal.aborted);
    throw new AirlockError(
      "start_failed",
      `The image ${name}, which workers are built on, could not be pulled; the operator loads it, or names another in AIRLOCK_PYTHON_IMAGE.`,
      { cause, ...(known.logDetail !== undefined && { logDetail: known.logDetail }) },
    );
  }
}

async function removeOld(
  docker: Docker,
  names: DeploymentNames,
  project: string,
  current: string,
  log: Log,
): Promise<void> {
  try {
    const images = await ask((abortSignal) =>
      docker.listImages({ filters: names.filter(project), abortSignal }),
    );
    const others = images
      .filter(({ RepoTags }) => !RepoTags?.includes(current))
      .sort((a, b) => b.Created - a.Created)
      .slice(KEPT_IMAGES - 1);
    for (const { Id } of others) {
      // The engine refuses to remove an image that a container uses. A later build tries again.
      await docker
        .getImage(Id)
        .remove({ force: false })
        .catch(() => undefined);
    }
  } catch (error) {
    log.warn({ err: error, project, label: LABEL.project }, "old images could not be removed");
  }
}
