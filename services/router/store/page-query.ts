import type { ListFilter } from "./store.ts";

export type PageQuery = { readonly text: string; readonly values: (string | number)[] };

/**
 * Builds the query for one page of a list, newest first, with the parameters $1, $2 and so on. Its text
 * depends on the fields that the filter sets. `only`: an SQL condition for all rows. `withoutIndex` makes an
 * expression with the value of a column, for which SQLite looks up no index; the planner of PostgreSQL needs
 * no such hint, because it has statistics.
 */
export function pageQuery(
  columns: string,
  { project, status, before, retryOf, scope, limit }: Partial<ListFilter> & { readonly limit: number },
  only = "TRUE",
  withoutIndex: (column: string) => string = (column) => column,
): PageQuery {
  const values: (string | number)[] = [limit];
  const parameter = (value: string) => `$${values.push(value)}`;
  const isOwn = scope?.principal !== undefined;
  // The own executions of a principal are fewer than those of a project or of a status.
  const column = (name: string) => (isOwn && retryOf === undefined ? withoutIndex(name) : name);
  const conditions = [only];
  if (project !== undefined) conditions.push(`${column("project")} = ${parameter(project)}`);
  if (status !== undefined) conditions.push(`${column("status")} = ${parameter(status)}`);
  if (before !== undefined) conditions.push(`execution_id < ${parameter(before)}`);
  if (retryOf !== undefined) conditions.push(`retry_of = ${parameter(retryOf)}`);
  const page = (...more: string[]) =>
    `SELECT ${columns} FROM executions WHERE ${[...conditions, ...more].join(" AND ")}
     ORDER BY execution_id DESC LIMIT $1`;
  if (!scope) return { text: page(), values };
  const tenant = parameter(scope.tenant);
  const ofTenant = `${withoutIndex("tenant")} = ${tenant}`;
  if (scope.principal === undefined) return { text: page(ofTenant), values };
  const principal = parameter(scope.principal);
  if (retryOf !== undefined) {
    // A dead letter has few retries, which its own index finds.
    const isSeen = `(${withoutIndex("principal")} = ${principal} OR ${withoutIndex("maker")} = ${principal})`;
    return { text: page(ofTenant, isSeen), values };
  }
  // Two queries, each of which finds its page by an index. With OR, the database would read and sort all.
  const submitted = page(`tenant = ${tenant}`, `principal = ${principal}`);
  const byAgents = page(
    `tenant = ${tenant}`,
    `maker = ${principal}`,
    "maker <> ''",
    `${withoutIndex("principal")} <> ${principal}`,
  );
  const text = `SELECT * FROM (${submitted}) AS submitted UNION ALL SELECT * FROM (${byAgents}) AS by_agents
    ORDER BY execution_id DESC LIMIT $1`;
  return { text, values };
}
