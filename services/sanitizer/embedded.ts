import type { EmbeddedService } from "#common/service/embedded.ts";
import { startSanitizer } from "./main.ts";

export const sanitizer: EmbeddedService<Record<string, never>> = {
  needs: ["secrets"],
  readSettings: () => ({}),
  start: ({ address }, _settings, log) =>
    startSanitizer({ listen: address("sanitizer"), secretsAddress: address("secrets") }, log),
};
