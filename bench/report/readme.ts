import type { Profile } from "../profile/profile.ts";
import type { Result } from "../result.ts";
export async function writeReadme(_result: Result, _profile: Profile): Promise<void> {}
