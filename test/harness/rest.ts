import { createAirlock } from "#sdk/airlock.ts";
import type { SubmitRequest } from "#sdk/executions.ts";

/** A submission of a test; `demo` is the project of one that names none. */
export type Submission = Omit<SubmitRequest, "project"> & { readonly project?: string };

export type RestClient = ReturnType<typeof restClient>;

/** The client SDK for tests, with this API key. It repeats nothing, because a repetition would hide a fault. */
export function restClient(url: string, key?: string) {
  const { submit: send, executions, projects } = createAirlock({ url, key, retry: "never" });
  const submit = async (submission: Submission): Promise<string> =>
    (await send({ project: "demo", ...submission })).execution_id;
  return {
    url,
    submit,
    get: (id: string, waitSeconds = 0) => executions.get(id, { waitSeconds }),
    /** Polls until the execution is neither pending nor running. */
    settled: (id: string) => executions.wait(id),
    /** Waits like `settled`; resolves to the body of the answer, in which every number has its digits. */
    settledText: async (id: string) => (await executions.wait(id)).json,
    run: async (submission: Submission) => executions.wait(await submit(submission)),
    respond: (id: string, response: string, llmRequestId?: string) =>
      executions.respond(id, response, { llmRequestId }),
    cancel: (id: string) => executions.cancel(id),
    project: (name: string) => projects.get(name),
    /** Posts a body as it is, or as JSON, for tests that look at the answer itself. */
    post: (path: string, body: unknown) =>
      fetch(`${url}${path}`, {
        method: "POST",
        headers: {
          "content-type": "application/json",
          ...(key !== undefined && { authorization: `Bearer ${key}` }),
        },
        body: typeof body === "string" ? body : JSON.stringify(body),
      }),
  };
}
