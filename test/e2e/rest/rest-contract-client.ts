import { connect } from "node:net";
import { expect } from "vitest";

/** A service under test. `project` is the name of a project that runs plain Python. */
export type Target = { readonly url: string; readonly project: string; stop(): Promise<void> };

export type Answer = {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  // biome-ignore lint/suspicious/noExplicitAny: the assertions of a test say what it holds.
  readonly json: any;
};

/** Sends one request and reads its answer to the end. */
export async function call(
  target: Target,
  method: string,
  path: string,
  init: RequestInit = {},
): Promise<Answer> {
  const response = await fetch(new URL(path, target.url), { method, ...init });
  return toAnswer(response.status, response.headers, await response.text());
}

export function get(target: Target, path: string): Promise<Answer> {
  return call(target, "GET", path);
}

/** Posts `body`: text as it is, anything else as JSON; nothing at all when it is undefined. */
export function post(target: Target, path: string, body?: unknown): Promise<Answer> {
  if (body === undefined) return call(target, "POST", path);
  const text = typeof body === "string" || body instanceof Uint8Array ? body : JSON.stringify(body);
  return call(target, "POST", path, {
    headers: { "content-type": "application/json" },
    body: text as string | Uint8Array<ArrayBuffer>,
  });
}

/** Submits a script and returns the id of its execution. */
export async function submit(target: Target, code: string, more: object = {}): Promise<string> {
  const answer = await post(target, "/execute", { project: target.project, code, ...more });
  expect(answer.status, answer.text).toBe(202);
  return answer.json.execution_id;
}

/** Polls until the execution has ended or waits for an answer. */
export async function settled(target: Target, id: string): Promise<Answer> {
  for (let round = 0; round < 10; round++) {
    const answer = await get(target, `/executions/${id}?wait=20`);
    expect(answer.status, answer.text).toBe(200);
    if (!["pending", "running"].includes(answer.json.status)) return answer;
  }
  throw new Error(`execution ${id} does not settle`);
}

/** Expects a refusal: a whole problem document with this code, and a detail that matches. */
export function expectProblem(
  answer: Answer,
  status: number,
  code: string,
  detail: RegExp | string = "",
): void {
  expect({ status: answer.status, code: answer.json?.code }, answer.text).toEqual({ status, code });
  expect(answer.headers.get("content-type")).toMatch(/^application\/problem\+json/);
  expect(answer.json).toMatchObject({ type: `urn:airlock:problem:${code}`, status });
  expect(answer.json.title).toMatch(/^[A-Z].+/);
  expect(answer.json.detail).toMatch(detail);
  // No stack trace and no path of the machine it runs on.
  expect(answer.text).not.toMatch(/node_modules|\bat .+:\d+:\d+|file:\/\/|\.ts\b/);
}

/** Writes bytes to a new connection and reads until the server closes it. */
export async function exchange(target: Target, parts: readonly (string | Uint8Array)[]): Promise<Answer> {
  return parseAnswer(await exchangeRaw(target, parts));
}

/** The same, with all that came back as it is. */
export function exchangeRaw(target: Target, parts: readonly (string | Uint8Array)[]): Promise<string> {
  const { hostname, port } = new URL(target.url);
  return new Promise((resolve, reject) => {
    const socket = connect(Number(port), hostname.replace(/^\[|\]$/g, ""));
    const received: Buffer[] = [];
    socket.on("data", (chunk) => received.push(chunk));
    socket.on("error", reject);
    socket.on("close", () => resolve(Buffer.concat(received).toString()));
    for (const part of parts) socket.write(part);
  });
}

function parseAnswer(raw: string): Answer {
  const [head = "", ...rest] = raw.replace(/^HTTP\/1\.1 100 .*\r\n\r\n/, "").split("\r\n\r\n");
  const [statusLine = "", ...lines] = head.split("\r\n");
  const headers = new Headers();
  for (const line of lines)
    headers.append(line.slice(0, line.indexOf(":")), line.slice(line.indexOf(":") + 1));
  const text = rest.join("\r\n\r\n");
  // Another answer may follow on the same connection.
  const length = headers.get("content-length");
  return toAnswer(
    Number(statusLine.split(" ")[1]),
    headers,
    text.slice(0, length ? Number(length) : undefined),
  );
}

function toAnswer(status: number, headers: Headers, text: string): Answer {
  const isJson = /json/.test(headers.get("content-type") ?? "") && text !== "";
  return { status, headers, text, json: isJson ? JSON.parse(text) : undefined };
}
