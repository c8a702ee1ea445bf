import { expect, it } from "vitest";
import { withAuthorityRemedy } from "../../../services/pool-manager/packages/unknown-authority.ts";

it.each([
  "error: Failed to fetch: `https://index.example/simple/six/`\n  Caused by: invalid peer certificate: UnknownIssuer",
  "SSLError(SSLCertVerificationError(1, '[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: unable to get local issuer certificate'))",
])("an index whose authority is unknown is reported with the setting that helps: %s", (said) => {
  expect(withAuthorityRemedy(said)).toMatch(/^[\s\S]+\n\(.* SSL_CERT_FILE .* AIRLOCK_BUILD_CA of \.env\.\)$/);
});

it("any other failure of the installer stays in the installer's words", () => {
  const said = "No solution found when resolving dependencies: there is no version of nosuch==1";
  expect(withAuthorityRemedy(said)).toBe(said);
});
