export type Profile = { readonly steps: readonly string[] };
export async function measureProfile(say: (progress: string) => void): Promise<Profile> {
  say("profile");
  return { steps: [] };
}
export function profileText(profile: Profile): string {
  return profile.steps.join("\n");
}
