// In place of the package's `./verify` on a page without proofs.

export class ProofChecker {
  close() {}
}
