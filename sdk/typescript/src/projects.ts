import type { components } from "../gen/openapi.ts";
import type { Call, Caller, CallOptions } from "./call.ts";
import { parseAnswer } from "./parse-answer.ts";

type Schemas = components["schemas"];
export type Project = Schemas["Project"];
export type ProjectSummary = Schemas["ProjectSummary"];
export type ProjectState = Schemas["ProjectState"];

export type Projects = {
  list(options?: CallOptions): Promise<readonly ProjectSummary[]>;
  get(name: string, options?: CallOptions): Promise<Project>;
  /** Starts a project's workers, or changes how many there are. */
  up(name: string, options?: CallOptions & { readonly replicas?: number | undefined }): Promise<ProjectState>;
  /** Stops a project's workers. `hold`: the project takes no executions until `up`. */
  down(name: string, options?: CallOptions & { readonly hold?: boolean | undefined }): Promise<ProjectState>;
};

export function createProjects(caller: Caller): Projects {
  const pathOf = (name: string) => `/projects/${encodeURIComponent(name)}`;
  const send = async <T>(call: Call, options: CallOptions = {}) =>
    parseAnswer<T>(await caller.send(call, options), caller.url);
  // A call that starts or stops workers is sent only once, because another operator may have changed the
  // project before a second attempt.
  const change = (name: string, action: "up" | "down", body: object, options: CallOptions) =>
    send<ProjectState>(
      {
        method: "POST",
        path: `${pathOf(name)}/${action}`,
        body: JSON.stringify(body),
        isRepeatable: false,
      },
      options,
    );
  return {
    async list(options) {
      const call = { method: "GET", path: "/projects", isRepeatable: true } as const;
      return (await send<Schemas["ProjectList"]>(call, options)).projects;
    },
    get: (name, options) => send({ method: "GET", path: pathOf(name), isRepeatable: true }, options),
    up: (name, { replicas, ...options } = {}) => change(name, "up", { replicas }, options),
    down: (name, { hold, ...options } = {}) => change(name, "down", { hold }, options),
  };
}
