/** The measured projects, each with the text of its project file (without the `name` line). */
export const PROJECTS = {
  plain: file(""),
  pandas: file('packages: ["pandas>=3,<4"]\n'),
} as const;

export type ProjectName = keyof typeof PROJECTS;

/** The packages that the floor must import to be comparable with each project. */
export const DISTRIBUTIONS: Readonly<Record<ProjectName, readonly string[]>> = {
  plain: [],
  pandas: ["pandas"],
};

/**
 * The text of a project file. The limits are higher than the defaults, because llm requests stay open for the
 * whole benchmark, and more executions print and wait.
 */
function file(own: string): string {
  return `${own}replicas: 2
limits: {timeout: 300, llm_timeout: 3600, max_output_mb: 16, queue: 20000}
`;
}
