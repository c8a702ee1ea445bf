const toExecution = (id: string) => {
  const parameters = { execution_id: id };
  return {
    read: { operationId: "getExecution", parameters },
    answer: { operationId: "respond", parameters },
    end: { operationId: "cancel", parameters },
    redactions: { operationId: "getRedactions", parameters },
  };
};

/**
 * OpenAPI links from the answers of each operation to the next calls, by HTTP status, for programs that
 * follow them.
 */
export const EXECUTE_LINKS = {
  200: toExecution("$response.body#/execution_id"),
  202: toExecution("$response.body#/execution_id"),
};
export const EXECUTION_LIST_LINKS = { 200: toExecution("$response.body#/executions/0/execution_id") };
export const DEAD_LETTER_LINKS = {
  200: {
    retry: {
      operationId: "retryDeadLetter",
      parameters: { execution_id: "$response.body#/dead_letters/0/execution_id" },
    },
  },
};
export const PROJECT_LIST_LINKS = {
  200: {
    read: { operationId: "getProject", parameters: { name: "$response.body#/projects/0/name" } },
    up: { operationId: "upProject", parameters: { name: "$response.body#/projects/0/name" } },
    down: { operationId: "downProject", parameters: { name: "$response.body#/projects/0/name" } },
  },
};
