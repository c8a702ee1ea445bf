/** The projects that are measured, as their files are after the name. */
export const PROJECTS = {
  plain: file(""),
  pandas: file('packages: ["pandas>=3,<4"]\n'),
} as const;

export type ProjectName = keyof typeof PROJECTS;

/** What a fork has to have imported to be the floor of a project. */
export const DISTRIBUTIONS: Readonly<Record<ProjectName, readonly string[]>> = {
  plain: [],
  pandas: ["pandas"],
};

/** A question is open as long as a benchmark takes, and more is printed and waits than the defaults allow. */
function file(own: string): string {
  return `${own}replicas: 2
limits: {timeout: 300, llm_timeout: 3600, max_output_mb: 16, queue: 20000}
`;
}
