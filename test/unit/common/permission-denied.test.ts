import { describe, expect, it } from "vitest";
import { permissionDenied } from "#common/identity/permission-denied.ts";
import type { Principal } from "#common/identity/principal.ts";

const OBSERVER: Principal = { id: "key:watch", kind: "human", tenant: "default", role: "observer" };

describe("the refusal of a missing permission", () => {
  it("the refusal of a missing permission says who one is, which permission is missing, and which roles have it", () => {
    expect(permissionDenied(OBSERVER, "execution.cancel")).toMatchObject({
      code: "permission_denied",
      message:
        "You are key:watch with the role observer, and may not cancel own executions: that needs the permission execution.cancel, which the roles admin, operator, developer have. Ask an administrator for a credential with one of these roles.",
    });
  });

  it("the refusal of a missing permission names the role of a maker that lacks it", () => {
    const limited: Principal = {
      ...OBSERVER,
      role: "operator",
      maker: "key:dev",
      within: ["developer", "admin"],
    };
    expect(permissionDenied(limited, "project.scale").message).toContain(
      "You are key:watch with the role operator, limited by its maker's role developer, and",
    );
  });

  it("the refusal of a missing permission says that no agent has it, where its role alone would do", () => {
    const agent: Principal = { ...OBSERVER, kind: "agent", role: "operator" };
    expect(permissionDenied(agent, "execution.cancel_all").message).toContain(
      "which the roles admin, operator have, and no principal of the kind agent has it.",
    );
    expect(permissionDenied({ ...agent, role: "observer" }, "execution.cancel").message).not.toContain(
      "kind agent",
    );
  });
});
