import { spawn } from "node:child_process";
import { dirname, join } from "node:path";
import { AirlockError, isShortage } from "#common/errors.ts";
import { endOfText } from "#common/projects/url-credentials.ts";
import { withoutDirectories } from "#common/service/server-paths.ts";
import { systemReason } from "#common/system-reason.ts";
import { outputWithoutCredentials } from "./package-sources.ts";
import { withAuthorityRemedy } from "./unknown-authority.ts";

const TIMEOUT_MS = 15 * 60_000;
const KEPT_ERROR_CHARACTERS = 2_000;

// The variables of the operator's environment that an installer gets. All others stay out, because a
// package's build script is foreign code, and the values behind ${env:} references may be among them.
const PASSED_ON = /^(PATH|HOME|TMPDIR|LANG|LC_ALL|SSL_CERT_(FILE|DIR)|UV_.*|(HTTPS?|ALL|NO)_PROXY)$/i;

/**
 * Runs an installer step for `packages` to its end, for at most 15 minutes. Rejects with `start_failed` and
 * the end of the tool's own error.
 */
export async function runInstaller(
  command: string,
  args: readonly string[],
  packages: readonly string[],
  signal: AbortSignal,
): Promise<void> {
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => PASSED_ON.test(name)));
  const child = spawn(command, args, {
    env,
    stdio: ["ignore", "ignore", "pipe"],
    signal: AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)]),
  });
  let errors = "";
  // The pipe of standard error is missing when this process has no file descriptors left, although the type
  // says otherwise.
  child.stderr?.setEncoding("utf8").on("data", (text: string) => {
    errors = endOfText(errors + text, KEPT_ERROR_CHARACTERS);
  });
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once("close", resolve);
    child.once("error", (cause) =>
      reject(
        isShortage(cause)
          ? cause
          : installFailed(`the installer cannot be started (${systemReason(cause)}).`),
      ),
    );
  });
  if (code === 0) return;
  const reason = withAuthorityRemedy(outputWithoutCredentials(packages, env)(errors.trim()));
  const shown = withoutDirectories(reason);
  throw installFailed(shown, shown === reason ? undefined : reason);
}

/** The path of `uv`, which is installed beside the worker's interpreter. */
export function uvBeside(python: string): string {
  return join(dirname(python), "uv");
}

/** `logDetail` is the full reason, for the log only; undefined when `reason` is complete. */
function installFailed(reason: string, logDetail?: string): AirlockError {
  const message = `The project's packages could not be installed: ${reason}`;
  return new AirlockError("start_failed", message, logDetail === undefined ? {} : { logDetail });
}
