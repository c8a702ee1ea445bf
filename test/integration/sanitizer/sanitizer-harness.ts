import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type ClientDuplex, callUnary, clientDuplex, connectTo } from "#common/grpc/client.ts";
import { createLog } from "#common/service/log.ts";
import type { RunningService } from "#common/service/run-service.ts";
import {
  type SanitizeChannel,
  type SanitizeRequest,
  type SanitizeResponse,
  SanitizerServiceClient,
} from "#proto/sanitizer.ts";
import {
  type ResolveNeedlesResponse,
  type ResolveSecretsResponse,
  SecretsServiceClient,
} from "#proto/secrets.ts";
import { startSanitizer } from "../../../services/sanitizer/main.ts";
import { startSecrets } from "../../../services/secrets/main.ts";

export type SanitizeStream = ClientDuplex<SanitizeResponse, SanitizeRequest>;

/** The secrets and the sanitizer service over Unix sockets, with a projects directory of their own. */
export async function startHarness() {
  const directory = await mkdtemp(join(tmpdir(), "airlock-sanitizer-"));
  const logged: string[] = [];
  const log = createLog("test", "trace", { write: (line) => void logged.push(line) });
  const secretsAddress = `unix:${join(directory, "secrets.sock")}`;
  const sanitizerAddress = `unix:${join(directory, "sanitizer.sock")}`;
  const launchSecrets = () => startSecrets({ listen: secretsAddress, projectsDir: directory }, log);
  let secrets: RunningService = await launchSecrets();
  const sanitizer = await startSanitizer({ listen: sanitizerAddress, secretsAddress }, log);
  const secretsClient = connectTo(SecretsServiceClient, secretsAddress);
  const sanitizerClient = connectTo(SanitizerServiceClient, sanitizerAddress);

  const resolve = (project: string): Promise<ResolveSecretsResponse> =>
    callUnary(secretsClient, secretsClient.resolveSecrets, { project }, "secrets", { timeoutMs: 30_000 });

  const needles = (project: string, version: string): Promise<ResolveNeedlesResponse> =>
    callUnary(secretsClient, secretsClient.resolveNeedles, { project, version }, "secrets", {
      timeoutMs: 5_000,
    });

  /** A stream for a run of `project` with the given version, or the one that is current. */
  const open = async (project: string, version?: string): Promise<SanitizeStream> => {
    const secretsVersion = version ?? (await resolve(project)).version;
    const stream = clientDuplex<SanitizeRequest, SanitizeResponse>(sanitizerClient.sanitize(), "sanitizer");
    await stream.send({
      message: { $case: "open", value: { project, executionId: "execution", secretsVersion } },
    });
    return stream;
  };

  const problems = async (): Promise<ReadonlyMap<string, string>> => {
    const limits = { timeoutMs: 30_000 };
    const answer = await callUnary(secretsClient, secretsClient.checkSecrets, {}, "secrets", limits);
    return new Map(answer.problems.map(({ project, problem }) => [project, problem]));
  };

  return {
    directory,
    logged,
    problems,
    sanitizerClient,
    resolve,
    needles,
    open,
    write: (name: string, content: string) => writeFile(join(directory, name), content),
    /** Writes a project's file, and waits until it counts: when it has not changed for half a second. */
    async project(name: string, secrets: Record<string, string | object>): Promise<void> {
      await writeFile(join(directory, `${name}.yaml`), JSON.stringify({ name, secrets }));
      await sleep(700);
    },
    stopSecrets: () => secrets.drain(0),
    restartSecrets: async () => {
      secrets = await launchSecrets();
    },
    async stop() {
      secretsClient.close();
      sanitizerClient.close();
      await Promise.all([secrets.drain(500), sanitizer.drain(500)]);
      await rm(directory, { recursive: true });
    },
  };
}

export type Harness = Awaited<ReturnType<typeof startHarness>>;

/** Sends one document in the given pieces and reads until its end. */
export async function document(
  stream: SanitizeStream,
  channel: SanitizeChannel,
  pieces: readonly (string | Uint8Array)[],
  cut = false,
): Promise<{ text: string; droppedBytes: number }> {
  const send = async () => {
    for (const [index, piece] of pieces.entries()) {
      const end = index === pieces.length - 1;
      const value = { channel, data: Buffer.from(piece as string), end, cut: end && cut };
      await stream.send({ message: { $case: "chunk", value } });
    }
  };
  const receive = async () => {
    const parts: Uint8Array[] = [];
    for (;;) {
      const response = await stream.next();
      if (!response) throw new Error("the stream ended before the document did");
      const isAtWork = response.data.length === 0 && !response.end;
      if (isAtWork) continue;
      if (response.channel !== channel) throw new Error(`an answer on channel ${response.channel}`);
      parts.push(response.data);
      if (response.end) return { text: Buffer.concat(parts).toString(), droppedBytes: response.droppedBytes };
    }
  };
  const [received] = await Promise.all([receive(), send()]);
  return received;
}
