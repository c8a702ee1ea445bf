import type { experimental } from "@grpc/grpc-js";

export type Files = { readonly ca: Buffer; readonly cert: Buffer; readonly key: Buffer };

type CaListener = Parameters<experimental.CertificateProvider["addCaCertificateListener"]>[0];
type IdentityListener = Parameters<experimental.CertificateProvider["addIdentityCertificateListener"]>[0];

/**
 * Gives gRPC this service's newest certificate, always together with its own key. grpc-js's own provider may
 * pass on a certificate with the key of another, because it reads the files while they are being replaced.
 */
export class LatestCertificates implements experimental.CertificateProvider {
  #files: Files;
  readonly #caListeners = new Set<CaListener>();
  readonly #identityListeners = new Set<IdentityListener>();

  constructor(files: Files) {
    this.#files = files;
  }

  /**
   * Uses `files` for connections that are made from now on. Returns false when the files are the same as
   * before.
   */
  change(files: Files): boolean {
    const { ca, cert, key } = this.#files;
    if (ca.equals(files.ca) && cert.equals(files.cert) && key.equals(files.key)) return false;
    this.#files = files;
    for (const listener of this.#identityListeners) listener(this.#identity());
    for (const listener of this.#caListeners) listener({ caCertificate: files.ca });
    return true;
  }

  addCaCertificateListener(listener: CaListener): void {
    this.#caListeners.add(listener);
    // The listener is called later, because gRPC is not ready for the certificate until this method has
    // returned.
    process.nextTick(() => listener({ caCertificate: this.#files.ca }));
  }

  removeCaCertificateListener(listener: CaListener): void {
    this.#caListeners.delete(listener);
  }

  addIdentityCertificateListener(listener: IdentityListener): void {
    this.#identityListeners.add(listener);
    process.nextTick(() => listener(this.#identity()));
  }

  removeIdentityCertificateListener(listener: IdentityListener): void {
    this.#identityListeners.delete(listener);
  }

  #identity() {
    return { certificate: this.#files.cert, privateKey: this.#files.key };
  }
}
