import { isolationSection } from "./isolation.ts";
import { limitsSection } from "./limits.ts";
import { nameSection } from "./name.ts";
import { networkSection } from "./network.ts";
import { packagesSection } from "./packages.ts";
import { replicasSection } from "./replicas.ts";
import { secretsSection } from "./secrets.ts";
import { settingsSection } from "./settings.ts";

/**
 * The sections of the project file, in the order in which messages list its fields. A service that needs a
 * section of its own adds a file to this folder and a line here; nothing else knows the sections.
 */
export const SECTIONS = [
  nameSection,
  packagesSection,
  settingsSection,
  secretsSection,
  networkSection,
  limitsSection,
  replicasSection,
  isolationSection,
] as const;
