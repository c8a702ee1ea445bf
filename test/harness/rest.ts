/** An execution as `GET /executions/{id}` shows it. */
export type ExecutionView = {
  execution_id: string;
  project: string;
  status: string;
  result: unknown;
  stdout: string;
  stderr: string;
  error: string | null;
  llm_request: { id: string; prompt: string; model: string } | null;
  waiting_on: { kind: string; queue_position: number | null; detail: string } | null;
  memory_updates: Record<string, Record<string, unknown>>;
  execution_time_ms: number | null;
  created_at: string;
  started_at: string | null;
  ended_at: string | null;
  end_reason: string | null;
  truncated: { stdout: number; stderr: number };
};

export type Submission = {
  project?: string;
  code: string;
  timeout?: number;
  settings?: Record<string, string>;
  memory?: Record<string, Record<string, unknown>>;
};

export type RestClient = ReturnType<typeof restClient>;

/** A client for the REST calls of an agent, over real HTTP. */
export function restClient(url: string) {
  const post = (path: string, body: unknown) =>
    fetch(`${url}${path}`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: typeof body === "string" ? body : JSON.stringify(body),
    });
  const json = async <T>(response: Promise<Response>): Promise<T> => (await (await response).json()) as T;

  const submit = async (submission: Submission): Promise<string> => {
    const response = await post("/execute", { project: "demo", ...submission });
    if (response.status !== 202) throw new Error(`${response.status}: ${await response.text()}`);
    return ((await response.json()) as { execution_id: string }).execution_id;
  };
  const get = (id: string, waitSeconds = 0) =>
    json<ExecutionView>(fetch(`${url}/executions/${id}?wait=${waitSeconds}`));
  /** Polls until the execution is neither pending nor running. */
  const settled = async (id: string): Promise<ExecutionView> => {
    for (;;) {
      const execution = await get(id, 20);
      if (execution.status !== "pending" && execution.status !== "running") return execution;
    }
  };
  return {
    url,
    post,
    submit,
    get,
    settled,
    /** Waits like `settled`; resolves to the response body as text. */
    async settledText(id: string): Promise<string> {
      await settled(id);
      return await (await fetch(`${url}/executions/${id}`)).text();
    },
    run: async (submission: Submission) => settled(await submit(submission)),
    respond: (id: string, response: string, llmRequestId?: string) =>
      post(`/executions/${id}/respond`, { response, ...(llmRequestId && { llm_request_id: llmRequestId }) }),
    cancel: (id: string) => fetch(`${url}/executions/${id}/cancel`, { method: "POST" }),
    project: (name: string) => json<Record<string, unknown>>(fetch(`${url}/projects/${name}`)),
  };
}
