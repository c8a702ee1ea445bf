import { AirlockError } from "../errors.ts";
import type { Principal } from "./principal.ts";

/** Throws `permission_denied` for a project that the principal's credential is not limited to. */
export function refuseOtherProjects({ id, projects }: Principal, project: string): void {
  if (!projects || projects.includes(project)) return;
  throw new AirlockError(
    "permission_denied",
    `The key of ${id} is for these projects only: ${projects.join(", ")}. Use one of them, or another key.`,
  );
}
