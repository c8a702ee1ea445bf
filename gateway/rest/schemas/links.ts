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
 * OpenAPI links from the answers to POST /execute, by HTTP status, to the next calls for that execution.
 * Programs that follow links know from them how to go on.
 */
export const EXECUTE_LINKS = {
  200: toExecution("$response.body#/execution_id"),
  202: toExecution("$response.body#/execution_id"),
};
/** OpenAPI links from the answer to GET /executions to the calls for the first execution of the list. */
export const EXECUTION_LIST_LINKS = { 200: toExecution("$response.body#/executions/0/execution_id") };
/** OpenAPI links from the answer to GET /dead-letters to the call that retries the first one of the list. */
export const DEAD_LETTER_LINKS = {
  200: {
    retry: {
      operationId: "retryDeadLetter",
      parameters: { execution_id: "$response.body#/dead_letters/0/execution_id" },
    },
  },
};
/** OpenAPI links from the answer to GET /projects to the calls for the first project of the list. */
export const PROJECT_LIST_LINKS = {
  200: {
    read: { operationId: "getProject", parameters: { name: "$response.body#/projects/0/name" } },
    up: { operationId: "upProject", parameters: { name: "$response.body#/projects/0/name" } },
    down: { operationId: "downProject", parameters: { name: "$response.body#/projects/0/name" } },
  },
};
