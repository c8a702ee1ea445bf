import type { UntypedServiceImplementation } from "@grpc/grpc-js";
import { handlersFor } from "#common/grpc/server.ts";
import { scopeOf } from "#common/identity/ownership.ts";
import type { Principal } from "#common/identity/principal.ts";
import { refuseOtherProjects } from "#common/identity/project-limit.ts";
import type { Log } from "#common/service/log.ts";
import type { Dependency } from "#proto/readiness.ts";
import type { RouterServiceServer } from "#proto/router.ts";
import type { Admission } from "./admission/admission.ts";
import type { Holds } from "./admission/holds.ts";
import { toDeadLetterMessage, toExecutionMessage, toPieceMessage, toSummaryMessage } from "./messages.ts";
import type { Executions } from "./queries/executions.ts";
import { readPage } from "./queries/pages.ts";
import type { AskWaiting } from "./queries/waiting.ts";
import { refuseUnread } from "./read-submit.ts";
import { readOutputFrom, readStatus, readWait } from "./request-fields.ts";
import { readWhole } from "./store/reading.ts";
import type { ScopedStore } from "./store/scoped-store.ts";

/**
 * Makes the gRPC handlers of RouterService. The handlers only translate between proto messages and domain
 * objects; the rules are in admission/, queries/ and store/.
 */
export function createHandlers({
  admission,
  executions,
  store,
  holds,
  askWaiting,
  readiness,
  log,
}: {
  readonly admission: Admission;
  readonly executions: Executions;
  readonly store: Pick<ScopedStore, "list" | "listDeadLetters">;
  readonly holds: Holds;
  readonly askWaiting: AskWaiting;
  readonly readiness: () => Promise<Dependency[]>;
  readonly log: Log;
}): UntypedServiceImplementation {
  const { unary, serverStream } = handlersFor(log);
  /**
   * Reads the execution for a response. `bytes`: how many bytes the execution stores. Resolves to undefined
   * when they are more than `maxBytes`, so that the response leaves the execution out; a `maxBytes` of 0
   * means no limit.
   */
  const shown = async (principal: Principal, executionId: string, bytes: number, maxBytes = 0) =>
    maxBytes > 0 && bytes > maxBytes ? undefined : await executions.get(principal, executionId, bytes);
  const changed = async (principal: Principal, executionId: string, maxBytes?: number) => {
    const bytes = await executions.bytesOf(principal, executionId);
    const execution = await shown(principal, executionId, bytes, maxBytes);
    return { execution: execution && toExecutionMessage(execution) };
  };
  const service: RouterServiceServer = {
    submit: unary(async (request, { principal, signal }) => {
      refuseUnread(request);
      const { execution, replayed } = await admission.submit(request, principal, signal);
      return { execution: toExecutionMessage(execution), replayed };
    }),
    getExecution: unary(async ({ executionId, waitMs, maxBytes, outputFrom }, { principal, signal }) => {
      const from = readOutputFrom(outputFrom);
      const outline = await executions.awaitAttention(principal, executionId, readWait(waitMs), signal);
      const reading = from && (await executions.read(principal, executionId, signal, from));
      const bytes = outline.bytes - (reading?.skippedBytes ?? 0);
      const isLeftOut = maxBytes > 0 && bytes > maxBytes;
      if (isLeftOut) return { execution: undefined, leftOutBytes: bytes };
      const execution = reading
        ? await readWhole(reading)
        : (outline.execution ?? (await executions.get(principal, executionId, bytes)));
      return {
        execution: { ...toExecutionMessage(execution), waitingOn: await askWaiting(execution) },
        leftOutBytes: 0,
      };
    }),
    readExecution: serverStream(async function* ({ executionId, outputFrom }, { principal, signal }) {
      const from = readOutputFrom(outputFrom);
      const { execution, pieces } = await executions.read(principal, executionId, signal, from);
      const head = { ...toExecutionMessage(execution), waitingOn: await askWaiting(execution) };
      yield { part: { $case: "execution", value: head } };
      for await (const piece of pieces())
        yield { part: { $case: "textPiece", value: toPieceMessage(piece) } };
    }),
    listExecutions: unary(async (request, { principal }) => {
      const status = readStatus(request.status);
      const { page, nextCursor } = await readPage(request, scopeOf(principal, "execution.read"), (filter) =>
        store.list({ ...filter, status, retryOf: request.retryOf || undefined }),
      );
      return { executions: page.map(toSummaryMessage), nextCursor };
    }),
    respond: unary(async ({ executionId, llmRequestId, response, maxBytes }, { principal }) => {
      await executions.respond(principal, executionId, llmRequestId, response);
      return await changed(principal, executionId, maxBytes);
    }),
    cancel: unary(async ({ executionId, maxBytes }, { principal, signal }) => {
      await executions.cancel(principal, executionId, signal);
      return await changed(principal, executionId, maxBytes);
    }),
    getRedactions: unary(async ({ executionId }, { principal }) => ({
      redactions: await executions.redactions(principal, executionId),
    })),
    listDeadLetters: unary(async (request, { principal }) => {
      const { page, nextCursor } = await readPage(
        request,
        scopeOf(principal, "execution.read"),
        store.listDeadLetters,
      );
      return { deadLetters: page.map(toDeadLetterMessage), nextCursor };
    }),
    retryDeadLetter: unary(async ({ executionId, again }, { principal }) => ({
      execution: toExecutionMessage(await admission.retry(executionId, again, principal)),
    })),
    holdProject: unary(async ({ project }, { principal }) => {
      refuseOtherProjects(principal, project);
      await holds.hold(project);
      return {};
    }),
    releaseProject: unary(async ({ project }, { principal }) => {
      refuseOtherProjects(principal, project);
      return { wasHeld: await holds.release(project) };
    }),
    listHeldProjects: unary(async () => ({ projects: await holds.list() })),
    getRouterReadiness: unary(async () => ({ dependencies: await readiness() })),
  };
  return service;
}
