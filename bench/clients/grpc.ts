import { callUnary, connectTo } from "#common/grpc/client.ts";
import { ExecutionStatus } from "#proto/execution.ts";
import { RouterServiceClient, SubmitRequest } from "#proto/router.ts";

const WAIT_MS = 60_000;

export type GrpcClient = {
  /** Runs a script and resolves to its execution id when its result has arrived. */
  execute(project: string, code: string): Promise<string>;
  close(): void;
};

/** A gRPC client that calls the router directly, as an internal system does, past the gateway. */
export function grpcClient(routerAddress: string): GrpcClient {
  const router = connectTo(RouterServiceClient, routerAddress);
  return {
    async execute(project, code) {
      const submission = SubmitRequest.fromPartial({ project, code });
      const limits = { timeoutMs: WAIT_MS + 5_000 };
      const submitted = await callUnary(router, router.submit, submission, "router", limits);
      const executionId = submitted.execution?.executionId ?? "";
      for (;;) {
        const request = { executionId, waitMs: WAIT_MS, maxBytes: 0 };
        const { execution } = await callUnary(router, router.getExecution, request, "router", limits);
        if (execution?.status === ExecutionStatus.COMPLETED) return executionId;
        if (execution?.status !== ExecutionStatus.PENDING && execution?.status !== ExecutionStatus.RUNNING) {
          throw new Error(`an execution in ${project} ended as ${execution?.status}: ${execution?.error}`);
        }
      }
    },
    close: () => router.close(),
  };
}
