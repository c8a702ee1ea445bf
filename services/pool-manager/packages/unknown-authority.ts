const SAYS_SO =
  /UnknownIssuer|CERTIFICATE_VERIFY_FAILED|self[- ]signed certificate|unable to get local issuer/i;
const REMEDY =
  "(The package index is certified by an authority that is not trusted here. The operator names a file with that authority in SSL_CERT_FILE of Airlock's environment; under Compose in AIRLOCK_BUILD_CA of .env.)";

/**
 * Adds a remedy to an installer's error when the cause is an unknown certificate authority, because the
 * installer's own hints name flags that do not exist in Airlock.
 */
export function withAuthorityRemedy(reason: string): string {
  return SAYS_SO.test(reason) ? `${reason}\n${REMEDY}` : reason;
}
