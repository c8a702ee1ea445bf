import type { FastifyInstance } from "fastify";
import type { Backend } from "../backend.ts";
import { clientSignal } from "../client-signal.ts";
import { projectDetails, projectState, projectSummary } from "../project-view.ts";
import { EMPTY_OBJECT } from "../schemas/execution.ts";
import { BODY_CODES, problemResponses, SERVICE_CODES } from "../schemas/problem.ts";
import {
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

export function projectRoutes(app: FastifyInstance, backend: Backend): void {
  app.get(
    "/projects",
    {
      schema: {
        operationId: "listProjects",
        tags,
        summary: "List projects",
        response: {
          200: {
            description: "Every project.",
            content: { "application/json": { schema: { $ref: "ProjectList#" } } },
          },
          ...problemResponses(...SERVICE_CODES),
        },
      },
    },
    async (_request, reply) => {
      const projects = await backend.listProjects(clientSignal(reply));
      return { projects: projects.map(projectSummary) };
    },
  );

  app.get<{ Params: ProjectParams }>(
    "/projects/:name",
    {
      schema: {
        operationId: "getProject",
        tags,
        summary: "Read a project",
        description:
          "With its limits, what its scripts may reach, the names of its settings, and the isolation that is in force.",
        params: PROJECT_PARAMS,
        response: {
          200: {
            description: "The project.",
            content: { "application/json": { schema: { $ref: "Project#" } } },
          },
          ...problemResponses("project_not_found", ...SERVICE_CODES),
        },
      },
    },
    async (request, reply) =>
      projectDetails(await backend.getProject(request.params.name, clientSignal(reply))),
  );

  app.post<{ Params: ProjectParams; Body: UpBody }>(
    "/projects/:name/up",
    {
      config: { bodyOptional: true },
      schema: {
        operationId: "upProject",
        tags,
        summary: "Start a project's workers",
        description: "Or change how many there are.",
        params: PROJECT_PARAMS,
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
    async (request) => projectState(await backend.upProject(request.params.name, request.body.replicas)),
  );

  app.post<{ Params: ProjectParams }>(
    "/projects/:name/down",
    {
      config: { bodyOptional: true },
      schema: {
        operationId: "downProject",
        tags,
        summary: "Stop a project's workers",
        description: "What is running or queued is finished first.",
        params: PROJECT_PARAMS,
        body: EMPTY_OBJECT,
        response: { 200: state, ...problemResponses(...BODY_CODES, "project_not_found", ...SERVICE_CODES) },
      },
    },
    async (request) => projectState(await backend.downProject(request.params.name)),
  );
}
