import type { FastifyInstance } from "fastify";
import type { Backends } from "../../backends/backends.ts";
import { bringUp, getProject, listProjects, takeDown } from "../../use-cases/projects.ts";
import { projectDetails, projectState, projectSummary } from "../project-view.ts";
import { backendCall } from "../request/backend-call.ts";
import { NO_QUERY } from "../schemas/execution.ts";
import { PROJECT_LIST_LINKS } from "../schemas/links.ts";
import { BODY_CODES, problemResponses, SERVICE_CODES } from "../schemas/problem.ts";
import {
  DOWN_BODY,
  type DownBody,
  PROJECT,
  PROJECT_LIST,
  PROJECT_PARAMS,
  PROJECT_STATE,
  type ProjectParams,
  UP_BODY,
  type UpBody,
} from "../schemas/project.ts";

const tags = ["projects"];
const state = {
  description: "Where the project stands now.",
  content: { "application/json": { schema: PROJECT_STATE } },
} as const;

export function projectRoutes(app: FastifyInstance, backends: Backends): void {
  app.get(
    "/projects",
    {
      links: PROJECT_LIST_LINKS,
      config: { permission: "project.read" },
      schema: {
        operationId: "listProjects",
        tags,
        summary: "List projects",
        description: "With what an operator needs of each; GET /projects/{name} has more.",
        querystring: NO_QUERY,
        response: {
          200: {
            description: "Every project.",
            content: { "application/json": { schema: PROJECT_LIST } },
          },
          ...problemResponses("invalid_request", ...SERVICE_CODES),
        },
      },
    },
    async (_request, reply) => {
      const projects = await listProjects(backends, backendCall(reply));
      return { projects: projects.map(projectSummary) };
    },
  );

  app.get<{ Params: ProjectParams }>(
    "/projects/:name",
    {
      config: { permission: "project.read" },
      schema: {
        operationId: "getProject",
        tags,
        summary: "Read a project",
        description:
          "With its limits, its installed packages, what its scripts may reach, the names of its settings, and the isolation that is in force.",
        params: PROJECT_PARAMS,
        querystring: NO_QUERY,
        response: {
          200: {
            description: "The project.",
            content: { "application/json": { schema: PROJECT } },
          },
          ...problemResponses("invalid_request", "project_not_found", ...SERVICE_CODES),
        },
      },
    },
    async (request, reply) =>
      projectDetails(await getProject(backends, request.params.name, backendCall(reply))),
  );

  app.post<{ Params: ProjectParams; Body: UpBody }>(
    "/projects/:name/up",
    {
      config: { bodyOptional: true, permission: "project.scale" },
      schema: {
        operationId: "upProject",
        tags,
        summary: "Start a project's workers",
        description: "Or change how many there are. A project that was held accepts executions again.",
        params: PROJECT_PARAMS,
        querystring: NO_QUERY,
        body: UP_BODY,
        response: {
          200: state,
          ...problemResponses(
            ...BODY_CODES,
            "project_not_found",
            "project_invalid",
            "start_failed",
            ...SERVICE_CODES,
          ),
        },
      },
    },
    async ({ params, body }, reply) =>
      projectState(await bringUp(backends, params.name, body.replicas, backendCall(reply))),
  );

  app.post<{ Params: ProjectParams; Body: DownBody }>(
    "/projects/:name/down",
    {
      config: { bodyOptional: true, permission: "project.scale" },
      schema: {
        operationId: "downProject",
        tags,
        summary: "Stop a project's workers",
        description:
          "What is running or queued is finished first. The next execution starts them again, unless the project is held.",
        params: PROJECT_PARAMS,
        querystring: NO_QUERY,
        body: DOWN_BODY,
        response: { 200: state, ...problemResponses(...BODY_CODES, "project_not_found", ...SERVICE_CODES) },
      },
    },
    async ({ params, body }, reply) =>
      projectState(await takeDown(backends, params.name, body.hold ?? false, backendCall(reply))),
  );
}
