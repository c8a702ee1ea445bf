import { parentPort, workerData } from "node:worker_threads";

export type FloodStart = { readonly module: string; readonly url: string; readonly project: string };

export type FloodReport = {
  /** How many answers there were. */
  readonly answers: number;
  /** How many of them told the client to come again later: 503 or 429 with `Retry-After`. */
  readonly refused: number;
  /** Every other answer from 500 up. */
  readonly bad: readonly string[];
};

/** The target of a flood, and where the flood reports its answers. */
export type FloodContext = {
  readonly url: string;
  /** The project that is flooded. */
  readonly project: string;
  /** Aborts when the flood is to end. */
  readonly signal: AbortSignal;
  /** Posts a body, takes note of the answer, and resolves to it as text; undefined once the flood is to end. */
  post(path: string, body: string | Buffer): Promise<string | undefined>;
  /** Takes note of an answer that came another way. */
  note(status: number, retryAfter: string | null, text: string): void;
};

/** Floods until the signal aborts. */
export type Flood = (context: FloodContext) => Promise<void>;

async function run({ module, url, project }: FloodStart): Promise<void> {
  const { default: flood } = (await import(module)) as { default: Flood };
  const abort = new AbortController();
  let answers = 0;
  let refused = 0;
  const bad: string[] = [];
  const note: FloodContext["note"] = (status, retryAfter, text) => {
    answers++;
    parentPort?.postMessage("answer");
    if ((status === 503 || status === 429) && retryAfter !== null) refused++;
    else if (status >= 500) bad.push(`${status} ${text.slice(0, 200)}`);
  };
  const post: FloodContext["post"] = async (path, body) => {
    try {
      const response = await fetch(`${url}${path}`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: body as string,
        signal: abort.signal,
      });
      const text = await response.text();
      note(response.status, response.headers.get("retry-after"), text);
      return text;
    } catch (error) {
      if (!abort.signal.aborted) bad.push(String(error));
      return undefined;
    }
  };
  parentPort?.once("message", () => abort.abort());
  await flood({ url, project, signal: abort.signal, post, note });
  parentPort?.postMessage({ answers, refused, bad } satisfies FloodReport);
}

await run(workerData as FloodStart);
