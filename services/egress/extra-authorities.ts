import { X509Certificate } from "node:crypto";
import { readFile } from "node:fs/promises";
import { ConfigError } from "#common/service/environment.ts";

const CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;

/**
 * Reads the certificates in the file that AIRLOCK_EGRESS_EXTRA_CA names, as PEM and without other text
 * between them. Empty when `path` is undefined. Rejects with a ConfigError when the file cannot be used.
 */
export async function readExtraAuthorities(path: string | undefined): Promise<string> {
  if (path === undefined) return "";
  const refuse = (why: string) => new ConfigError([`AIRLOCK_EGRESS_EXTRA_CA: ${path} ${why}.`]);
  const text = await readFile(path, "utf8").catch((error: NodeJS.ErrnoException) => {
    throw refuse(error.code === "ENOENT" ? "does not exist" : "cannot be read");
  });
  const certificates = text.match(CERTIFICATE) ?? [];
  if (certificates.length === 0)
    throw refuse("contains no certificate in PEM form (-----BEGIN CERTIFICATE-----)");
  for (const [index, certificate] of certificates.entries()) {
    if (!isCertificate(certificate))
      throw refuse(`contains a certificate that cannot be read, number ${index + 1}`);
  }
  return `${certificates.join("\n")}\n`;
}

function isCertificate(pem: string): boolean {
  try {
    new X509Certificate(pem);
    return true;
  } catch {
    return false;
  }
}
